"""The settings of S/MIME and its certificates."""

from dataclasses import dataclass

from mailseal.policy.choices import (
    CipherBits,
    CipherChoice,
    DigestChoice,
    KeyTransportChoice,
    NewKey,
    RevocationUnknown,
    RsaSignatureChoice,
    SmimeProfile,
)
from mailseal.policy.setting_info import Pairing, Strength, row
from mailseal.policy.table_general import GeneralSettings


@dataclass(frozen=True, slots=True)
class SmimeSettings(GeneralSettings):
    """What counts for S/MIME."""

    smime: bool = row(
        Pairing.BOTH,
        Strength.HIGHER,
        "Use S/MIME: encrypt and sign on the way out, decrypt on the way in.",
        default=True,
    )
    smime_max_bytes: int = row(
        Pairing.SMALLER,
        Strength.HIGHER,
        "A larger mail is neither signed nor encrypted by S/MIME; the next method is tried.",
        default=50 * 1024 * 1024,
        unit="octets",
        lowest=1024,
        highest=2**31 - 1,
    )
    smime_profile: SmimeProfile = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "What `auto` comes to in the settings below. `default`: what every mail program reads (AES-256-CBC, RSA PKCS "
        "#1 v1.5, SHA-256), and better where all readers of a mail have said that they can. `edi`: RSASSA-PSS, "
        "RSAES-OAEP with SHA-256, AES-128, GCM where the partner has said that he can.",
        default=SmimeProfile.DEFAULT,
    )
    smime_cipher: CipherChoice = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "Cipher of S/MIME encryption. `auto`: the strongest that all readers of a mail can read, as far as their "
        "signed mail has told.",
        default=CipherChoice.AUTO,
    )
    smime_min_cipher_bits: CipherBits = row(
        Pairing.EITHER,
        Strength.HIGHER,
        "The shortest content key, whatever a reader says he can and whatever `smime_cipher` says.",
        default=CipherBits.BITS_128,
        unit="bits",
    )
    smime_authenticated_only: bool = row(
        Pairing.EITHER,
        Strength.HIGHER,
        "Encrypt only with ciphers that also guard against changes (GCM), whatever a reader says he can and whatever "
        "`smime_cipher` says.",
        default=False,
    )
    smime_key_transport: KeyTransportChoice = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "How the content key is encrypted to RSA keys. `auto`: OAEP if all readers of a mail can, else PKCS #1 v1.5.",
        default=KeyTransportChoice.AUTO,
    )
    smime_digest: DigestChoice = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "Digest of S/MIME signatures. `auto`: SHA-256, or a longer one that all readers of an encrypted mail can "
        "check.",
        default=DigestChoice.AUTO,
    )
    smime_rsa_signature: RsaSignatureChoice = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "Padding of signatures by RSA keys. `auto`: PSS if all readers of an encrypted mail can check it, else PKCS "
        "#1 v1.5.",
        default=RsaSignatureChoice.AUTO,
    )
    smime_opaque: bool = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "Put a signed mail inside its signature (opaque) instead of beside it. Programs without S/MIME cannot show "
        "such a mail, but no gateway on the way can break its signature.",
        default=False,
    )
    smime_read_3des: bool = row(
        Pairing.RECIPIENT,
        Strength.LOWER,
        "Decrypt mail that was encrypted with triple DES.",
        default=True,
    )
    smime_read_rc2: bool = row(
        Pairing.RECIPIENT,
        Strength.LOWER,
        "Decrypt mail that was encrypted with RC2 (40 to 128 bits).",
        default=True,
    )
    smime_read_des: bool = row(
        Pairing.RECIPIENT,
        Strength.LOWER,
        "Decrypt mail that was encrypted with DES.",
        default=True,
    )
    smime_read_cast5: bool = row(
        Pairing.RECIPIENT,
        Strength.LOWER,
        "Decrypt mail that was encrypted with CAST5.",
        default=True,
    )
    harvest_certificates: bool = row(
        Pairing.RECIPIENT,
        Strength.LOWER,
        "Keep certificates that come with well signed mail. They are used only when they have a valid path.",
        default=True,
    )
    new_key_for_known_address: NewKey = row(
        Pairing.EITHER,
        Strength.HIGHER,
        "Whether to encrypt to a certificate that came with a mail and brings another key for an address that was "
        "known already, before `mailseal cert accept`.",
        default=NewKey.USABLE,
    )
    additional_certificates: tuple[str, ...] = row(
        Pairing.UNION,
        Strength.SUPERSET,
        "Certificates (SHA-256 fingerprints) to which every encrypted mail is encrypted as well.",
        default=(),
        unit="SHA-256, hexadecimal",
    )
    revocation_unknown: RevocationUnknown = row(
        Pairing.EITHER,
        Strength.HIGHER,
        "Whether a certificate may be used when its revocation cannot be looked up.",
        default=RevocationUnknown.USABLE,
    )
    legacy_subject_email: bool = row(
        Pairing.BOTH,
        Strength.LOWER,
        "Believe an address in the subject of a certificate that has none in its alternative name.",
        default=False,
    )
