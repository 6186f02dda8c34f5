"""The self-signatures of a certificate (RFC 9580 §5.2.1, §10.1), verified one by one: what they bind and revoke.

A component without a valid self-signature is not the owner's: anybody can append one. SHA-1 and older digests bind
nothing, but a revocation by them counts: keys of that time were revoked so, and nobody gains by forging one.

All that is checked for one certificate is paid out of one `Work`: whoever made it says how many signatures there are
and by what keys. Raises PgpError, TOO_LARGE, when that is not enough.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailseal.openpgp.component import Binding, KeyFlags, Revocation
from mailseal.openpgp.errors import PgpError
from mailseal.openpgp.key import PublicKey
from mailseal.openpgp.parts import KeyPart, UserIdPart
from mailseal.openpgp.signature import (
    CERTIFICATION,
    Signature,
    SignatureType,
    believe_signature,
    over_keys,
    over_user_id,
    read_signature,
    verification_microseconds,
    verify_signature,
    with_hints,
)
from mailseal.openpgp.subpackets import Kind, write_subpacket
from mailseal.openpgp.work import Work
from mailseal.policy.reason import ReasonCode

MAX_BINDINGS = 16
"""Kept of one component, the newest: what was signed in the past is judged by what was said then."""
MAX_REVOCATIONS = 8


@dataclass(frozen=True, slots=True)
class Verified:
    """What is left of one signer's signatures over a component, in the order in which they are written; their facts.

    Each is there once, its unhashed subpackets, which anybody can write, with nothing but what is verified. `bindings`
    are newest first; without any, `unbound` says why: PGP_KEY_WEAK, PGP_KEY_UNSUPPORTED or PGP_KEY_UNBOUND.
    """

    signatures: tuple[Signature, ...]
    bindings: tuple[Binding, ...]
    revocations: tuple[Revocation, ...]
    unbound: ReasonCode | None


@dataclass(frozen=True, slots=True)
class _Signed:
    """What is signed: by which key, over which key and what is hashed with it, which types bind and revoke it.

    `known`: that this key made its signatures was verified before; they are believed.
    """

    work: Work
    known: bool
    by: PublicKey
    key: PublicKey
    hashed: Callable[[int], Sequence[bytes]]
    binds: frozenset[SignatureType]
    revokes: SignatureType


def verify_primary(part: KeyPart, work: Work, *, known: bool) -> Verified:
    """Direct-key signatures, and revocations of the primary key."""
    primary = part.public
    binds = frozenset({SignatureType.DIRECT_KEY})
    revokes = SignatureType.KEY_REVOCATION
    signed = _Signed(work, known, primary, primary, lambda one: over_keys(one, primary), binds, revokes)
    return _verified(part.signatures, signed)


def verify_subkey(primary: PublicKey, part: KeyPart, work: Work, *, known: bool) -> Verified:
    """Subkey bindings, with the back signatures of those that may sign, and revocations."""
    subkey = part.public
    binds = frozenset({SignatureType.SUBKEY_BINDING})
    revokes = SignatureType.SUBKEY_REVOCATION
    signed = _Signed(work, known, primary, subkey, lambda one: over_keys(one, primary, subkey), binds, revokes)
    return _verified(part.signatures, signed)


def verify_user_id(
    primary: PublicKey, part: UserIdPart, work: Work, *, known: bool, by: PublicKey | None = None
) -> Verified:
    """Certifications of a user ID, and their revocations: by its own primary key, or by another one."""
    revokes = SignatureType.CERTIFICATION_REVOCATION
    signed = _Signed(
        work, known, by or primary, primary, lambda one: over_user_id(one, primary, part.octets), CERTIFICATION, revokes
    )
    return _verified(part.signatures, signed)


def _verified(signatures: Sequence[Signature], signed: _Signed) -> Verified:
    sound: dict[bytes, Signature] = {}
    weak: dict[bytes, Signature] = {}
    revoking: dict[bytes, Signature] = {}
    for one in signatures:
        # Whoever can change a signature without breaking it makes no new one: it says what its hashed part says.
        if not one.names(signed.by) or one.head in sound or one.head in revoking:
            continue
        try:
            if one.kind in signed.binds:
                good, is_weak = _bound(one, signed)
                (weak if is_weak else sound)[one.head] = good
            elif one.kind == signed.revokes:
                revoking[one.head] = _checked(one, signed.by, signed)[0]
        except PgpError as error:
            _go_on_unless_too_much(error)
    bindings = _newest(sound)[:MAX_BINDINGS]
    revocations = sorted(_newest(revoking), key=lambda one: not _revocation(one).hard)[:MAX_REVOCATIONS]
    return Verified(
        signatures=(*revocations, *(bindings or _newest(weak)[:1])),
        bindings=tuple(_binding(one, signed.key) for one in bindings),
        revocations=tuple(map(_revocation, revocations)),
        unbound=None if bindings else _why_unbound(signed, weak=bool(weak)),
    )


def _newest(signatures: dict[bytes, Signature]) -> list[Signature]:
    return sorted(signatures.values(), key=lambda one: (one.created, one.head), reverse=True)


def _why_unbound(signed: _Signed, *, weak: bool) -> ReasonCode:
    if not signed.by.can_sign:
        return ReasonCode.PGP_KEY_UNSUPPORTED
    return ReasonCode.PGP_KEY_WEAK if weak else ReasonCode.PGP_KEY_UNBOUND


def _bound(signature: Signature, signed: _Signed) -> tuple[Signature, bool]:
    """A binding that holds, and whether a broken digest is part of it; raises PgpError.

    Of a revocation it does not matter what else it says, and whom it was meant for.
    """
    _require_understood(signature)
    good, weak = _checked(signature, signed.by, signed)
    if signature.created < max(signed.by.created, signed.key.created):
        raise PgpError(ReasonCode.SIGNATURE_INVALID, "a self-signature is older than the key")
    if SignatureType.SUBKEY_BINDING in signed.binds and (signature.said.flags or KeyFlags(0)) & KeyFlags.SIGN:
        back, back_weak = _back_signature(signature, signed)
        weak = weak or back_weak
        if back.octets not in signature.said.embedded:
            good = with_hints(signature, _issuer(signed.by), write_subpacket(Kind.EMBEDDED, back.octets))
    return good, weak


def _back_signature(signature: Signature, signed: _Signed) -> tuple[Signature, bool]:
    """That of a subkey over the primary key (RFC 9580 §5.2.1.9): nobody can claim another's signing key.

    It may stand under the binding or beside it; in either case it is only good for itself.
    """
    for octets in signature.embedded:
        try:
            back = read_signature(octets)
            if back.kind != SignatureType.PRIMARY_KEY_BINDING or back.expires is not None:
                continue
            _require_understood(back)
            good, weak = _checked(back, signed.key, signed)
        except PgpError as error:
            _go_on_unless_too_much(error)
            continue
        return (back if octets in signature.said.embedded else good), weak
    raise PgpError(ReasonCode.SIGNATURE_INVALID, "a subkey that is to sign has not signed its primary key")


def _require_understood(signature: Signature) -> None:
    if not signature.said.understood or not signature.said.exportable:
        raise PgpError(ReasonCode.SIGNATURE_INVALID, "a self-signature says what we do not know, or is not for us")


def _go_on_unless_too_much(error: PgpError) -> None:
    """What does not hold is passed over; but not that nobody knows what holds."""
    if error.reason is ReasonCode.TOO_LARGE:
        raise error


def _checked(signature: Signature, by: PublicKey, signed: _Signed) -> tuple[Signature, bool]:
    """A signature that holds, and whether its digest is a broken one; raises PgpError."""
    weak = False
    try:
        if signed.known and by is signed.by:
            believe_signature(signature, by)
        else:
            signed.work.verify(verification_microseconds(by))
            verify_signature(signature, by, signed.hashed(signature.version))
    except PgpError as error:
        weak = error.reason is ReasonCode.SIGNATURE_WEAK
        if not weak:
            raise
    return with_hints(signature, _issuer(by)), weak


def _issuer(by: PublicKey) -> bytes:
    return write_subpacket(Kind.ISSUER, bytes.fromhex(by.key_id)) if by.version == 4 else b""


def _binding(signature: Signature, key: PublicKey) -> Binding:
    said = signature.said
    return Binding(
        created=signature.created,
        expires=signature.expires,
        key_expires=_after(key.created, said.key_expires_after),
        flags=said.flags,
        features=said.features,
        ciphers=said.ciphers,
        aeads=said.aeads,
        digests=said.digests,
        compressions=said.compressions,
        primary_user_id=said.primary_user_id,
    )


def _after(created: datetime, seconds: int | None) -> datetime | None:
    return created + timedelta(seconds=seconds) if seconds else None


def _revocation(signature: Signature) -> Revocation:
    code, text = signature.said.revocation or (0, "")
    return Revocation(signature.created, code, text)
