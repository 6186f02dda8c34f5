"""The settings of DKIM, ARC and Authentication-Results."""

from dataclasses import dataclass

from mailseal.policy.setting_info import Pairing, Strength, row
from mailseal.policy.table_pgp import PgpSettings


@dataclass(frozen=True, slots=True)
class DkimSettings(PgpSettings):
    """What counts for the signatures of domains."""

    dkim_sign: bool = row(
        Pairing.BOTH,
        Strength.HIGHER,
        "Sign outgoing mail of authorised internal senders for the domain of its From address (DKIM), if that or a "
        "domain above it has a key that is enabled (`mailseal dkim`).",
        default=True,
    )
    dkim_valid_days: int = row(
        Pairing.SENDER,
        Strength.FIXED,
        "For how many days a DKIM signature counts. 0: for ever.",
        default=0,
        unit="days",
        lowest=0,
        highest=365,
    )
    authentication_results: bool = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "Before a mail from outside is changed (opened, tagged), check its DKIM signatures and its ARC chain, and put "
        "the result in an Authentication-Results field. Mail that stays as it is, marks above it or not, keeps its "
        "signatures and gets none.",
        default=True,
    )
    arc_seal: bool = row(
        Pairing.RECIPIENT,
        Strength.FIXED,
        "Seal a mail from outside that was changed, with what `authentication_results` has found (ARC), if the "
        "recipient's domain, or that of this gateway, has a key that is enabled (`mailseal dkim`).",
        default=True,
    )
