"""The subject that a sender's program has encrypted with the mail (RFC 9788 §2.1.1; before that, "protected headers").

Outside such a mail there is a placeholder. Who opens the mail has to put the subject back: nobody else can.
"""

from mailseal.mail.header import decoded_subject
from mailseal.mail.mime import Entity

PLACEHOLDERS = frozenset({"...", "[...]", "\N{HORIZONTAL ELLIPSIS}", "encrypted message"})
"""What Thunderbird, K-9 and Enigmail write, and RFC 9788. Any other subject is the sender's and stays."""


def subject_of_opened(root: Entity, content: Entity) -> str:
    """The subject of a mail of which `content` was decrypted: one line, encoded words decoded."""
    outside = decoded_subject(root)
    if outside.strip().lower() not in PLACEHOLDERS:
        return outside
    signed = content.children[:1] if content.content_type.type == "multipart/signed" else ()
    inside = (decoded_subject(one) for one in (content, *signed) if _has_mail_header(one))
    return next((one for one in inside if one), outside)


def _has_mail_header(entity: Entity) -> bool:
    """Whether it says that its header is that of the mail, and was encrypted."""
    parameters = entity.content_type.parameters
    return "protected-headers" in parameters or parameters.get("hp") == "cipher"
