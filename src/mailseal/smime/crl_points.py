"""CRL distribution points (RFC 5280 §4.2.1.13), and what a CRL that is not complete covers (§5.2.5)."""

from dataclasses import dataclass

from mailseal.smime import der as write
from mailseal.smime.name import normalised
from mailseal.smime.strict import SEQUENCE, SET, DerError, children, elements, only

MAX_POINTS = 100
ALL_REASONS = 0x7F80
"""The reasons of ReasonFlags as bits, keyCompromise first; the first bit of the type has no meaning."""

_DIRECTORY_NAME = 0xA4


@dataclass(frozen=True, slots=True)
class Point:
    """Where a certificate says its CRLs are. Names are normalised; None is no name; no `issuers`: its own issuer."""

    names: frozenset[str] | None
    reasons: int = ALL_REASONS
    issuers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Scope:
    """What a CRL covers: all that its issuer issued, unless something is set here."""

    names: frozenset[str] | None = None
    users_only: bool = False
    authorities_only: bool = False
    attributes_only: bool = False
    reasons: int = ALL_REASONS
    indirect: bool = False

    def reasons_for(self, point: Point, *, is_ca: bool) -> int:
        """Why a certificate with this point would be listed, as bits of ALL_REASONS; 0: the CRL does not cover it.

        RFC 5280 §6.3.3 (b)(2) and (d); that the CRL is by the right issuer is not looked at here.
        """
        if self.attributes_only or (self.users_only and is_ca) or (self.authorities_only and not is_ca):
            return 0
        if self.names is not None and self.names.isdisjoint(point.issuers if point.names is None else point.names):
            return 0
        return point.reasons & self.reasons


COMPLETE = Scope()


def issuer_point(issuer_der: bytes) -> Point:
    """The point that a certificate has even if it names none (RFC 5280 §6.3.3); raises DerError."""
    return Point(frozenset((normalised(issuer_der),)))


def read_points(der: bytes, issuer_der: bytes) -> tuple[Point, ...]:
    """The value of a cRLDistributionPoints extension; `issuer_der` is the certificate's issuer. Raises DerError."""
    found = elements(der, *only(der, 0, len(der), SEQUENCE))
    if len(found) > MAX_POINTS:
        raise DerError("there are too many CRL distribution points")
    return tuple(_point(der, children(der, one), issuer_der) for one in found)


def _point(der: bytes, fields: list[tuple[int, int, int, int]], issuer_der: bytes) -> Point:
    names: frozenset[str] | None = None
    reasons = ALL_REASONS
    issuers: list[bytes] = []
    by_tag = {tag: (content, end) for tag, _, content, end in fields}
    if 0xA2 in by_tag:
        issuers = [der[content:end] for tag, _, content, end in elements(der, *by_tag[0xA2]) if tag == _DIRECTORY_NAME]
        if not issuers:
            raise DerError("the issuer of a CRL has no distinguished name")
    if 0xA0 in by_tag:
        names = _point_names(der, *by_tag[0xA0], issuers[0] if issuers else issuer_der)
    if 0x81 in by_tag:
        reasons = _reasons(der, *by_tag[0x81])
    return Point(names, reasons, frozenset(map(normalised, issuers)))


def read_scope(der: bytes, start: int, end: int, issuer_der: bytes) -> Scope:
    """The issuingDistributionPoint that fills `der[start:end]` of a CRL by this issuer; raises DerError."""
    fields = {tag: (content, stop) for tag, _, content, stop in elements(der, *only(der, start, end, SEQUENCE))}
    if not fields.keys() <= {0xA0, 0x81, 0x82, 0x83, 0x84, 0x85}:
        raise DerError("the scope of the CRL has a field that is not known")

    def flag(tag: int) -> bool:
        return tag in fields and der[slice(*fields[tag])] != b"\x00"

    return Scope(
        names=_point_names(der, *fields[0xA0], issuer_der) if 0xA0 in fields else None,
        users_only=flag(0x81),
        authorities_only=flag(0x82),
        attributes_only=flag(0x85),
        reasons=_reasons(der, *fields[0x83]) if 0x83 in fields else ALL_REASONS,
        indirect=flag(0x84),
    )


def read_entry_issuer(der: bytes, start: int, end: int) -> str:
    """The certificateIssuer that fills `der[start:end]` (RFC 5280 §5.3.3), normalised; raises DerError."""
    for tag, _, content, stop in elements(der, *only(der, start, end, SEQUENCE)):
        if tag == _DIRECTORY_NAME:
            return normalised(der[content:stop])
    raise DerError("the issuer of a CRL's entry has no distinguished name")


def _point_names(der: bytes, start: int, end: int, issuer_der: bytes) -> frozenset[str]:
    """DistributionPointName: names as they are, or one relative to the issuer of the CRL."""
    found = elements(der, start, end)
    if len(found) != 1:
        raise DerError("the name of a CRL distribution point is malformed")
    tag, _, content, stop = found[0]
    if tag == 0xA0:
        return frozenset(
            normalised(der[at:till]) if kind == _DIRECTORY_NAME else der[whole:till].hex()
            for kind, whole, at, till in elements(der, content, stop)
        )
    if tag != 0xA1:
        raise DerError("the name of a CRL distribution point is malformed")
    above = slice(*only(issuer_der, 0, len(issuer_der), SEQUENCE))
    return frozenset((normalised(write.sequence(issuer_der[above], write.element(SET, der[content:stop]))),))


def _reasons(der: bytes, start: int, end: int) -> int:
    content = der[start:end]
    if not 1 <= len(content) <= 3 or content[0] > 7:
        raise DerError("the reasons of a CRL are malformed")
    return int.from_bytes(content[1:].ljust(2, b"\x00"), "big") & ALL_REASONS
