"""An OpenPGP certificate (RFC 9580 §10.1) read and verified, and what is stored of it: trust, hand-made choices."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from mailseal.openpgp.component import Certification, Component, Omission, PgpCertificate, UserId
from mailseal.openpgp.errors import PgpError, only_pgp_errors
from mailseal.openpgp.parts import KeyPart, Parts, UserIdPart, read_parts
from mailseal.openpgp.self_signatures import Verified, verify_primary, verify_subkey, verify_user_id
from mailseal.openpgp.sequoia import disputes
from mailseal.openpgp.user_id import address_of
from mailseal.openpgp.work import Work
from mailseal.policy.reason import ReasonCode

__all__ = [
    "Omission",
    "PgpCertificate",
    "PgpTrust",
    "StoredPgpCertificate",
    "read_certificate",
    "reread_certificate",
]

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
    return _judged(_Reading(octets, certifiers, known=False).certificate())


@only_pgp_errors
def reread_certificate(
    octets: bytes, certifiers: Sequence[PgpCertificate] = (), *, disputed: bool | None = None
) -> PgpCertificate:
    """Read what `read_certificate` once gave as the `octets` of a certificate, and as `disputed`; raises PgpError.

    Then its own self-signatures were verified. Now they are believed, and without a second opinion it takes a fifth of
    the time; of a certificate that somebody has made costly a hundredth. What the keys of certifiers and of subkeys
    have signed is verified each time. If `disputed` is None, Sequoia is asked anew.
    """
    found = _Reading(octets, certifiers, known=True).certificate()
    return _judged(found) if disputed is None else replace(found, disputed=disputed)


def _judged(certificate: PgpCertificate) -> PgpCertificate:
    return replace(certificate, disputed=True) if disputes(certificate) else certificate


class _Reading:
    """One certificate as it is read. `known`: its self-signatures have been verified before."""

    def __init__(self, octets: bytes, certifiers: Sequence[PgpCertificate], *, known: bool) -> None:
        self._others = [one.primary.public for one in certifiers[:MAX_CERTIFIERS]]
        self._known = known
        self._parts = read_parts(octets, self._others)
        self._public = self._parts.primary.public
        self._work = Work()
        self._kept = Parts(KeyPart(self._public), omissions=self._parts.omissions)

    def certificate(self) -> PgpCertificate:
        verified = verify_primary(self._parts.primary, self._work, known=self._known)
        self._kept.primary.signatures += verified.signatures
        primary = Component(self._public, verified.bindings, verified.revocations, verified.unbound)
        user_ids = tuple(filter(None, map(self._user_id, self._parts.user_ids.values())))
        subkeys = tuple(filter(None, map(self._subkey, self._parts.subkeys.values())))
        written = self._kept.written()
        if len(written) > MAX_CERTIFICATE_OCTETS:
            raise PgpError(ReasonCode.TOO_LARGE, "a certificate is too large")
        return PgpCertificate(written, primary, user_ids, subkeys, tuple(self._kept.omissions))

    def _user_id(self, part: UserIdPart) -> UserId | None:
        verified = verify_user_id(self._public, part, self._work, known=self._known)
        if _is_strange(verified):
            self._kept.omit(part.text, ReasonCode.PGP_KEY_UNBOUND)
            return None
        signatures, certifications = list(verified.signatures), []
        for other in self._others:
            if other.fingerprint != self._public.fingerprint:
                found = verify_user_id(self._public, part, self._work, known=False, by=other)
                signatures += found.signatures
                if found.bindings:
                    certifications.append(Certification(other.fingerprint, found.bindings, found.revocations))
        self._kept.user_ids[part.octets] = UserIdPart(part.octets, signatures)
        return UserId(
            text=part.text,
            address=address_of(part.octets),
            bindings=verified.bindings,
            revocations=verified.revocations,
            certifications=tuple(certifications),
            unbound=verified.unbound,
        )

    def _subkey(self, part: KeyPart) -> Component | None:
        verified = verify_subkey(self._public, part, self._work, known=self._known)
        if _is_strange(verified):
            self._kept.omit(part.public.fingerprint, ReasonCode.PGP_KEY_UNBOUND)
            return None
        self._kept.subkeys[part.public.fingerprint] = KeyPart(part.public, list(verified.signatures))
        return Component(part.public, verified.bindings, verified.revocations, verified.unbound)


def _is_strange(verified: Verified) -> bool:
    """Whether nothing says that it is the owner's, though it could.

    What is only bound by a broken digest, or by a key that we cannot verify by, is shown, and never used.
    """
    return verified.unbound is ReasonCode.PGP_KEY_UNBOUND and not verified.revocations
