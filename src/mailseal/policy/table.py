"""Every setting: its type, default, unit, help, how sender's and recipient's values combine, and what is weaker.

This table is the only place where a setting is described: parsing, combining, locking, the reference page and the
command line read it. See docs/policy.md, which is written from it.
"""

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any


class Mode(StrEnum):
    """Whether mail is encrypted, weakest first."""

    NEVER = "never"
    ALLOW = "allow"
    FORCE = "force"
    MANDATORY = "mandatory"


class OnFailure(StrEnum):
    """What becomes of a mail that must be encrypted and cannot be, weakest first. It is never sent in clear."""

    NOTIFY = "notify"
    REFUSE = "refuse"


class Cipher(StrEnum):
    """Content encryption of S/MIME (RFC 3565, RFC 5084), weakest first: GCM also guards against changes."""

    AES128_CBC = "aes128-cbc"
    AES256_CBC = "aes256-cbc"
    AES128_GCM = "aes128-gcm"
    AES256_GCM = "aes256-gcm"


class Digest(StrEnum):
    """Digest of S/MIME signatures (RFC 5754), weakest first."""

    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


class RevocationUnknown(StrEnum):
    """What a certificate is worth whose revocation cannot be looked up, weakest first."""

    USABLE = "usable"
    UNUSABLE = "unusable"


class Pairing(StrEnum):
    """How the sender's and the recipient's value make the one that counts."""

    MODE = "mode"
    BOTH = "both"
    EITHER = "either"
    SMALLER = "smaller"
    UNION = "union"
    RECIPIENT = "recipient"
    SENDER = "sender"


class Strength(StrEnum):
    """Which of two values protects more; decides what may change a locked value and which of two senders wins."""

    HIGHER = "higher"  # yes, a larger number, a later name in the list of values
    LOWER = "lower"  # no
    SUPERSET = "superset"  # all of the other's and more
    FIXED = "fixed"  # no order: a locked value cannot be changed at all


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """One row of the table. `lowest` and `highest` bound a number."""

    name: str
    type: type
    default: Any
    pairing: Pairing
    strength: Strength
    help: str
    unit: str = ""
    lowest: int = 0
    highest: int = 0


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
    smime_cipher: Cipher = field(
        default=Cipher.AES256_CBC,
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.HIGHER,
            "help": "Cipher of S/MIME encryption. Not every mail program reads GCM.",
        },
    )
    smime_digest: Digest = field(
        default=Digest.SHA256,
        metadata={
            "pairing": Pairing.RECIPIENT,
            "strength": Strength.HIGHER,
            "help": "Digest of S/MIME signatures.",
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
