"""Fuzz all that an import reads: `python fuzz/certificates.py [--seconds N]`. Prints the count of inputs.

Starts from real files. Anything raised but the errors that are meant to be, or a member that is neither a certificate
nor a problem, stops the run with the input that did it.
"""

import base64
import contextlib
import sys
import warnings
from io import BytesIO
from pathlib import Path

import atheris
from driver import fuzz

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

with atheris.instrument_imports(include=["mailseal.smime"]):
    import pki
    from mailseal.smime import importing_keys, password_based, pkcs12
    from mailseal.smime.certificate import CertificateError, parse_certificate, public_key
    from mailseal.smime.exporting import to_pkcs7
    from mailseal.smime.importing import ImportingError, open_file, read_bundle, read_pkcs12
    from mailseal.smime.password_based import WrongPasswordError

PASSWORD = b"geheim12"

# What is bounded in minutes in earnest is bounded in milliseconds here; else the fuzzer would only find patience.
password_based.MAX_ITERATIONS = 5000
password_based.MAX_SCRYPT_OCTETS = 1 << 20
importing_keys.MAX_VALIDATION = 20

_check_mac = pkcs12._check_mac  # noqa: SLF001 - nothing else would let a changed file past its MAC


def _lenient(*arguments: object) -> None:
    """Work the MAC out, and go on whatever it says: else no change of a file would ever reach its bags."""
    with contextlib.suppress(WrongPasswordError):
        _check_mac(*arguments)


pkcs12._check_mac = _lenient  # noqa: SLF001 - as above


def seeds() -> dict[str, bytes]:
    """Certificates, bundles, and the files of other programs that are test vectors."""
    root = pki.Authority("Fuzz Root")
    anna, bob = root.issue("anna@example.com"), root.issue("bob@example.com", key="p256")
    found = {
        "der": bob.der,
        "pem": root.pem + bob.pem + bob.key_pem,
        "rsa": anna.pem + anna.key_pem,
        "pkcs7": to_pkcs7([root.certificate, bob.certificate]),
        "plain": bob.p12(b""),
        "legacy": bob.p12(PASSWORD, legacy=True),
    }
    folder = ROOT / "tests" / "vectors" / "pkcs12"
    for path in folder.iterdir():
        octets = path.read_bytes()
        if path.suffix == ".b64":
            octets = base64.b64decode(octets)
        found[path.name] = octets
    return found


def _certificate(octets: bytes) -> None:
    public_key(parse_certificate(octets))


def _bundle(octets: bytes) -> None:
    read_bundle(octets)


def _pkcs12(octets: bytes) -> None:
    imported = read_pkcs12(octets, PASSWORD)
    for certificate, key in imported.keys:
        assert public_key(certificate) == key.public_key()


def _file(octets: bytes) -> None:
    for member in open_file(BytesIO(octets), lambda: PASSWORD).members:
        assert member.certificate or member.problem


READERS = (_certificate, _bundle, _pkcs12, _file)


def one_input(octets: bytes) -> None:
    """Give one input to every reader."""
    for reader in READERS:
        try:
            reader(octets)
        except (CertificateError, ImportingError):
            continue


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    fuzz("certificates", __doc__, one_input, seeds())
