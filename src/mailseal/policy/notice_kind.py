"""What a notice is about, and to whom it may go: the closed lists that settings and templates speak of."""

from enum import StrEnum


class NoticeKind(StrEnum):
    """What has happened to a mail. SUMMARY: more of them than are told one by one; nobody asks for it by a setting."""

    ENCRYPTED = "encrypted"
    NOT_ENCRYPTED = "not-encrypted"
    MUST_ENCRYPT_HELD = "must-encrypt-held"
    AMBIGUOUS_HELD = "ambiguous-held"
    DLP_WARN = "dlp-warn"
    DLP_QUARANTINE = "dlp-quarantine"
    DLP_BLOCK = "dlp-block"
    RELEASED = "released"
    DELETED = "deleted"
    EXPIRES_SOON = "expires-soon"
    EXPIRED = "expired"
    SUMMARY = "summary"


class Role(StrEnum):
    """Why somebody is told: as one who looks after DLP, as the sender of the mail, as its recipient."""

    MANAGER = "manager"
    SENDER = "sender"
    RECIPIENT = "recipient"


EVENTS = tuple(kind for kind in NoticeKind if kind is not NoticeKind.SUMMARY)
"""What can be asked for by a setting."""
FOR_RECIPIENTS = (NoticeKind.RELEASED, NoticeKind.DELETED, NoticeKind.EXPIRED)
"""Of which a recipient can be told: the ends of a mail that it has waited for, never what was found in it."""
