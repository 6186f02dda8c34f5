"""Why: the closed list of reasons for everything decided, each a code with parameters, rendered for people.

A reason is logged per recipient, shown by `explain` and in the console: the same value everywhere.
"""

from dataclasses import dataclass
from enum import StrEnum


class ReasonCode(StrEnum):
    """The closed list. Each code has one row in `TEXTS`."""

    # protect path: what is wanted
    MODE_NEVER = "mode-never"
    MODE_ALLOW = "mode-allow"
    MODE_FORCE = "mode-force"
    MODE_MANDATORY = "mode-mandatory"
    TRIGGER_ENCRYPT_SUBJECT = "trigger-encrypt-subject"
    TRIGGER_ENCRYPT_HEADER = "trigger-encrypt-header"
    TRIGGER_SIGN_SUBJECT = "trigger-sign-subject"
    TRIGGER_SIGN_HEADER = "trigger-sign-header"
    FINDING = "finding"
    HELD = "held"
    HELD_BEFORE = "held-before"
    AMBIGUOUS = "ambiguous"
    NOTICE_NOT_KEPT = "notice-not-kept"
    RELEASED = "released"
    RELEASED_ENCRYPTED = "released-encrypted"
    RELEASED_AS_IS = "released-as-is"
    CALENDAR_SKIPPED = "calendar-skipped"
    ALREADY_ENCRYPTED = "already-encrypted"
    ALREADY_SIGNED = "already-signed"
    BEEN_THROUGH = "been-through"
    # protect path: what is possible
    METHOD_OFF = "method-off"
    METHOD_TOO_LARGE = "method-too-large"
    METHOD_FAILED = "method-failed"
    NO_CERTIFICATE = "no-certificate"
    ADDITIONAL_CERTIFICATE_UNUSABLE = "additional-certificate-unusable"
    CERTIFICATE_UNUSABLE = "certificate-unusable"
    NO_USABLE_METHOD = "no-usable-method"
    MUST_ENCRYPT_FAILED = "must-encrypt-failed"
    PROTECTED_BY = "protected-by"
    SENT_CLEAR = "sent-clear"
    LOOKUP_RUNNING = "lookup-running"
    # protect path: signing
    SIGNED_BY = "signed-by"
    SIGNING_OFF = "signing-off"
    SIGN_ONLY_WHEN_ENCRYPTING = "sign-only-when-encrypting"
    NO_SIGNING_KEY = "no-signing-key"
    NO_SIGNING_IDENTITY = "no-signing-identity"
    ORIGIN_OUTSIDE = "origin-outside"
    FROM_NOT_ALLOWED = "from-not-allowed"
    # a certificate, and why it may not be used
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_YET_VALID = "certificate-not-yet-valid"
    CERTIFICATE_REVOKED = "certificate-revoked"
    CERTIFICATE_REVOCATION_UNKNOWN = "certificate-revocation-unknown"
    CERTIFICATE_UNTRUSTED = "certificate-untrusted"
    CERTIFICATE_DENIED = "certificate-denied"
    CERTIFICATE_WRONG_USAGE = "certificate-wrong-usage"
    CERTIFICATE_WRONG_ADDRESS = "certificate-wrong-address"
    CERTIFICATE_UNSUPPORTED_KEY = "certificate-unsupported-key"
    CERTIFICATE_NEW_KEY = "certificate-new-key"
    # an OpenPGP certificate, and why it may not be used
    NO_PGP_KEY = "no-pgp-key"
    PGP_KEY_EXPIRED = "pgp-key-expired"
    PGP_KEY_NOT_YET_VALID = "pgp-key-not-yet-valid"
    PGP_KEY_REVOKED = "pgp-key-revoked"
    PGP_KEY_UNTRUSTED = "pgp-key-untrusted"
    PGP_KEY_DISTRUSTED = "pgp-key-distrusted"
    PGP_KEY_UNBOUND = "pgp-key-unbound"
    PGP_KEY_WEAK = "pgp-key-weak"
    PGP_KEY_DISPUTED = "pgp-key-disputed"
    PGP_KEY_UNSUPPORTED = "pgp-key-unsupported"
    PGP_KEY_WRONG_ADDRESS = "pgp-key-wrong-address"
    PGP_KEY_NO_ENCRYPTION_SUBKEY = "pgp-key-no-encryption-subkey"
    PGP_KEY_NO_SIGNING_SUBKEY = "pgp-key-no-signing-subkey"
    # open path
    NOTHING_TO_OPEN = "nothing-to-open"
    OPENED = "opened"
    KEY_NOT_FOUND = "key-not-found"
    DECRYPTION_FAILED = "decryption-failed"
    NO_INTEGRITY = "no-integrity"
    DECRYPTION_OFF = "decryption-off"
    CIPHER_OFF = "cipher-off"
    ENCRYPTION_WEAK = "encryption-weak"
    SIGNATURE_INVALID = "signature-invalid"
    SIGNATURE_WEAK = "signature-weak"
    SIGNATURE_EXPIRED = "signature-expired"
    SIGNER_CERTIFICATE_MISSING = "signer-certificate-missing"
    SIGNER_KEY_UNKNOWN = "signer-key-unknown"
    SIGNER_KEY_EXPIRED = "signer-key-expired"
    SIGNER_KEY_NOT_YET_VALID = "signer-key-not-yet-valid"
    SIGNER_KEY_REVOKED = "signer-key-revoked"
    SIGNER_KEY_UNTRUSTED = "signer-key-untrusted"
    SIGNATURE_FOR_OTHERS = "signature-for-others"
    SIGNER_KEY_UNFIT = "signer-key-unfit"
    SIGNER_NOT_FROM = "signer-not-from"
    MANY_FROM = "many-from"
    NOT_WHOLE_MESSAGE = "not-whole-message"
    NO_SIGNERS = "no-signers"
    TOO_MANY_SIGNERS = "too-many-signers"
    UNSUPPORTED_ALGORITHM = "unsupported-algorithm"
    MALFORMED = "malformed"
    TOO_DEEP = "too-deep"
    TOO_LARGE = "too-large"
    # either path
    MESSAGE_UNREADABLE = "message-unreadable"
    TOO_MANY_HOPS = "too-many-hops"
    RELAY_DENIED = "relay-denied"
    FOREIGN_TENANT = "foreign-tenant"
    NEXT_HOP_REPLIED = "next-hop-replied"
    RELAYED_WITHOUT_DSN = "relayed-without-dsn"
    NEXT_HOP_UNAVAILABLE = "next-hop-unavailable"
    SETTLED_BEFORE = "settled-before"
    OUT_OF_TIME = "out-of-time"
    TRANSIENT_FAILURE = "transient-failure"
    UNEXPECTED_FAILURE = "unexpected-failure"
    REPORT_CUT = "report-cut"
    DKIM_NOT_SIGNED = "dkim-not-signed"
    ARC_NOT_SEALED = "arc-not-sealed"
    # what ends here, or goes on as something else
    JOURNAL_DENIED = "journal-denied"
    JOURNAL_REPORT = "journal-report"
    JOURNAL_NOT_OPENED = "journal-not-opened"
    JOURNAL_UNREADABLE = "journal-unreadable"
    JOURNAL_KEPT = "journal-kept"
    JOURNAL_KEPT_BEFORE = "journal-kept-before"
    TLS_REPORT_TAKEN = "tls-report-taken"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. `parameters` are (name, value) pairs of text that is safe to log."""

    code: ReasonCode
    parameters: tuple[tuple[str, str], ...] = ()


def because(code: ReasonCode, /, **parameters: object) -> Reason:
    """Shorthand: `because(ReasonCode.METHOD_TOO_LARGE, method="smime", limit_bytes=52428800)`."""
    return Reason(code, tuple((name, str(value)) for name, value in parameters.items()))
