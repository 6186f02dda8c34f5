"""What programs number mails and parts with: message identifiers (RFC 5322 §3.6.4), boundaries (RFC 2046 §5.1.1).

Their figures are random, and of those of nineteen digits, as Python writes them, one in thirty is a card's number. So
patterns do not see long stretches of figures in them. Words they see.
"""

import re

from mailseal.mail.entity import Entity

MAX_IDENTIFIERS = 30
"""Of one field; there may be as many numbers in it, so those beyond are read as they stand."""
_FIELDS = frozenset({"message-id", "references", "in-reply-to"})
_IDENTIFIER = re.compile(rb"<[^<>@\s]{1,200}@[^<>@\s]{1,200}>")
_FIGURES = re.compile(rb"[0-9](?:[.-]{0,3}[0-9]){7,}")
_LEFT_OUT = b"#"


def fields_to_read(entity: Entity) -> list[bytes]:
    """The octets of its header fields, without the figures of what is nothing but an identifier."""
    found = []
    for field in entity.fields:
        octets = entity.field_octets(field)
        if field.name in _FIELDS:
            octets = _IDENTIFIER.sub(lambda one: _without_figures(one[0]), octets, count=MAX_IDENTIFIERS)
        elif field.name == "content-type" and entity.children:
            boundary = entity.content_type.parameters["boundary"].encode("ascii")
            if octets.count(boundary) == 1:  # else it is something else as well
                octets = octets.replace(boundary, _without_figures(boundary))
        found.append(octets)
    return found


def _without_figures(identifier: bytes) -> bytes:
    return _FIGURES.sub(_LEFT_OUT, identifier)
