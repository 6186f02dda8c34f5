"""Take layers of S/MIME off a received mail: decrypt, verify, decompress (RFC 8551 §3)."""

from collections.abc import Sequence
from dataclasses import replace

from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.mail.message import Octets
from mailseal.mail.mime import Entity, MimeError
from mailseal.methods.inside import entity_inside
from mailseal.methods.layer import Layer, Opening, Peeled, SignerReport
from mailseal.policy.model import Harvest, MethodName
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import Settings
from mailseal.smime import message as smime_message
from mailseal.smime.certificate import Certificate
from mailseal.smime.compress import decompress
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.errors import CmsError
from mailseal.smime.message import LayerKind
from mailseal.smime.name import read_name
from mailseal.smime.recipient import RecipientId, RecipientKind
from mailseal.smime.select import addresses_of, speaks_for, why_not_trust_signer
from mailseal.smime.signed import SignedData, read_signed
from mailseal.smime.verify import SignerCheck, verify

MAX_JUDGED = 8
"""Certificates that came with a mail and are judged for one layer: each costs a path. Those beyond are not trusted."""
MAX_KEY_ID_OCTETS = 64
SECRET_KEY = "secret"  # noqa: S105 - the word for it
"""The `key` of a layer that was opened by a password, or by a key agreed beforehand."""


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
    return Peeled((Layer(kind.value, depth, entity.path, ok=False, reason=reason),))


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
    settings = opening.party.settings
    if not settings.smime:
        return Peeled((replace(layer, reason=because(ReasonCode.DECRYPTION_OFF)),))
    if enveloped.weak and not _may_read(enveloped.algorithm, settings):
        return Peeled((replace(layer, reason=because(ReasonCode.CIPHER_OFF, algorithm=enveloped.algorithm)),))
    held = [opening.certificates.by_fingerprint(one) for one in opening.held.get(MethodName.SMIME, ())]
    fitting = [one.certificate for one in held if one is not None and enveloped.fits(one.certificate)]
    secrets = [one for one in opening.secrets if enveloped.fits_secret(one)]
    if not fitting and not secrets:
        return Peeled((replace(layer, reason=because(ReasonCode.KEY_NOT_FOUND)),))
    try:
        if fitting:
            pairs = [(one, opening.certificates.private_key(one.spki_sha256)) for one in fitting]
            content, key = enveloped.decrypt(pairs, opening.max_bytes), fitting[0].fingerprint
        else:
            content, key = enveloped.decrypt_with_secrets(secrets, opening.max_bytes), SECRET_KEY
        inner = entity_inside(content)
    except (CmsError, MimeError):
        # One text for whatever failed inside: a difference would be a padding oracle.
        return Peeled((replace(layer, reason=because(ReasonCode.DECRYPTION_FAILED)),))
    weak = because(ReasonCode.ENCRYPTION_WEAK, algorithm=enveloped.algorithm) if enveloped.weak else None
    return Peeled((replace(layer, ok=True, key=key, reason=weak),), inner, decrypted=True)


def _may_read(algorithm: str, settings: Settings) -> bool:
    """Whether a cipher of old mail, like "rc2-40-cbc", is switched on."""
    return {
        "3des": settings.smime_read_3des,
        "rc2": settings.smime_read_rc2,
        "des": settings.smime_read_des,
        "cast5": settings.smime_read_cast5,
    }[algorithm.partition("-")[0]]


def _named(recipient: RecipientId) -> str:
    if recipient.kind is RecipientKind.PASSWORD:
        return "a password"
    if recipient.key_id is not None:
        return f"shared key {recipient.key_id[:MAX_KEY_ID_OCTETS].hex()}"
    if recipient.ski is not None:
        return f"key {recipient.ski[:MAX_KEY_ID_OCTETS].hex()}"
    try:
        issuer = read_name(recipient.issuer_der or b"")[0]
    except PermanentError:
        issuer = "an issuer whose name cannot be read"
    return f"serial {recipient.serial or 0:x} of {issuer}"


def _decompress(entity: Entity, opening: Opening, depth: int) -> Peeled:
    content = decompress(smime_message.read_cms(entity), opening.max_bytes)
    layer = Layer(LayerKind.COMPRESSED, depth, entity.path, ok=True, algorithm="zlib")
    return Peeled((layer,), entity_inside(content), decrypted=True)


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
        return Peeled((layer,), harvested=tuple(Harvest(one.der) for one in signed.certificates))
    checks = verify(signed, content)
    judge = _Judge(signed.certificates, opening)
    signers = tuple(_report(check, judge, opening) for check in checks)
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
    inner = entity.children[0] if clear else entity_inside(signed.econtent or b"")
    return Peeled((layer,), inner, harvested=_harvest(signed, checks, signers) if good else ())


def _harvest(signed: SignedData, checks: Sequence[SignerCheck], reports: Sequence[SignerReport]) -> tuple[Harvest, ...]:
    """The certificates that came along; with those that signed, what their owners can read.

    What a trusted signer can read counts for the other certificates of his addresses too: many people sign with one
    key and are encrypted to with another.
    """
    told: dict[Certificate, Harvest] = {}
    for check, report in zip(checks, reports, strict=True):
        if check.certificate is None or not check.verified or check.capabilities is None:
            continue
        for one in signed.certificates:
            same_person = report.trusted and not one.is_ca and not set(one.san_emails).isdisjoint(report.addresses)
            if one == check.certificate or (same_person and one not in told):
                told[one] = Harvest(one.der, check.capabilities.text, check.signing_time)
    return tuple(told.get(one) or Harvest(one.der) for one in signed.certificates)


def _report(check: SignerCheck, judge: "_Judge", opening: Opening) -> SignerReport:
    certificate = check.certificate
    if certificate is None:
        return SignerReport(
            (), "", "", verified=False, trusted=False, matches_from=False,
            reason=because(check.reason or ReasonCode.SIGNER_CERTIFICATE_MISSING),
        )  # fmt: skip
    legacy = opening.party.settings.legacy_subject_email
    addresses = addresses_of(certificate, legacy_subject_email=legacy)
    good = check.verified and check.reason is None
    distrust = judge.why_not_trust(certificate) if good else None
    sender = opening.senders[0] if len(opening.senders) == 1 else None
    matches = sender is not None and (
        speaks_for(addresses, sender) or (good and _chosen_for(certificate, sender, opening))
    )
    reason = because(check.reason) if check.reason else distrust
    if reason is None and not matches:
        several = len(opening.senders) > 1
        reason = because(ReasonCode.MANY_FROM if several else ReasonCode.SIGNER_NOT_FROM)
    return SignerReport(
        addresses,
        certificate.subject,
        certificate.fingerprint,
        verified=check.verified,
        trusted=good and not check.weak and distrust is None,
        matches_from=matches,
        signing_time=check.signing_time,
        reason=reason,
    )


def _chosen_for(certificate: Certificate, sender: Address, opening: Opening) -> bool:
    """Whether an administrator chose it by hand for the sender or his domain: a domain's signature (RFC 3183 §3)."""
    chosen = opening.certificates.of_recipient(sender)
    return any(one.selected and one.certificate == certificate for one in chosen)


class _Judge:
    """Judges the certificates of one layer, each once and not more than MAX_JUDGED that are not stored as trusted."""

    def __init__(self, others: Sequence[Certificate], opening: Opening) -> None:
        self._others = others
        self._opening = opening
        self._known: dict[str, Reason | None] = {}
        self._left = MAX_JUDGED

    def why_not_trust(self, certificate: Certificate) -> Reason | None:
        """None for a certificate whose signature counts."""
        if certificate.fingerprint not in self._known:
            self._known[certificate.fingerprint] = self._judged(certificate)
        return self._known[certificate.fingerprint]

    def _judged(self, certificate: Certificate) -> Reason | None:
        opening = self._opening
        stored = opening.certificates.by_fingerprint(certificate.fingerprint)
        if stored is None and not self._left:
            return because(ReasonCode.TOO_MANY_SIGNERS)
        # Stored without a path, perhaps because a stranger's mail brought it without its CA: this mail may have that.
        if stored is None or (self._left and not stored.verdict.trusted and any(one.is_ca for one in self._others)):
            self._left -= 1
            stored = opening.certificates.judge(certificate, self._others, opening.at)
        return why_not_trust_signer(stored, opening.at, opening.party.settings)
