"""The PowerShell that Exchange Online needs: a connector each way, and rules that decide what takes them.

Made of parameters that the module ExchangeOnlineManagement documents. Any exception of a rule keeps mail from it, while
its conditions hold together. So what has been here is known by rules of its own, with two conditions: no user can meet
both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailseal.errors import PermanentError
from mailseal.pipeline.loop import NAME as LOOP_HEADER

TO_GATEWAY = "Mailseal: to the gateway"
FROM_GATEWAY = "Mailseal: from the gateway"
RETURNED_IN = "Mailseal 1: incoming, opened"
RETURNED_OUT = "Mailseal 2: outgoing, protected"
OUTGOING = "Mailseal 3: outgoing, to the gateway"
INCOMING = "Mailseal 4: incoming, to the gateway"
SPAM_LEVEL = 5
"""From this spam confidence level on mail goes to quarantine or junk at once; it need not be opened for that."""

_RULES = (RETURNED_IN, RETURNED_OUT, OUTGOING, INCOMING)
"""In the order in which they have to stand."""
_MARK = "'X-Mailseal-Returned'"
"""A rule has to do something besides ending the processing of rules."""
_NOT_YET = "-SetAuditSeverity DoNotAudit -Mode Enforce -Enabled $false"
_QUOTES = "'\u2018\u2019\u201a\u201b"
"""Each of them ends a quoted string in PowerShell (about_Quoting_Rules), unless it stands twice."""


class ScriptError(PermanentError):
    """A value that does not go into a script."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What Exchange Online is told of this gateway.

    `name`: in its certificate; `by_certificate`: it shows that one as a client, so that the connector knows it by it.
    """

    name: str
    addresses: Sequence[str]
    by_certificate: bool


def quoted(text: str) -> str:
    """A PowerShell string with nothing in it that is expanded; raises ScriptError for control characters."""
    if not text.isprintable():
        raise ScriptError("a value for PowerShell has a control character")
    return "'" + "".join(one * 2 if one in _QUOTES else one for one in text) + "'"


def setup(gateway: Gateway, tenants: Sequence[str], domains: Sequence[str]) -> str:
    """The script that sets everything up; the rules are enabled last, so that until then nothing changes."""
    lines = [
        *_head(gateway, domains),
        "$ErrorActionPreference = 'Stop'",
        "Connect-ExchangeOnline",
        f"if (-not (Get-ConnectionInformation | Where-Object {{ $_.TenantID -in @({_several(tenants)}) }})) {{",
        "    throw 'This is another tenant than the gateway takes mail from.'",
        "}",
        *_connectors(gateway),
        *_rules_for_what_returns(gateway),
        *_rules_that_lead_here(domains),
        "",
        "# From here on mail goes through the gateway.",
        *[f"Enable-TransportRule -Identity {quoted(rule)}" for rule in _RULES],
        "",
        *_notes(gateway),
        "# To undo all of it (`mailseal profile office365 --undo` prints these lines alone):",
        *[f"# {line}" for line in _undo()],
    ]
    return "\n".join(lines) + "\n"


def undo() -> str:
    """The script that takes everything away: first the rules, so that none leads mail to a connector that is gone."""
    return "\n".join(["$ErrorActionPreference = 'Stop'", "Connect-ExchangeOnline", *_undo()]) + "\n"


def _undo() -> Sequence[str]:
    rules = [f"Remove-TransportRule -Identity {quoted(one)} -Confirm:$false" for one in reversed(_RULES)]
    return (
        *rules,
        f"Remove-OutboundConnector -Identity {quoted(TO_GATEWAY)} -Confirm:$false",
        f"Remove-InboundConnector -Identity {quoted(FROM_GATEWAY)} -Confirm:$false",
    )


def _connectors(gateway: Gateway) -> Iterator[str]:
    yield ""
    yield "# To the gateway, for what a rule sends there and nothing else. Its certificate has to name it."
    yield from _command(
        "New-OutboundConnector",
        f"-Name {quoted(TO_GATEWAY)}",
        "-ConnectorType OnPremises",
        f"-UseMXRecord $false -SmartHosts {quoted(gateway.name)}",
        f"-TlsSettings DomainValidation -TlsDomain {quoted(gateway.name)}",
        "-IsTransportRuleScoped $true -RouteAllMessagesViaOnPremises $false",
        "-CloudServicesMailEnabled $false -Enabled $true",
    )
    known_by = (
        f"-TlsSenderCertificateName {quoted(gateway.name)}"
        if gateway.by_certificate
        else f"-SenderIPAddresses {_several(gateway.addresses)}"
    )
    yield ""
    yield from _why_known(gateway)
    yield from _command(
        "New-InboundConnector",
        f"-Name {quoted(FROM_GATEWAY)}",
        "-ConnectorType OnPremises -SenderDomains '*'",
        f"-RequireTls $true {known_by}",
        "-CloudServicesMailEnabled $false -Enabled $true",
    )


def _rules_for_what_returns(gateway: Gateway) -> Iterator[str]:
    yield ""
    yield "# Mail that comes from the gateway's address and has its loop header goes on its way. Both have to be: a"
    yield "# user can write the header, and users may share the address. Incoming mail was not spam when it went there."
    yield from _returned(gateway, RETURNED_IN, "-SentToScope InOrganization", "-SetSCL '-1'")
    mark = f"-SetHeaderName {_MARK} -SetHeaderValue 'yes'"
    yield from _returned(gateway, RETURNED_OUT, "-SentToScope NotInOrganization", mark)


def _rules_that_lead_here(domains: Sequence[str]) -> Iterator[str]:
    to_gateway = f"-RouteMessageOutboundConnector {quoted(TO_GATEWAY)}"
    yield ""
    yield "# Mail of our users to others: to the gateway, which protects it and gives it back."
    yield from _command(
        "New-TransportRule",
        f"-Name {quoted(OUTGOING)}",
        "-FromScope InOrganization -SentToScope NotInOrganization",
        f"-SenderDomainIs {_several(domains)}",
        to_gateway,
        _NOT_YET,
    )
    yield ""
    yield "# Mail of others to our users: to the gateway, which opens it and gives it back."
    yield from _command(
        "New-TransportRule",
        f"-Name {quoted(INCOMING)}",
        "-FromScope NotInOrganization -SentToScope InOrganization",
        f"-RecipientDomainIs {_several(domains)}",
        f"-ExceptIfSCLOver '{SPAM_LEVEL}'",
        to_gateway,
        _NOT_YET,
    )


def _returned(gateway: Gateway, name: str, scope: str, action: str) -> Sequence[str]:
    return _command(
        "New-TransportRule",
        f"-Name {quoted(name)}",
        f"-SenderIpRanges {_several(gateway.addresses)} {scope}",
        f"-HeaderMatchesMessageHeader {quoted(LOOP_HEADER)} -HeaderMatchesPatterns {quoted('^v=1; t=[0-9]+; m=')}",
        f"{action} -StopRuleProcessing $true",
        _NOT_YET,
    )


def _head(gateway: Gateway, domains: Sequence[str]) -> Sequence[str]:
    return (
        f"# Connectors and rules of Exchange Online for {', '.join(domains)} with the gateway {gateway.name}.",
        "# Run it in PowerShell with the module ExchangeOnlineManagement, as an Exchange administrator. It stops at",
        "# the first error; nothing is sent another way before its last commands enable the rules. Keep these rules",
        "# the last ones, in this order: the first two end the processing of rules for mail that comes back.",
        "",
    )


def _why_known(gateway: Gateway) -> Sequence[str]:
    if gateway.by_certificate:
        return (
            "# From the gateway, which is known by the name in its client certificate. It may relay to the internet if",
            "# that name is in an accepted domain of the tenant.",
        )
    return (
        "# From the gateway, which is known by its address alone. Then Exchange Online relays to the internet only",
        "# mail with a sender in an accepted domain; reports and what users forward are refused (5.7.64).",
        "# Better: give `office365.return_to` a certificate whose name is in an accepted domain.",
    )


def _notes(gateway: Gateway) -> Sequence[str]:
    return (
        "# SPF: mail leaves by Exchange Online, so include:spf.protection.outlook.com is what the domains need;",
        f"#      {', '.join(gateway.addresses)} need not be in the record.",
        "# DKIM: Exchange Online signs what it sends (Set-DkimSigningConfig); the gateway's signature stays beside it.",
        "# Check: Get-MessageTrace, and on the gateway `mailseal profile office365 --check` and `mailseal log`.",
        "",
    )


def _command(name: str, *parameters: str) -> Sequence[str]:
    return (f"{name} `", *(f"    {one} `" for one in parameters[:-1]), f"    {parameters[-1]}")


def _several(values: Sequence[str]) -> str:
    return ", ".join(quoted(one) for one in values)
