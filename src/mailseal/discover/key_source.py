"""What is asked for the OpenPGP keys of an address."""

from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

from mailseal.discover.fetch import Answer, FetchError
from mailseal.mail.address import Address


class KeySource(Protocol):
    """One place on the network that keeps keys. `name` is kept with what is found there."""

    @property
    def name(self) -> str:
        """Such as "wkd" or "vks:keys.example"."""

    def keys_of(self, address: Address) -> bytes:
        """A ring, armored or not, that may have keys of the address; b"": the place has none. Raises FetchError."""


def answered(answer: Answer) -> bytes:
    """The ring of an answer; raises FetchError for a status that says neither that there is one nor that not."""
    if answer.status == HTTPStatus.OK:
        return answer.body
    if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return b""
    raise FetchError(f"{urlsplit(answer.url).hostname} answers with status {answer.status}")
