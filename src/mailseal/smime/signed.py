"""Read SignedData (RFC 5652 §5.1): certificates, content and signer infos, each as received."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from mailseal.mail.message import Octets
from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, ber, der
from mailseal.smime.ber import Element, Fields
from mailseal.smime.capabilities import Capabilities, read_capabilities
from mailseal.smime.certificate import Certificate, CertificateError, parse_certificate
from mailseal.smime.errors import CmsError, malformed, only_cms_errors
from mailseal.smime.recipient import issuer_and_serial
from mailseal.smime.rsa_parameters import algorithm_identifier

MAX_SIGNERS = 32
MAX_CERTIFICATES = 100
MAX_CRLS = 100
MAX_ATTRIBUTES = 100
MAX_KEPT_OCTETS = 8192
"""Of a certificate that is kept in parsed form."""


@dataclass(frozen=True, slots=True)
class SignerInfo:
    """One signature: who (`issuer_der` and `serial`, or `ski`), algorithms, attributes, value.

    `attributes` maps each signed attribute to its values; None: there are none.
    """

    issuer_der: bytes | None = field(repr=False)
    serial: int | None
    ski: bytes | None
    digest: bytes
    algorithm: bytes
    parameters: Element | None = field(repr=False)
    signature: bytes = field(repr=False)
    attributes: dict[bytes, list[Element]] | None = field(repr=False)
    attributes_element: Element | None = field(repr=False)

    def names(self, certificate: Certificate) -> bool:
        """Whether this signature says to be made with this certificate."""
        if self.ski is not None:
            return self.ski == certificate.ski
        return self.serial == certificate.serial and self.issuer_der == certificate.issuer_der

    def attribute(self, kind: bytes) -> Element | None:
        """The only value of a signed attribute."""
        values = (self.attributes or {}).get(kind)
        if values is None:
            return None
        if len(values) != 1:
            raise malformed("a signed attribute has not one value")
        return values[0]

    def signed_octets(self) -> Iterator[bytes]:
        """The signed attributes as a SET (RFC 5652 §5.4), never sorted anew: as received, then with DER lengths.

        The second reading is made only if it is asked for: signers write DER.
        """
        element = self.attributes_element
        if element is not None:
            yield b"\x31" + element.whole[1:]
            yield der.normalised(element, tag=ber.SET)

    @property
    def signing_time(self) -> datetime | None:
        """When the signer says to have signed."""
        values = (self.attributes or {}).get(algorithms.SIGNING_TIME)
        return _time(values[0]) if values else None

    @property
    def capabilities(self) -> Capabilities | None:
        """What the signer says that his program can read (RFC 8551 §2.5.2); None also when that cannot be read."""
        values = (self.attributes or {}).get(algorithms.SMIME_CAPABILITIES)
        try:
            return read_capabilities(values[0]) if values else None
        except CmsError:
            return None


@dataclass(frozen=True, slots=True)
class SignedData:
    """What a SignedData holds. `certificates` are those that can be parsed, `crls` are DER; no signers: certs-only."""

    certificates: tuple[Certificate, ...]
    crls: tuple[bytes, ...] = field(repr=False)
    econtent: bytes | None = field(repr=False)
    signers: tuple[SignerInfo, ...]
    content_type: bytes = algorithms.DATA


@only_cms_errors
def read_signed(octets: Octets) -> SignedData:
    """Read a ContentInfo with SignedData, BER or DER; raises CmsError."""
    outer = Fields(ber.read(octets))
    if ber.oid(outer.take()) != algorithms.SIGNED_DATA:
        raise malformed("this is not a signed message")
    fields = Fields(ber.only_child(outer.take(0xA0)))
    fields.take(ber.INTEGER)  # version
    fields.take(ber.SET)  # digest algorithms: a hint for one-pass readers
    encapsulated = Fields(fields.take(ber.SEQUENCE))
    content_type = ber.oid(encapsulated.take())
    content = encapsulated.optional(0xA0)
    certificates = _bounded(fields.optional(0xA0), MAX_CERTIFICATES, "certificates")
    crls = _bounded(fields.optional(0xA1), MAX_CRLS, "revocation lists")
    signers = _bounded(fields.take(ber.SET), MAX_SIGNERS, "signers")
    return SignedData(
        certificates=_certificates(certificates),
        crls=tuple(one.whole for one in crls if one.tag == ber.SEQUENCE),
        econtent=ber.octets(ber.only_child(content)) if content is not None else None,
        signers=tuple(_signer(Fields(one)) for one in signers),
        content_type=content_type,
    )


def _bounded(element: Element | None, limit: int, what: str) -> list[Element]:
    found = element.children if element is not None else []
    if len(found) > limit:
        raise CmsError(ReasonCode.TOO_LARGE, f"there are too many {what}")
    return found


def _certificates(elements: list[Element]) -> tuple[Certificate, ...]:
    """Those that can be parsed: a strange one must not hide the others."""
    found = [_certificate(one.whole) for one in elements if one.tag == ber.SEQUENCE]
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _certificate(octets: bytes) -> Certificate | None:
    # What is kept is chosen by strangers, so only what is as short as real certificates are.
    return _short_certificate(octets) if len(octets) <= MAX_KEPT_OCTETS else _parsed(octets)


@lru_cache(maxsize=1024)
def _short_certificate(octets: bytes) -> Certificate | None:
    return _parsed(octets)


def _parsed(octets: bytes) -> Certificate | None:
    try:
        return parse_certificate(octets)
    except CertificateError:
        return None


def _signer(fields: Fields) -> SignerInfo:
    fields.take(ber.INTEGER)  # version
    by_key = fields.optional(0x80, 0xA0)
    issuer, serial, ski = None, None, None
    if by_key is not None:
        ski = ber.octets(by_key, 0x80)
    else:
        issuer, serial = issuer_and_serial(fields.take(ber.SEQUENCE))
    digest, _ = algorithm_identifier(fields.take(ber.SEQUENCE))
    attributes = fields.optional(0xA0)
    algorithm, parameters = algorithm_identifier(fields.take(ber.SEQUENCE))
    return SignerInfo(
        issuer_der=issuer,
        serial=serial,
        ski=ski,
        digest=digest,
        algorithm=algorithm,
        parameters=parameters,
        signature=ber.octets(fields.take()),
        attributes=_attributes(attributes) if attributes is not None else None,
        attributes_element=attributes,
    )


def _attributes(element: Element) -> dict[bytes, list[Element]]:
    children = element.children
    if not 1 <= len(children) <= MAX_ATTRIBUTES:
        raise malformed("signed attributes are empty or too many")
    found: dict[bytes, list[Element]] = {}
    for child in children:
        fields = Fields(child)
        kind = ber.oid(fields.take())
        if kind in found:
            # RFC 5652 §5.3: an attribute occurs once; two readers might each believe another one.
            raise malformed("a signed attribute occurs twice")
        found[kind] = fields.take(ber.SET).children
    return found


def _time(element: Element) -> datetime | None:
    """UTCTime or GeneralizedTime as RFC 5652 §11.3 wants them; None for anything else."""
    text = element.value
    if element.tag == ber.UTC_TIME and len(text) == 13:
        text = (b"19" if text[:1] >= b"5" else b"20") + text
    if element.tag not in (ber.UTC_TIME, ber.GENERALIZED_TIME) or len(text) != 15 or text[14:] != b"Z":
        return None
    if not text[:14].isdigit():
        return None
    month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(4, 14, 2))
    try:
        return datetime(int(text[:4]), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
