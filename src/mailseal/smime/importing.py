"""Certificates and keys out of files: PEM, DER, PKCS#7 chains (RFC 5652), PKCS#12 (RFC 7292), private keys in PEM.

One bad member of a file never hides the others: it is reported, and the rest is read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from io import BytesIO
from itertools import chain
from typing import BinaryIO

from mailseal.errors import PermanentError
from mailseal.keys import PrivateKey
from mailseal.smime import ber, pkcs12
from mailseal.smime.certificate import Certificate, CertificateError, parse_certificate
from mailseal.smime.errors import CmsError, only_cms_errors
from mailseal.smime.importing_keys import KEY_LABELS, KeyRing, NotAKeyError, load_block, load_pkcs8
from mailseal.smime.password_based import PasswordBasedError, TooMuchWorkError, Work, WrongPasswordError
from mailseal.smime.pem import Block, blocks
from mailseal.smime.strict import DerError, element

MAX_FILE_OCTETS = 16 * 1024 * 1024
"""Of a file in one piece; PEM that an administrator imports is read as a stream, however long."""
MAX_MEMBERS = 5000
"""Of a file that `read_bundle` reads."""

_HEAD_OCTETS = 65_536
_SIGNED_DATA = ber.read(bytes.fromhex("06092a864886f70d010702")).whole
_CERTIFICATE_LABELS = frozenset({"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"})
_PKCS7_LABELS = frozenset({"PKCS7", "PKCS #7 SIGNED DATA", "CMS"})
_PARAMETERS = "EC PARAMETERS"  # OpenSSL writes it before a key, which repeats it

Password = Callable[[], bytes]
"""Asked for when a file turns out to need one; b"" is none."""


class ImportingError(PermanentError):
    """The file is of no known form, its password is wrong, or it holds nothing of use."""


class Form(StrEnum):
    """What kind of file it is."""

    PEM = "pem"
    DER = "der"
    PKCS7 = "pkcs7"
    PKCS12 = "pkcs12"


@dataclass(frozen=True, slots=True)
class Member:
    """One thing in a file: a certificate, with its private key if the file has it; or why there is nothing.

    `lost_key`: the problem is about a private key, which is not imported.
    """

    certificate: Certificate | None = None
    key: PrivateKey | None = field(default=None, repr=False)
    problem: str = ""
    lost_key: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose form is known. `members` is read as it is asked for; it raises nothing but OSError."""

    form: Form
    members: Iterator[Member]


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


def open_file(file: BinaryIO, password: Password) -> Opened:
    """Any file of an administrator, from its beginning; raises ImportingError.

    PEM of any length is read in bounded memory, which asks for a file that can be read twice: for the keys first.
    """
    head = file.read(_HEAD_OCTETS)
    if b"-----BEGIN " in head:
        file.seek(0)
        keys, seen = _pem_keys(file, password)
        file.seek(0)
        return Opened(Form.PEM, _with_keys(_numbered(_pem_members(file, seen)), keys))
    data = head + file.read(MAX_FILE_OCTETS + 1 - len(head))
    form = _form(data)
    if form is not Form.PKCS12:
        return Opened(form, _numbered(_parsed(one) for one in _der_members(data, form)))
    contents = _open_pkcs12(data, password())
    keys = KeyRing()
    problems = _add_all(keys, contents)
    return Opened(form, _with_keys(chain(_numbered(_certificates_of(contents)), problems), keys))


def read_certificates(data: bytes) -> tuple[Certificate, ...]:
    """All certificates of a file (PEM, DER, PKCS#7, PKCS#12 without password); raises ImportingError if none."""
    bundle = read_bundle(data)
    if not bundle.certificates:
        raise ImportingError("; ".join(bundle.problems[:3]) or "the file holds no certificate")
    return bundle.certificates


def read_bundle(data: bytes) -> Bundle:
    """As `read_certificates`, with a report of what could not be read; raises ImportingError for an unknown form."""
    form = _form(data)
    members: Iterator[Member]
    if form is Form.PEM:
        members = _pem_members(BytesIO(data), None)
    elif form is Form.PKCS12:
        contents = _open_pkcs12(data, b"")
        problems_of_it = (Member(problem=problem) for problem in contents.problems)
        members = chain(_certificates_of(contents), problems_of_it)
    else:
        members = map(_parsed, _der_members(data, form))
    certificates: dict[str, Certificate] = {}
    problems: list[str] = []
    for number, member in enumerate(_numbered(members), start=1):
        if number > MAX_MEMBERS:
            raise ImportingError(f"the file has more than {MAX_MEMBERS} members")
        if member.certificate is None:
            problems.append(member.problem)
        else:
            certificates.setdefault(member.certificate.fingerprint, member.certificate)
    return Bundle(tuple(certificates.values()), tuple(problems))


def read_pkcs12(data: bytes, password: bytes | None) -> ImportedKeys:
    """The keys of a PKCS#12 file with their certificates, and the others; raises ImportingError.

    Each key is validated in full. A file whose keys are all of no use is refused; one with certificates alone is not.
    """
    _check_size(data)
    contents = _open_pkcs12(data, password or b"")
    keys = KeyRing()
    members = chain(_add_all(keys, contents), _with_keys(_certificates_of(contents), keys))
    with_keys: dict[str, tuple[Certificate, PrivateKey]] = {}
    others: dict[str, Certificate] = {}
    problems: list[str] = []
    for member in members:
        if member.problem:
            problems.append(member.problem)
        if member.certificate is None:
            continue
        if member.key is None:
            others.setdefault(member.certificate.fingerprint, member.certificate)
        else:
            with_keys.setdefault(member.certificate.fingerprint, (member.certificate, member.key))
    if not with_keys and (contents.keys or contents.closed_keys or not others):
        raise ImportingError("; ".join(problems[:3]) or "the PKCS#12 file holds nothing of use")
    return ImportedKeys(tuple(with_keys.values()), tuple(others.values()), tuple(problems))


def _check_size(data: bytes) -> None:
    if len(data) > MAX_FILE_OCTETS:
        raise ImportingError("the file is larger than 16 MiB")


def _form(data: bytes) -> Form:
    """PKCS#12 begins with a version, PKCS#7 with an object identifier, a certificate with a SEQUENCE."""
    _check_size(data)
    if b"-----BEGIN " in data[:_HEAD_OCTETS]:
        return Form.PEM
    if data[:1] != b"\x30":
        raise ImportingError("the file is neither PEM nor DER: certificates, PKCS#7 and PKCS#12 can be read")
    try:
        first = ber.read(data).children[0].tag
    except (CmsError, IndexError):
        return Form.DER
    return {ber.INTEGER: Form.PKCS12, ber.OID: Form.PKCS7}.get(first, Form.DER)


_Found = tuple[bytes, str]
"""(DER of a certificate, or nothing; why it is nothing)."""


def _parsed(found: _Found) -> Member:
    der, problem = found
    if problem:
        return Member(problem=problem)
    try:
        return Member(parse_certificate(der))
    except CertificateError as error:
        return Member(problem=str(error))


def _numbered(members: Iterator[Member]) -> Iterator[Member]:
    """Problems say where they are."""
    for number, member in enumerate(members, start=1):
        if member.certificate is None and member.problem:
            member = Member(problem=f"member {number}: {member.problem}", lost_key=member.lost_key)  # noqa: PLW2901
        yield member


def _with_keys(members: Iterator[Member], keys: KeyRing) -> Iterator[Member]:
    """Each certificate with its key, what is wrong with keys, and at the end the keys that no certificate was for."""
    for member in members:
        if member.certificate is None or not keys:
            yield member
            continue
        key, problem = keys.of(member.certificate)
        yield Member(member.certificate, key, problem, lost_key=bool(problem) and key is None)
    for _ in range(keys.unused):
        yield Member(problem="the file holds no certificate for its private key", lost_key=True)


def _pem_keys(file: BinaryIO, password: Password) -> tuple[KeyRing, dict[int, str]]:
    """The private keys of a PEM file, and for each of their blocks, by number, what is wrong with it."""
    keys, work, seen = KeyRing(), Work(), dict[int, str]()
    asked: list[bytes] = []

    def once() -> bytes:
        if not asked:
            asked.append(password())
        return asked[0]

    for number, block in enumerate(blocks(file)):
        if block.problem or block.label not in KEY_LABELS:
            continue
        if len(seen) >= MAX_MEMBERS:
            break
        try:
            keys.add(load_block(block, once, work))
            seen[number] = ""
        except NotAKeyError as error:
            seen[number] = str(error)
    return keys, seen


def _pem_members(file: BinaryIO, keys: dict[int, str] | None) -> Iterator[Member]:
    """`keys`: as `_pem_keys` found them; None where keys are not looked for."""
    for number, block in enumerate(blocks(file)):
        if block.problem:
            yield Member(problem=block.problem)
        elif keys is not None and block.label in KEY_LABELS:
            problem = keys.get(number, "the file has too many private keys")
            if problem:
                yield Member(problem=problem, lost_key=True)
        elif block.label != _PARAMETERS:
            yield from map(_parsed, _of_block(block))


def _of_block(block: Block) -> Iterator[_Found]:
    if block.label not in _CERTIFICATE_LABELS | _PKCS7_LABELS:
        yield b"", f"{block.label} is not a certificate"
        return
    try:
        der = block.der()
    except ValueError as error:
        yield b"", str(error)
        return
    yield from _pkcs7_members(der) if block.label in _PKCS7_LABELS else _trimmed(der, block.label)


def _trimmed(der: bytes, label: str) -> Iterator[_Found]:
    """OpenSSL's TRUSTED CERTIFICATE has settings of its own behind the certificate."""
    if label != "TRUSTED CERTIFICATE":
        yield der, ""
        return
    try:
        yield der[: element(der, 0, len(der))[3]], ""
    except DerError as error:
        yield b"", f"not a usable certificate: {error}"


def _der_members(data: bytes, form: Form) -> Iterator[_Found]:
    return _pkcs7_members(data) if form is Form.PKCS7 else iter([(data, "")])


def _pkcs7_members(data: bytes) -> Iterator[_Found]:
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


def _open_pkcs12(data: bytes, password: bytes) -> pkcs12.Contents:
    try:
        contents = pkcs12.open_pkcs12(data, password, Work())
    except WrongPasswordError:
        wrong = "the password of the PKCS#12 file is wrong, or the file is damaged"
        raise ImportingError(wrong if password else "the PKCS#12 file needs a password") from None
    except TooMuchWorkError:
        raise ImportingError("the PKCS#12 file asks for more key derivation than is allowed") from None
    except PasswordBasedError as error:
        raise ImportingError(f"the PKCS#12 file cannot be read: {error}") from None
    except CmsError:
        raise ImportingError("the file is not PKCS#12, or it is damaged") from None
    if not contents.certificates and not contents.keys and not contents.closed_keys:
        problems = "; ".join(contents.problems[:3])
        raise ImportingError(f"the PKCS#12 file holds nothing of use{': ' if problems else ''}{problems}")
    return contents


def _certificates_of(contents: pkcs12.Contents) -> Iterator[Member]:
    return (_parsed((der, "")) for der in contents.certificates)


def _add_all(keys: KeyRing, contents: pkcs12.Contents) -> list[Member]:
    """Take the keys of a PKCS#12 file; what is wrong with it and with them."""
    problems = [Member(problem=problem, lost_key=contents.closed_keys > 0) for problem in contents.problems]
    for der in contents.keys:
        try:
            keys.add(load_pkcs8(der))
        except NotAKeyError as error:
            problems.append(Member(problem=str(error), lost_key=True))
    return problems
