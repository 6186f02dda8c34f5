"""S/MIME as an encryption method (RFC 8551): choose keys, sign, encrypt, take layers off."""

import binascii
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.mail.message import Octets, with_crlf
from mailseal.mail.mime import Entity, MimeError, parse
from mailseal.methods.layer import Layer, Opening, Peeled, SignerReport
from mailseal.policy.model import Already
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import Settings
from mailseal.ports import Gateway
from mailseal.smime import ber
from mailseal.smime import message as smime_message
from mailseal.smime.certificate import Certificate, StoredCertificate
from mailseal.smime.compress import decompress
from mailseal.smime.decrypt import read_enveloped
from mailseal.smime.errors import CmsError
from mailseal.smime.message import LayerKind
from mailseal.smime.name import read_name
from mailseal.smime.recipient import RecipientId
from mailseal.smime.select import (
    addresses_of,
    newest_first,
    speaks_for,
    why_not_encrypt,
    why_not_sign,
    why_not_trust_signer,
)
from mailseal.smime.sign import SigningIdentity
from mailseal.smime.signed import SignedData, read_signed
from mailseal.smime.verify import SignerCheck, verify

MAX_KEYS_PER_RECIPIENT = 20
MAX_SIGNERS = 8
"""Signatures that are looked at in one layer: each may cost a path of certificates."""


class Smime:
    """The S/MIME row of METHODS."""

    def usable_keys(
        self, gateway: Gateway, recipient: Address, policy: Settings, at: datetime
    ) -> tuple[str, ...] | Reason:
        """Fingerprints of all usable certificates of the recipient, then of the additional ones."""
        if not policy.smime:
            return because(ReasonCode.METHOD_OFF, method="smime")
        stored = gateway.certificates.of_recipient(recipient)
        if not stored:
            return because(ReasonCode.NO_CERTIFICATE, address=recipient)
        refusals = [(one, why_not_encrypt(one, recipient, policy, at)) for one in stored]
        usable = newest_first(one for one, refusal in refusals if refusal is None)
        if not usable:
            return next(refusal for _, refusal in refusals if refusal is not None)
        own = [one.certificate.fingerprint for one in usable[:MAX_KEYS_PER_RECIPIENT]]
        extra = [name for name in policy.additional_certificates if self._additional_usable(gateway, name, policy, at)]
        return tuple(dict.fromkeys(own + extra))

    @staticmethod
    def _additional_usable(gateway: Gateway, fingerprint: str, policy: Settings, at: datetime) -> bool:
        stored = gateway.certificates.by_fingerprint(fingerprint)
        # Set by an administrator for everybody's mail, so it counts as chosen by hand: no address has to fit.
        return stored is not None and why_not_encrypt(replace(stored, selected=True), None, policy, at) is None

    def signer(self, gateway: Gateway, identity: Address, policy: Settings, at: datetime) -> str | Reason:
        """The newest usable certificate with a private key of the identity."""
        stored = gateway.certificates.with_key_of(identity)
        if not stored:
            return because(ReasonCode.NO_SIGNING_KEY, address=identity)
        refusals = [(one, why_not_sign(one, identity, policy, at)) for one in stored]
        usable = newest_first(one for one, refusal in refusals if refusal is None)
        if not usable:
            return next(refusal for _, refusal in refusals if refusal is not None)
        return usable[0].certificate.fingerprint

    def sign(self, gateway: Gateway, entity: bytes, fingerprint: str, policy: Settings, at: datetime) -> bytes:
        """multipart/signed over the entity; PermanentError when the certificate is gone."""
        certificate = self._certificate(gateway, fingerprint)
        identity = SigningIdentity(
            certificate,
            gateway.certificates.private_key(certificate.spki_sha256),
            tuple(gateway.certificates.chain(certificate)),
        )
        return smime_message.signed_entity(entity, identity, digest=policy.smime_digest, at=at)

    def encrypt(self, gateway: Gateway, entity: Sequence[Octets], keys: Sequence[str], policy: Settings) -> bytes:
        """application/pkcs7-mime to all keys; PermanentError when one of them is gone."""
        certificates = [self._certificate(gateway, fingerprint) for fingerprint in keys]
        return smime_message.encrypted_entity(entity, certificates, policy.smime_cipher)

    @staticmethod
    def _certificate(gateway: Gateway, fingerprint: str) -> Certificate:
        stored = gateway.certificates.by_fingerprint(fingerprint)
        if stored is None:
            raise PermanentError("a certificate that was usable a moment ago is no longer stored")
        return stored.certificate

    def already(self, root: Entity) -> Already:
        """Judged by the structure of the mail, never by a word in it; encrypted only if nothing is beside that."""
        found = smime_message.already(root)
        if found is not Already.ENCRYPTED or _is_all(root):
            return found
        return Already.SIGNED if root.children else Already.NOTHING

    def recognise(self, entity: Entity) -> str | None:
        """A LayerKind value, or None. Certificates alone are a signed message without signers."""
        kind = smime_message.classify(entity)
        if kind is LayerKind.CERTS_ONLY:
            kind = LayerKind.SIGNED
        return None if kind is None else kind.value

    def peel(self, entity: Entity, kind: str, opening: Opening, depth: int) -> Peeled:
        """Decrypt, verify or decompress one layer."""
        try:
            match LayerKind(kind):
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
        return Peeled(Layer(kind, depth, entity.path, ok=False, reason=reason))


def _is_all(entity: Entity) -> bool:
    """Whether an entity is its CMS structures and nothing else: no words before, between or behind them."""
    if entity.children:
        around = bytes(entity.preamble) + bytes(entity.epilogue)
        return not around.strip() and all(_is_all(child) for child in entity.children)
    try:
        octets = smime_message.read_cms(entity)
        if entity.transfer_encoding == "base64":
            binascii.a2b_base64(b"".join(bytes(entity.body).split()), strict_mode=True)
        return not octets[ber.read(octets).end :].strip()
    except (CmsError, ValueError):
        return False


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
        return Peeled(layer, harvested=tuple(one.der for one in signed.certificates))
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
    return Peeled(layer, inner, harvested=tuple(one.der for one in signed.certificates) if good else ())


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
