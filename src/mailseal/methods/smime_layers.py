"""Take layers of S/MIME off a received mail: decrypt, verify, decompress (RFC 8551 §3)."""

from collections.abc import Sequence
from dataclasses import replace

from mailseal.errors import PermanentError
from mailseal.mail.message import Octets, with_crlf
from mailseal.mail.mime import Entity, MimeError, parse
from mailseal.methods.layer import Layer, Opening, Peeled, SignerReport
from mailseal.policy.model import Harvest
from mailseal.policy.reason import ReasonCode, because
from mailseal.smime import message as smime_message
from mailseal.smime.certificate import Certificate, StoredCertificate
from mailseal.smime.compress import decompress
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.errors import CmsError
from mailseal.smime.message import LayerKind
from mailseal.smime.name import read_name
from mailseal.smime.recipient import RecipientId
from mailseal.smime.select import addresses_of, speaks_for, why_not_trust_signer
from mailseal.smime.signed import SignedData, read_signed
from mailseal.smime.verify import SignerCheck, verify

MAX_SIGNERS = 8
"""Signatures that are looked at in one layer: each may cost a path of certificates."""


def peel(entity: Entity, kind: LayerKind, opening: Opening, depth: int) -> Peeled:
    """One layer, and what was under it. Never raises for bad content: that is a layer which is not ok."""
    try:
        match kind:
            case LayerKind.ENCRYPTED:
                return _decrypt(entity, opening, depth)
            case LayerKind.SIGNED | LayerKind.CERTS_ONLY:
                return _verify(entity, opening, depth)
            case LayerKind.COMPRESSED:
                return _decompress(entity, opening, depth)
    except CmsError as error:
        reason = because(error.reason)
    except MimeError:
        reason = because(ReasonCode.MALFORMED)
    return Peeled(Layer(kind.value, depth, entity.path, ok=False, reason=reason))


def _decrypt(entity: Entity, opening: Opening, depth: int) -> Peeled:
    enveloped = read_enveloped(smime_message.read_cms(entity))
    layer = Layer(
        LayerKind.ENCRYPTED,
        depth,
        entity.path,
        ok=False,
        algorithm=enveloped.algorithm,
        integrity=enveloped.integrity,
        recipients=tuple(_named(one) for one in enveloped.recipients),
    )
    if not opening.party.settings.smime:
        return Peeled(replace(layer, reason=because(ReasonCode.DECRYPTION_OFF)))
    fitting = [one.certificate for one in opening.keys if enveloped.fits(one.certificate)]
    if not fitting:
        return Peeled(replace(layer, reason=because(ReasonCode.KEY_NOT_FOUND)))
    pairs = [(one, opening.certificates.private_key(one.spki_sha256)) for one in fitting]
    try:
        content = enveloped.decrypt(pairs, opening.max_bytes)
        inner = _inner(content)
    except (CmsError, MimeError):
        # One text for whatever failed inside: a difference would be a padding oracle.
        return Peeled(replace(layer, reason=because(ReasonCode.DECRYPTION_FAILED)))
    return Peeled(replace(layer, ok=True, key=fitting[0].fingerprint), inner, decrypted=True)


def _named(recipient: RecipientId) -> str:
    if recipient.ski is not None:
        return f"key {recipient.ski.hex()}"
    try:
        issuer = read_name(recipient.issuer_der or b"")[0]
    except PermanentError:
        issuer = "an issuer whose name cannot be read"
    return f"serial {recipient.serial or 0:x} of {issuer}"


def _decompress(entity: Entity, opening: Opening, depth: int) -> Peeled:
    content = decompress(smime_message.read_cms(entity), opening.max_bytes)
    layer = Layer(LayerKind.COMPRESSED, depth, entity.path, ok=True, algorithm="zlib")
    return Peeled(layer, _inner(content), decrypted=True)


def _inner(content: bytes) -> Entity:
    """Parse what was inside, with CRLF line ends: the mail that carries it on must have no others."""
    parsed = parse(with_crlf(content))
    if parsed.fault is not None:
        raise parsed.fault
    return parsed.root


def _verify(entity: Entity, opening: Opening, depth: int) -> Peeled:
    clear = entity.content_type.type == "multipart/signed"
    content: Octets | None = None
    if clear:
        content, signature = smime_message.signed_parts(entity)
        signed = read_signed(signature)
    else:
        signed = read_signed(smime_message.read_cms(entity))
    if not signed.signers:
        layer = Layer(LayerKind.SIGNED, depth, entity.path, ok=False, reason=because(ReasonCode.NO_SIGNERS))
        return Peeled(layer, harvested=tuple(Harvest(one.der) for one in signed.certificates))
    if len(signed.signers) > MAX_SIGNERS:
        raise CmsError(ReasonCode.TOO_LARGE, "there are too many signers")
    checks = verify(signed, content)
    signers = tuple(_report(check, signed, opening) for check in checks)
    good = all(one.verified for one in signers)
    layer = Layer(
        LayerKind.SIGNED,
        depth,
        entity.path,
        ok=good,
        reason=next((one.reason for one in signers if one.reason), None),
        algorithm=", ".join(dict.fromkeys(f"{check.algorithm} {check.digest}".strip() for check in checks)),
        signers=signers,
    )
    inner = entity.children[0] if clear else _inner(signed.econtent or b"")
    return Peeled(layer, inner, harvested=_harvest(signed, checks) if good else ())


def _harvest(signed: SignedData, checks: Sequence[SignerCheck]) -> tuple[Harvest, ...]:
    """The certificates that came along; with those that signed, what their owners can read."""
    told = {
        check.certificate: Harvest(
            check.certificate.der, check.capabilities.text if check.capabilities else "", check.signing_time
        )
        for check in checks
        if check.certificate is not None and check.verified
    }
    return tuple(told.get(one) or Harvest(one.der) for one in signed.certificates)


def _report(check: SignerCheck, signed: SignedData, opening: Opening) -> SignerReport:
    certificate = check.certificate
    if certificate is None:
        return SignerReport(
            (), "", "", verified=False, trusted=False, matches_from=False,
            reason=because(check.reason or ReasonCode.SIGNER_CERTIFICATE_MISSING),
        )  # fmt: skip
    legacy = opening.party.settings.legacy_subject_email
    addresses = addresses_of(certificate, legacy_subject_email=legacy)
    distrust = None
    if check.verified and check.reason is None:
        stored = _judge(certificate, signed.certificates, opening)
        distrust = why_not_trust_signer(stored, opening.at, opening.party.settings)
    sender = opening.senders[0] if len(opening.senders) == 1 else None
    matches = sender is not None and speaks_for(addresses, sender)
    reason = because(check.reason) if check.reason else distrust
    if reason is None and not matches:
        several = len(opening.senders) > 1
        reason = because(ReasonCode.MANY_FROM if several else ReasonCode.SIGNER_NOT_FROM)
    return SignerReport(
        addresses,
        certificate.subject,
        certificate.fingerprint,
        verified=check.verified,
        trusted=check.verified and not check.weak and check.reason is None and distrust is None,
        matches_from=matches,
        signing_time=check.signing_time,
        reason=reason,
    )


def _judge(certificate: Certificate, others: Sequence[Certificate], opening: Opening) -> StoredCertificate:
    known = opening.certificates.by_fingerprint(certificate.fingerprint)
    return known or opening.certificates.judge(certificate, others, opening.at)
