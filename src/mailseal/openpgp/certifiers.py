"""Certification by another's key (RFC 9580 §5.2.1.4): whether a domain key vouches for a user ID."""

from datetime import datetime

from mailseal.openpgp.component import (
    PgpCertificate,
    UserId,
    binding_at,
    certification_revocation_at,
)
from mailseal.openpgp.select import is_sound
from mailseal.openpgp.validity import live_user_ids, why_dead


def certified_by(certificate: PgpCertificate, user_id: UserId, certifier: PgpCertificate, at: datetime) -> bool:
    """Whether the certifier, alive at that time, vouches for this user ID of the certificate, which is alive in it.

    The certificate must have been read with the certifier among its `certifiers`. How much the certifier's word counts
    is another question.
    """
    if why_dead(certifier, at) is not None or not is_sound(certifier.primary.public):
        return False
    if user_id not in live_user_ids(certificate, at):
        return False
    return any(
        one.certifier == certifier.fingerprint
        and binding_at(one, at) is not None
        and certification_revocation_at(one, at) is None
        for one in user_id.certifications
    )
