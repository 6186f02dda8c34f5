"""Choose the form of a ciphertext and a signature: by what all readers can, within what the settings allow.

Nothing better than the baseline of a profile is used unless every reader has said that he can read it; nothing weaker
than the floor is used whatever a reader says. A cipher that also guards against changes counts for more than one with
a longer key: the floor of the length is a setting of its own. A setting other than `auto` decides by itself, above the
floor.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from mailseal.policy.settings import (
    Cipher,
    CipherChoice,
    Digest,
    DigestChoice,
    KeyTransport,
    KeyTransportChoice,
    RsaSignature,
    RsaSignatureChoice,
    Settings,
    SmimeProfile,
)
from mailseal.smime.capabilities import ALL, Capabilities, capabilities_of_extension
from mailseal.smime.certificate import StoredCertificate
from mailseal.smime.form import EncryptionForm, SignatureForm

T = TypeVar("T")

Readers = Sequence[Capabilities | None]
"""What each reader of a mail can; None for one who has not told."""


@dataclass(frozen=True, slots=True)
class _Profile:
    """What everybody is given, and what is better where all can read it, the best first."""

    cipher: Cipher
    better_ciphers: tuple[Cipher, ...]
    key_transport: KeyTransport
    better_key_transports: tuple[KeyTransport, ...]
    digest: Digest
    better_digests: tuple[Digest, ...]
    rsa: RsaSignature


_PROFILES = {
    SmimeProfile.DEFAULT: _Profile(
        Cipher.AES256_CBC,
        (Cipher.AES256_GCM, Cipher.AES192_GCM, Cipher.AES128_GCM),
        KeyTransport.PKCS1V15,
        (KeyTransport.OAEP_SHA256, KeyTransport.OAEP_SHA512, KeyTransport.OAEP_SHA384, KeyTransport.OAEP_SHA1),
        Digest.SHA256,
        (Digest.SHA512, Digest.SHA384),
        RsaSignature.PKCS1V15,
    ),
    SmimeProfile.EDI: _Profile(
        Cipher.AES128_CBC,
        (Cipher.AES128_GCM,),
        KeyTransport.OAEP_SHA256,
        (),
        Digest.SHA256,
        (),
        RsaSignature.PSS,
    ),
}


def encryption_form(settings: Settings, readers: Readers) -> EncryptionForm:
    """The form of a ciphertext for these readers: one entry for each certificate it is encrypted to."""
    profile = _PROFILES[settings.smime_profile]
    if settings.smime_cipher is CipherChoice.AUTO:
        better = [_raised(one, settings) for one in profile.better_ciphers]
        cipher = _best(better, _all_told(readers, lambda one: one.ciphers), profile.cipher)
    else:
        cipher = Cipher(settings.smime_cipher.value)
    if settings.smime_key_transport is KeyTransportChoice.AUTO:
        transports = _all_told(readers, lambda one: one.key_transports)
        transport = _best(profile.better_key_transports, transports, profile.key_transport)
    else:
        transport = KeyTransport(settings.smime_key_transport.value)
    return EncryptionForm(_raised(cipher, settings), transport)


def signature_form(settings: Settings, readers: Readers = ()) -> SignatureForm:
    """The form of a signature; without readers, as of a mail that is not encrypted, nothing is known of them."""
    profile = _PROFILES[settings.smime_profile]
    if settings.smime_digest is DigestChoice.AUTO:
        digest = _best(profile.better_digests, _all_told(readers, lambda one: one.digests), profile.digest)
    else:
        digest = Digest(settings.smime_digest.value)
    if settings.smime_rsa_signature is RsaSignatureChoice.AUTO:
        all_can = bool(readers) and all(one is not None and one.pss for one in readers)
        rsa = RsaSignature.PSS if all_can else profile.rsa
    else:
        rsa = RsaSignature(settings.smime_rsa_signature.value)
    return SignatureForm(digest, rsa, settings.smime_opaque)


def capabilities_of(stored: StoredCertificate) -> Capabilities | None:
    """What the owner of a certificate can read: all, of one whose key we hold; else what he told last, if anything."""
    if stored.has_key:
        return ALL
    told = stored.capabilities
    extension = stored.certificate.capabilities_der
    if told is None and extension is not None:
        told = capabilities_of_extension(extension)
    if stored.certificate.key_algorithm.startswith("rsa"):
        return told
    # A key is agreed with him, so that he stands in the way of no key transport to the others.
    return replace(told or Capabilities(), key_transports=ALL.key_transports)


def _all_told(readers: Readers, of: Callable[[Capabilities], frozenset[T]]) -> frozenset[T]:
    """What every reader has said that he can."""
    told = [frozenset[T]() if one is None else of(one) for one in readers]
    return told[0].intersection(*told[1:]) if told else frozenset()


def _best(better: Iterable[T], told: frozenset[T], baseline: T) -> T:
    return next((one for one in better if one in told), baseline)


def _raised(cipher: Cipher, settings: Settings) -> Cipher:
    """The cipher, or the least one above it that the floor allows."""
    family, _, mode = cipher.value.partition("-")
    bits = max(int(family.removeprefix("aes")), int(settings.smime_min_cipher_bits.value))
    mode = "gcm" if settings.smime_authenticated_only else mode
    return Cipher(f"aes{bits}-{mode}")
