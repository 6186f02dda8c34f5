"""Sign a mail (RFC 6376 §5; ed25519-sha256 by RFC 8463): the fields to put before it, one for each key."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailseal.dkim.algorithms import Algorithm, algorithm_of, sign_octets
from mailseal.dkim.canon import Canon, header_field
from mailseal.dkim.fields import Mail
from mailseal.errors import PermanentError
from mailseal.keys import PrivateKey

ALWAYS = (
    "From", "Reply-To", "Subject", "To", "Cc", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
)  # fmt: skip
"""Signed once more than they are there, even if that is never: nobody can add one (§8.15)."""
IF_PRESENT = (
    "Date", "Message-ID", "In-Reply-To", "References", "Sender", "Content-ID", "Content-Description",
    "Content-Disposition", "Content-Language", "Content-Location", "List-Id", "List-Help", "List-Subscribe",
    "List-Unsubscribe", "List-Unsubscribe-Post", "List-Owner", "List-Post", "List-Archive", "Auto-Submitted",
    "Autocrypt", "OpenPGP", "Feedback-ID", "TLS-Report-Domain", "TLS-Report-Submitter",
)  # fmt: skip
"""Signed as the others if they are there. Servers on the way may add a Date, and lists their fields."""
AS_OFTEN = ("Resent-From", "Resent-To", "Resent-Cc", "Resent-Date", "Resent-Message-ID", "Resent-Sender")
"""Signed as often as they are there: who sends the mail on puts more of them before it."""
MAX_OF_ONE_NAME = 50
"""A mail with more is no mail of ours; h= would grow beyond what a verifier reads."""

_LINE = 72


class SigningError(PermanentError):
    """The mail cannot be signed."""


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A key in use: where its public half is published, and the private one."""

    domain: str
    selector: str
    key: PrivateKey

    @property
    def algorithm(self) -> Algorithm:
        """Raises KeyUnusableError."""
        return algorithm_of(self.key)


@dataclass(frozen=True, slots=True)
class Form:
    """How to sign. `valid`: how long the signature counts; None: for ever."""

    header: Canon = Canon.RELAXED
    body: Canon = Canon.RELAXED
    valid: timedelta | None = None


RELAXED = Form()


def sign(mail: Mail, keys: Sequence[DkimKey], at: datetime, form: Form = RELAXED) -> list[bytes]:
    """A DKIM-Signature field for each key, CRLF at the end of each.

    Raises KeyUnusableError, or SigningError for a mail that no verifier would accept.
    """
    senders = mail.count_authors()
    if senders != 1:
        raise SigningError(f"a mail with {senders or 'no'} From fields is not signed")
    names = names_to_sign(mail)
    return [signed_field("DKIM-Signature", "v=1; ", mail, key, names, at, form) for key in keys]


def names_to_sign(mail: Mail, also: Sequence[str] = ()) -> list[str]:
    """The list h=; the names `also` as often as they are there. Raises SigningError."""
    return [
        *(name for name in ALWAYS for _ in range(_count(mail, name) + 1)),
        *(name for name in IF_PRESENT if (count := _count(mail, name)) for _ in range(count + 1)),
        *(name for name in (*AS_OFTEN, *also) for _ in range(_count(mail, name))),
    ]


def _count(mail: Mail, name: str) -> int:
    count = len(mail.named(name.lower()))
    if count > MAX_OF_ONE_NAME:
        raise SigningError(f"a mail with {count} fields {name} is not signed")
    return count


def signed_field(
    field_name: str, head: str, mail: Mail, key: DkimKey, names: Sequence[str], at: datetime, form: Form
) -> bytes:
    """A field of the form of DKIM-Signature; `head` are the tags that come first."""
    digest, _ = mail.body_hash(form.body)
    moment = int(at.timestamp())
    expiry = "" if form.valid is None else f" x={moment + int(form.valid.total_seconds())};"
    tags = (
        f"{head}a={key.algorithm}; c={form.header}/{form.body};\r\n"
        f"\td={key.domain};\r\n\ts={key.selector}; t={moment};{expiry}\r\n"
        f"\th={_folded_names(names)};\r\n"
        f"\tbh={base64.b64encode(digest).decode('ascii')};\r\n\tb="
    )
    unsigned = f"{field_name}: {tags}".encode("ascii")
    lower = [name.lower() for name in names]
    octets = mail.signed_fields(lower, form.header) + header_field(unsigned, form.header).removesuffix(b"\r\n")
    return with_value(unsigned, sign_octets(octets, key.key))


def with_value(unsigned: bytes, signature: bytes) -> bytes:
    """The field whose last tag is b=, with its value, folded, and CRLF."""
    text = base64.b64encode(signature)
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return unsigned + b"\r\n\t ".join(lines) + b"\r\n"


def _folded_names(names: Sequence[str]) -> str:
    lines: list[str] = [""]
    for name in names:
        if lines[-1] and len(lines[-1]) + len(name) > _LINE:
            lines.append("")
        lines[-1] += f"{name}:"
    return "\r\n\t ".join(lines).removesuffix(":")
