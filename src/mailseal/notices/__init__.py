"""The mails that Mailseal itself writes: templates, and the messages made of them."""
