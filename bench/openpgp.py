"""What the OpenPGP engine costs beyond its primitives, and beside gpg: `python bench/openpgp.py [--json]`.

Lines as those of `engine.py`. The bare primitives are what the packets take: the key, the cipher and for SEIPD of
version 1 a SHA-1 over all of it; of a mail one encoding in base64 besides, without line ends and checksum. In lines
"beside gpg" the bare time is that of a gpg process with the same keys, where there is a gpg.

Targets: at 5 MB sign and encrypt at most 1.5 times the bare primitives, decrypt at most twice, since the content is
copied out of its packets once; memory at most 2.5 times the content, with the decoded message of a mail 3 times.
At 10 KB there is no factor to hold: the engine takes some ten microseconds, whatever the primitives take.
"""

import atexit
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from binascii import b2a_base64
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESOCB3
from cryptography.hazmat.primitives.ciphers.algorithms import AES

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from engine import Row, measure

from mailseal.openpgp.algorithms import AeadId
from mailseal.openpgp.armor import MESSAGE, read_armor, write_armor
from mailseal.openpgp.certificate import PgpCertificate
from mailseal.openpgp.form import EncryptionForm, Reader
from mailseal.openpgp.generate import KeyKind
from mailseal.openpgp.inner import write_literal
from mailseal.openpgp.message import encrypt_message, read_encrypted
from mailseal.openpgp.sign import sign_document
from mailseal.openpgp.verify import check_signatures, split_signatures
from pgp_keys import PgpIdentity, pgp_key
from pgp_samples import reader
from pki import NOW

TARGETS = {("5 MB", "sign"): 1.5, ("5 MB", "encrypt"): 1.5, ("5 MB", "decrypt"): 2}
PKCS1V15 = padding.PKCS1v15()
SHA256 = hashes.SHA256()
OLD, NEW = EncryptionForm(), EncryptionForm(AeadId.OCB)


def bare_encryption(form: EncryptionForm, publics: list, content: bytes) -> Callable[[], bytes]:
    """A session key for each, and one pass over the content."""

    def run() -> bytes:
        key = os.urandom(32)
        for public in publics:
            if isinstance(public, rsa.RSAPublicKey):
                public.encrypt(key, PKCS1V15)
            else:
                x25519.X25519PrivateKey.generate().exchange(public)
        if form.aead is not None:
            return AESOCB3(key).encrypt(bytes(15), content, None)
        hashlib.sha1(content).digest()
        return Cipher(AES(key), CFB(bytes(16))).encryptor().update(content)

    return run


def bare_decryption(form: EncryptionForm, private: object, content: bytes) -> Callable[[], object]:
    key = os.urandom(32)
    if isinstance(private, rsa.RSAPrivateKey):
        wrapped = private.public_key().encrypt(key, PKCS1V15)
        unwrap: Callable[[], object] = lambda: private.decrypt(wrapped, PKCS1V15)  # noqa: E731 - the other has one too
    else:
        other = x25519.X25519PrivateKey.generate().public_key()
        unwrap = lambda: private.exchange(other)  # noqa: E731
    sealed = AESOCB3(key).encrypt(bytes(15), content, None)

    def run() -> object:
        unwrap()
        if form.aead is not None:
            return AESOCB3(key).decrypt(bytes(15), sealed, None)
        plain = Cipher(AES(key), CFB(bytes(16))).decryptor().update(content)
        return hashlib.sha1(plain).digest()

    return run


def encrypting(name: str, keys: list, form: EncryptionForm, content: bytes) -> Iterator[Row]:
    readers = [Reader(public) for public, _ in keys]
    bare = bare_encryption(form, [public.key for public, _ in keys], content)
    packets = lambda: encrypt_message(write_literal([content]), readers, form)  # noqa: E731 - used twice
    yield Row(f"encrypt {name}", lambda: list(packets()), bare, len(content))
    yield Row(
        f"mail encrypted {name}",
        lambda: write_armor(MESSAGE, packets(), checksum=form.aead is None),
        lambda: b2a_base64(bare(), newline=False),
        len(content),
    )


def decrypting(name: str, pair: tuple, form: EncryptionForm, content: bytes) -> Iterator[Row]:
    octets = b"".join(encrypt_message(write_literal([content]), [Reader(pair[0])], form))
    bare = bare_decryption(form, pair[1], content)
    limit = len(content)
    yield Row(f"decrypt {name}", lambda: read_encrypted(octets).open([pair], max_bytes=limit), bare, limit)
    text = b"".join(write_armor(MESSAGE, [octets]))
    encoded = b2a_base64(octets)

    def bare_mail() -> None:
        b2a_base64(encoded)  # as costly as the way back
        bare()

    yield Row(
        f"mail decrypted {name}",
        lambda: read_encrypted(read_armor(text).octets).open([pair], max_bytes=limit),
        bare_mail,
        limit,
        memory_target=3.1,
    )


def signing(name: str, identity: PgpIdentity, content: bytes) -> Iterator[Row]:
    public, private = identity.keys[0]
    certificate: PgpCertificate = identity.certificate
    packet = sign_document(private, public, content, at=NOW)
    how = () if isinstance(private, ed25519.Ed25519PrivateKey) else (PKCS1V15, Prehashed(SHA256))
    signature = private.sign(hashlib.sha256(content).digest(), *how)
    yield Row(
        f"sign {name}",
        lambda: sign_document(private, public, content, at=NOW),
        lambda: private.sign(hashlib.sha256(content).digest(), *how),
        len(content),
    )
    yield Row(
        f"verify {name}",
        lambda: check_signatures(content, split_signatures(packet), lambda _: [certificate], NOW),
        lambda: private.public_key().verify(signature, hashlib.sha256(content).digest(), *how),
        len(content),
    )


@cache
def home() -> Path:
    """A home folder of gpg with the secret keys of five people, and an agent that ends with us."""
    folder = Path(tempfile.mkdtemp(prefix="ms-gpg-", dir="/tmp"))

    def end() -> None:
        subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    gpg(folder, "--import", given=b"".join(one.secret for one in people()))
    return folder


def gpg(folder: Path, *words: str, given: bytes) -> bytes:
    options = ["--homedir", str(folder), "--batch", "--quiet", "--trust-model", "always", "--compress-algo", "none"]
    return subprocess.run(["gpg", *options, *words], input=given, capture_output=True, check=True).stdout


@cache
def people() -> tuple[PgpIdentity, ...]:
    return tuple(pgp_key(f"Person {number} <{number}@example.org>") for number in range(5))


def beside_gpg(content: bytes) -> Iterator[Row]:
    if shutil.which("gpg") is None:
        return
    folder, size = home(), len(content)
    pairs = [one.keys[1] for one in people()]
    public, private = people()[0].keys[0]
    certificate = people()[0].certificate
    signature = sign_document(private, public, content, at=NOW)
    readers = [Reader(one) for one, _ in pairs]
    octets = b"".join(encrypt_message(write_literal([content]), readers[:1], OLD))
    (folder / "signature").write_bytes(signature)
    ours: dict[str, tuple[Callable[[], object], tuple[str, ...], bytes]] = {
        "sign": (lambda: sign_document(private, public, content, at=NOW), ("--detach-sign",), content),
        "encrypt 1": (lambda: list(encrypt_message(write_literal([content]), readers[:1], OLD)), to(1), content),
        "encrypt 5": (lambda: list(encrypt_message(write_literal([content]), readers, OLD)), to(5), content),
        "decrypt": (lambda: read_encrypted(octets).open(pairs[:1], max_bytes=size), ("--decrypt",), octets),
        "verify": (
            lambda: check_signatures(content, split_signatures(signature), lambda _: [certificate], NOW),
            ("--verify", str(folder / "signature"), "-"),
            content,
        ),
    }
    for name, (run, words, given) in ours.items():
        yield Row(f"beside gpg: {name}", run, lambda words=words, given=given: gpg(folder, *words, given=given), size)


def to(count: int) -> tuple[str, ...]:
    return ("--encrypt", *(word for one in people()[:count] for word in ("--recipient", one.fingerprint)))


def rows(content: bytes) -> Iterator[Row]:
    for kind, name in ((KeyKind.ED25519, "ed25519"), (KeyKind.RSA4096, "rsa4096")):
        yield from signing(name, identity(kind), content)
    for name, pair, form in (
        ("cv25519", reader("cv25519"), OLD),
        ("rsa4096", identity(KeyKind.RSA4096).keys[1], OLD),
        ("x25519 v6 ocb", reader("x25519", 6), NEW),
    ):
        yield from encrypting(f"1 {name}", [pair], form, content)
        yield from decrypting(name, pair, form, content)
    yield from encrypting("5 cv25519", [one.keys[1] for one in people()], OLD, content)
    yield from beside_gpg(content)


@cache
def identity(kind: KeyKind) -> PgpIdentity:
    return pgp_key("Bench <bench@example.org>", kind=kind)


if __name__ == "__main__":
    measure(__doc__, rows, TARGETS)
