"""Fuzz the BER reader and everything that reads CMS: `python fuzz/cms.py [--seconds N]`. Prints the count of inputs.

Starts from real structures. Anything raised but CmsError stops the run with the input that did it.
"""

import sys
from pathlib import Path

import atheris
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from driver import fuzz

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

with atheris.instrument_imports(include=["mailseal.smime", "mailseal.mail.mime"]):
    import old_cms
    from cms_samples import BODY, keys, people, samples
    from mailseal.mail.mime import MimeError, parse
    from mailseal.smime import ber
    from mailseal.smime.certificate import CertificateError, parse_certificate
    from mailseal.smime.compress import decompress
    from mailseal.smime.decrypt import Enveloped, read_enveloped
    from mailseal.smime.errors import CmsError
    from mailseal.smime.message import already, classify
    from mailseal.smime.verify import read_signed, verify

LIMIT_BYTES = 1_000_000
KNOWN = [person.certificate for person in people().values()]
KEYS = keys("p256", "rsa2048", "p384")
MORE_KEYS = [(None, ec.generate_private_key(ec.BrainpoolP384R1())), (None, x25519.X25519PrivateKey.generate())]


def _walk(octets: bytes) -> None:
    waiting = [ber.read(octets)]
    while waiting:
        element = waiting.pop()
        if element.tag & ber.CONSTRUCTED:
            waiting += element.children


def _unwrap(enveloped: "Enveloped") -> None:
    """With keys that nobody named, for recipients of every kind."""
    for info in enveloped._infos[:4]:  # noqa: SLF001 - its keys are asked for otherwise only by those it names
        for _, key in (*KEYS, *MORE_KEYS):
            info.unwrap(key, bytes(24))


def _mail(octets: bytes) -> None:
    root = parse(b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n" + octets).root
    classify(root)
    already(root)


READERS = (
    _walk,
    lambda octets: read_enveloped(octets).decrypt(KEYS, LIMIT_BYTES),
    lambda octets: read_enveloped(octets).decrypt_with_secrets(old_cms.secrets(), LIMIT_BYTES),
    lambda octets: _unwrap(read_enveloped(octets)),
    lambda octets: verify(read_signed(octets), BODY, KNOWN),
    lambda octets: verify(read_signed(octets), None, KNOWN),
    lambda octets: decompress(octets, LIMIT_BYTES),
    parse_certificate,
    _mail,
)


def one_input(octets: bytes) -> None:
    """Give one input to every reader."""
    for reader in READERS:
        try:
            reader(octets)
        except (CmsError, CertificateError, MimeError):
            continue


if __name__ == "__main__":
    fuzz("cms", __doc__, one_input, samples() | old_cms.samples())
