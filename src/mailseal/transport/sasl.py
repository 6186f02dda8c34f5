"""SASL mechanisms with which a user shows name and password: PLAIN (RFC 4616), and LOGIN, which no RFC describes."""

import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from mailseal.errors import PermanentError
from mailseal.keys import login_password

MAX_NAME_OCTETS = 255
MAX_PASSWORD_OCTETS = login_password.MOST_OCTETS


class SaslError(PermanentError):
    """A response is none that the mechanism knows. The text is told to the client and repeats nothing."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What was shown, not yet looked at."""

    name: str
    password: bytes = field(repr=False)


class Mechanism(StrEnum):
    """Those that are offered; both say the password itself, so Postfix takes them only under TLS."""

    PLAIN = "PLAIN"
    LOGIN = "LOGIN"

    def next(self, responses: Sequence[bytes]) -> Credentials | bytes:
        """After these responses: the next challenge, or what was shown; raises SaslError."""
        return _NEXT[self](responses)


def mechanism(name: str) -> Mechanism | None:
    """By its name, in any case; None for one that is not offered."""
    try:
        return Mechanism(name.upper())
    except ValueError:
        return None


def decode(text: str) -> bytes:
    """Strict base64 (RFC 4648 §3.3: nothing in it that is none); raises SaslError."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (ValueError, binascii.Error):
        raise SaslError("not base64") from None


def encode(octets: bytes) -> str:
    """Base64 on one line."""
    return binascii.b2a_base64(octets, newline=False).decode()


def _plain(responses: Sequence[bytes]) -> Credentials | bytes:
    if not responses:
        return b""
    words = responses[0].split(b"\0")
    if len(words) != 3:
        raise SaslError("malformed response")
    authorise, name, password = words
    if authorise not in {b"", name}:
        raise SaslError("nobody acts for another here")
    return _credentials(name, password)


def _login(responses: Sequence[bytes]) -> Credentials | bytes:
    match responses:
        case []:
            return b"Username:"
        case [_]:
            return b"Password:"
        case [name, password]:
            return _credentials(name, password)
        case _:
            raise SaslError("malformed response")


def _credentials(name: bytes, password: bytes) -> Credentials:
    """Names and passwords have no NUL in them (RFC 4616 §2)."""
    if not 0 < len(name) <= MAX_NAME_OCTETS or not 0 < len(password) <= MAX_PASSWORD_OCTETS:
        raise SaslError("malformed response")
    if b"\0" in name + password:
        raise SaslError("malformed response")
    try:
        return Credentials(name.decode(), password)
    except UnicodeDecodeError:
        raise SaslError("malformed response") from None


_NEXT: Mapping[Mechanism, Callable[[Sequence[bytes]], Credentials | bytes]] = MappingProxyType(
    {Mechanism.PLAIN: _plain, Mechanism.LOGIN: _login}
)
