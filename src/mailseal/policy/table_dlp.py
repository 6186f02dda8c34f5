"""The settings of data leak prevention and of the quarantine."""

from dataclasses import dataclass

from mailseal.policy.choices import OnGap
from mailseal.policy.setting_info import Pairing, Strength, row
from mailseal.policy.table_dkim import DkimSettings


@dataclass(frozen=True, slots=True)
class DlpSettings(DkimSettings):
    """What counts for mail to outside recipients in which something is looked for."""

    dlp: bool = row(
        Pairing.BOTH,
        Strength.HIGHER,
        "Look for the patterns that are assigned to sender and recipient (`mailseal dlp assign`) in mail to outside "
        "recipients. Without patterns nothing is looked at, unless `dlp_without_patterns` is set.",
        default=True,
    )
    dlp_without_patterns: bool = row(
        Pairing.EITHER,
        Strength.HIGHER,
        "Read also mail that no patterns are assigned to, so that the next three settings count for it.",
        default=False,
    )
    dlp_uninspectable: OnGap = row(
        Pairing.EITHER,
        Strength.HIGHER,
        "What becomes of a mail that patterns are assigned to when something in it cannot be read at all: it is "
        "encrypted or broken, or reading it failed.",
        default=OnGap.QUARANTINE,
    )
    dlp_partial: OnGap = row(
        Pairing.EITHER,
        Strength.HIGHER,
        "The same when only some of it was read: it is too large, too deep, or can be read in several ways.",
        default=OnGap.QUARANTINE,
    )
    dlp_unknown_format: OnGap = row(
        Pairing.EITHER,
        Strength.HIGHER,
        "The same for a file of a format that is not known. What looks like text in it is read.",
        default=OnGap.WARN,
    )
    quarantine_days: int = row(
        Pairing.SENDER,
        Strength.FIXED,
        "For how many days a mail is held in the quarantine before it is deleted.",
        default=30,
        unit="days",
        lowest=1,
        highest=365,
    )
