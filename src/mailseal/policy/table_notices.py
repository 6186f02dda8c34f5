"""The settings of the mails that Mailseal itself writes (docs/notices.md)."""

from dataclasses import dataclass

from mailseal.policy.notice_kind import NoticeKind
from mailseal.policy.setting_info import Pairing, Strength, row
from mailseal.policy.table_dlp import DlpSettings

HELD = (NoticeKind.DLP_QUARANTINE, NoticeKind.MUST_ENCRYPT_HELD, NoticeKind.AMBIGUOUS_HELD)
FOR_MANAGERS = (NoticeKind.DLP_WARN, NoticeKind.DLP_BLOCK, *HELD, NoticeKind.EXPIRES_SOON)
FOR_SENDER = (
    NoticeKind.DLP_WARN,
    NoticeKind.DLP_BLOCK,
    *HELD,
    NoticeKind.RELEASED,
    NoticeKind.DELETED,
    NoticeKind.EXPIRED,
)


@dataclass(frozen=True, slots=True)
class NoticeSettings(DlpSettings):
    """Who is told of what, and how. How a notice looks is a matter of its reader's settings."""

    dlp_managers: tuple[str, ...] = row(
        Pairing.UNION,
        Strength.SUPERSET,
        "The addresses that look after data leak prevention and the quarantine: they get the notices of "
        "`notify_managers`. Only internal ones, unless `notify_outside_managers` is set.",
        default=(),
        unit="addresses",
    )
    notify_outside_managers: bool = row(
        Pairing.SENDER,
        Strength.LOWER,
        "Addresses of `dlp_managers` that are not internal get notices too: they say who has written to whom, and what "
        "was found.",
        default=False,
    )
    notify_managers: tuple[str, ...] = row(
        Pairing.SENDER,
        Strength.SUPERSET,
        "What `dlp_managers` are told of.",
        default=FOR_MANAGERS,
        unit="kinds of notice",
    )
    notify_sender: tuple[str, ...] = row(
        Pairing.SENDER,
        Strength.SUPERSET,
        "What the sender of a mail is told of, if internal and authorised; no other sender is ever told anything.",
        default=FOR_SENDER,
        unit="kinds of notice",
    )
    notify_recipient: tuple[str, ...] = row(
        Pairing.RECIPIENT,
        Strength.SUPERSET,
        "What an internal recipient is told of, of mail that was held: `released`, `deleted`, `expired`.",
        default=(),
        unit="kinds of notice",
    )
    notice_subject: bool = row(
        Pairing.BOTH,
        Strength.LOWER,
        "Notices say the subject of the mail that they are about, unless something was found in that.",
        default=False,
    )
    notice_from: str = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "The From address of notices to this reader; a notice is signed with what this address has. Empty: postmaster "
        "at the reader's domain, or at this gateway for a reader who is not internal.",
        default="",
        unit="address",
    )
    notice_envelope_from: str = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "The envelope sender of notices: who is told when one cannot be delivered. Empty: the null sender, nobody.",
        default="",
        unit="address",
    )
    notice_language: str = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "The language of notices to this reader: `en`, `de`, or one that was added (`mailseal notice languages`).",
        default="en",
    )
    notices_per_hour: int = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "How many notices of one kind a reader gets in an hour. What is more comes together in the last of them, or "
        "later in one.",
        default=10,
        unit="mails",
        lowest=1,
        highest=1000,
    )
