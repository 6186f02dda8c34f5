"""What the CMS engine costs beyond its primitives: `python bench/engine.py [--json]`.

Every line runs the engine and the bare primitives in turn on the same octets and compares their best times, so that a
busy machine disturbs both alike. Targets at 10 KB: sign at most 1.4, decrypt at most 1.2 times the bare primitives.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.ciphers import Cipher as Primitive
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from mailseal.policy.settings import Cipher
from mailseal.smime.certificate import public_key
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.encrypt import encrypt
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.message import encrypted_entity, signed_entity
from mailseal.smime.sign import SigningIdentity, sign
from mailseal.smime.verify import read_signed, verify
from pki import NOW, Authority, Identity

PKCS1V15 = padding.PKCS1v15()
SHA256 = hashes.SHA256()
TARGETS = {"sign rsa-2048": 1.4, "decrypt rsa-2048 cbc": 1.2}

GCM_FORM = EncryptionForm(Cipher.AES256_GCM)


def best(engine: Callable[[], object], bare: Callable[[], object], seconds: float) -> tuple[float, float]:
    """The best times of both in seconds, run in turn."""
    times: list[list[float]] = [[], []]
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop or len(times[0]) < 5:
        for which, run in enumerate((engine, bare)):
            start = time.perf_counter()
            run()
            times[which].append(time.perf_counter() - start)
    return min(times[0]), min(times[1])


def cbc(key: bytes, content: bytes) -> bytes:
    pad = PKCS7(128).padder()
    encryptor = Primitive(AES(key), CBC(bytes(16))).encryptor()
    return encryptor.update(pad.update(content) + pad.finalize()) + encryptor.finalize()


def open_cbc(key: bytes, content: bytes) -> bytes:
    decryptor = Primitive(AES(key), CBC(bytes(16))).decryptor()
    return decryptor.update(content) + decryptor.finalize()


def gcm(key: bytes, content: bytes) -> bytes:
    return AESGCM(key).encrypt(bytes(12), content, None)


def open_gcm(key: bytes, content: bytes) -> bytes:
    return AESGCM(key).decrypt(bytes(12), content, None)


def signing(name: str, person: Identity, content: bytes) -> list[tuple[str, Callable, Callable]]:
    identity = SigningIdentity(person.certificate, person.key, person.chain)
    public = public_key(person.certificate)
    arguments = (PKCS1V15, SHA256) if name.startswith("rsa") else (ec.ECDSA(SHA256),)
    signature = person.key.sign(content, *arguments)
    detached = sign(content, identity, SignatureForm(), at=NOW)
    opaque = sign(content, identity, SignatureForm(opaque=True), at=NOW)

    def bare_sign() -> bytes:
        return person.key.sign(content, *arguments)

    def bare_verify() -> None:
        public.verify(signature, content, *arguments)

    return [
        (f"sign {name}", lambda: sign(content, identity, SignatureForm(), at=NOW), bare_sign),
        (f"sign {name} as mail", lambda: signed_entity(content, identity, SignatureForm(), NOW), bare_sign),
        (f"verify {name} detached", lambda: verify(read_signed(detached), content), bare_verify),
        (f"verify {name} opaque", lambda: verify(read_signed(opaque), None), bare_verify),
    ]


def encrypting(rsa: list[Identity], elliptic: Identity, content: bytes) -> list[tuple[str, Callable, Callable]]:
    certificates = [one.certificate for one in rsa]
    key = os.urandom(32)

    def bare(count: int, cipher: Callable[[bytes, bytes], bytes] = cbc) -> Callable[[], None]:
        publics = [public_key(one) for one in certificates[:count]]

        def run() -> None:
            for public in publics:
                public.encrypt(key, PKCS1V15)
            cipher(key, content)

        return run

    def bare_agreement() -> None:
        ec.generate_private_key(ec.SECP256R1()).exchange(ec.ECDH(), elliptic.key.public_key())
        cbc(key, content)

    return [
        ("encrypt 1 rsa-2048 cbc", lambda: encrypt([content], certificates[:1], EncryptionForm()), bare(1)),
        ("encrypt 5 rsa-2048 cbc", lambda: encrypt([content], certificates[:5], EncryptionForm()), bare(5)),
        (
            "encrypt 1 rsa-2048 gcm",
            lambda: encrypt([content], certificates[:1], EncryptionForm(Cipher.AES256_GCM)),
            bare(1, gcm),
        ),
        ("encrypt 1 rsa as mail", lambda: encrypted_entity([content], certificates[:1], EncryptionForm()), bare(1)),
        (
            "encrypt 1 p256 cbc",
            lambda: encrypt([content], [elliptic.certificate], EncryptionForm()),
            bare_agreement,
        ),
    ]


def decrypting(rsa: Identity, elliptic: Identity, content: bytes) -> list[tuple[str, Callable, Callable]]:
    key = os.urandom(32)
    wrapped = rsa.key.public_key().encrypt(key, PKCS1V15)
    modes = (
        ("cbc", Cipher.AES256_CBC, open_cbc, cbc(key, content)),
        ("gcm", Cipher.AES256_GCM, open_gcm, gcm(key, content)),
    )
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    keys_of_bare = (
        ("rsa-2048", rsa, lambda: rsa.key.decrypt(wrapped, PKCS1V15)),
        ("p256", elliptic, lambda: elliptic.key.exchange(ec.ECDH(), other)),
    )
    limit = len(content) + 16
    rows: list[tuple[str, Callable, Callable]] = []
    for name, person, unwrap in keys_of_bare:
        for mode, cipher, open_content, ciphertext in modes:
            octets = encrypt([content], [person.certificate], cipher)
            keys = [(person.certificate, person.key)]

            def engine(octets: bytes = octets, keys: list = keys) -> bytes:
                return read_enveloped(octets).decrypt(keys, limit)

            def bare(
                unwrap: Callable = unwrap, open_content: Callable = open_content, ciphertext: bytes = ciphertext
            ) -> None:
                unwrap()
                open_content(key, ciphertext)

            rows.append((f"decrypt {name} {mode}", engine, bare))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.5, help="per line")
    options = parser.parse_args()
    authority = Authority("Bench")
    people = [authority.issue(f"{number}@example.org") for number in range(5)]
    elliptic = authority.issue("e@example.org", key="p256")
    found = []
    for label, size in (("10 KB", 10_240), ("5 MB", 5 * 1024 * 1024)):
        content = os.urandom(size // 2).hex().encode()
        rows = signing("rsa-2048", people[0], content) + signing("p256", elliptic, content)
        rows += encrypting(people, elliptic, content) + decrypting(people[0], elliptic, content)
        for name, engine, bare in rows:
            ours, theirs = best(engine, bare, options.seconds)
            target = TARGETS.get(name) if size == 10_240 else None
            found.append({"what": name, "size": label, "ms": ours * 1e3, "bare_ms": theirs * 1e3, "target": target})
    if options.json:
        print(json.dumps(found, indent=1))
        return
    for row in found:
        target = f"  (target {row['target']})" if row["target"] else ""
        ratio = row["ms"] / row["bare_ms"]
        times = f"{row['ms']:9.3f} ms  bare {row['bare_ms']:9.3f} ms"
        print(f"{row['size']:>6}  {row['what']:<26} {times}  {ratio:5.2f} x{target}")


if __name__ == "__main__":
    main()
