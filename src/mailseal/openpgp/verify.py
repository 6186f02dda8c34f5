"""Verify signatures over data (RFC 9580 §5.2.1.1, §5.2.1.2): Sequoia's policy decides, our own facts say why not.

Where it lacks an algorithm, ours decide.
Only the signature and its key are judged here: whether the key is trusted, and whose it is, is judged elsewhere.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailseal.mail.message import Octets
from mailseal.openpgp.algorithms import HASHES, KeyAlgorithm
from mailseal.openpgp.component import Component, KeyFlags, PgpCertificate, is_past
from mailseal.openpgp.errors import PgpError, malformed
from mailseal.openpgp.packet import Tag, read_packets
from mailseal.openpgp.select import as_signer, is_sound
from mailseal.openpgp.sequoia import can_judge, verifies
from mailseal.openpgp.signature import (
    DOCUMENT,
    Signature,
    over_document,
    read_signature,
    verification_microseconds,
    verify_signature,
)
from mailseal.openpgp.validity import flags, why_component_dead
from mailseal.openpgp.work import Work
from mailseal.policy.reason import ReasonCode

MAX_SIGNATURES = 8
"""Over one content: each is a digest of all of it."""
MAX_CANDIDATES = 4
"""Certificates tried for one signature: several may have a key with that key ID, or claim the same subkey."""
TOLERANCE = timedelta(minutes=30)
"""How far a signer's clock may be ahead, as Sequoia has it."""

Candidates = Callable[[str], Sequence[PgpCertificate]]
"""The certificates with a key of this fingerprint or key ID (lower-case hex)."""


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """What is true of one signature. `verified`: it holds over the content; it is only good if `reason` is None, too.

    `issuer` is the fingerprint or key ID that it names, "" if none; `component` the key of `certificate` with that.
    `digest` is like "sha256", `algorithm` like "ed25519", "rsa3072" or, of an unknown key, "rsa"; "unknown" otherwise.
    `recipients`: the fingerprints of those it is meant for, if it says so (RFC 9580 §5.2.3.36).
    """

    issuer: str
    certificate: PgpCertificate | None
    component: Component | None
    verified: bool
    reason: ReasonCode | None
    created: datetime | None
    algorithm: str
    digest: str
    signers_user_id: str | None = None
    recipients: tuple[str, ...] = ()


def split_signatures(octets: Octets) -> tuple[bytes, ...]:
    """The bodies of the signature packets that fill the octets, at least one; raises PgpError."""
    found = tuple(_signatures(octets))
    if not found:
        raise malformed("there is no signature")
    return found


def _signatures(octets: Octets) -> Iterator[bytes]:
    for number, packet in enumerate(one for one in read_packets(octets) if not one.ignored):
        if packet.tag != Tag.SIGNATURE:
            raise malformed("there is something else among the signatures")
        if number >= MAX_SIGNATURES:
            raise PgpError(ReasonCode.TOO_MANY_SIGNERS, "there are too many signatures")
        yield packet.octets


def check_signatures(
    content: Octets, signatures: Sequence[bytes], candidates: Candidates, at: datetime, work: Work | None = None
) -> tuple[SignatureCheck, ...]:
    """Check each signature (bodies of packets) over the content, that of a detached, inline or cleartext one alike.

    Raises PgpError, TOO_MANY_SIGNERS, TOO_LARGE when that is too much `work`, and what `candidates` raises.
    """
    if len(signatures) > MAX_SIGNATURES:
        raise PgpError(ReasonCode.TOO_MANY_SIGNERS, "there are too many signatures")
    work = work or Work()
    return tuple(_check(content, one, candidates, at, work) for one in signatures)


def _check(content: Octets, body: bytes, candidates: Candidates, at: datetime, work: Work) -> SignatureCheck:
    try:
        signature = read_signature(body)
    except PgpError as error:
        unsupported = error.reason is ReasonCode.UNSUPPORTED_ALGORITHM
        reason = error.reason if unsupported else ReasonCode.SIGNATURE_INVALID
        return SignatureCheck(
            "", None, None, verified=False, reason=reason, created=None, algorithm="unknown", digest="unknown"
        )
    issuer = signature.issuer or ""
    found = candidates(issuer)[:MAX_CANDIDATES] if issuer else ()
    checks = []
    for one in found:
        component = one.component(issuer)
        if component is not None:
            work.digest(len(content))
            work.verify(verification_microseconds(component.public))
            checks.append(_by(content, signature, one, component, at))
    # The best of several: one that verified it and has nothing against it, or else one that verified it.
    checks.sort(key=lambda one: (one.verified, one.reason is None), reverse=True)
    return checks[0] if checks else _told(signature, None, None, ReasonCode.SIGNER_KEY_UNKNOWN, verified=False)


def _by(
    content: Octets, signature: Signature, certificate: PgpCertificate, component: Component, at: datetime
) -> SignatureCheck:
    against = _against(signature, certificate, component, at)
    judged = can_judge(certificate, component)
    if judged and verifies(content, signature, certificate, component):
        return _told(signature, certificate, component, against, verified=True)
    # It refuses without saying why.
    try:
        verify_signature(signature, component.public, over_document(signature.kind, content))
    except PgpError as error:
        if error.reason is not ReasonCode.SIGNATURE_WEAK:
            return _told(signature, certificate, component, error.reason, verified=False)
        against = ReasonCode.SIGNATURE_WEAK
    if judged:
        against = against or ReasonCode.SIGNER_KEY_UNFIT
    return _told(signature, certificate, component, against, verified=True)


def _against(
    signature: Signature, certificate: PgpCertificate, component: Component, at: datetime
) -> ReasonCode | None:
    """What is against a signature that holds. Its key must have been good when it signed, and be so now."""
    row = HASHES.get(signature.digest)
    if row is None or row.weak:
        return ReasonCode.SIGNATURE_WEAK
    if signature.kind not in DOCUMENT or not signature.said.understood or signature.created > at + TOLERANCE:
        return ReasonCode.SIGNATURE_INVALID
    if is_past(signature.expires, at):
        return ReasonCode.SIGNATURE_EXPIRED
    for moment in (max(at, signature.created), signature.created):
        dead = why_component_dead(certificate, component, moment)
        if dead is not None:
            return as_signer(dead)
        if not flags(certificate, component, moment) & KeyFlags.SIGN:
            return ReasonCode.SIGNER_KEY_UNFIT
    return None if is_sound(component.public) else ReasonCode.SIGNER_KEY_UNFIT


def _told(
    signature: Signature,
    certificate: PgpCertificate | None,
    component: Component | None,
    reason: ReasonCode | None,
    *,
    verified: bool,
) -> SignatureCheck:
    row = HASHES.get(signature.digest)
    return SignatureCheck(
        issuer=signature.issuer or "",
        certificate=certificate,
        component=component,
        verified=verified,
        reason=reason,
        created=signature.created,
        algorithm=component.public.name if component is not None else _NAMES.get(signature.algorithm, "unknown"),
        digest=row.name if row is not None else "unknown",
        signers_user_id=signature.said.signers_user_id,
        recipients=signature.said.recipients,
    )


_NAMES: dict[int, str] = {
    KeyAlgorithm.RSA: "rsa",
    KeyAlgorithm.RSA_SIGN_ONLY: "rsa",
    KeyAlgorithm.DSA: "dsa",
    KeyAlgorithm.ECDSA: "ecdsa",
    KeyAlgorithm.EDDSA_LEGACY: "ed25519",
    KeyAlgorithm.ED25519: "ed25519",
    KeyAlgorithm.ED448: "ed448",
}
