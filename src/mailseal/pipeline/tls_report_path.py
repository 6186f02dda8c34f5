"""TLS reports of others that come by mail (RFC 8460 §5.3): read, kept, and not delivered unless that is wanted.

Only what can be read as a report about a domain of ours is taken; other mail to the address goes on as ever. Anybody
can write a report, so it is kept with what its DKIM signatures are worth.
"""

from dataclasses import replace

from mailseal.dkim.fields import Mail
from mailseal.dkim.verify import Result, Verdict, verify
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.header import authors
from mailseal.mail.tls_report import TlsReport, TlsReportError
from mailseal.mail.tls_report_mail import read_mail
from mailseal.pipeline.authenticity import find_texts
from mailseal.pipeline.run import Run
from mailseal.policy.model import Fate
from mailseal.policy.reason import ReasonCode, because
from mailseal.ports import ReceivedTlsReport, Signed


def report_taken(run: Run, index: int) -> bool:
    """Whether the recipient's copy was a report that ends here, which is then settled; raises TransientError."""
    inbox = run.gateway.tls_reports
    if inbox is None or run.fault is not None or run.address(index) != inbox.address:
        return False
    report = _about_us(run)
    if report is None or not inbox.keep(_received(run, report)) or inbox.deliver:
        return False
    taken = because(ReasonCode.TLS_REPORT_TAKEN, reporter=report.organization[:100])
    run.settle(index, Fate.KEPT, reply.KEPT, [taken])
    return True


def _about_us(run: Run) -> TlsReport | None:
    """The report, without what it says of domains that are none of ours; None: there is none."""
    try:
        report = read_mail(run.root)
    except TlsReportError:
        return None
    ours = tuple(one for one in report.policies if _is_ours(run, one.policy.domain))
    return replace(report, policies=ours) if ours else None


def _is_ours(run: Run, domain: str) -> bool:
    return run.gateway.directory.party(Address("postmaster", domain, f"postmaster@{domain}")).internal


def _received(run: Run, report: TlsReport) -> ReceivedTlsReport:
    found = authors(run.root)
    author = found[0] if len(found) == 1 else None
    signed, signer = _signed(run, "" if author is None else author.domain)
    return ReceivedTlsReport(report, str(author or ""), signed, signer)


def _signed(run: Run, domain: str) -> tuple[Signed, str]:
    """What the signatures are worth, and by whom they are, for a sender of this domain ("" for none)."""
    if run.gateway.authentication is None:
        return Signed.UNKNOWN, ""
    verdicts = verify(Mail.of_entity(run.root), find_texts(run, run.gateway.authentication), run.at)
    good = [one.domain for one in verdicts if one.result is Result.PASS and not one.testing]
    own = next((one for one in good if _is_aligned(one, domain)), None)
    if own is not None:
        return Signed.BY_SENDER, own
    if good:
        return Signed.BY_OTHERS, good[0]
    return _without(verdicts), verdicts[0].domain if verdicts else ""


def _without(verdicts: tuple[Verdict, ...]) -> Signed:
    if not verdicts:
        return Signed.NO
    unknown = any(one.result is Result.TEMPERROR for one in verdicts)
    return Signed.UNKNOWN if unknown else Signed.BADLY


def _is_aligned(signer: str, domain: str) -> bool:
    """One is the other, or below it (close to the relaxed alignment of RFC 7489 §3.1.1)."""
    if not domain or "." not in signer:
        return False
    return signer == domain or signer.endswith(f".{domain}") or domain.endswith(f".{signer}")
