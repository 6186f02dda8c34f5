"""The two fates of a failure: permanent (refuse) or transient (defer).

Every error that crosses a module seam is one of these two. Its text is safe to log: it never holds a key,
a password or a piece of a mail's body. What a peer reads is a constant of `mail.reply`, never this text.
"""


class MailsealError(Exception):
    """An expected failure. Raise one of the two subclasses."""


class PermanentError(MailsealError):
    """Trying again cannot help: the mail is refused, or the input is reported as bad."""


class TransientError(MailsealError):
    """Trying again may help: the mail is deferred (451) and the MTA keeps it."""
