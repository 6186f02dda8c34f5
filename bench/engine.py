"""What the CMS engine costs beyond its primitives: `python bench/engine.py [--json]`.

Every line runs the engine and the bare primitives in turn on the same octets and compares their best times, so that a
busy machine disturbs both alike. The bare primitives of a mail are those of its CMS structure, and one encoding in
base64 without line ends. What is encrypted, or signed in the opaque form, is handed on in
pieces; a line keeps all of them. Memory is the most that the engine held beyond the content, as a multiple of it.

Targets: at 10 KB verify and encrypt at most 5 times the bare primitives; at 5 MB sign, encrypt and decrypt at most 1.5
times; memory at most 2.5 times the content.
"""

import argparse
import hashlib
import json
import os
import sys
import time
import tracemalloc
from binascii import b2a_base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.ciphers import Cipher as Primitive
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from mailseal.mail.mime import parse
from mailseal.policy.settings import Cipher, KeyTransport, RsaSignature
from mailseal.smime.certificate import public_key
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.encrypt import encrypt, encrypted
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.message import encrypted_entity, signed_entity
from mailseal.smime.sign import SigningIdentity, sign, signed
from mailseal.smime.verify import read_signed, verify
from mailseal.wiring.single import protect_one
from pki import NOW, Authority, Identity

PKCS1V15 = padding.PKCS1v15()
SHA256 = hashes.SHA256()
PSS = padding.PSS(padding.MGF1(SHA256), 32)
OAEP = padding.OAEP(padding.MGF1(SHA256), SHA256, None)
SIZES = {"10 KB": 10_240, "5 MB": 5 * 1024 * 1024}
TARGETS = {("10 KB", "verify"): 5, ("10 KB", "encrypt"): 5}
TARGETS |= {("5 MB", what): 1.5 for what in ("sign", "encrypt", "decrypt")}
MEMORY_TARGET = 2.5

FORMS = {
    "cbc": EncryptionForm(Cipher.AES256_CBC),
    "gcm": EncryptionForm(Cipher.AES256_GCM),
    "cbc oaep": EncryptionForm(Cipher.AES256_CBC, KeyTransport.OAEP_SHA256),
    "gcm oaep": EncryptionForm(Cipher.AES256_GCM, KeyTransport.OAEP_SHA256),
}


@dataclass(frozen=True)
class Row:
    """One operation. `what` starts with the operation that has a target, unless it is of a mail."""

    what: str
    engine: Callable[[], object]
    bare: Callable[[], object]
    octets: int
    memory_target: float = MEMORY_TARGET


def best(row: Row, seconds: float) -> tuple[float, float]:
    """The best times of both in seconds, run in turn."""
    times: list[list[float]] = [[], []]
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop or len(times[0]) < 5:
        for which, run in enumerate((row.engine, row.bare)):
            start = time.perf_counter()
            run()
            times[which].append(time.perf_counter() - start)
    return min(times[0]), min(times[1])


def peak_bytes(run: Callable[[], object]) -> int:
    """The most that Python objects took beyond what there was before; a message is nowhere else."""
    run()
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def cbc(key: bytes, content: bytes) -> bytes:
    missing = 16 - len(content) % 16
    encryptor = Primitive(AES(key), CBC(bytes(16))).encryptor()
    ciphertext = encryptor.update(content)
    encryptor.update(bytes((missing,)) * missing)
    encryptor.finalize()
    return ciphertext


def open_cbc(key: bytes, content: bytes) -> bytes:
    decryptor = Primitive(AES(key), CBC(bytes(16))).decryptor()
    plaintext = decryptor.update(content)
    decryptor.finalize()
    return plaintext


def gcm(key: bytes, content: bytes) -> bytes:
    return AESGCM(key).encrypt(bytes(12), content, None)


def open_gcm(key: bytes, content: bytes) -> bytes:
    return AESGCM(key).decrypt(bytes(12), content, None)


def bare_signature(person: Identity, form: SignatureForm, content: bytes) -> tuple[Callable, Callable]:
    """The bare primitives that sign and verify: a digest of the content, and the key over as much as attributes are."""
    public = public_key(person.certificate)
    if isinstance(person.key, ed25519.Ed25519PrivateKey):
        make, arguments = hashlib.sha512, ()
    elif isinstance(person.key, ec.EllipticCurvePrivateKey):
        make, arguments = hashlib.sha256, (ec.ECDSA(SHA256),)
    else:
        make, arguments = hashlib.sha256, (PSS if form.rsa is RsaSignature.PSS else PKCS1V15, SHA256)
    signature = person.key.sign(make(content).digest(), *arguments)
    return (
        lambda: person.key.sign(make(content).digest(), *arguments),
        lambda: public.verify(signature, make(content).digest(), *arguments),
    )


def signing(name: str, person: Identity, form: SignatureForm, content: bytes) -> Iterator[Row]:
    identity = SigningIdentity(person.certificate, person.key, person.chain)
    bare_sign, bare_verify = bare_signature(person, form, content)
    opaque_form = SignatureForm(form.digest, form.rsa, opaque=True)
    detached = sign(content, identity, form, at=NOW)
    opaque = sign(content, identity, opaque_form, at=NOW)
    yield Row(f"sign {name}", lambda: sign(content, identity, form, at=NOW), bare_sign, len(content))
    yield Row(f"sign {name} opaque", lambda: signed(content, identity, opaque_form, at=NOW), bare_sign, len(content))
    yield Row(f"mail signed {name}", lambda: signed_entity(content, identity, form, NOW), bare_sign, len(content))
    yield Row(f"verify {name} detached", lambda: verify(read_signed(detached), content), bare_verify, len(content))
    yield Row(f"verify {name} opaque", lambda: verify(read_signed(opaque), None), bare_verify, len(content))


def bare_encryption(people: list[Identity], form: EncryptionForm, content: bytes) -> Callable[[], bytes]:
    publics = [public_key(one.certificate) for one in people]
    cipher = gcm if form.cipher is Cipher.AES256_GCM else cbc
    scheme = PKCS1V15 if form.key_transport is KeyTransport.PKCS1V15 else OAEP

    def run() -> bytes:
        key = os.urandom(32)
        for public in publics:
            if isinstance(public, ec.EllipticCurvePublicKey):
                ec.generate_private_key(ec.SECP256R1()).exchange(ec.ECDH(), public)
            else:
                public.encrypt(key, scheme)
        return cipher(key, content)

    return run


def encrypting(name: str, people: list[Identity], how: str, content: bytes) -> Iterator[Row]:
    form, certificates = FORMS[how], [one.certificate for one in people]
    bare = bare_encryption(people, form, content)
    yield Row(f"encrypt {name} {how}", lambda: list(encrypted([content], certificates, form)), bare, len(content))
    yield Row(
        f"mail encrypted {name} {how}",
        lambda: encrypted_entity([content], certificates, form),
        lambda: b2a_base64(bare(), newline=False),
        len(content),
    )


def decrypting(name: str, person: Identity, how: str, content: bytes) -> Iterator[Row]:
    form = FORMS[how]
    key = os.urandom(32)
    if isinstance(person.key, ec.EllipticCurvePrivateKey):
        other = ec.generate_private_key(ec.SECP256R1()).public_key()
        unwrap = lambda: person.key.exchange(ec.ECDH(), other)  # noqa: E731 - the other branch has one too
    else:
        scheme = PKCS1V15 if form.key_transport is KeyTransport.PKCS1V15 else OAEP
        wrapped = person.key.public_key().encrypt(key, scheme)
        unwrap = lambda: person.key.decrypt(wrapped, scheme)  # noqa: E731
    close, open_content = (gcm, open_gcm) if form.cipher is Cipher.AES256_GCM else (cbc, open_cbc)
    ciphertext = close(key, content)
    octets = encrypt([content], [person.certificate], form)
    keys = [(person.certificate, person.key)]

    def bare() -> None:
        unwrap()
        open_content(key, ciphertext)

    yield Row(
        f"decrypt {name} {how}", lambda: read_enveloped(octets).decrypt(keys, len(content) + 16), bare, len(content)
    )


def whole_mail(person: Identity, content: bytes) -> Iterator[Row]:
    """Sign and encrypt a mail as the gateway does, from its octets to the pieces that are sent."""
    head = b"From: a@example.org\r\nSubject: x\r\nContent-Type: text/plain\r\n\r\n"
    raw = head + b"\r\n".join(content[start : start + 70] for start in range(0, len(content), 70)) + b"\r\n"
    identity = SigningIdentity(person.certificate, person.key, person.chain)
    form = SignatureForm()
    bare_sign, _ = bare_signature(person, form, raw)
    bare_encrypt = bare_encryption([person], FORMS["cbc"], raw)

    def run() -> object:
        certificates = [person.certificate]
        return protect_one(parse(raw).root, certificates, identity, encryption=FORMS["cbc"], signature=form, at=NOW)

    def bare() -> None:
        bare_sign()
        b2a_base64(bare_encrypt(), newline=False)

    yield Row("mail signed and encrypted rsa-2048 cbc", run, bare, len(raw))


def rows(content: bytes) -> Iterator[Row]:
    authority = Authority("Bench")
    people = [authority.issue(f"{number}@example.org") for number in range(5)]
    elliptic, edwards = (authority.issue(f"{kind}@example.org", key=kind) for kind in ("p256", "ed25519"))
    yield from signing("rsa-2048", people[0], SignatureForm(), content)
    yield from signing("rsa-2048 pss", people[0], SignatureForm(rsa=RsaSignature.PSS), content)
    yield from signing("p256", elliptic, SignatureForm(), content)
    yield from signing("ed25519", edwards, SignatureForm(), content)
    for how in FORMS:
        yield from encrypting("1 rsa-2048", people[:1], how, content)
        yield from decrypting("rsa-2048", people[0], how, content)
    yield from encrypting("5 rsa-2048", people, "cbc", content)
    for how in ("cbc", "gcm"):
        yield from encrypting("1 p256", [elliptic], how, content)
        yield from decrypting("p256", elliptic, how, content)
    yield from whole_mail(people[0], content)


def measure(about: str | None, rows: Callable[[bytes], Iterator[Row]], targets: dict[tuple[str, str], float]) -> None:
    """Print the lines, or all of them as JSON; `targets` are by size and by the first word of a line."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.5, help="per line")
    parser.add_argument("--only", default="", help="lines with this text in them")
    options = parser.parse_args()
    found = []
    for label, size in SIZES.items():
        content = os.urandom(size // 2).hex().encode()
        for row in rows(content):
            if options.only not in f"{label} {row.what}":
                continue
            ours, theirs = best(row, options.seconds)
            target = targets.get((label, row.what.split()[0]))
            memory = peak_bytes(row.engine) / row.octets if label == "5 MB" else None
            line = {"what": row.what, "size": label, "ms": ours * 1e3, "bare_ms": theirs * 1e3, "target": target}
            found.append(line | {"memory": memory, "memory_target": row.memory_target})
            if not options.json:
                show(found[-1])
    if options.json:
        print(json.dumps(found, indent=1))


def show(row: dict) -> None:
    ratio = row["ms"] / row["bare_ms"]
    times = f"{row['ms']:9.3f} ms  bare {row['bare_ms']:9.3f} ms  {ratio:5.2f} x"
    memory = "" if row["memory"] is None else f"  memory {row['memory']:4.2f} x"
    missed = [text for text, over in (("time", row["target"] and ratio > row["target"]),) if over]
    missed += ["memory"] if (row["memory"] or 0) > row["memory_target"] else []
    note = f"  over its target: {' and '.join(missed)}" if missed else ""
    print(f"{row['size']:>6}  {row['what']:<40} {times}{memory}{note}", flush=True)


if __name__ == "__main__":
    measure(__doc__, rows, TARGETS)
