"""Certificates and keys out of files: PEM, DER, PKCS#7 chains (RFC 5652), PKCS#12 (RFC 7292).

One bad member of a bundle never hides the others: it is reported, and the rest is read.
"""

import base64
import binascii
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from asn1crypto import algos as asn1_algos
from asn1crypto import pkcs12 as asn1_pkcs12
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from mailseal.errors import PermanentError
from mailseal.keys import PrivateKey
from mailseal.keys.software import PrivateKeyError, validate_private_key
from mailseal.smime import ber
from mailseal.smime.certificate import Certificate, CertificateError, parse_certificate, public_key
from mailseal.smime.errors import CmsError, only_cms_errors
from mailseal.smime.strict import DerError, element

MAX_FILE_OCTETS = 16 * 1024 * 1024
MAX_MEMBERS = 5000
MAX_KDF_ITERATIONS = 5_000_000
"""Over a whole PKCS#12 file; a hostile count would keep a processor busy for hours."""

MAX_BAG_DEPTH = 8

_PBMAC1 = "1.2.840.113549.1.5.14"
_SIGNED_DATA = ber.read(bytes.fromhex("06092a864886f70d010702")).whole
_CERTIFICATE_LABELS = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"})
_PKCS7_LABELS = frozenset({b"PKCS7", b"PKCS #7 SIGNED DATA", b"CMS"})
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 #]{1,40})-----[ \t]*\r?\n")


class ImportingError(PermanentError):
    """The file is of no known form, its password is wrong, or it holds nothing of use."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a file held: each certificate once, in order; `problems` has a line for each member that was left out."""

    certificates: tuple[Certificate, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImportedKeys:
    """What a PKCS#12 file held. `chain` are the other certificates, `problems` as of Bundle, or warnings about keys."""

    keys: tuple[tuple[Certificate, PrivateKey], ...]
    chain: tuple[Certificate, ...]
    problems: tuple[str, ...] = ()


def read_certificates(data: bytes) -> tuple[Certificate, ...]:
    """All certificates of a file (PEM, DER, PKCS#7, PKCS#12 without password); raises ImportingError if none."""
    bundle = read_bundle(data)
    if not bundle.certificates:
        raise ImportingError("; ".join(bundle.problems[:3]) or "the file holds no certificate")
    return bundle.certificates


def read_bundle(data: bytes) -> Bundle:
    """As `read_certificates`, with a report of what could not be read; raises ImportingError for an unknown form."""
    if len(data) > MAX_FILE_OCTETS:
        raise ImportingError("the file is larger than 16 MiB")
    found: dict[str, Certificate] = {}
    problems: list[str] = []
    for number, (der, problem) in enumerate(_members(bytes(data)), start=1):
        if number > MAX_MEMBERS:
            raise ImportingError(f"the file has more than {MAX_MEMBERS} members")
        if problem:
            problems.append(f"member {number}: {problem}")
            continue
        try:
            certificate = parse_certificate(der)
        except CertificateError as error:
            problems.append(f"member {number}: {error}")
        else:
            found.setdefault(certificate.fingerprint, certificate)
    return Bundle(tuple(found.values()), tuple(problems))


def read_pkcs12(data: bytes, password: bytes | None) -> ImportedKeys:
    """The key of a PKCS#12 file, its certificate and the others; raises ImportingError.

    The key is validated in full. Of several keys in one file, all but one cannot be read by the library: such a file
    is refused rather than half imported.
    """
    if len(data) > MAX_FILE_OCTETS:
        raise ImportingError("the file is larger than 16 MiB")
    _check_pkcs12(data)
    key, certificates, problems = _load_pkcs12(data, password)
    if key is None:
        raise ImportingError("the PKCS#12 file holds no private key")
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ImportingError("the private key in the PKCS#12 file is neither RSA nor on an elliptic curve")
    owner = next((one for one in certificates if _belongs(key, one)), None)
    if owner is None:
        raise ImportingError("the PKCS#12 file holds no certificate for its private key")
    try:
        warnings = validate_private_key(key, owner.spki_der)
    except PrivateKeyError as error:
        raise ImportingError(f"the private key in the PKCS#12 file is not usable: {error}") from None
    chain = tuple(one for one in certificates if one != owner)
    return ImportedKeys(((owner, key),), chain, (*problems, *warnings))


def _belongs(key: PrivateKey, certificate: Certificate) -> bool:
    from_key = key.public_key()
    try:
        return public_key(certificate) == from_key
    except CertificateError:
        return False


_Member = tuple[bytes, str]
"""(DER of a certificate, or nothing; why it is nothing)."""


def _members(data: bytes) -> Iterator[_Member]:
    if b"-----BEGIN " in data[:65_536]:
        yield from _pem_members(data)
    elif data[:1] == b"\x30":
        yield from _der_members(data)
    else:
        raise ImportingError("the file is neither PEM nor DER: certificates, PKCS#7 and PKCS#12 can be read")


def _pem_members(data: bytes) -> Iterator[_Member]:
    at = 0
    while match := _PEM.search(data, at):
        label = match[1]
        end = data.find(b"-----END " + label + b"-----", match.end())
        if end < 0:
            yield b"", f"the PEM block {label.decode()} has no end"
            return
        at = end
        if label not in _CERTIFICATE_LABELS | _PKCS7_LABELS:
            yield b"", f"{label.decode()} is not a certificate"
            continue
        try:
            der = base64.b64decode(b"".join(data[match.end() : end].split()), validate=True)
        except binascii.Error:
            yield b"", "the PEM block is not base64"
            continue
        yield from _pkcs7_members(der) if label in _PKCS7_LABELS else _trimmed(der, label)


def _trimmed(der: bytes, label: bytes) -> Iterator[_Member]:
    """OpenSSL's TRUSTED CERTIFICATE has settings of its own behind the certificate."""
    if label != b"TRUSTED CERTIFICATE":
        yield der, ""
        return
    try:
        yield der[: element(der, 0, len(der))[3]], ""
    except DerError as error:
        yield b"", f"not a usable certificate: {error}"


def _der_members(data: bytes) -> Iterator[_Member]:
    """PKCS#12 begins with a version, PKCS#7 with an object identifier, a certificate with a SEQUENCE."""
    first = _first_tag(data)
    if first == ber.INTEGER:
        _check_pkcs12(data)
        _, certificates, problems = _load_pkcs12(data, None)
        yield from ((one.der, "") for one in certificates)
        yield from ((b"", problem) for problem in problems)
    elif first == ber.OID:
        yield from _pkcs7_members(data)
    else:
        yield data, ""


def _first_tag(data: bytes) -> int:
    try:
        return ber.read(data).children[0].tag
    except (CmsError, IndexError):
        return 0


def _pkcs7_members(data: bytes) -> Iterator[_Member]:
    try:
        found = _pkcs7_certificates(data)
    except CmsError as error:
        yield b"", f"not a usable PKCS#7 structure: {error}"
        return
    if not found:
        yield b"", "the PKCS#7 structure holds no certificate"
    yield from ((der, "") for der in found)


@only_cms_errors
def _pkcs7_certificates(data: bytes) -> list[bytes]:
    """DER of the certificates of a SignedData (RFC 5652 §5.1), whoever may have signed it."""
    outer = ber.Fields(ber.read(data))
    if outer.take(ber.OID).whole != _SIGNED_DATA:
        return []
    signed = ber.Fields(ber.only_child(outer.take(0xA0)))
    signed.take(ber.INTEGER)
    signed.take(ber.SET)
    signed.take(ber.SEQUENCE)
    certificates = signed.optional(0xA0)
    return [] if certificates is None else [one.whole for one in certificates.children if one.tag == ber.SEQUENCE]


def _load_pkcs12(data: bytes, password: bytes | None) -> tuple[object, list[Certificate], list[str]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a BER file is unusual and fine: older programs write it
            loaded = pkcs12.load_pkcs12(data, password)
    except UnsupportedAlgorithm:
        raise ImportingError("the PKCS#12 file uses an algorithm that is not supported") from None
    except (ValueError, TypeError) as error:
        if "password" in str(error).lower():
            wrong = "the password of the PKCS#12 file is wrong, or the file is damaged"
            raise ImportingError(wrong if password else "the PKCS#12 file needs a password") from None
        raise ImportingError("the PKCS#12 file is damaged, or of a form that is not supported") from None
    certificates: dict[str, Certificate] = {}
    problems: list[str] = []
    for one in (loaded.cert, *loaded.additional_certs):
        if one is None:
            continue
        try:
            certificate = parse_certificate(one.certificate.public_bytes(Encoding.DER))
            certificates.setdefault(certificate.fingerprint, certificate)
        except CertificateError as error:
            problems.append(str(error))
    return loaded.key, list(certificates.values()), problems


def _check_pkcs12(data: bytes) -> None:
    """Bound the work that a file's key derivation asks for, before any of it is done; raises ImportingError."""
    try:
        iterations, keys = _survey(asn1_pkcs12.Pfx.load(bytes(data)))
    except Exception:  # noqa: BLE001 - asn1crypto raises whatever a hostile file provokes
        raise ImportingError("the file is not PKCS#12, or it is damaged") from None
    if iterations > MAX_KDF_ITERATIONS:
        raise ImportingError("the PKCS#12 file asks for more key derivation than is allowed")
    if keys > 1:
        raise ImportingError("the PKCS#12 file holds several private keys; export each to a file of its own")


def _survey(file: Any) -> tuple[int, int]:
    """(iterations asked for, private keys in view) of a parsed PKCS#12 file."""
    iterations, keys = _mac_iterations(file["mac_data"]), 0
    for content in file.authenticated_safe:
        kind = content["content_type"].native
        if kind == "encrypted_data":
            algorithm = content["content"]["encrypted_content_info"]["content_encryption_algorithm"]
            iterations += algorithm.kdf_iterations or 0
        elif kind == "data":
            more, found = _survey_bags(asn1_pkcs12.SafeContents.load(content["content"].native), 0)
            iterations, keys = iterations + more, keys + found
    return iterations, keys


def _mac_iterations(mac: Any) -> int:
    if not mac.native:
        return 0
    algorithm = mac["mac"]["digest_algorithm"]
    if algorithm["algorithm"].dotted != _PBMAC1:
        return int(mac["iterations"].native or 1)
    # RFC 9579 §4: the count is among the parameters, which look like those of PBES2; the other one means nothing.
    parameters = asn1_algos.Pbes2Params.load(algorithm["parameters"].dump())
    return int(parameters["key_derivation_func"]["parameters"]["iteration_count"].native)


def _survey_bags(bags: Any, depth: int) -> tuple[int, int]:
    if depth > MAX_BAG_DEPTH:
        raise ValueError("bags are nested too deeply")
    iterations = keys = 0
    for bag in bags:
        kind = bag["bag_id"].native
        if kind == "pkcs8_shrouded_key_bag":
            iterations += bag["bag_value"]["encryption_algorithm"].kdf_iterations or 0
        elif kind == "safe_contents":
            more, found = _survey_bags(bag["bag_value"], depth + 1)
            iterations, keys = iterations + more, keys + found
        keys += kind in {"pkcs8_shrouded_key_bag", "key_bag"}
    return iterations, keys
