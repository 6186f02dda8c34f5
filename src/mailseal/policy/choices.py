"""The values that settings of a closed list can have."""

from enum import StrEnum


class Mode(StrEnum):
    """Whether mail is encrypted, weakest first."""

    NEVER = "never"
    ALLOW = "allow"
    FORCE = "force"
    MANDATORY = "mandatory"


class OnFailure(StrEnum):
    """What becomes of a mail that must be encrypted and cannot be, weakest first. It is never sent in clear."""

    NOTIFY = "notify"
    QUARANTINE = "quarantine"
    REFUSE = "refuse"


class OnGap(StrEnum):
    """What follows when something in a mail cannot be read, weakest first: as of a pattern that is found."""

    IGNORE = "ignore"
    WARN = "warn"
    MUST_ENCRYPT = "must-encrypt"
    QUARANTINE = "quarantine"
    BLOCK = "block"


class Cipher(StrEnum):
    """Content encryption of S/MIME that we write (RFC 3565, RFC 5084): GCM also guards against changes."""

    AES128_CBC = "aes128-cbc"
    AES192_CBC = "aes192-cbc"
    AES256_CBC = "aes256-cbc"
    AES128_GCM = "aes128-gcm"
    AES192_GCM = "aes192-gcm"
    AES256_GCM = "aes256-gcm"


class Digest(StrEnum):
    """Digest of S/MIME signatures (RFC 5754), weakest first."""

    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


class KeyTransport(StrEnum):
    """How the content key is encrypted to an RSA key (RFC 3370 §4.2.1, RFC 3560), weakest first."""

    PKCS1V15 = "pkcs1v15"
    OAEP_SHA1 = "oaep-sha1"
    OAEP_SHA256 = "oaep-sha256"
    OAEP_SHA384 = "oaep-sha384"
    OAEP_SHA512 = "oaep-sha512"


class RsaSignature(StrEnum):
    """Padding of signatures by an RSA key (RFC 8017 §8), weakest first."""

    PKCS1V15 = "pkcs1v15"
    PSS = "pss"


class CipherChoice(StrEnum):
    """A cipher, or the strongest that all readers of a ciphertext can read."""

    AUTO = "auto"
    AES128_CBC = "aes128-cbc"
    AES192_CBC = "aes192-cbc"
    AES256_CBC = "aes256-cbc"
    AES128_GCM = "aes128-gcm"
    AES192_GCM = "aes192-gcm"
    AES256_GCM = "aes256-gcm"


class DigestChoice(StrEnum):
    """A digest, or the strongest that all readers can check."""

    AUTO = "auto"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


class KeyTransportChoice(StrEnum):
    """A key transport, or the strongest that all readers can read."""

    AUTO = "auto"
    PKCS1V15 = "pkcs1v15"
    OAEP_SHA1 = "oaep-sha1"
    OAEP_SHA256 = "oaep-sha256"
    OAEP_SHA384 = "oaep-sha384"
    OAEP_SHA512 = "oaep-sha512"


class RsaSignatureChoice(StrEnum):
    """An RSA signature padding, or PSS where all readers can check it."""

    AUTO = "auto"
    PKCS1V15 = "pkcs1v15"
    PSS = "pss"


class CipherBits(StrEnum):
    """Length of a content key, weakest first."""

    BITS_128 = "128"
    BITS_192 = "192"
    BITS_256 = "256"


class SmimeProfile(StrEnum):
    """What `auto` comes to in the S/MIME settings."""

    DEFAULT = "default"
    EDI = "edi"


class RevocationUnknown(StrEnum):
    """What a certificate is worth whose revocation cannot be looked up, weakest first."""

    USABLE = "usable"
    UNUSABLE = "unusable"


class NewKey(StrEnum):
    """What a certificate is worth that came with a mail and brings another key for a known address, weakest first."""

    USABLE = "usable"
    UNUSABLE = "unusable"


class PgpFormat(StrEnum):
    """Where OpenPGP puts a mail: around its MIME entity (RFC 3156), or into its text."""

    MIME = "mime"
    INLINE = "inline"


class PgpCompression(StrEnum):
    """Compression inside an OpenPGP message (RFC 9580 §9.4)."""

    NONE = "none"
    ZIP = "zip"
    ZLIB = "zlib"


class PgpLookup(StrEnum):
    """Whether keys are looked for on the network, and what a mail without a key does meanwhile, weakest first."""

    OFF = "off"
    BACKGROUND = "background"
    WAIT = "wait"
