"""The seven built-in roles. What each of them may do is `mailseal.web.access`."""

from enum import StrEnum


class Role(StrEnum):
    """What an account is for; one may have several."""

    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"
    HELP_DESK = "help-desk"
    PKI = "pki"
    DLP_OFFICER = "dlp-officer"
    QUARANTINE_REVIEWER = "quarantine-reviewer"
    DOMAIN_ADMINISTRATOR = "domain-administrator"
