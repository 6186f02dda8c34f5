"""An OpenPGP certificate (RFC 9580 §10.1) read and verified, and what is stored of it: trust, hand-made choices."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from mailseal.openpgp.component import Certification, Component, Omission, PgpCertificate, UserId
from mailseal.openpgp.errors import PgpError, only_pgp_errors
from mailseal.openpgp.key import PublicKey
from mailseal.openpgp.parts import KeyPart, Parts, UserIdPart, read_parts
from mailseal.openpgp.self_signatures import Verified, verify_primary, verify_subkey, verify_user_id
from mailseal.openpgp.sequoia import disputes
from mailseal.openpgp.user_id import address_of
from mailseal.openpgp.work import Work
from mailseal.policy.reason import ReasonCode

__all__ = ["Omission", "PgpCertificate", "PgpTrust", "StoredPgpCertificate", "read_certificate"]

MAX_CERTIFICATE_OCTETS = 262_144
"""Of what is kept."""
MAX_CERTIFIERS = 64


class PgpTrust(StrEnum):
    """What an administrator, or a rule that one has set, says of a certificate."""

    CANDIDATE = "candidate"
    TRUSTED = "trusted"
    DISTRUSTED = "distrusted"


@dataclass(frozen=True, slots=True)
class StoredPgpCertificate:
    """A certificate as stored. `selected`: chosen by hand for this address or its domain.

    `keys`: the fingerprints of the components whose secret key is held; with any, `has_key`, the certificate is ours.
    `provenance` is a short text: where it came from. `own_domain`: the domain of the address that was asked for
    publishes it for that address by WKD, over HTTPS. `subkey`: the fingerprint of the one key that an administrator has
    chosen to encrypt to, "" for all. `certified`: the texts of the only user IDs that it is trusted for, since a domain
    key vouches for these; None: for all.
    """

    certificate: PgpCertificate
    trust: PgpTrust
    selected: bool = False
    has_key: bool = False
    provenance: str = ""
    keys: frozenset[str] = frozenset()
    own_domain: bool = False
    subkey: str = ""
    certified: frozenset[str] | None = None


@only_pgp_errors
def read_certificate(octets: bytes, certifiers: Sequence[PgpCertificate] = ()) -> PgpCertificate:
    """Read one certificate, binary, of public or secret keys; raises PgpError, nothing else.

    Strangers' signatures are left out, but those over user IDs by the primary keys of `certifiers`.
    """
    others = [one.primary.public for one in certifiers[:MAX_CERTIFIERS]]
    parts = read_parts(octets, others)
    work = Work()
    verified = verify_primary(parts.primary, work)
    kept = Parts(KeyPart(parts.primary.public, list(verified.signatures)), omissions=parts.omissions)
    primary = Component(parts.primary.public, verified.bindings, verified.revocations, verified.unbound)
    user_ids = tuple(filter(None, [_user_id(one, kept, others, work) for one in parts.user_ids.values()]))
    subkeys = tuple(filter(None, [_subkey(one, kept, work) for one in parts.subkeys.values()]))
    written = kept.written()
    if len(written) > MAX_CERTIFICATE_OCTETS:
        raise PgpError(ReasonCode.TOO_LARGE, "a certificate is too large")
    certificate = PgpCertificate(written, primary, user_ids, subkeys, tuple(kept.omissions))
    return replace(certificate, disputed=disputes(certificate))


def _user_id(part: UserIdPart, kept: Parts, others: Sequence[PublicKey], work: Work) -> UserId | None:
    primary = kept.primary.public
    verified = verify_user_id(primary, part, work)
    if _is_strange(verified):
        kept.omit(part.text, ReasonCode.PGP_KEY_UNBOUND)
        return None
    signatures, certifications = list(verified.signatures), []
    for other in others:
        if other.fingerprint != primary.fingerprint:
            found = verify_user_id(primary, part, work, by=other)
            signatures += found.signatures
            if found.bindings:
                certifications.append(Certification(other.fingerprint, found.bindings, found.revocations))
    kept.user_ids[part.octets] = UserIdPart(part.octets, signatures)
    return UserId(
        text=part.text,
        address=address_of(part.octets),
        bindings=verified.bindings,
        revocations=verified.revocations,
        certifications=tuple(certifications),
        unbound=verified.unbound,
    )


def _subkey(part: KeyPart, kept: Parts, work: Work) -> Component | None:
    verified = verify_subkey(kept.primary.public, part, work)
    if _is_strange(verified):
        kept.omit(part.public.fingerprint, ReasonCode.PGP_KEY_UNBOUND)
        return None
    kept.subkeys[part.public.fingerprint] = KeyPart(part.public, list(verified.signatures))
    return Component(part.public, verified.bindings, verified.revocations, verified.unbound)


def _is_strange(verified: Verified) -> bool:
    """Whether nothing says that it is the owner's, though it could.

    What is only bound by a broken digest, or by a key that we cannot verify by, is shown, and never used.
    """
    return verified.unbound is ReasonCode.PGP_KEY_UNBOUND and not verified.revocations
