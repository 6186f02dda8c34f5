"""Every setting: its type, default, unit, help, how sender's and recipient's values combine, and what is weaker.

This table is the only place where a setting is described: parsing, combining, locking, the reference page and the
command line read it. See docs/policy.md, which is written from it.
"""

from dataclasses import dataclass, field, fields

from mailseal.policy.choices import (
    CipherBits,
    CipherChoice,
    DigestChoice,
    KeyTransportChoice,
    Mode,
    NewKey,
    OnFailure,
    RevocationUnknown,
    RsaSignatureChoice,
    SmimeProfile,
)
from mailseal.policy.setting_info import Pairing, SettingInfo, Strength


@dataclass(frozen=True, slots=True)
class Settings:
    """The value of every setting for one party, or combined for a pair. `Settings()` is the factory level."""

    mode: Mode = field(
        default=Mode.ALLOW,
        metadata={
            "pairing": Pairing.MODE,
            "strength": Strength.HIGHER,
            "help": (
                "Whether mail to outside recipients is encrypted: `never`; `allow` (when there is a usable key); "
                "`force` (as `allow`, even if the other side says `never`); `mandatory` (never sent in clear)."
            ),
        },
    )
    on_failure: OnFailure = field(
        default=OnFailure.REFUSE,
        metadata={
            "pairing": Pairing.SENDER,
            "strength": Strength.HIGHER,
            "help": (
                "What becomes of a mail that must be encrypted and cannot be: `refuse` (550) or `notify` "
                "(accepted, not sent on, the sender gets a report). A null sender and a sender outside always get "
                "`refuse`."
            ),
        },
    )
    smime: bool = field(
        default=True,
        metadata={
            "pairing": Pairing.BOTH,
            "strength": Strength.HIGHER,
            "help": "Use S/MIME: encrypt and sign on the way out, decrypt on the way in.",
        },
    )
    smime_max_bytes: int = field(
        default=50 * 1024 * 1024,
        metadata={
            "pairing": Pairing.SMALLER,
            "strength": Strength.HIGHER,
            "help": (
                "A larger mail is neither signed nor encrypted by S/MIME; if it must be encrypted, `on_failure` counts."
            ),
            "unit": "octets",
            "lowest": 1024,
            "highest": 2**31 - 1,
        },
    )
    smime_profile: SmimeProfile = field(
        default=SmimeProfile.DEFAULT,
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.FIXED,
            "help": (
                "What `auto` comes to in the settings below. `default`: what every mail program reads "
                "(AES-256-CBC, RSA PKCS #1 v1.5, SHA-256), and better where all readers of a mail have said that "
                "they can. `edi`: RSASSA-PSS, RSAES-OAEP with SHA-256, AES-128, GCM where the partner has said "
                "that he can."
            ),
        },
    )
    smime_cipher: CipherChoice = field(
        default=CipherChoice.AUTO,
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.FIXED,
            "help": (
                "Cipher of S/MIME encryption. `auto`: the strongest that all readers of a mail can read, as far "
                "as their signed mail has told."
            ),
        },
    )
    smime_min_cipher_bits: CipherBits = field(
        default=CipherBits.BITS_128,
        metadata={
            "pairing": Pairing.EITHER,
            "strength": Strength.HIGHER,
            "help": "The shortest content key, whatever a reader says he can and whatever `smime_cipher` says.",
            "unit": "bits",
        },
    )
    smime_authenticated_only: bool = field(
        default=False,
        metadata={
            "pairing": Pairing.EITHER,
            "strength": Strength.HIGHER,
            "help": (
                "Encrypt only with ciphers that also guard against changes (GCM), whatever a reader says he can "
                "and whatever `smime_cipher` says."
            ),
        },
    )
    smime_key_transport: KeyTransportChoice = field(
        default=KeyTransportChoice.AUTO,
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.FIXED,
            "help": (
                "How the content key is encrypted to RSA keys. `auto`: OAEP if all readers of a mail can, else "
                "PKCS #1 v1.5."
            ),
        },
    )
    smime_digest: DigestChoice = field(
        default=DigestChoice.AUTO,
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.FIXED,
            "help": (
                "Digest of S/MIME signatures. `auto`: SHA-256, or a longer one that all readers of an encrypted "
                "mail can check."
            ),
        },
    )
    smime_rsa_signature: RsaSignatureChoice = field(
        default=RsaSignatureChoice.AUTO,
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.FIXED,
            "help": (
                "Padding of signatures by RSA keys. `auto`: PSS if all readers of an encrypted mail can check it, "
                "else PKCS #1 v1.5."
            ),
        },
    )
    smime_opaque: bool = field(
        default=False,
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.FIXED,
            "help": (
                "Put a signed mail inside its signature (opaque) instead of beside it. Programs without S/MIME "
                "cannot show such a mail, but no gateway on the way can break its signature."
            ),
        },
    )
    smime_read_3des: bool = field(
        default=True,
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.LOWER,
            "help": "Decrypt mail that was encrypted with triple DES.",
        },
    )
    smime_read_rc2: bool = field(
        default=True,
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.LOWER,
            "help": "Decrypt mail that was encrypted with RC2 (40 to 128 bits).",
        },
    )
    smime_read_des: bool = field(
        default=True,
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.LOWER,
            "help": "Decrypt mail that was encrypted with DES.",
        },
    )
    smime_read_cast5: bool = field(
        default=True,
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.LOWER,
            "help": "Decrypt mail that was encrypted with CAST5.",
        },
    )
    harvest_certificates: bool = field(
        default=True,
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.LOWER,
            "help": (
                "Keep certificates that come with well signed mail. They are used only when they have a valid path."
            ),
        },
    )
    new_key_for_known_address: NewKey = field(
        default=NewKey.USABLE,
        metadata={
            "pairing": Pairing.EITHER,
            "strength": Strength.HIGHER,
            "help": (
                "Whether to encrypt to a certificate that came with a mail and brings another key for an address "
                "that was known already, before `mailseal cert accept`."
            ),
        },
    )
    sign: bool = field(
        default=True,
        metadata={
            "pairing": Pairing.SENDER,
            "strength": Strength.HIGHER,
            "help": "Sign outgoing mail when the sender has a usable key.",
        },
    )
    sign_only_when_encrypting: bool = field(
        default=False,
        metadata={
            "pairing": Pairing.EITHER,
            "strength": Strength.HIGHER,
            "help": "Sign only mail that is also encrypted, unless the sender asks for a signature by a trigger.",
        },
    )
    encrypt_subject_trigger: str = field(
        default="[encrypt]",
        metadata={
            "pairing": Pairing.SENDER,
            "strength": Strength.FIXED,
            "help": (
                "A keyword (whole words, in any case), or a pattern, in the subject that makes encryption "
                "mandatory for this mail. Empty: off. Counts only for authorised internal senders."
            ),
        },
    )
    sign_subject_trigger: str = field(
        default="",
        metadata={
            "pairing": Pairing.SENDER,
            "strength": Strength.FIXED,
            "help": "A keyword, or a pattern, in the subject that asks for a signature. Empty: off.",
        },
    )
    subject_trigger_is_pattern: bool = field(
        default=False,
        metadata={
            "pairing": Pairing.SENDER,
            "strength": Strength.FIXED,
            "help": "The two subject triggers are RE2 patterns instead of keywords.",
        },
    )
    remove_subject_trigger: bool = field(
        default=True,
        metadata={
            "pairing": Pairing.SENDER,
            "strength": Strength.FIXED,
            "help": (
                "Take the trigger out of the subject of outgoing mail. From incoming mail it is always taken out, "
                "so that a reply or forward does not fire it."
            ),
        },
    )
    encrypt_header_trigger: str = field(
        default="X-Mailseal-Encrypt",
        metadata={
            "pairing": Pairing.SENDER,
            "strength": Strength.FIXED,
            "help": (
                "A header field that makes encryption mandatory: `Name` (it is there) or `Name: pattern` (an RE2 "
                "pattern is found in its value). Empty: off."
            ),
        },
    )
    sign_header_trigger: str = field(
        default="X-Mailseal-Sign",
        metadata={
            "pairing": Pairing.SENDER,
            "strength": Strength.FIXED,
            "help": "A header field that asks for a signature, written like `encrypt_header_trigger`. Empty: off.",
        },
    )
    skip_calendar: bool = field(
        default=False,
        metadata={
            "pairing": Pairing.BOTH,
            "strength": Strength.LOWER,
            "help": (
                "Send meeting invitations without protection, because calendars cannot read protected ones. Never "
                "when the mail must be encrypted."
            ),
        },
    )
    additional_certificates: tuple[str, ...] = field(
        default=(),
        metadata={
            "pairing": Pairing.UNION,
            "strength": Strength.SUPERSET,
            "help": "Certificates (SHA-256 fingerprints) to which every encrypted mail is encrypted as well.",
            "unit": "SHA-256, hexadecimal",
        },
    )
    revocation_unknown: RevocationUnknown = field(
        default=RevocationUnknown.USABLE,
        metadata={
            "pairing": Pairing.EITHER,
            "strength": Strength.HIGHER,
            "help": "Whether a certificate may be used when its revocation cannot be looked up.",
        },
    )
    legacy_subject_email: bool = field(
        default=False,
        metadata={
            "pairing": Pairing.BOTH,
            "strength": Strength.LOWER,
            "help": "Believe an address in the subject of a certificate that has none in its alternative name.",
        },
    )
    subject_tags: bool = field(
        default=False,
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.FIXED,
            "help": "Show the result of opening a mail as tags in its subject.",
        },
    )
    tag_decrypted: str = field(
        default="[decrypted]",
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.FIXED,
            "help": "Subject tag of a mail that came encrypted.",
        },
    )
    tag_signed_by: str = field(
        default="[signed by {signer}]",
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.FIXED,
            "help": (
                "Subject tag of a mail with a good signature by its sender; `{signer}` stands for the signer's address."
            ),
        },
    )
    tag_signed_mismatch: str = field(
        default="[signed by {signer}, not by the sender]",
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.FIXED,
            "help": "Subject tag of a mail with a good signature by someone other than its sender.",
        },
    )
    tag_invalid: str = field(
        default="[invalid signature]",
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.FIXED,
            "help": "Subject tag of a mail with a signature that is not good.",
        },
    )
    remove_signature: bool = field(
        default=False,
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.FIXED,
            "help": "Take signatures off incoming mail after they have been checked.",
        },
    )
    log_subject: bool = field(
        default=False,
        metadata={
            "pairing": Pairing.BOTH,
            "strength": Strength.LOWER,
            "help": "Keep the subject in the message log.",
        },
    )


SETTINGS: tuple[SettingInfo, ...] = tuple(
    SettingInfo(name=one.name, type=type(one.default), default=one.default, **one.metadata) for one in fields(Settings)
)
