"""Checks of the certificates that Mailseal keeps for its own servers: in date, and what renewing them came to."""

from collections.abc import Iterator
from datetime import timedelta

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config
from mailseal.store import tls_identities
from mailseal.store.row import utc_now
from mailseal.store.tls_identities import Source, TlsIdentity

SUBJECT = "server certificate"
WARN_BEFORE = timedelta(days=30)
WORKER_RENEWS_WITHIN = timedelta(days=1)
_MEND = {
    Source.SELF_SIGNED: "`mailseal serve` runs the worker, which renews it; its log says more",
    Source.ACME: "`mailseal tls-certificate list` tells what the CA said",
    Source.UPLOADED: "`mailseal tls-certificate import` the next one",
    Source.REQUESTED: "`mailseal tls-certificate request`, then `accept` what the CA makes of it",
}


def kept(_: Config) -> Iterator[Finding]:
    """A line for each that is shown or asked for."""
    yield from map(_finding, tls_identities.list_identities())


def _finding(one: TlsIdentity) -> Finding:
    now = utc_now()
    if one.asked:
        if one.problem:
            return Finding(SUBJECT, Status.WARN, f"{one.purpose}: {one.problem}", _MEND[Source.ACME])
        return Finding(SUBJECT, Status.OK, f"{one.purpose}: asked for, for {', '.join(one.names)}")
    assert one.not_after is not None
    until = f"{one.purpose}: {one.source}, for {', '.join(one.names)}, until {one.not_after:%Y-%m-%d}"
    if one.not_after <= now:
        return Finding(SUBJECT, Status.FAIL, f"{until}: it has expired", _MEND[one.source])
    late = one.due is not None and one.due + WORKER_RENEWS_WITHIN < now
    if late or (one.due is None and one.not_after - now < WARN_BEFORE):
        return Finding(SUBJECT, Status.WARN, f"{until}: it has to be renewed", _MEND[one.source])
    return Finding(SUBJECT, Status.OK, until)
