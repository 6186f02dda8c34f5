"""The mark of a notice: by it the gateway knows a mail that it has written itself, should it come back.

    X-Mailseal-Notice: v=1; t=1790000000; m=<MAC>

A MAC (HMAC-SHA256, RFC 2104, cut to 128 bits) over the time, Message-ID, From, To, Subject, Date and the body's
SHA-256. It says "this text is ours", for a day, and nothing about any other field of the header.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime

from mailseal.mail.header import encode_value
from mailseal.mail.mime import Entity

NAME = "X-Mailseal-Notice"
VALID_SECONDS = 24 * 3600
SKEW_SECONDS = 300
"""How far the clocks of a cluster's nodes may be apart."""
COVERED = ("message-id", "from", "to", "subject", "date")

_LABEL = b"mailseal notice 1"
_MAC_OCTETS = 16
_VALUE = re.compile(r"v=1; t=(\d{1,12}); m=([A-Za-z0-9_-]{22})")
_BLANKS = re.compile(r"[ \t\r\n]+")


def mark(key: bytes, root: Entity, at: datetime) -> bytes:
    """The field for a notice, CRLF at the end; `key`: 32 octets. Raises ValueError for what is no notice of ours."""
    time = int(at.timestamp())
    mac = _mac(key, root, time)
    if mac is None:
        raise ValueError("a notice has each of its fields once")
    return encode_value(NAME, f"v=1; t={time}; m={mac}")


def is_marked(keys: Sequence[bytes], root: Entity, at: datetime) -> bool:
    """Whether a MAC by one of the keys says that this is a notice of the last day, each covered field there once."""
    values = root.headers(NAME.lower())
    match = _VALUE.fullmatch(_BLANKS.sub(" ", values[0]).strip()) if len(values) == 1 else None
    if match is None or not -SKEW_SECONDS <= at.timestamp() - int(match[1]) <= VALID_SECONDS:
        return False
    made = [_mac(key, root, int(match[1])) for key in keys]
    return any(one is not None and hmac.compare_digest(one, match[2]) for one in made)


def _mac(key: bytes, root: Entity, time: int) -> str | None:
    made = hmac.new(key, _LABEL, "sha256")
    values = [root.headers(name) for name in COVERED]
    if any(len(found) != 1 for found in values):
        return None
    for part in (str(time), *(_BLANKS.sub(" ", found[0]).strip() for found in values)):
        octets = part.encode(errors="surrogateescape")
        made.update(len(octets).to_bytes(4, "big"))
        made.update(octets)
    # Servers take line ends off the end of a body, and put some on.
    made.update(hashlib.sha256(bytes(root.body).rstrip(b"\r\n")).digest())
    return urlsafe_b64encode(made.digest()[:_MAC_OCTETS]).rstrip(b"=").decode("ascii")
