"""Mail over sockets: the LMTP and SMTP receiver, and the client that passes mail on (RFC 5321, RFC 2033)."""
