"""Checks of TLS to other servers: does the resolver validate, is each policy kept, can MTA-STS be looked for."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config, DefaultLevel, Instance
from mailseal.discover.dns import RESOLV_CONF, Dns, DnsUnavailableError, NoAnswerError
from mailseal.postfix.tls_choice import StsMode
from mailseal.store import sts_policies, tls_policies
from mailseal.store.sts_policies import StsInfo
from mailseal.store.tls_kept import Weight, remarks
from mailseal.store.tls_policies import TlsRuleInfo

SUBJECT = "TLS policy"
ENDS_SOON = timedelta(days=2)
MAX_SHOWN = 5
_LOCAL_RESOLVER = "run a resolver that validates on this machine, such as unbound, and name it in /etc/resolv.conf"


def policies(config: Config) -> Iterator[Finding]:
    """Whether each rule is kept."""
    rules = tls_policies.list_rules()
    broken = False
    for one in rules:
        for finding in _of_rule(one, config):
            broken = True
            yield finding
    if rules and not broken:
        yield Finding(SUBJECT, Status.OK, f"{len(rules)} set, each of them kept")


def dnssec(config: Config) -> Iterator[Finding]:
    """Whether those who are asked for TLSA records prove what they say; only where somebody relies on it."""
    if config.postfix.instance is Instance.OFF or not _relies_on_dnssec(config):
        return
    yield from _validates(config, Dns((), config.dns.timeout_seconds), f"{RESOLV_CONF}, which Postfix asks")
    yield from _far_away(_servers_of(RESOLV_CONF))
    if config.dns.servers:
        yield from _validates(config, Dns(config.dns.servers, config.dns.timeout_seconds), "dns.servers")


def mta_sts(config: Config) -> Iterator[Finding]:
    """What is enforced, and what will soon not be for want of an answer."""
    if not config.tls.mta_sts or config.postfix.instance is Instance.OFF:
        return
    now = datetime.now(UTC)
    known = sts_policies.list_policies(now)
    enforced = [one for one in known if one.facts.mode is StsMode.ENFORCE]
    ending = [one for one in enforced if _ends_soon(one, now)]
    for one in ending[:MAX_SHOWN]:
        text = (
            f"the MTA-STS policy of {one.domain} ends {one.expires:%Y-%m-%d %H:%M} and cannot be fetched: {one.error}"
        )
        mend = f"`mailseal tls-policy set {one.domain} secure …` keeps it, else mail goes by tls.default then"
        yield Finding("MTA-STS", Status.WARN, text, mend)
    if enforced and not ending:
        yield Finding("MTA-STS", Status.OK, f"{len(enforced)} domains enforce it")


def _of_rule(one: TlsRuleInfo, config: Config) -> Iterator[Finding]:
    if one.rule is None:
        text = f"{one.destination}: it cannot be read; mail waits"
        yield Finding(SUBJECT, Status.FAIL, text, f"`mailseal tls-policy set '{one.destination}' …`")
        return
    for remark in remarks(one.rule, config):
        if remark.weight is not Weight.NOTE:
            yield Finding(SUBJECT, Status.FAIL, f"{one.destination}: {remark.text}", remark.what_to_do)


def _relies_on_dnssec(config: Config) -> bool:
    by_rule = any(one.rule is not None and one.rule.policy.level.by_dns for one in tls_policies.list_rules())
    return by_rule or config.tls.default is DefaultLevel.DANE or config.tls.mta_sts


def _validates(config: Config, dns: Dns, who: str) -> Iterator[Finding]:
    """By a name that is signed, and, if there is one, by a name whose signatures are wrong."""
    name = config.tls.dnssec_name
    silently = "without it dane silently is may"
    try:
        proven = dns.ns(name).authenticated
    except (NoAnswerError, DnsUnavailableError) as error:
        text = f"{who}: {error}, so nobody knows whether DNSSEC is validated; {silently}"
        yield Finding(
            "DNSSEC", Status.WARN, text, "see why it does not answer; tls.dnssec_name names another signed name"
        )
        return
    if not proven:
        text = f"{who}: does not validate DNSSEC ({name!r} is signed, and the answer has no AD flag); {silently}"
        yield Finding("DNSSEC", Status.WARN, text, _LOCAL_RESOLVER)
    elif config.tls.dnssec_bogus and _answers(dns, config.tls.dnssec_bogus):
        text = f"{who}: has an answer for {config.tls.dnssec_bogus}, whose signatures are wrong; {silently}"
        yield Finding("DNSSEC", Status.WARN, text, _LOCAL_RESOLVER)
    else:
        yield Finding("DNSSEC", Status.OK, f"{who}: validates")


def _answers(dns: Dns, name: str) -> bool:
    try:
        dns.a(name)
    except DnsUnavailableError:
        return False
    except NoAnswerError:
        return True
    return True


def _servers_of(path: Path) -> Sequence[str]:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ()
    words = [line.split() for line in lines]
    return [line[1].partition("%")[0] for line in words if len(line) > 1 and line[0] == "nameserver"]


def _far_away(servers: Sequence[str]) -> Iterator[Finding]:
    far = [one for one in servers if not _is_loopback(one)]
    if far:
        text = f"{RESOLV_CONF} names {', '.join(far)}: whoever sits between can say that DNSSEC was validated"
        yield Finding("DNSSEC", Status.WARN, text, _LOCAL_RESOLVER)


def _is_loopback(text: str) -> bool:
    try:
        return ip_address(text).is_loopback
    except ValueError:
        return False


def _ends_soon(one: StsInfo, now: datetime) -> bool:
    return bool(one.failures) and one.expires is not None and one.expires - now < ENDS_SOON
