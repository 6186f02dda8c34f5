"""Shapes of certificates, of what came of importing some, and of what to look for among them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from mailseal.policy.reason import Reason
from mailseal.smime.certificate import CtlEntry, Revocation
from mailseal.store.certificate_admin import CertificateInfo
from mailseal.store.certificate_rows import Purpose, Use
from mailseal.store.row import OWNER_CHARS
from mailseal.web.api.holdings import pem
from mailseal.web.api.log import Time
from mailseal.web.api.reasons import ReasonShown, reason_shown
from mailseal.web.api.shapes import Given, Shown


class Choice(StrEnum):
    """What a certificate or key is for somebody by hand. `selected`: encrypt to it, sign with it; `shared`: its private
    key may open their mail.
    """

    SELECTED = "selected"
    SHARED = "shared"


class CertificateWanted(Given):
    """What to look for; without it anything."""

    address: str | None = Field(None, max_length=OWNER_CHARS, description="All that counts for an address.")
    owner: str | None = Field(None, max_length=OWNER_CHARS, description="For exactly this address, domain, wildcard.")
    purpose: Purpose | None = Purpose.END_ENTITY
    has_key: bool | None = None
    candidate: bool | None = Field(None, description="Came with a mail, and nobody has looked at it.")
    conflict: bool | None = Field(None, description="Brought another key for a known address.")
    trusted: bool | None = None
    text: str = Field("", max_length=200, description="In subject or issuer.")
    expires_before: Time | None = None


class UseShown(Shown):
    """For whom it stands, and why."""

    owner: str = Field(description="An address, a domain, a wildcard.")
    use: Use


class CertificateShown(Shown):
    """A certificate. Whether it is trusted leaves revocation aside."""

    fingerprint: str = Field(description="SHA-256, hexadecimal.")
    subject: str
    issuer: str
    serial: str
    addresses: list[str]
    purpose: Purpose
    not_before: datetime
    expires: datetime
    key_algorithm: str
    has_key: bool = Field(description="Its private key is here, and opens mail.")
    trusted: bool
    reason: ReasonShown | None = Field(description="Why it is not trusted.")
    revocation: Revocation
    ctl: CtlEntry | None = Field(description="What the trust list says of it.")
    candidate: bool
    conflict: bool
    capabilities: str = Field(description='What its owner\'s program has said to know; "" for nothing.')
    uses: list[UseShown]
    judged_at: datetime | None
    stored_at: datetime


class CertificateWithText(CertificateShown):
    """A certificate with its text."""

    pem: str


class ImportShown(Shown):
    """What came of a file."""

    form: str
    imported: int
    known: int
    keys: int = Field(description="Private keys that are stored now.")
    waiting: int = Field(description="Certificates that the worker has yet to judge; until then they are not used.")
    problems: list[str]
    fingerprints: list[str] = Field(description="What the file has, the first 200.")


class StoredShown(Shown):
    """What was stored, by fingerprint."""

    fingerprints: list[str]


class FingerprintShown(Shown):
    """A certificate of a file."""

    subject: str
    certificate_sha256: str
    key_sha256: str = Field(description="Of its public key: it stays when the certificate is renewed with that.")


class FingerprintsShown(Shown):
    """The certificates of a file."""

    certificates: list[FingerprintShown]


def shown(info: CertificateInfo) -> CertificateShown:
    """Without its text."""
    return CertificateShown(**_facts(info))


def shown_with_text(info: CertificateInfo) -> CertificateWithText:
    """All of it."""
    return CertificateWithText(**_facts(info), pem=pem(info.certificate.der))


def _facts(info: CertificateInfo) -> dict[str, Any]:
    certificate, verdict = info.certificate, info.verdict
    return {
        "fingerprint": certificate.fingerprint,
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": f"{certificate.serial:x}",
        "addresses": list(certificate.san_emails or certificate.subject_emails),
        "purpose": info.purpose,
        "not_before": certificate.not_before,
        "expires": certificate.not_after,
        "key_algorithm": certificate.key_algorithm,
        "has_key": info.has_key,
        "trusted": verdict.trusted,
        "reason": reason_shown(Reason(verdict.reason)) if verdict.reason else None,
        "revocation": verdict.revocation,
        "ctl": info.ctl,
        "candidate": info.candidate,
        "conflict": info.conflict,
        "capabilities": info.capabilities,
        "uses": [UseShown(owner=owner, use=use) for owner, use in info.uses],
        "judged_at": info.judged_at,
        "stored_at": info.created,
    }
