"""The settings of all mail, whatever the method: mode, signing, triggers, subject tags, log."""

from dataclasses import dataclass

from mailseal.policy.choices import Mode, OnFailure
from mailseal.policy.setting_info import Pairing, Strength, row


@dataclass(frozen=True, slots=True)
class GeneralSettings:
    """What counts for every method."""

    mode: Mode = row(
        Pairing.MODE,
        Strength.HIGHER,
        "Whether mail to outside recipients is encrypted: `never`; `allow` (when there is a usable key); `force` (as "
        "`allow`, even if the other side says `never`); `mandatory` (never sent in clear).",
        default=Mode.ALLOW,
    )
    on_failure: OnFailure = row(
        Pairing.SENDER,
        Strength.HIGHER,
        "What becomes of a mail that must be encrypted and cannot be: `refuse` (550), `quarantine` (accepted and held "
        "until somebody decides) or `notify` (accepted, not sent on, the sender gets a report; a null sender gets "
        "`refuse`). A sender outside always gets `refuse`.",
        default=OnFailure.REFUSE,
    )
    sign: bool = row(
        Pairing.SENDER,
        Strength.HIGHER,
        "Sign outgoing mail when the sender has a usable key.",
        default=True,
    )
    sign_only_when_encrypting: bool = row(
        Pairing.EITHER,
        Strength.HIGHER,
        "Sign only mail that is also encrypted, unless the sender asks for a signature by a trigger.",
        default=False,
    )
    encrypt_subject_trigger: str = row(
        Pairing.SENDER,
        Strength.FIXED,
        "A keyword (whole words, in any case), or a pattern, in the subject that makes encryption mandatory for this "
        "mail. Empty: off. Counts only for authorised internal senders.",
        default="[encrypt]",
    )
    sign_subject_trigger: str = row(
        Pairing.SENDER,
        Strength.FIXED,
        "A keyword, or a pattern, in the subject that asks for a signature. Empty: off.",
        default="",
    )
    subject_trigger_is_pattern: bool = row(
        Pairing.SENDER,
        Strength.FIXED,
        "The two subject triggers are RE2 patterns instead of keywords.",
        default=False,
    )
    remove_subject_trigger: bool = row(
        Pairing.SENDER,
        Strength.FIXED,
        "Take the trigger out of the subject of outgoing mail. From incoming mail it is always taken out, so that a "
        "reply or forward does not fire it.",
        default=True,
    )
    encrypt_header_trigger: str = row(
        Pairing.SENDER,
        Strength.FIXED,
        "A header field that makes encryption mandatory: `Name` (it is there) or `Name: pattern` (an RE2 pattern is "
        "found in its value). Empty: off.",
        default="X-Mailseal-Encrypt",
    )
    sign_header_trigger: str = row(
        Pairing.SENDER,
        Strength.FIXED,
        "A header field that asks for a signature, written like `encrypt_header_trigger`. Empty: off.",
        default="X-Mailseal-Sign",
    )
    skip_calendar: bool = row(
        Pairing.BOTH,
        Strength.LOWER,
        "Send meeting invitations without protection, because calendars cannot read protected ones. Never when the "
        "mail must be encrypted.",
        default=False,
    )
    subject_tags: bool = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "Show the result of opening a mail as tags in its subject.",
        default=False,
    )
    tag_decrypted: str = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "Subject tag of a mail that came encrypted.",
        default="[decrypted]",
    )
    tag_signed_by: str = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "Subject tag of a mail with a good signature by its sender; `{signer}` stands for the signer's address.",
        default="[signed by {signer}]",
    )
    tag_signed_mismatch: str = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "Subject tag of a mail with a good signature by someone other than its sender.",
        default="[signed by {signer}, not by the sender]",
    )
    tag_invalid: str = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "Subject tag of a mail with a signature that is not good.",
        default="[invalid signature]",
    )
    remove_signature: bool = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "Take signatures off incoming mail after they have been checked.",
        default=False,
    )
    log_subject: bool = row(
        Pairing.BOTH,
        Strength.LOWER,
        "Keep the subject in the message log.",
        default=False,
    )
