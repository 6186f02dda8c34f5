"""Operations on TLS with other servers: policies per domain or next hop (`store.tls_policies`); MTA-STS (RFC 8461)."""

from datetime import UTC, datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field, StrictBool

from mailseal.postfix.tls_choice import StsMode
from mailseal.postfix.tls_destination import read_destination
from mailseal.postfix.tls_policy import LeastTls
from mailseal.store import console_jobs, sts_policies, tls_policies
from mailseal.store.sts_policies import StsInfo
from mailseal.store.tls_policies import MAX_COMMENT_CHARS, TlsRuleInfo
from mailseal.web.access import Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs
from mailseal.web.api.listed import TlsLevel
from mailseal.web.api.paging import ITEMS, After, Limit, Page, page
from mailseal.web.api.problem import not_found
from mailseal.web.api.shapes import Given, Shown
from mailseal.web.api.work import worked

router = Router()
_SEE, _CHANGE = needs(Area.TLS), needs(Area.TLS, Verb.CHANGE)
MAX_NAMES = 100


class TlsPolicyShown(Shown):
    """How mail to a destination is secured. `level` is null where it cannot be read: then mail waits."""

    destination: str = Field(description="A domain, `*.` and one, or a next hop `[host]:port`.")
    level: TlsLevel | None
    match: list[str] = Field(description="What the certificate has to name.")
    fingerprints: list[str] = Field(description="SHA-256 of the certificate, or of its public key.")
    min_tls: str
    sni: bool
    direct: bool = Field(description="To the domain's own MX hosts, past smart hosts.")
    comment: str
    owner: str = Field(description='A domain, whose administrators look after it; "" for everybody.')
    created: datetime


class TlsPolicyGiven(Given):
    """How mail to a destination shall be secured (docs/tls-policies.md)."""

    level: TlsLevel
    match: list[str] = Field([], max_length=MAX_NAMES, description="*.NAME: all below.")
    fingerprints: list[str] = Field([], max_length=MAX_NAMES, description="`/certificates/fingerprints` reads a file.")
    min_tls: LeastTls = LeastTls.DEFAULT
    sni: StrictBool = False
    direct: StrictBool = False
    comment: str = Field("", max_length=MAX_COMMENT_CHARS)
    owner: str = Field("", max_length=255)


class TlsPolicySet(Shown):
    """The policy that was set, and what is to be said of it: also that it makes no difference for some mail."""

    destination: str
    remarks: list[str]


class TlsProblem(Shown):
    """A policy that is not kept, and why."""

    destination: str
    problems: list[str]


class TlsProblems(Shown):
    """All of them."""

    policies: list[TlsProblem]


class Fact(Shown):
    """A name and a value."""

    name: str
    value: Any


class TlsWay(Shown):
    """Where mail for a destination goes, what Postfix asks for, which policy counts and why."""

    facts: list[Fact]


class TlsTrial(Shown):
    """What came of connecting as Postfix would: a row for each connection."""

    connections: list[dict[str, Any]]


class StsShown(Shown):
    """The MTA-STS policy that a domain publishes."""

    domain: str
    mode: StsMode = Field(description='"" for none.')
    match: list[str]
    dane: bool = Field(description="Its MX hosts have TLSA records, which go before.")
    policy_id: str
    fetched: datetime | None
    expires: datetime | None
    checked: datetime | None
    failures: int
    error: str


@router.get("", response=Page[TlsPolicyShown], auth=_SEE, operation_id="list_tls_policies")
def list_tls_policies(request: HttpRequest, after: After = "", limit: Limit = ITEMS) -> Page[TlsPolicyShown]:
    """Policies by destination."""
    rows = tls_policies.list_rules(after=after, limit=limit + 1)
    return page(rows, limit, show=_shown, key=lambda one: one.destination)


@router.get("/problems", response=worked(TlsProblems), auth=_SEE, operation_id="list_tls_problems")
def list_tls_problems(request: HttpRequest) -> TlsProblems:
    """Policies that are not kept where mail really goes."""
    return TlsProblems(**console_jobs.call("tls-problems", {}))


@router.get("/mta-sts", response=Page[StsShown], auth=_SEE, operation_id="list_mta_sts")
def list_mta_sts(
    request: HttpRequest,
    every: Annotated[bool, Query(description="Also domains that have none.")] = False,  # noqa: FBT002 -- a query
    after: After = "",
    limit: Limit = ITEMS,
) -> Page[StsShown]:
    """MTA-STS policies of domains that mail went to, by domain."""
    rows = sts_policies.list_policies(datetime.now(UTC), every=every, after=after, limit=limit + 1)
    return page(rows, limit, show=_sts, key=lambda one: one.domain)


@router.get("/{destination}", response=TlsPolicyShown, auth=_SEE, operation_id="get_tls_policy")
def get_tls_policy(request: HttpRequest, destination: str) -> TlsPolicyShown:
    """The policy of exactly this destination."""
    return _find(destination)


@router.put("/{destination}", response=worked(TlsPolicySet), auth=_CHANGE, operation_id="put_tls_policy")
def put_tls_policy(request: HttpRequest, destination: str, given: TlsPolicyGiven) -> TlsPolicySet:
    """Secure mail to a destination like this. Refused where it would not be kept."""
    key = read_destination(destination).key
    etag.require(request, lambda: _find(key))
    return TlsPolicySet(**console_jobs.call("tls-set", given.model_dump(mode="json") | {"destination": key}))


@router.delete("/{destination}", response={204: None}, auth=_CHANGE, operation_id="delete_tls_policy")
def delete_tls_policy(request: HttpRequest, destination: str) -> Status[None]:
    """Secure mail to a destination as everything else: by its MTA-STS policy, next hop or default."""
    wanted = read_destination(destination)
    if not etag.change(request, lambda: _find(wanted.key), lambda: tls_policies.unset_rule(wanted)):
        raise not_found("policy")
    return Status(204, None)


@router.get("/{destination}/way", response=worked(TlsWay), auth=_SEE, operation_id="get_tls_way")
def get_tls_way(request: HttpRequest, destination: str) -> TlsWay:
    """Where mail for a domain, an address there, or a next hop goes, and which policy counts and why."""
    return TlsWay(**console_jobs.call("tls-show", {"destination": destination}))


@router.post("/{destination}/test", response=worked(TlsTrial), auth=_CHANGE, operation_id="test_tls_policy")
def test_tls_policy(request: HttpRequest, destination: str) -> TlsTrial:
    """Connect as Postfix would, and say what would become of mail. It sends none."""
    return TlsTrial(**console_jobs.call("tls-test", {"destination": destination}))


def _find(destination: str) -> TlsPolicyShown:
    found = tls_policies.find_rule(read_destination(destination))
    if found is None:
        raise not_found("policy")
    return _shown(found)


def _shown(one: TlsRuleInfo) -> TlsPolicyShown:
    rule = one.rule
    policy = None if rule is None else rule.policy
    return TlsPolicyShown(
        destination=one.destination,
        level=None if policy is None else policy.level,
        match=[] if policy is None else list(policy.names),
        fingerprints=[] if policy is None else list(policy.fingerprints),
        min_tls="" if policy is None else policy.least_tls.value,
        sni=policy is not None and bool(policy.server_name.value),
        direct=rule is not None and rule.direct,
        comment=one.comment,
        owner=one.owner,
        created=one.created,
    )


def _sts(one: StsInfo) -> StsShown:
    return StsShown(
        domain=one.domain,
        mode=one.facts.mode,
        match=list(one.facts.names),
        dane=one.facts.dane,
        policy_id=one.policy_id,
        fetched=one.fetched,
        expires=one.expires,
        checked=one.checked,
        failures=one.failures,
        error=one.error,
    )
