"""Put a mail together again from its received octets: fields taken off, fields put on, perhaps another entity.

Nothing is re-serialised: what stays, stays as the octets that came.
"""

from collections.abc import Collection, Sequence

from mailseal.mail.header import encode_value
from mailseal.mail.message import Octets
from mailseal.mail.mime import Entity, HeaderField


def assemble(
    root: Entity,
    *,
    remove: Collection[HeaderField] = (),
    subject: str | None = None,
    prepend: Sequence[tuple[str, str]] = (),
    entity: Sequence[Octets] | None = None,
) -> tuple[Octets, ...]:
    """The mail as chunks to send.

    `subject` replaces the Subject. `entity` (Content-* fields, empty line, body) replaces the mail's own entity.
    """
    view = memoryview(root.buffer)
    header: list[bytes] = [encode_value(name, value) for name, value in prepend]
    subjects = 0
    for field in root.fields:
        if field in remove or (entity is not None and describes_entity(field)):
            continue
        if field.name == "subject" and subject is not None:
            subjects += 1
            if subjects > 1:
                continue
            header.append(encode_value("Subject", subject))
            continue
        header.append(_whole(view[field.start : field.end]))
    if subject and not subjects:
        header.append(encode_value("Subject", subject))
    if entity is None:
        return (b"".join(header) + b"\r\n", view[root.body_start : root.end])
    header.append(b"MIME-Version: 1.0\r\n")
    return (b"".join(header), *entity)


def describes_entity(field: HeaderField) -> bool:
    """Fields that belong to the body and move with it (RFC 2045 §3)."""
    return field.name.startswith("content-") or field.name == "mime-version"


def entity_chunks(entity: Entity) -> list[Octets]:
    """An entity as Content-* fields, empty line and body; other fields it may have are left out.

    Fields inside a protected entity that are not about its content could overwrite what the mail itself says.
    """
    view = memoryview(entity.buffer)
    fields = [_whole(view[one.start : one.end]) for one in entity.fields if one.name.startswith("content-")]
    return [b"".join(fields) + b"\r\n", view[entity.body_start : entity.end]]


def _whole(field: memoryview) -> bytes:
    """A field with its line end, which the last one of a mail without a body may lack."""
    octets = bytes(field)
    return octets if octets.endswith(b"\n") else octets + b"\r\n"
