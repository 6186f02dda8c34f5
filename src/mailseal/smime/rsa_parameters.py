"""Parameters of RSASSA-PSS and RSAES-OAEP (RFC 8017 A.2.3, A.2.1; RFC 4055): absent ones mean SHA-1 and salt 20."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import padding

from mailseal.policy.reason import ReasonCode
from mailseal.smime import algorithms, ber, der
from mailseal.smime.algorithms import DigestRow
from mailseal.smime.ber import Element, Fields
from mailseal.smime.errors import CmsError, malformed

MAX_SALT_OCTETS = 512

# The usual identifiers as a whole, so that they need no reading.
_PLAIN = {
    der.sequence(kind, parameters): kind
    for kind in (*algorithms.DIGESTS, *algorithms.SIGNATURES, *algorithms.KEY_WRAPS)
    for parameters in (b"", der.NULL)
}
_LONGEST_PLAIN = max(map(len, _PLAIN))


def algorithm_identifier(element: Element) -> tuple[bytes, Element | None]:
    """Object identifier and parameters (RFC 5280 §4.1.1.2); parameters of NULL are the same as absent ones."""
    if element.end - element.start <= _LONGEST_PLAIN:
        kind = _PLAIN.get(element.whole)
        if kind is not None:
            return kind, None
    fields = Fields(element)
    kind = ber.oid(fields.take())
    parameters = fields.rest()
    if len(parameters) > 1:
        raise malformed("an algorithm identifier has too many fields")
    if not parameters or parameters[0].tag == ber.NULL:
        return kind, None
    return kind, parameters[0]


def digest_row(element: Element) -> DigestRow:
    """The digest of an AlgorithmIdentifier."""
    row = algorithms.DIGESTS.get(algorithm_identifier(element)[0])
    if row is None:
        raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the digest is not supported")
    return row


@dataclass(frozen=True, slots=True)
class PssParameters:
    """RSASSA-PSS-params: digest, digest of the mask, octets of salt."""

    digest: DigestRow
    mask: DigestRow
    salt_octets: int

    @property
    def padding(self) -> padding.PSS:
        """As `cryptography` takes it."""
        return padding.PSS(padding.MGF1(self.mask.algorithm), self.salt_octets)

    def allows(self, other: "PssParameters") -> bool:
        """Whether a key with these parameters may have made a signature with the other ones (RFC 4055 §3.3)."""
        return (self.digest, self.mask) == (other.digest, other.mask) and self.salt_octets <= other.salt_octets


def pss_parameters(parameters: Element | None) -> PssParameters:
    """Of a signature, or of a key; raises CmsError."""
    digest = mask = algorithms.SHA1
    salt_octets = 20
    for tag, element in _explicit(parameters):
        if tag == 0xA0:
            digest = digest_row(element)
        elif tag == 0xA1:
            mask = _mask_digest(element)
        elif tag == 0xA2:
            salt_octets = ber.integer(element)
        elif tag != 0xA3 or ber.integer(element) != 1:
            raise malformed("unknown PSS parameter")
    if not 0 <= salt_octets <= MAX_SALT_OCTETS:
        raise malformed("the PSS salt is too long")
    return PssParameters(digest, mask, salt_octets)


def pss_parameters_of_key(spki_der: bytes) -> PssParameters | None:
    """What a key for RSASSA-PSS only may be used with (RFC 4055 §1.2); None: with anything. Raises CmsError."""
    _, parameters = algorithm_identifier(ber.read(spki_der).children[0])
    return None if parameters is None else pss_parameters(parameters)


def oaep(parameters: Element | None) -> padding.OAEP:
    """The padding."""
    digest = mask = algorithms.SHA1
    label: bytes | None = None
    for tag, element in _explicit(parameters):
        if tag == 0xA0:
            digest = digest_row(element)
        elif tag == 0xA1:
            mask = _mask_digest(element)
        elif tag == 0xA2:
            kind, value = algorithm_identifier(element)
            if kind != algorithms.P_SPECIFIED or value is None:
                raise malformed("unknown OAEP label")
            label = ber.octets(value) or None
        else:
            raise malformed("unknown OAEP parameter")
    return padding.OAEP(padding.MGF1(mask.algorithm), digest.algorithm, label)


def _explicit(parameters: Element | None) -> list[tuple[int, Element]]:
    if parameters is None:
        return []
    if parameters.tag != ber.SEQUENCE:
        raise malformed("RSA parameters are expected to be a sequence")
    found = [(element.tag, ber.only_child(element)) for element in parameters.children]
    if len({tag for tag, _ in found}) != len(found):
        raise malformed("an RSA parameter occurs twice")
    return found


def _mask_digest(element: Element) -> DigestRow:
    kind, inner = algorithm_identifier(element)
    if kind != algorithms.MGF1 or inner is None:
        raise CmsError(ReasonCode.UNSUPPORTED_ALGORITHM, "the mask generation function is not supported")
    return digest_row(inner)
