"""What the web keeps secret, all of it derived from the web key: sessions and forms, second factors, OIDC's secrets."""

import base64
from dataclasses import dataclass

from mailseal.errors import TransientError
from mailseal.keys.web_key import WebKey


class NoWebKeyError(TransientError):
    """In this process there is no web key: it is no web role."""


@dataclass(slots=True)
class _Held:
    key: WebKey | None = None


_HELD = _Held()


def hold(key: WebKey | None) -> None:
    """Use this key in this process from now on."""
    _HELD.key = key


def django_secret() -> str:
    """Django's SECRET_KEY; raises NoWebKeyError."""
    return _key().derive(b"django").hex()


def seal(text: str, *, purpose: str = "") -> str:
    """A text that only the web reads again, as printable characters; raises NoWebKeyError.

    It opens for the same `purpose` alone: the table, the column and whose it is.
    """
    return base64.urlsafe_b64encode(_key().seal(text.encode(), identity=purpose.encode())).decode("ascii")


def open_sealed(sealed: str, *, purpose: str = "") -> str:
    """The text of `seal`; raises BrokenSealError, NoWebKeyError."""
    try:
        octets = base64.urlsafe_b64decode(sealed)
    except ValueError:
        octets = b""
    return _key().open(octets, identity=purpose.encode()).decode()


def _key() -> WebKey:
    if _HELD.key is None:
        raise NoWebKeyError("this process has no web key")
    return _HELD.key
