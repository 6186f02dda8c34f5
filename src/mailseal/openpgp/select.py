"""Which certificate, and which key of it, may be used for what (RFC 9580 §10.1, §5.2.3.29).

Pure and cheap: the mail path asks this for every mail, so nothing here verifies, loads a key or looks anything up.
Each question answers None (usable) or the first reason against.
"""

from collections.abc import Iterable
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import rsa

from mailseal.mail.address import Address
from mailseal.openpgp.certificate import PgpCertificate, PgpTrust, StoredPgpCertificate
from mailseal.openpgp.component import Component, KeyFlags
from mailseal.openpgp.key import PublicKey
from mailseal.openpgp.validity import flags, live_user_ids, why_dead, why_subkey_dead
from mailseal.policy.reason import Reason, ReasonCode, because

MIN_RSA_BITS = 2048

_ENCRYPT = KeyFlags.ENCRYPT_COMMUNICATIONS | KeyFlags.ENCRYPT_STORAGE
"""Either: those who write keys set both, and a mail is stored as well as sent."""
_AS_SIGNER = {
    ReasonCode.PGP_KEY_REVOKED: ReasonCode.SIGNER_KEY_REVOKED,
    ReasonCode.PGP_KEY_EXPIRED: ReasonCode.SIGNER_KEY_EXPIRED,
    ReasonCode.PGP_KEY_NOT_YET_VALID: ReasonCode.SIGNER_KEY_NOT_YET_VALID,
}


def why_not_encrypt(
    stored: StoredPgpCertificate, address: Address | None, at: datetime, *, trust_wkd: bool = False
) -> Reason | None:
    """Why not to encrypt to this certificate for the address; None for the address only suits a selected one.

    `trust_wkd`: a certificate that the address's own domain publishes by WKD needs nobody's word.
    """
    certificate = stored.certificate
    return _told(
        why_dead(certificate, at)
        or _untrusted(stored, trust_wkd=trust_wkd)
        or _not_of(stored, address, at)
        or _no_encryption_component(stored, at),
        certificate,
    )


def why_not_sign(stored: StoredPgpCertificate, address: Address | None, at: datetime) -> Reason | None:
    """Why not to sign with this certificate's key for the address."""
    certificate = stored.certificate
    if not stored.has_key:
        return because(ReasonCode.NO_SIGNING_KEY, address=address)
    return _told(
        why_dead(certificate, at)
        or _untrusted(stored, trust_wkd=False)
        or _not_of(stored, address, at)
        or (ReasonCode.PGP_KEY_NO_SIGNING_SUBKEY if signing_component(stored, at) is None else None),
        certificate,
    )


def why_not_trust_signer(stored: StoredPgpCertificate, at: datetime, *, trust_wkd: bool = False) -> Reason | None:
    """Why a verified signature by this certificate is not to be believed; whose address it is, is another question."""
    certificate = stored.certificate
    dead = why_dead(certificate, at)
    code = as_signer(dead) if dead is not None else None
    if code is None and _untrusted(stored, trust_wkd=trust_wkd) is not None:
        code = ReasonCode.SIGNER_KEY_UNTRUSTED
    return _told(code, certificate)


def encryption_components(stored: StoredPgpCertificate, at: datetime) -> tuple[Component, ...]:
    """The keys of the certificate that mail is encrypted to: those that are fit for it, or of them the one chosen."""
    return tuple(one for one in fit_to_encrypt(stored.certificate, at) if stored.subkey in ("", one.fingerprint))


def fit_to_encrypt(certificate: PgpCertificate, at: datetime) -> tuple[Component, ...]:
    """The keys of the certificate that mail can be encrypted to, newest first; none of a certificate that is dead."""
    return _newest(one for one in _alive(certificate, _ENCRYPT, at) if one.public.can_encrypt and is_sound(one.public))


def signing_component(stored: StoredPgpCertificate, at: datetime) -> Component | None:
    """The newest key of the certificate that can sign mail, of those whose secret key is held."""
    alive = _alive(stored.certificate, KeyFlags.SIGN, at)
    held = [one for one in alive if one.fingerprint in stored.keys]
    return next(iter(_newest(one for one in held if one.public.can_sign and is_sound(one.public))), None)


def addresses_of(stored: StoredPgpCertificate, at: datetime) -> tuple[Address, ...]:
    """The mailboxes that its live user IDs name, of those that it is trusted for."""
    only = stored.certified
    live = live_user_ids(stored.certificate, at)
    found = (one.address for one in live if only is None or one.text in only)
    return tuple({str(one): one for one in found if one is not None}.values())


def speaks_for(stored: StoredPgpCertificate, address: Address, at: datetime) -> bool:
    """Whether a live user ID that it is trusted for names this mailbox.

    One beyond ASCII never stands for one within, though case folding makes an ASCII k of the Kelvin sign.
    """
    return any(
        one.key == address.key and one.local.isascii() == address.local.isascii() for one in addresses_of(stored, at)
    )


def newest_first(certificates: Iterable[StoredPgpCertificate]) -> list[StoredPgpCertificate]:
    """In order of preference: the newest first; the fingerprint decides between equals, so that every node agrees."""
    return sorted(certificates, key=lambda one: _age(one.certificate.primary), reverse=True)


def is_sound(public: PublicKey) -> bool:
    """Whether the key is strong enough to be used and believed; one of an algorithm that we lack is not."""
    if public.key is None:
        return False
    return not isinstance(public.key, rsa.RSAPublicKey) or public.key.key_size >= MIN_RSA_BITS


def as_signer(code: ReasonCode) -> ReasonCode:
    """What is against a key, said of a signer's."""
    return _AS_SIGNER.get(code, ReasonCode.SIGNER_KEY_UNFIT)


def _alive(certificate: PgpCertificate, purpose: KeyFlags, at: datetime) -> list[Component]:
    """The keys that may be used for any of the purposes."""
    if why_dead(certificate, at) is not None:
        return []
    living = (one for one in certificate.subkeys if why_subkey_dead(one, at) is None)
    return [one for one in (certificate.primary, *living) if flags(certificate, one, at) & purpose]


def _newest(components: Iterable[Component]) -> tuple[Component, ...]:
    return tuple(sorted(components, key=_age, reverse=True))


def _age(component: Component) -> tuple[datetime, str]:
    return component.public.created, component.fingerprint


def _told(code: ReasonCode | None, certificate: PgpCertificate) -> Reason | None:
    return None if code is None else because(code, fingerprint=certificate.fingerprint)


def _untrusted(stored: StoredPgpCertificate, *, trust_wkd: bool) -> ReasonCode | None:
    """A candidate is never used; one whose secret key is held is ours, unless somebody distrusts it."""
    if stored.trust is PgpTrust.DISTRUSTED:
        return ReasonCode.PGP_KEY_DISTRUSTED
    if stored.trust is PgpTrust.TRUSTED or stored.has_key or (trust_wkd and stored.own_domain):
        return None
    return ReasonCode.PGP_KEY_UNTRUSTED


def _not_of(stored: StoredPgpCertificate, address: Address | None, at: datetime) -> ReasonCode | None:
    if stored.selected or (address is not None and speaks_for(stored, address, at)):
        return None
    return ReasonCode.PGP_KEY_WRONG_ADDRESS


def _no_encryption_component(stored: StoredPgpCertificate, at: datetime) -> ReasonCode | None:
    if encryption_components(stored, at):
        return None
    if _alive(stored.certificate, _ENCRYPT, at) and not fit_to_encrypt(stored.certificate, at):
        return ReasonCode.PGP_KEY_UNSUPPORTED
    return ReasonCode.PGP_KEY_NO_ENCRYPTION_SUBKEY
