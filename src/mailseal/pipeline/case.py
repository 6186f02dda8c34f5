"""What of the protect path is needed to tell people about one recipient's copy, once its fate is known."""

from dataclasses import dataclass

from mailseal.mail.address import Address
from mailseal.policy.model import Finding
from mailseal.policy.settings import Settings


@dataclass(frozen=True, slots=True)
class Case:
    """The combined settings and all findings of a copy. `sender`: who may be told; None: it is none of ours."""

    policy: Settings
    findings: tuple[Finding, ...]
    sender: Address | None
