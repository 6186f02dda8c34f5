"""The English text of every reason: one row per ReasonCode, `{name}` stands for a parameter."""

from collections import defaultdict
from string import Formatter

from mailseal.policy.reason import Reason, ReasonCode

TEXTS: dict[ReasonCode, str] = {
    ReasonCode.MODE_NEVER: "the mode is never: no encryption",
    ReasonCode.MODE_ALLOW: "the mode is allow: encrypted when there is a usable key",
    ReasonCode.MODE_FORCE: "the mode is force: encrypted when there is a usable key, whatever the other side says",
    ReasonCode.MODE_MANDATORY: "the mode is mandatory: must be encrypted",
    ReasonCode.TRIGGER_ENCRYPT_SUBJECT: "the subject asks for encryption by {trigger}: must be encrypted",
    ReasonCode.TRIGGER_ENCRYPT_HEADER: "a header field asks for encryption by {trigger}: must be encrypted",
    ReasonCode.TRIGGER_SIGN_SUBJECT: "the subject asks for a signature by {trigger}",
    ReasonCode.TRIGGER_SIGN_HEADER: "a header field asks for a signature by {trigger}",
    ReasonCode.FINDING: "the content has {name}: {action}",
    ReasonCode.CALENDAR_SKIPPED: "a meeting invitation, sent without protection as the settings say",
    ReasonCode.ALREADY_ENCRYPTED: "the mail came encrypted and is left alone",
    ReasonCode.ALREADY_SIGNED: "the mail came signed and is not signed again",
    ReasonCode.METHOD_OFF: "{method} is turned off",
    ReasonCode.METHOD_TOO_LARGE: "the mail is too large for {method}: the limit is {limit_bytes} octets",
    ReasonCode.METHOD_FAILED: "the encryption method failed: {detail}",
    ReasonCode.NO_CERTIFICATE: "there is no certificate for the recipient",
    ReasonCode.ADDITIONAL_CERTIFICATE_UNUSABLE: "an additional certificate cannot be used, so the mail is not for it",
    ReasonCode.CERTIFICATE_UNUSABLE: "no certificate of the recipient can be used",
    ReasonCode.NO_USABLE_METHOD: "no encryption method can be used for the recipient",
    ReasonCode.MUST_ENCRYPT_FAILED: "the mail must be encrypted and cannot be, so it was not sent",
    ReasonCode.PROTECTED_BY: "encrypted by {method}",
    ReasonCode.SENT_CLEAR: "sent without encryption",
    ReasonCode.LOOKUP_RUNNING: "keys of the recipient are being looked for; the mail waits for them",
    ReasonCode.SIGNED_BY: "signed by {method} with the certificate {fingerprint}",
    ReasonCode.SIGNING_OFF: "signing is turned off for the sender",
    ReasonCode.SIGN_ONLY_WHEN_ENCRYPTING: "not signed: only encrypted mail is to be signed",
    ReasonCode.NO_SIGNING_KEY: "not signed: there is no usable key of the sender",
    ReasonCode.NO_SIGNING_IDENTITY: "not signed: the sender is not an internal address",
    ReasonCode.ORIGIN_OUTSIDE: "not signed, triggers not looked at: the mail is not from an authorised internal sender",
    ReasonCode.CERTIFICATE_EXPIRED: "the certificate has expired",
    ReasonCode.CERTIFICATE_NOT_YET_VALID: "the certificate is not valid yet",
    ReasonCode.CERTIFICATE_REVOKED: "the certificate is revoked",
    ReasonCode.CERTIFICATE_REVOCATION_UNKNOWN: "it is not known whether the certificate is revoked",
    ReasonCode.CERTIFICATE_UNTRUSTED: "the certificate does not lead to a trusted root",
    ReasonCode.CERTIFICATE_DENIED: "the certificate is on the deny list",
    ReasonCode.CERTIFICATE_WRONG_USAGE: "the certificate is not made for this use",
    ReasonCode.CERTIFICATE_WRONG_ADDRESS: "the certificate does not name the address",
    ReasonCode.CERTIFICATE_UNSUPPORTED_KEY: "the key of the certificate is of an unsupported kind",
    ReasonCode.CERTIFICATE_NEW_KEY: "the certificate has a new key for a known address and nobody has accepted it yet",
    ReasonCode.NO_PGP_KEY: "there is no OpenPGP key for the recipient",
    ReasonCode.PGP_KEY_EXPIRED: "the OpenPGP key has expired",
    ReasonCode.PGP_KEY_NOT_YET_VALID: "the OpenPGP key is not valid yet",
    ReasonCode.PGP_KEY_REVOKED: "the OpenPGP key is revoked",
    ReasonCode.PGP_KEY_UNTRUSTED: "nobody has said that the OpenPGP key is to be trusted",
    ReasonCode.PGP_KEY_DISTRUSTED: "the OpenPGP key is marked as not to be trusted",
    ReasonCode.PGP_KEY_UNBOUND: "the OpenPGP key has no self-signature that can be believed",
    ReasonCode.PGP_KEY_WEAK: "the OpenPGP key is signed by its owner with an algorithm that is too weak to be believed",
    ReasonCode.PGP_KEY_DISPUTED: "readers of the OpenPGP key do not agree that it may be used",
    ReasonCode.PGP_KEY_UNSUPPORTED: "the OpenPGP key is of an unsupported kind",
    ReasonCode.PGP_KEY_WRONG_ADDRESS: "the OpenPGP key does not name the address",
    ReasonCode.PGP_KEY_NO_ENCRYPTION_SUBKEY: "no part of the OpenPGP key can be encrypted to now",
    ReasonCode.PGP_KEY_NO_SIGNING_SUBKEY: "no part of the OpenPGP key can sign now",
    ReasonCode.NOTHING_TO_OPEN: "the mail came without protection",
    ReasonCode.OPENED: "the protection of the mail was opened",
    ReasonCode.KEY_NOT_FOUND: "not decrypted: the recipient has none of the keys that it is encrypted to",
    ReasonCode.DECRYPTION_FAILED: "not decrypted: the encrypted content is damaged",
    ReasonCode.NO_INTEGRITY: "not decrypted: anybody may have changed the encrypted content, which nothing protects",
    ReasonCode.DECRYPTION_OFF: "not decrypted: the method is turned off for the recipient",
    ReasonCode.CIPHER_OFF: "not decrypted: reading {algorithm} is turned off for the recipient",
    ReasonCode.ENCRYPTION_WEAK: "the mail was encrypted with {algorithm}, which is weak",
    ReasonCode.SIGNATURE_INVALID: "the signature is not valid",
    ReasonCode.SIGNATURE_WEAK: "the signature uses an algorithm that is too weak to be believed",
    ReasonCode.SIGNATURE_EXPIRED: "the signature has expired",
    ReasonCode.SIGNER_CERTIFICATE_MISSING: "the certificate of the signer is missing",
    ReasonCode.SIGNER_KEY_UNKNOWN: "the key of the signer is not known",
    ReasonCode.SIGNER_KEY_EXPIRED: "the key of the signer has expired, or had when it signed",
    ReasonCode.SIGNER_KEY_NOT_YET_VALID: "the key of the signer was not valid yet when it signed, as far as is known",
    ReasonCode.SIGNER_KEY_REVOKED: "the key of the signer is revoked",
    ReasonCode.SIGNER_KEY_UNTRUSTED: "nobody has said that the key of the signer is to be trusted",
    ReasonCode.SIGNATURE_FOR_OTHERS: "the signature says that it was made for other recipients",
    ReasonCode.SIGNER_KEY_UNFIT: "the key of the signer is not made for signing, or is too weak to be believed",
    ReasonCode.SIGNER_NOT_FROM: "the signer is not the sender in From",
    ReasonCode.MANY_FROM: "the mail names several senders in From",
    ReasonCode.NOT_WHOLE_MESSAGE: "the protection does not cover the whole message",
    ReasonCode.NO_SIGNERS: "the signed structure has no signature",
    ReasonCode.TOO_MANY_SIGNERS: "there are more signers than are judged for one mail",
    ReasonCode.UNSUPPORTED_ALGORITHM: "an algorithm is not supported",
    ReasonCode.MALFORMED: "the structure of the protected content is broken",
    ReasonCode.TOO_DEEP: "the layers are nested too deep",
    ReasonCode.TOO_LARGE: "the content is too large to be opened",
    ReasonCode.MESSAGE_UNREADABLE: "the message cannot be read as a mail",
    ReasonCode.TOO_MANY_HOPS: "too many hops: the mail goes round in a loop",
    ReasonCode.RELAY_DENIED: "mail from outside to the outside is not relayed",
    ReasonCode.NEXT_HOP_REPLIED: "the next mail server ({hop}) answered {code}",
    ReasonCode.RELAYED_WITHOUT_DSN: "the next mail server ({hop}) gives no reports of success; the sender is told",
    ReasonCode.NEXT_HOP_UNAVAILABLE: "the next mail server does not answer",
    ReasonCode.SETTLED_BEFORE: "settled at an earlier attempt",
    ReasonCode.OUT_OF_TIME: "there was no time left to process the mail; it is tried again",
    ReasonCode.TRANSIENT_FAILURE: "failed for now, it is tried again: {detail}",
    ReasonCode.UNEXPECTED_FAILURE: "an unexpected failure, it is tried again: {kind}",
    ReasonCode.REPORT_CUT: "a report to the outside: the mail it quotes was cut to its headers",
}


def render(reason: Reason) -> str:
    """The reason as one line of text; parameters that the text does not name follow in parentheses. Never raises."""
    values = defaultdict(lambda: "?", {name: _printable(value) for name, value in reason.parameters})
    template = TEXTS[reason.code]
    named = {name for _, name, _, _ in Formatter().parse(template)}
    more = ", ".join(f"{name} {_printable(value)}" for name, value in reason.parameters if name not in named)
    text = template.format_map(values)
    return f"{text} ({more})" if more else text


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text)
