"""Stored certificates as rows of the output."""

from mailseal.policy.reason import Reason
from mailseal.policy.text import render
from mailseal.store.certificate_admin import CertificateInfo
from mailseal.store.certificate_rows import Use

COLUMNS = ("fingerprint", "addresses", "subject", "expires", "trusted", "key", "ctl", "conflict", "capabilities")


def row_of(info: CertificateInfo) -> dict[str, object]:
    """All that is known of a stored certificate. `trusted` leaves revocation aside; `reason` says why not."""
    certificate, verdict = info.certificate, info.verdict
    return {
        "fingerprint": certificate.fingerprint,
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": f"{certificate.serial:x}",
        "addresses": list(certificate.san_emails or certificate.subject_emails),
        "purpose": info.purpose.value,
        "not_before": certificate.not_before,
        "expires": certificate.not_after,
        "key_algorithm": certificate.key_algorithm,
        "key": info.has_key,
        "trusted": verdict.trusted,
        "reason": render(Reason(verdict.reason)) if verdict.reason else None,
        "revocation": verdict.revocation.value,
        "ctl": info.ctl.value if info.ctl else None,
        "candidate": info.candidate,
        "conflict": info.conflict,
        "capabilities": info.capabilities or None,
        "capabilities_at": info.capabilities_at,
        "chosen_for": [owner for owner, use in info.uses if use is Use.SELECTED],
        "shared_with": [owner for owner, use in info.uses if use is Use.SHARED],
        "judged_at": info.judged_at,
        "stored_at": info.created,
    }
