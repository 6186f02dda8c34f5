"""CMS structures for tests: made once per process."""

import zlib
from collections.abc import Sequence
from datetime import datetime
from functools import cache

from mailseal.mail.message import Octets
from mailseal.policy.settings import Cipher, Digest
from mailseal.smime import algorithms, der, message
from mailseal.smime.certificate import Certificate
from mailseal.smime.encrypt import encrypt
from mailseal.smime.form import EncryptionForm, SignatureForm
from mailseal.smime.sign import SigningIdentity, sign
from pki import NOW, Authority, Identity

BODY = b"Content-Type: text/plain\r\n\r\nHello\r\n" * 3


@cache
def people() -> dict[str, Identity]:
    issuing = Authority("Root").subordinate("Issuing")
    return {kind: issuing.issue(f"{kind}@example.org", key=kind) for kind in ("rsa2048", "p256", "p384")}


def identity(kind: str) -> SigningIdentity:
    person = people()[kind]
    return SigningIdentity(person.certificate, person.key, person.chain)


def keys(*kinds: str) -> list:
    return [(people()[kind].certificate, people()[kind].key) for kind in kinds]


def signed_entity(entity: bytes, signer: SigningIdentity, form: SignatureForm, at: datetime) -> bytes:
    return b"".join(message.signed_entity(entity, signer, form, at))


def encrypted_entity(entity: Sequence[Octets], recipients: Sequence[Certificate], form: EncryptionForm) -> bytes:
    return b"".join(message.encrypted_entity(entity, recipients, form))


def compressed(content: bytes) -> bytes:
    encapsulated = der.sequence(algorithms.DATA, der.element(0xA0, der.octet_string(content)))
    inside = der.sequence(der.integer(0), der.sequence(algorithms.ZLIB), encapsulated)
    return der.sequence(algorithms.COMPRESSED_DATA, der.element(0xA0, inside))


@cache
def samples() -> dict[str, bytes]:
    """One of each kind, by name."""
    everyone = [person.certificate for person in people().values()]
    found = {f"encrypted-{cipher}": encrypt([BODY], everyone, EncryptionForm(cipher)) for cipher in Cipher}
    for kind in people():
        found[f"detached-{kind}"] = sign(BODY, identity(kind), SignatureForm(), at=NOW)
        found[f"opaque-{kind}"] = sign(BODY, identity(kind), SignatureForm(Digest.SHA384, opaque=True), at=NOW)
    found["compressed"] = compressed(zlib.compress(BODY))
    return found
