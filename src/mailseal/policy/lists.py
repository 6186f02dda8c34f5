"""The elements of settings that are lists: fingerprints, addresses, kinds of notice. See `values`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailseal.mail.address import Address, AddressError
from mailseal.policy.notice_kind import EVENTS, FOR_RECIPIENTS


@dataclass(frozen=True, slots=True)
class ListKind:
    """What the elements of a list are: `read` gives an element as it is kept, None for a text that is none.

    `one` names an element, `many` all of them; `example` is a valid one.
    """

    read: Callable[[str], str | None]
    one: str
    many: str
    example: str


def _fingerprint(pattern: str) -> Callable[[str], str | None]:
    compiled = re.compile(pattern)

    def read(text: str) -> str | None:
        found = text.replace(":", "").lower()
        return found if compiled.fullmatch(found) else None

    return read


def _address(text: str) -> str | None:
    try:
        return str(Address.parse(text))
    except AddressError:
        return None


def _one_of(names: tuple[str, ...]) -> ListKind:
    known = frozenset(names)
    return ListKind(
        lambda text: text.lower() if text.lower() in known else None,
        f"one of {', '.join(names)}",
        "kinds of notice",
        names[0],
    )


_SHA256 = ListKind(
    _fingerprint(r"[0-9a-f]{64}"), "a SHA-256 fingerprint (64 hexadecimal digits)", "certificates", "0" * 64
)
_KEY = ListKind(
    _fingerprint(r"[0-9a-f]{40}|[0-9a-f]{64}"),
    "the fingerprint of a key (40 or 64 hexadecimal digits)",
    "certificates",
    "0" * 64,
)
_EVENTS = _one_of(tuple(EVENTS))

LISTS: Mapping[str, ListKind] = {
    "additional_certificates": _SHA256,
    "pgp_additional_keys": _KEY,
    "dlp_managers": ListKind(_address, "an address", "addresses", "dlp@example.com"),
    "notify_managers": _EVENTS,
    "notify_sender": _EVENTS,
    "notify_recipient": _one_of(FOR_RECIPIENTS),
}
"""By the name of the setting."""
