"""Certificate revocation lists (RFC 5280 §5) as they are read: complete ones, and those that cover a part.

The signature is not looked at here.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mailseal.errors import PermanentError
from mailseal.smime.crl_points import COMPLETE, Scope, read_entry_issuer, read_scope
from mailseal.smime.name import normalised, read_name
from mailseal.smime.strict import (
    BIT_STRING,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    UTC_TIME,
    DerError,
    Element,
    children,
    dotted,
    element,
    elements,
    integer,
    moment,
    only,
)

MAX_CRL_OCTETS = 64 * 1024 * 1024
CLOCK_SKEW = timedelta(hours=1)

REMOVED = "removeFromCRL"
"""The reason by which a delta CRL takes an entry of the complete one back."""

_AKI, _NUMBER, _DELTA, _SCOPE = "2.5.29.35", "2.5.29.20", "2.5.29.27", "2.5.29.28"
_REASON, _ENTRY_ISSUER = "2.5.29.21", "2.5.29.29"
_REASONS = (  # CRLReason, RFC 5280 §5.3.1
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "",
    REMOVED,
    "privilegeWithdrawn",
    "aACompromise",
)


class CrlError(PermanentError):
    """The octets are not a CRL that can be used, or no known authority signed it."""


Entry = tuple[int, str | None, datetime]
"""(serial number, reason name of RFC 5280 §5.3.1 or None, revocation date)."""


@dataclass(frozen=True, slots=True)
class Crl:
    """A CRL whose entries have all been read once. Its signature is the affair of `revocation.verify_crl`.

    `base` is the number of the complete CRL that a delta CRL goes with (RFC 5280 §5.2.4), None for a complete one.
    """

    issuer: str
    issuer_der: bytes = field(repr=False)
    aki: bytes | None
    number: int | None
    this_update: datetime
    next_update: datetime
    entry_count: int
    der: bytes = field(repr=False)
    entries_span: tuple[int, int] = field(repr=False)
    scope: Scope = COMPLETE
    base: int | None = None

    def is_premature(self, at: datetime) -> bool:
        """Whether it is dated in the future: whoever keeps the newest one would never take its successors."""
        return self.this_update > at + CLOCK_SKEW

    @property
    def entries(self) -> Iterator[Entry]:
        """The revoked serial numbers, read from the octets each time: a CRL can have a million."""
        return ((serial, reason, at) for _, serial, reason, at in _read_entries(self))

    @property
    def listed(self) -> Iterator[tuple[str, int, str | None]]:
        """(normalised name of the certificate's issuer, serial number, reason): for an indirect CRL too."""
        return ((issuer, serial, reason) for issuer, serial, reason, _ in _read_entries(self))


def read_crl(data: bytes, *, partial: bool = False) -> Crl:
    """Read one CRL, DER or PEM, of at most 64 MiB; raises CrlError.

    Refused unless `partial`, since reading them as complete would be wrong: delta CRLs, indirect CRLs, CRLs for a part
    of the certificates or reasons. Refused in any case: unknown critical extensions, no nextUpdate.
    """
    if len(data) > MAX_CRL_OCTETS:
        raise CrlError("the CRL is larger than 64 MiB")
    der = _from_pem(data) if data.lstrip()[:5] == b"-----" else bytes(data)
    try:
        crl = _parse(der)
        if not partial:
            _check_complete(crl)
    except DerError as error:
        raise CrlError(f"not a usable CRL: {error}") from None
    return crl


def _check_complete(crl: Crl) -> None:
    if crl.base is not None:
        raise DerError("it is a delta CRL; import the complete one")
    if crl.scope.indirect:
        raise DerError("it is an indirect CRL, which speaks for other issuers")
    if crl.scope != COMPLETE:
        raise DerError("it covers only a part of its issuer's certificates or reasons")


def _from_pem(data: bytes) -> bytes:
    _, begin, rest = data.partition(b"-----BEGIN X509 CRL-----")
    body, end, _ = rest.partition(b"-----END X509 CRL-----")
    if not begin or not end:
        raise CrlError("the PEM text holds no X509 CRL")
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        raise CrlError("the PEM text is not base64") from None


def _parse(der: bytes) -> Crl:
    outer = elements(der, *only(der, 0, len(der), SEQUENCE))
    if [one[0] for one in outer] != [SEQUENCE, SEQUENCE, BIT_STRING]:
        raise DerError("it has not the three parts of a CRL")
    at, end = outer[0][2:]
    fields: list[Element] = []
    while at < end:
        fields.append(element(der, at, end))
        at = fields[-1][3]
    if fields and fields[0][0] == INTEGER:
        del fields[0]
    if len(fields) < 3 or [one[0] for one in fields[:2]] != [SEQUENCE, SEQUENCE]:
        raise DerError("fields are missing")
    algorithm, issuer, this_update, *rest = fields
    if der[algorithm[1] : algorithm[3]] != der[outer[1][1] : outer[1][3]]:
        raise DerError("it names two different signature algorithms")
    if not rest or rest[0][0] not in {UTC_TIME, GENERALIZED_TIME}:
        raise DerError("it has no nextUpdate, which RFC 5280 demands")
    next_update = rest.pop(0)
    revoked = rest.pop(0) if rest and rest[0][0] == SEQUENCE else (SEQUENCE, at, at, at)
    issuer_der = der[issuer[1] : issuer[3]]
    extensions = _read_extensions(der, rest, issuer_der)
    crl = Crl(
        issuer=read_name(issuer_der)[0],
        issuer_der=issuer_der,
        aki=extensions.aki,
        number=extensions.number,
        this_update=moment(der, this_update),
        next_update=moment(der, next_update),
        entry_count=0,
        der=der,
        entries_span=(revoked[2], revoked[3]),
        scope=extensions.scope,
        base=extensions.base,
    )
    return replace(crl, entry_count=sum(1 for _ in _read_entries(crl)))


@dataclass(slots=True)
class _Extensions:
    aki: bytes | None = None
    number: int | None = None
    base: int | None = None
    scope: Scope = COMPLETE


def _read_extensions(der: bytes, rest: list[Element], issuer_der: bytes) -> _Extensions:
    """Raises DerError for an extension that changes the CRL's meaning in a way not known here."""
    found = _Extensions()
    if not rest:
        return found
    if len(rest) > 1 or rest[0][0] != 0xA0:
        raise DerError("fields are in the wrong place")
    seen: set[str] = set()
    for oid, critical, start, end in _each_extension(der, *only(der, rest[0][2], rest[0][3], SEQUENCE)):
        if oid in seen:
            raise DerError("an extension occurs twice")
        seen.add(oid)
        if oid == _AKI:
            inner = elements(der, *only(der, start, end, SEQUENCE))
            found.aki = next((der[content:stop] for tag, _, content, stop in inner if tag == 0x80), None)
        elif oid == _NUMBER:
            found.number = integer(der, element(der, start, end))
        elif oid == _DELTA:
            found.base = integer(der, element(der, start, end))
        elif oid == _SCOPE:
            found.scope = read_scope(der, start, end, issuer_der)
        elif critical:
            raise DerError(f"it has a critical extension that is not known here: {oid}")
    return found


def _each_extension(der: bytes, start: int, end: int) -> Iterator[tuple[str, bool, int, int]]:
    for one in elements(der, start, end):
        parts = children(der, one)
        if not 2 <= len(parts) <= 3 or parts[0][0] != OID or parts[-1][0] != OCTET_STRING:
            raise DerError("an extension is malformed")
        critical = len(parts) == 3 and der[parts[1][2] : parts[1][3]] != b"\x00"
        yield dotted(der[parts[0][2] : parts[0][3]]), critical, parts[-1][2], parts[-1][3]


def _read_entries(crl: Crl) -> Iterator[tuple[str, int, str | None, datetime]]:
    """(normalised name of the issuer, serial number, reason, date of revocation); raises DerError."""
    der, issuer = crl.der, normalised(crl.issuer_der)
    start, end = crl.entries_span
    while start < end:
        entry = element(der, start, end)
        parts = children(der, entry)
        if not 2 <= len(parts) <= 3:
            raise DerError("an entry is malformed")
        reason: str | None = None
        if len(parts) == 3:
            reason, named = _entry_extensions(der, parts[2])
            if named is not None and not crl.scope.indirect:
                raise DerError("it is an indirect CRL, which speaks for other issuers, and does not say so")
            # RFC 5280 §5.3.3: an entry that names no issuer has that of the entry before.
            issuer = named or issuer
        yield issuer, integer(der, parts[0]), reason, moment(der, parts[1])
        start = entry[3]


def _entry_extensions(der: bytes, extensions: Element) -> tuple[str | None, str | None]:
    """(reason, normalised name of the certificate's issuer) of an entry of a CRL."""
    reason: str | None = None
    issuer: str | None = None
    for oid, critical, start, end in _each_extension(der, extensions[2], extensions[3]):
        if oid == _REASON:
            code = integer(der, element(der, start, end))
            reason = _REASONS[code] if 0 <= code < len(_REASONS) else None
        elif oid == _ENTRY_ISSUER:
            issuer = read_entry_issuer(der, start, end)
        elif critical:
            raise DerError(f"an entry has a critical extension that is not known here: {oid}")
    return reason, issuer
