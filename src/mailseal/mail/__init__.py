"""What a mail is: address, envelope, message, byte-exact MIME, edits, replies, reports (RFC 5321, 5322, 2045)."""
