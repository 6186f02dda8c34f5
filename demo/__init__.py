"""`make demo`: two companies with a Mailseal each, on loopback."""
