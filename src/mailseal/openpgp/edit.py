"""Changes of a certificate, each a new signature (RFC 9580 §5.2.1): revoke, extend, add or certify user IDs; merge.

Every signature in a certificate that was read is one that holds. What comes out is to be read again.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailseal.keys import PrivateKey
from mailseal.mail.message import Octets
from mailseal.openpgp.certificate import read_certificate
from mailseal.openpgp.component import PgpCertificate, RevocationCode, is_past
from mailseal.openpgp.errors import PgpError, malformed
from mailseal.openpgp.generate import key_expiry, user_id_octets
from mailseal.openpgp.key import PublicKey
from mailseal.openpgp.packet import read_packet
from mailseal.openpgp.parts import KeyPart, Part, Parts, UserIdPart, read_parts
from mailseal.openpgp.sign import sign
from mailseal.openpgp.signature import (
    CERTIFICATION,
    Signature,
    SignatureType,
    over_keys,
    over_user_id,
    read_signature,
    verify_signature,
)
from mailseal.openpgp.subpackets import MAX_SECONDS, MAX_TEXT_OCTETS, Kind, seconds, split_subpackets, write_subpacket
from mailseal.openpgp.validity import live_user_ids, primary_user_id, why_component_dead
from mailseal.policy.reason import ReasonCode


def merge(
    old: bytes,
    new: bytes,
    *,
    new_user_ids: Collection[str] | None = None,
    certifiers: Sequence[PgpCertificate] = (),
) -> bytes:
    """All that is valid of two copies of a certificate, in canonical order; raises PgpError.

    `new_user_ids`: the texts of those that may be added to the ones of the old copy; None: all may. Where there is no
    room for all, of a revoked key nothing stays but that: who has stolen one could have filled its certificate.
    """
    ours, theirs = (read_parts(read_certificate(one, certifiers).octets, None) for one in (old, new))
    if ours.primary.public.fingerprint != theirs.primary.public.fingerprint:
        raise malformed("these are not copies of one certificate")
    _join(ours.primary, theirs.primary)
    for octets, user_id in theirs.user_ids.items():
        if new_user_ids is None or user_id.text in new_user_ids or octets in ours.user_ids:
            _join(ours.user_ids.setdefault(octets, UserIdPart(octets)), user_id)
    for fingerprint, subkey in theirs.subkeys.items():
        _join(ours.subkeys.setdefault(fingerprint, KeyPart(subkey.public)), subkey)
    try:
        return read_certificate(ours.written(), certifiers).octets
    except PgpError as error:
        revocations = [one for one in ours.primary.signatures if one.kind == SignatureType.KEY_REVOCATION]
        if error.reason is not ReasonCode.TOO_LARGE or not revocations:
            raise
        return read_certificate(Parts(KeyPart(ours.primary.public, revocations)).written()).octets


def _join(part: Part, other: Part) -> None:
    known = {one.head for one in part.signatures}
    part.signatures += (one for one in other.signatures if one.head not in known)


def revoke(
    certificate: PgpCertificate, key: PrivateKey, code: RevocationCode, text: str = "", *, at: datetime
) -> bytes:
    """The certificate revoked by its primary key. Raises PgpError, and what the key raises, as all here do."""
    parts, owner = _parts(certificate), _Signer(key, certificate.primary.public, at)
    hashed = over_keys(owner.public.version, owner.public)
    part = parts.primary
    part.signatures.insert(0, owner.signed(SignatureType.KEY_REVOCATION, hashed, [_reason(code, text)]))
    return parts.written()


def revoke_user_id(
    certificate: PgpCertificate, user_id: str, key: PrivateKey, text: str = "", *, at: datetime
) -> bytes:
    """The certificate with a user ID revoked as no longer valid; the last one of all is not revoked."""
    if all(one.text == user_id for one in live_user_ids(certificate, at)):
        raise malformed("without this user ID the certificate has none: revoke the whole of it")
    parts, owner = _parts(certificate), _Signer(key, certificate.primary.public, at)
    part = _named(parts, user_id)
    hashed = over_user_id(owner.public.version, owner.public, part.octets)
    reason = _reason(RevocationCode.USER_ID_INVALID, text)
    # To gpg, a user ID bound in the same second is not revoked.
    owner.put(part, owner.signed(SignatureType.CERTIFICATION_REVOCATION, hashed, [reason]))
    return parts.written()


def add_user_id(certificate: PgpCertificate, user_id: str, key: PrivateKey, *, at: datetime) -> bytes:
    """The certificate with one more user ID, or one that was revoked bound again; it says what the primary one says."""
    octets = user_id_octets(user_id)
    parts, owner = _parts(certificate), _Signer(key, certificate.primary.public, at)
    named = primary_user_id(certificate, at)
    if named is None and not certificate.primary.bindings:
        raise _nothing_bound()
    model = owner.newest(parts.primary if named is None else _named(parts, named.text))
    part = parts.user_ids.setdefault(octets, UserIdPart(octets))
    says = _subpackets(model, _OF_ONE_SIGNATURE | {Kind.PRIMARY_USER_ID})
    hashed = over_user_id(owner.public.version, owner.public, octets)
    owner.put(part, owner.signed(SignatureType.POSITIVE, hashed, says))
    return parts.written()


def set_expiry(certificate: PgpCertificate, key: PrivateKey, expires: datetime | None, *, at: datetime) -> bytes:
    """The certificate with another expiry (None: never), of it and of those subkeys that have one of their own.

    It may have expired before. What is revoked stays so.
    """
    parts, owner = _parts(certificate), _Signer(key, certificate.primary.public, at)
    primary, version = owner.public, owner.public.version
    live = live_user_ids(certificate, at)
    if not live and not certificate.primary.bindings:
        raise _nothing_bound()
    if certificate.primary.bindings:
        owner.extend(parts.primary, expires, primary.created, over_keys(version, primary))
    for user_id in live:
        part = _named(parts, user_id.text)
        owner.extend(part, expires, primary.created, over_user_id(version, primary, part.octets))
    for subkey in certificate.subkeys:
        if subkey.bindings and subkey.bindings[0].key_expires is not None and not subkey.revocations:
            hashed = over_keys(version, primary, subkey.public)
            owner.extend(parts.subkeys[subkey.fingerprint], expires, subkey.public.created, hashed)
    return parts.written()


def certify(
    certificate: PgpCertificate,
    user_ids: Collection[str],
    certifier: PgpCertificate,
    key: PrivateKey,
    *,
    at: datetime,
    expires: datetime | None = None,
) -> bytes:
    """The certificate with user IDs certified by another's primary key, of which `key` is the private half."""
    live = {one.text for one in live_user_ids(certificate, at)}
    if not user_ids or not live.issuperset(user_ids):
        raise malformed("the certificate has not all of these user IDs")
    after = 0 if expires is None else int((expires - at).total_seconds())
    if expires is not None and not 0 < after <= MAX_SECONDS:
        raise malformed("a certification cannot expire before it is made, or in more than 136 years")
    parts = _parts(certificate)
    by = _Signer(key, certifier.primary.public, at)
    says = [] if expires is None else [write_subpacket(Kind.EXPIRES, seconds(after))]
    for text in user_ids:
        part = _named(parts, text)
        hashed = over_user_id(by.public.version, certificate.primary.public, part.octets)
        part.signatures.append(by.signed(SignatureType.POSITIVE, hashed, says))
    return parts.written()


def minimal(
    certificate: PgpCertificate, at: datetime, user_ids: Collection[str], *, with_revoked: bool = False
) -> bytes:
    """What a reader of mail needs: these user IDs, and the newest signatures of everything that may be used now.

    `with_revoked`: also subkeys that are revoked, for those who have them already.
    """
    parts = _parts(certificate)
    primary = parts.primary.public
    kept = [
        one
        for one in certificate.subkeys
        if why_component_dead(certificate, one, at) is None or (with_revoked and one.revocations)
    ]
    named = {octets: one for octets, one in parts.user_ids.items() if one.text in user_ids}
    small = Parts(
        KeyPart(primary, _newest(parts.primary, primary, at)),
        {octets: UserIdPart(octets, _newest(one, primary, at)) for octets, one in named.items()},
        {one.fingerprint: KeyPart(one.public, _newest(parts.subkeys[one.fingerprint], primary, at)) for one in kept},
    )
    return small.written()


def _newest(part: Part, owner: PublicKey, at: datetime) -> list[Signature]:
    """Revocations, and the self-signature that counts (`component.binding_at`)."""
    own = [one for one in part.signatures if one.names(owner)]
    there = (one for one in own if one.kind in _BINDING and one.created <= at and not is_past(one.expires, at))
    binding = next(there, None)
    return [one for one in own if one.kind in _REVOKING or one is binding]


_BINDING = CERTIFICATION | {SignatureType.DIRECT_KEY, SignatureType.SUBKEY_BINDING}
_REVOKING = frozenset(
    {SignatureType.KEY_REVOCATION, SignatureType.SUBKEY_REVOCATION, SignatureType.CERTIFICATION_REVOCATION}
)
_OF_ONE_SIGNATURE = frozenset({Kind.CREATED, Kind.EXPIRES, Kind.ISSUER, Kind.ISSUER_FINGERPRINT})


@dataclass(frozen=True, slots=True)
class _Signer:
    """Who signs, and when."""

    key: PrivateKey
    public: PublicKey
    at: datetime

    def signed(self, kind: SignatureType, hashed: Sequence[Octets], says: Iterable[bytes]) -> Signature:
        """A new signature. That it holds shows that the key is the one of the certificate."""
        packet = sign(self.key, self.public, kind, hashed, at=self.at, subpackets=tuple(says))
        signature = read_signature(read_packet(memoryview(packet), 0).body)
        verify_signature(signature, self.public, hashed)
        return signature

    def put(self, part: Part, new: Signature) -> None:
        """In front of the older ones; a self-signature that is not older would count instead of it, and goes."""
        older = [one for one in part.signatures if not self._binds(one) or one.created < new.created]
        part.signatures[:] = [new, *older]

    def extend(self, part: Part, expires: datetime | None, created: datetime, hashed: Sequence[Octets]) -> None:
        """What the newest self-signature says, with another expiry of a key of that age."""
        model = self.newest(part)
        expiry = () if expires is None else (key_expiry(created, expires),)
        says = (*_subpackets(model, _OF_ONE_SIGNATURE | {Kind.KEY_EXPIRES}), *expiry)
        self.put(part, self.signed(SignatureType(model.kind), hashed, says))

    def newest(self, part: Part) -> Signature:
        """The newest self-signature over something that is bound."""
        return next(one for one in part.signatures if self._binds(one))

    def _binds(self, signature: Signature) -> bool:
        return signature.kind in _BINDING and signature.names(self.public)


def _nothing_bound() -> PgpError:
    return PgpError(ReasonCode.PGP_KEY_UNBOUND, "the certificate has no user ID that is bound to its primary key")


def _parts(certificate: PgpCertificate) -> Parts:
    return read_parts(certificate.octets, None)


def _named(parts: Parts, text: str) -> UserIdPart:
    found = [one for one in parts.user_ids.values() if one.text == text]
    if len(found) != 1:
        raise malformed("the certificate has no such user ID")
    return found[0]


def _subpackets(model: Signature, without: Collection[int]) -> Iterator[bytes]:
    """What a self-signature says, to be said again; its back signature, wherever it stood."""
    for one in split_subpackets(model.area):
        if one.kind not in without:
            yield write_subpacket(one.kind, one.body, critical=one.critical)
    for octets in model.hints.embedded:
        yield write_subpacket(Kind.EMBEDDED, octets)


def _reason(code: RevocationCode, text: str) -> bytes:
    octets = text.encode(errors="replace")
    if len(octets) > MAX_TEXT_OCTETS:
        raise malformed("the text of a revocation is too long")
    return write_subpacket(Kind.REVOCATION_REASON, bytes((code,)) + octets)
