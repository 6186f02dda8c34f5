"""Certificates as rows and back: purposes, uses, the keys by which names and serial numbers are compared."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from mailseal.mail.address import Address, AddressError
from mailseal.policy.reason import ReasonCode
from mailseal.smime.capabilities import Capabilities
from mailseal.smime.certificate import (
    Certificate,
    CtlEntry,
    Revocation,
    StoredCertificate,
    Verdict,
    parse_certificate,
)
from mailseal.smime.name import letters_of
from mailseal.store.lru import Lru
from mailseal.store.row import storable

MAX_ADDRESSES = 100
"""Addresses of one certificate that it can be found by."""
DUE_NOW = datetime(1970, 1, 1, tzinfo=UTC)
"""The due time of a row that a change has marked: before every clock, also one that a test holds still."""
RECHECK = timedelta(days=1)
"""When to look again at a certificate that has no valid path."""


class Purpose(StrEnum):
    """What a certificate is stored for. Only a root is trusted by itself, and only an administrator makes one."""

    END_ENTITY = "end-entity"
    INTERMEDIATE = "intermediate"
    ROOT = "root"


class Use(StrEnum):
    """Why a certificate stands for an owner.

    SAN and SUBJECT: the certificate itself names the address. SELECTED: an administrator chose it for an address or
    domain, to encrypt to and to sign with. SHARED: its key may also open the mail of an address or domain.
    """

    SAN = "san"
    SUBJECT = "subject"
    SELECTED = "selected"
    SHARED = "shared"


@lru_cache(maxsize=4096)
def name_key(name: str) -> str:
    """`letters_of` a name, hashed: what a column of a certain width can hold."""
    return hashlib.sha256(letters_of(name).encode(errors="replace")).hexdigest()


def serial_text(serial: int) -> str:
    """Hexadecimal, or its hash where it is longer than RFC 5280 §4.1.2.2 allows."""
    text = f"{serial:x}"
    return text if len(text) <= 40 else hashlib.sha256(text.encode()).hexdigest()


_parsed: Lru[str, Certificate] = Lru(10_000, max_age_seconds=86_400.0)


def parsed(fingerprint: str, der: bytes | memoryview) -> Certificate:
    """The certificate of a row; a fingerprint names its octets for ever, so nothing clears this cache."""
    known = _parsed.get(fingerprint)
    if known is None:
        known = parse_certificate(bytes(der))
        _parsed.put(fingerprint, known, _parsed.generation)
    return known


VERDICT_COLUMNS = "c.trusted, c.reason, c.valid_from, c.valid_until, c.revocation, c.revocation_until"


def verdict_from_row(
    trusted: int,
    reason: str,
    valid_from: datetime,
    valid_until: datetime,
    revocation: str,
    revocation_until: datetime | None,
) -> Verdict:
    """The verdict in the columns of VERDICT_COLUMNS; the driver's times are naive UTC."""
    return Verdict(
        bool(trusted),
        ReasonCode(reason) if reason else None,
        valid_from.replace(tzinfo=UTC),
        valid_until.replace(tzinfo=UTC),
        Revocation(revocation),
        None if revocation_until is None else revocation_until.replace(tzinfo=UTC),
    )


def verdict_values(verdict: Verdict, at: datetime, *, candidate: bool) -> dict[str, Any]:
    """Column values of a verdict given at a time, with the time when it is due again."""
    bounds = (verdict.valid_from, verdict.valid_until, verdict.revocation_until)
    due = min((bound for bound in bounds if bound is not None and bound > at), default=None)
    if not verdict.trusted:
        due = None if candidate else at + RECHECK
    return {
        "trusted": verdict.trusted,
        "reason": "" if verdict.reason is None else verdict.reason.value,
        "valid_from": verdict.valid_from,
        "valid_until": verdict.valid_until,
        "revocation": verdict.revocation.value,
        "revocation_until": verdict.revocation_until,
        "judged_at": at,
        "due": due,
    }


def columns(certificate: Certificate) -> dict[str, Any]:
    """Column values of the certificate itself, not yet judged."""
    return {
        "der": certificate.der,
        "spki_sha256": certificate.spki_sha256,
        "subject": storable(certificate.subject),
        "issuer": storable(certificate.issuer),
        "subject_sha256": name_key(certificate.subject),
        "issuer_sha256": name_key(certificate.issuer),
        "serial": serial_text(certificate.serial),
        "key_algorithm": certificate.key_algorithm[:64],
        "not_before": certificate.not_before,
        "not_after": certificate.not_after,
        "valid_from": certificate.not_before,
        "valid_until": certificate.not_after,
        "revocation": Revocation.UNKNOWN.value,
    }


def address_uses(certificate: Certificate) -> list[tuple[str, Use]]:
    """(address key, use) for the addresses in it: those of the SAN, or if there are none those of the subject."""
    if certificate.san_emails:
        return [(key, Use.SAN) for key in _keys(certificate.san_emails)]
    return [(key, Use.SUBJECT) for key in _keys(certificate.subject_emails)]


def _keys(texts: Iterable[str]) -> list[str]:
    keys: dict[str, None] = {}
    for text in texts:
        try:
            keys[Address.parse(text).key] = None
        except AddressError:
            continue  # a certificate may carry any text; what is no address finds nobody
        if len(keys) >= MAX_ADDRESSES:
            break
    return list(keys)


def stored(
    certificate: Certificate,
    verdict: Verdict,
    ctl: str | None,
    *,
    has_key: bool,
    told: str = "",
    conflict: bool = False,
) -> StoredCertificate:
    """The snapshot that the mail path gets. `told`: the capabilities as they are stored."""
    return StoredCertificate(
        certificate,
        verdict,
        None if ctl is None else CtlEntry(ctl),
        False,  # noqa: FBT003 -- selected; by position: this runs for each mail
        has_key,
        capabilities_told(told) if told else None,
        conflict,
    )


@lru_cache(maxsize=1024)
def capabilities_told(text: str) -> Capabilities:
    """Read once: most programs say the same."""
    return Capabilities.from_text(text)
