"""What the referees of the S/MIME engine have in common: who takes part, what is sent, and what one of them cannot do.

Certificates are valid for decades, since not every referee lets its clock be set.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from mailseal.smime.certificate import Certificate
from mailseal.smime.sign import SigningIdentity
from mailseal.smime.signed import read_signed
from pki import NOW, Authority, Identity, make_key

BODY = b"Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n" + b"0123456789 abcdef\r\n" * 60
"""A whole entity; the padding of a block cipher is not whole blocks."""

RSA = ("rsa2048", "rsa3072")
CURVES = ("p256", "p384", "p521")
KEYS = (*RSA, *CURVES)
"""Keys that sign and receive; "ed25519" only signs, "x25519" only receives."""
_DECADES = NOW.replace(year=NOW.year + 20)


class RefusedError(Exception):
    """A referee says no; the text is what it printed."""


@dataclass(frozen=True)
class Circle:
    """A root that the referees trust, the CA below it, its people by kind of key, and a root that they do not trust.

    `outsider` is certified like the people, but no referee has the key; `stranger` is certified by the foreign root.
    """

    root: Authority
    issuing: Authority
    people: dict[str, Identity]
    outsider: Identity
    foreign: Authority
    stranger: Identity

    def identity(self, kind: str) -> SigningIdentity:
        return signer(self.people[kind])

    def certificates(self, *kinds: str) -> list[Certificate]:
        return [self.people[kind].certificate for kind in kinds]

    def keys(self, *kinds: str) -> list[tuple[Certificate, Any]]:
        return [(self.people[kind].certificate, self.people[kind].key) for kind in kinds]


def signer(who: Identity) -> SigningIdentity:
    return SigningIdentity(who.certificate, who.key, who.chain)


@cache
def circle() -> Circle:
    root = Authority("Root", not_after=_DECADES)
    issuing = root.subordinate("Issuing", not_after=_DECADES)
    people = {kind: _issue(issuing, kind) for kind in (*KEYS, "ed25519")}
    people["x25519"] = _issue(issuing, "x25519", X25519PrivateKey.generate(), usage=("key_agreement",))
    outsider = _issue(issuing, "outsider", make_key("rsa2048", fresh=True))
    foreign = Authority("Foreign Root", not_after=_DECADES)
    return Circle(root, issuing, people, outsider, foreign, _issue(foreign, "stranger", "p256"))


def _issue(authority: Authority, name: str, key: object = None, **options: object) -> Identity:
    return authority.issue(f"{name}@example.org", key=key or name, not_after=_DECADES, **options)


@dataclass(frozen=True)
class Limit:
    """What a referee cannot do: why, what it then prints (a regular expression), and in which rows of the table."""

    reason: str
    says: str
    of: Callable[[Row], bool]


@dataclass(frozen=True)
class Row:
    """One line of a table: whose key (several for a mail to or from several), and in which form or by which options.

    `limit` is what is in the way at this referee; None: it must work.
    """

    keys: tuple[str, ...]
    how: Any
    limit: Limit | None = None

    def __str__(self) -> str:
        if dataclasses.is_dataclass(self.how):
            named = {one.name: getattr(self.how, one.name) for one in dataclasses.fields(self.how)}
            words = [name if value is True else value for name, value in named.items() if value is not False]
        else:
            words = [self.how] if isinstance(self.how, str) else self.how
        return " ".join(("+".join(self.keys), *words))

    @property
    def key(self) -> str:
        return self.keys[0]

    @property
    def expected(self) -> AbstractContextManager[object]:
        """To be entered around what the referee does: it must refuse, in its words, where it has a limit."""
        if self.limit is None:
            return contextlib.nullcontext()
        return pytest.raises(RefusedError, match=self.limit.says)


def table(rows: Sequence[tuple[str | tuple[str, ...], Any]], limits: Sequence[Limit] = ()) -> list[Any]:
    """Parameters for pytest, each row with the first limit that is in its way."""
    found = []
    for keys, how in rows:
        row = Row(keys if isinstance(keys, tuple) else (keys,), how)
        limit = next((one for one in limits if one.of(row)), None)
        found.append(Row(row.keys, how, limit))
    return [pytest.param(row, id=re.sub(r"[^\w+.-]+", "-", str(row)).strip("-")) for row in found]


def changed(octets: bytes, at: int = -1) -> bytes:
    """The same with one bit of one octet changed, of the last one unless said otherwise."""
    found = bytearray(octets)
    found[at] ^= 0x01
    return bytes(found)


def forged(octets: bytes) -> bytes:
    """SignedData with one bit changed in the value of its last signature."""
    value = read_signed(octets).signers[-1].signature
    return changed(octets, octets.rindex(value) + len(value) - 1)
