"""OpenPGP (RFC 9580, RFC 4880): packets, armor, keys, certificates, signatures, and the messages made of them."""
