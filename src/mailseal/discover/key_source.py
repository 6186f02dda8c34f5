"""What is asked for the OpenPGP keys of an address."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

from mailseal.discover.fetch import Answer, FetchError
from mailseal.mail.address import Address


@dataclass(frozen=True, slots=True)
class Found:
    """A ring as it came, armored or not: nothing in it is checked. `provenance` says where from."""

    octets: bytes
    provenance: str


class KeySource(Protocol):
    """One place on the network that keeps keys."""

    def keys_of(self, address: Address) -> Found | None:
        """A ring that may have keys of the address; None: the place has none. Raises FetchError."""


def answered(answer: Answer, provenance: str) -> Found | None:
    """The ring of an answer; raises FetchError for a status that says neither that there is one nor that not."""
    if answer.status == HTTPStatus.OK:
        return Found(answer.body, provenance) if answer.body else None
    if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return None
    raise FetchError(f"{urlsplit(answer.url).hostname} answers with status {answer.status}")
