"""Which certificate may be used for what, read from its stored verdict (RFC 8550 §4.4, RFC 5280 §4.2.1.3).

Pure and cheap: the mail path asks this for every mail, so nothing here validates, loads a key or looks anything up.
Each question answers None (usable) or the first reason against.
"""

from collections.abc import Iterable
from datetime import datetime

from mailseal.keys.software import CURVES
from mailseal.mail.address import Address, AddressError
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import NewKey, RevocationUnknown, Settings
from mailseal.smime.certificate import Certificate, CtlEntry, Revocation, StoredCertificate

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 16_384

EMAIL_USAGES = frozenset({"1.3.6.1.5.5.7.3.4", "2.5.29.37.0"})
"""emailProtection and anyExtendedKeyUsage."""
_SIGNING = frozenset({"digital_signature", "non_repudiation"})


def why_not_encrypt(
    stored: StoredCertificate, address: Address | None, settings: Settings, at: datetime
) -> Reason | None:
    """Why not to encrypt to this certificate for the address; None for the address only suits a selected one."""
    certificate = stored.certificate
    return _told(
        _distrusted(stored, settings, at)
        or _unfit_to_encrypt(certificate)
        or _not_of(stored, address, settings)
        or _new_key(stored, settings),
        certificate,
    )


def why_not_sign(stored: StoredCertificate, address: Address | None, settings: Settings, at: datetime) -> Reason | None:
    """Why not to sign with this certificate's key for the address."""
    certificate = stored.certificate
    if not stored.has_key:
        return because(ReasonCode.NO_SIGNING_KEY, address=address)
    return _told(
        _distrusted(stored, settings, at)
        or _unfit_to_sign(certificate)
        or _not_of(stored, address, settings)
        or _unsupported_signing_key(certificate),
        certificate,
    )


def why_not_trust_signer(stored: StoredCertificate, at: datetime, settings: Settings) -> Reason | None:
    """Why a verified signature by this certificate is not to be believed; whose address it is, is another question."""
    return _told(_distrusted(stored, settings, at) or _unfit_to_sign(stored.certificate), stored.certificate)


def newest_first(certificates: Iterable[StoredCertificate]) -> list[StoredCertificate]:
    """In order of preference: the newest first; the fingerprint decides between equals, so that every node agrees."""
    return sorted(certificates, key=lambda one: (one.certificate.not_before, one.certificate.fingerprint), reverse=True)


def addresses_of(certificate: Certificate, *, legacy_subject_email: bool) -> tuple[str, ...]:
    """The addresses a certificate speaks for: subjectAltName, or by setting emailAddress if there is none of them."""
    if certificate.san_emails or not legacy_subject_email:
        return certificate.san_emails
    return certificate.subject_emails


def speaks_for(texts: Iterable[str], address: Address) -> bool:
    """Whether one of a certificate's addresses is this one.

    One beyond ASCII never stands for one within, though case folding makes an ASCII k of the Kelvin sign and ss of
    the sharp s: it is another mailbox, and one that rfc822Name constraints do not reach (RFC 9598 §6).
    """
    for text in texts:
        try:
            found = Address.parse(text)
        except AddressError:
            continue  # a certificate may carry any text; what is no address matches nobody
        if found.key == address.key and found.local.isascii() == address.local.isascii():
            return True
    return False


def _new_key(stored: StoredCertificate, settings: Settings) -> ReasonCode | None:
    unwanted = stored.conflict and settings.new_key_for_known_address is NewKey.UNUSABLE
    return ReasonCode.CERTIFICATE_NEW_KEY if unwanted and not stored.selected else None


def _told(code: ReasonCode | None, certificate: Certificate) -> Reason | None:
    return None if code is None else because(code, fingerprint=certificate.fingerprint)


def _distrusted(stored: StoredCertificate, settings: Settings, at: datetime) -> ReasonCode | None:
    """CTL, revocation, validity, path. A CTL allow stands in for path and revocation, never for the validity."""
    ctl = stored.ctl
    if ctl is CtlEntry.DENY:
        return ReasonCode.CERTIFICATE_DENIED
    verdict = stored.verdict
    allowed = ctl is not None
    if not allowed and verdict.revocation is Revocation.REVOKED:
        return ReasonCode.CERTIFICATE_REVOKED
    certificate = stored.certificate
    if ctl is not CtlEntry.ALLOW_EXPIRED:
        outside = _outside(certificate.not_before, certificate.not_after, at)
        if outside is not None:
            return outside
    if allowed:
        return None
    if not verdict.trusted:
        return verdict.reason or ReasonCode.CERTIFICATE_UNTRUSTED
    outside = _outside(verdict.valid_from, verdict.valid_until, at)
    if outside is not None:
        return outside
    if settings.revocation_unknown is RevocationUnknown.UNUSABLE and revocation_at(stored, at) is Revocation.UNKNOWN:
        return ReasonCode.CERTIFICATE_REVOCATION_UNKNOWN
    return None


def revocation_at(stored: StoredCertificate, at: datetime) -> Revocation:
    """The revocation state now: a good one that is past its bound is unknown."""
    verdict = stored.verdict
    until = verdict.revocation_until
    if verdict.revocation is Revocation.GOOD and until is not None and at > until:
        return Revocation.UNKNOWN
    return verdict.revocation


def _outside(begin: datetime, end: datetime, at: datetime) -> ReasonCode | None:
    if at < begin:
        return ReasonCode.CERTIFICATE_NOT_YET_VALID
    return ReasonCode.CERTIFICATE_EXPIRED if at > end else None


def can_receive(certificate: Certificate) -> bool:
    """Whether mail can be encrypted to its key, leaving trust aside."""
    return _unfit_to_encrypt(certificate) is None


def _unfit_to_encrypt(certificate: Certificate) -> ReasonCode | None:
    if _is_sound_rsa(certificate, ("rsa-", "rsa-oaep-")):
        needed = "key_encipherment"
    elif certificate.key_algorithm in _CURVES | {"x25519"}:
        needed = "key_agreement"
    else:
        return ReasonCode.CERTIFICATE_UNSUPPORTED_KEY
    if certificate.key_usage is not None and needed not in certificate.key_usage:
        return ReasonCode.CERTIFICATE_WRONG_USAGE
    return None if fits_email(certificate) else ReasonCode.CERTIFICATE_WRONG_USAGE


def _is_sound_rsa(certificate: Certificate, kinds: tuple[str, ...]) -> bool:
    kind, _, bits = certificate.key_algorithm.rpartition("-")
    return f"{kind}-" in kinds and bits.isdigit() and MIN_RSA_BITS <= int(bits) <= MAX_RSA_BITS


def _unfit_to_sign(certificate: Certificate) -> ReasonCode | None:
    if certificate.key_usage is not None and _SIGNING.isdisjoint(certificate.key_usage):
        return ReasonCode.CERTIFICATE_WRONG_USAGE
    return None if fits_email(certificate) else ReasonCode.CERTIFICATE_WRONG_USAGE


def fits_email(certificate: Certificate) -> bool:
    """The extended key usage, if there is one, allows e-mail (RFC 8550 §4.4.4); of a CA it binds what that issues."""
    return certificate.extended_usage is None or not EMAIL_USAGES.isdisjoint(certificate.extended_usage)


_CURVES = frozenset(f"ec-{name}" for name in CURVES)


def _unsupported_signing_key(certificate: Certificate) -> ReasonCode | None:
    if certificate.key_algorithm in _CURVES | {"ed25519"} or _is_sound_rsa(certificate, ("rsa-", "rsa-pss-")):
        return None
    return ReasonCode.CERTIFICATE_UNSUPPORTED_KEY


def _not_of(stored: StoredCertificate, address: Address | None, settings: Settings) -> ReasonCode | None:
    if stored.selected:
        return None
    texts = addresses_of(stored.certificate, legacy_subject_email=settings.legacy_subject_email)
    if address is None or not speaks_for(texts, address):
        return ReasonCode.CERTIFICATE_WRONG_ADDRESS
    return None
