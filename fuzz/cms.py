"""Fuzz the BER reader and everything that reads CMS: `python fuzz/cms.py [--seconds N]`. Prints the count of inputs.

Starts from real structures. Anything raised but CmsError stops the run with the input that did it.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import atheris
from cryptography.hazmat.primitives.asymmetric import ec, x25519

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
COUNT = 0


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
    global COUNT  # noqa: PLW0603 - libFuzzer calls a plain function
    COUNT += 1
    for reader in READERS:
        try:
            reader(octets)
        except (CmsError, CertificateError, MimeError):
            continue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as corpus:
        for name, octets in (samples() | old_cms.samples()).items():
            (Path(corpus) / name).write_bytes(octets)
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            _run(corpus, seconds, started)
        _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


def _run(corpus: str, seconds: int, started: float) -> None:
    """libFuzzer ends its process itself, so that the count is printed from within, before its time is up."""

    def counted(octets: bytes) -> None:
        one_input(octets)
        if time.monotonic() - started >= seconds:
            print(f"cms: {COUNT} inputs in {seconds} s, no failure", flush=True)
            os._exit(0)

    arguments = [sys.argv[0], corpus, f"-artifact_prefix={tempfile.gettempdir()}/cms-", "-max_len=8192", "-verbosity=0"]
    arguments += ["-timeout=10", "-rss_limit_mb=1024"]
    atheris.Setup(arguments, counted)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
