"""The MIME entity that a layer of protection held (RFC 8551 §3.1, RFC 3156 §4)."""

from mailseal.mail.message import with_crlf
from mailseal.mail.mime import Entity, MimeError, parse


def entity_inside(content: bytes) -> Entity:
    """Parsed with CRLF line ends: the mail that carries it on must have no others. Raises MimeError.

    What has a header without a word on its content is no entity, but a text whose first lines look like fields:
    nothing of it would be delivered, since of a header inside only that goes on.
    """
    parsed = parse(with_crlf(content))
    if parsed.fault is not None:
        raise parsed.fault
    fields = parsed.root.fields
    if fields and not any(one.name.startswith("content-") or one.name == "mime-version" for one in fields):
        raise MimeError("what was protected is no MIME entity")
    return parsed.root
