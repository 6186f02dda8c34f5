"""S/MIME as an encryption method (RFC 8551): choose keys, sign, encrypt, take layers off."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from mailseal.errors import TransientError
from mailseal.mail.address import Address
from mailseal.mail.message import Octets
from mailseal.mail.mime import Entity
from mailseal.methods.layer import Opening, Peeled
from mailseal.methods.made import Made, Signed
from mailseal.methods.smime_layers import peel
from mailseal.policy.model import Already, Harvest
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import Settings
from mailseal.ports import Gateway, KeyPorts
from mailseal.smime import ber
from mailseal.smime import message as smime_message
from mailseal.smime.certificate import CertificateError, StoredCertificate, public_key
from mailseal.smime.encrypt import encryption_algorithms
from mailseal.smime.errors import CmsError
from mailseal.smime.form import SignatureForm
from mailseal.smime.message import LayerKind
from mailseal.smime.negotiate import capabilities_of, encryption_form, signature_form
from mailseal.smime.select import addresses_of, newest_first, speaks_for, why_not_encrypt, why_not_sign
from mailseal.smime.sign import SigningIdentity, signature_algorithms

MAX_KEYS_PER_RECIPIENT = 20


class Smime:
    """The S/MIME row of METHODS."""

    def usable_keys(
        self,
        gateway: KeyPorts,
        recipient: Address,
        policy: Settings,
        at: datetime,
        *,
        seek: bool = False,  # noqa: ARG002 -- certificates are looked for nowhere else
    ) -> tuple[str, ...] | Reason:
        """Fingerprints of all usable certificates of the recipient, then of the additional ones."""
        if not policy.smime:
            return because(ReasonCode.METHOD_OFF, method="smime")
        stored = gateway.certificates.of_recipient(recipient)
        if not stored:
            return because(ReasonCode.NO_CERTIFICATE, address=recipient)
        refusals = [(one, _why_not_encrypt(one, recipient, policy, at)) for one in stored]
        usable = newest_first(one for one, refusal in refusals if refusal is None)
        if not usable:
            return next(refusal for _, refusal in refusals if refusal is not None)
        # Stable: what strangers can add to, new keys for a known address, never crowds out the others.
        usable.sort(key=lambda one: one.conflict)
        own = [one.certificate.fingerprint for one in usable[:MAX_KEYS_PER_RECIPIENT]]
        extra = [name for name in self.additional(policy) if self._additional_usable(gateway, name, policy, at)]
        return tuple(dict.fromkeys(own + extra))

    def additional(self, policy: Settings) -> tuple[str, ...]:
        """As set."""
        return policy.additional_certificates

    @staticmethod
    def _additional_usable(gateway: KeyPorts, fingerprint: str, policy: Settings, at: datetime) -> bool:
        stored = gateway.certificates.by_fingerprint(fingerprint)
        # Set by an administrator for everybody's mail, so it counts as chosen by hand: no address has to fit.
        return stored is not None and _why_not_encrypt(replace(stored, selected=True), None, policy, at) is None

    def signer(
        self,
        gateway: KeyPorts,
        identity: Address,
        policy: Settings,
        at: datetime,
        *,
        seek: bool = False,  # noqa: ARG002 -- certificates are not made in the flow
    ) -> str | Reason:
        """The newest usable certificate with a private key of the identity; its domain's only if it has none itself."""
        stored = gateway.certificates.with_key_of(identity)
        if not stored:
            return because(ReasonCode.NO_SIGNING_KEY, address=identity)
        refusals = [(one, why_not_sign(one, identity, policy, at)) for one in stored]
        usable = newest_first(one for one, refusal in refusals if refusal is None)
        if not usable:
            return next(refusal for _, refusal in refusals if refusal is not None)
        usable.sort(key=lambda one: not speaks_for(_addresses(one, policy), identity))
        return usable[0].certificate.fingerprint

    def signing(self, gateway: Gateway, readers: Sequence[str], policy: Settings) -> SignatureForm:
        """The form of the signature, by what the readers can check."""
        return signature_form(policy, [capabilities_of(self._stored(gateway, one)) for one in readers])

    def sign(
        self, gateway: Gateway, entity: bytes, fingerprint: str, readers: Sequence[str], policy: Settings, at: datetime
    ) -> Signed:
        """The entity signed; TransientError when the certificate, or one of the readers', is gone."""
        form = self.signing(gateway, readers, policy)
        certificate = self._stored(gateway, fingerprint).certificate
        identity = SigningIdentity(
            certificate,
            gateway.certificates.private_key(certificate.spki_sha256),
            tuple(gateway.certificates.chain(certificate)),
        )
        signed = smime_message.signed_entity(entity, identity, form, at)
        return Signed(signed, signature_algorithms(certificate, form), entity)

    def encrypt(
        self,
        gateway: Gateway,
        what: Sequence[Octets] | Signed,
        keys: Sequence[str],
        policy: Settings,
        at: datetime,  # noqa: ARG002 -- certificates were judged as of it by `usable_keys`
    ) -> Made:
        """application/pkcs7-mime to all keys; TransientError when one of them is gone."""
        entity = what.entity if isinstance(what, Signed) else what
        readers = [self._stored(gateway, fingerprint) for fingerprint in keys]
        form = encryption_form(policy, [capabilities_of(one) for one in readers])
        certificates = [one.certificate for one in readers]
        return Made(
            smime_message.encrypted_entity(entity, certificates, form), encryption_algorithms(certificates, form)
        )

    def announce(
        self,
        gateway: Gateway,  # noqa: ARG002 -- certificates go with signatures
        identity: Address,  # noqa: ARG002
        policy: Settings,  # noqa: ARG002
        at: datetime,  # noqa: ARG002
    ) -> tuple[tuple[str, str], ...]:
        """Nothing."""
        return ()

    @staticmethod
    def _stored(gateway: Gateway, fingerprint: str) -> StoredCertificate:
        stored = gateway.certificates.by_fingerprint(fingerprint)
        if stored is None:
            # Deleted between plan and now: the next attempt plans with what there is then; this one goes nowhere.
            raise TransientError("a certificate that was usable a moment ago is no longer stored")
        return stored

    def already(self, root: Entity) -> Already:
        """Judged by the structure of the mail, never by a word in it; encrypted only if nothing is beside that."""
        found = smime_message.already(root)
        if found is not Already.ENCRYPTED or _is_all(root):
            return found
        return Already.SIGNED if root.children else Already.NOTHING

    def held(self, gateway: KeyPorts, reader: Address) -> tuple[str, ...]:
        """All certificates with a private key that the reader may use, expired ones too: mail outlives them."""
        return tuple(one.certificate.fingerprint for one in gateway.certificates.with_key_of(reader))

    def recognise(self, entity: Entity, settings: Settings) -> str | None:  # noqa: ARG002 -- always opened
        """A LayerKind value, or None. Certificates alone are a signed message without signers."""
        kind = smime_message.classify(entity)
        if kind is LayerKind.CERTS_ONLY:
            kind = LayerKind.SIGNED
        return None if kind is None else kind.value

    def peel(self, entity: Entity, kind: str, opening: Opening, depth: int) -> Peeled:
        """Decrypt, verify or decompress one layer."""
        peeled = peel(entity, LayerKind(kind), opening, depth)
        return peeled if opening.party.settings.harvest_certificates else replace(peeled, harvested=())

    def harvest(self, root: Entity, content: Entity, settings: Settings) -> tuple[Harvest, ...]:  # noqa: ARG002
        """None: certificates come with signatures."""
        return ()

    def tidy(self, content: Entity, settings: Settings) -> Entity:  # noqa: ARG002 -- nothing to take out
        """As it is."""
        return content


def _addresses(stored: StoredCertificate, policy: Settings) -> tuple[str, ...]:
    return addresses_of(stored.certificate, legacy_subject_email=policy.legacy_subject_email)


def _why_not_encrypt(
    stored: StoredCertificate, address: Address | None, policy: Settings, at: datetime
) -> Reason | None:
    """As `why_not_encrypt`. One whose key cannot be read is left out too: it must not keep the mail from the others."""
    refusal = why_not_encrypt(stored, address, policy, at)
    if refusal is not None:
        return refusal
    try:
        public_key(stored.certificate)
    except CertificateError:
        return because(ReasonCode.CERTIFICATE_UNSUPPORTED_KEY, fingerprint=stored.certificate.fingerprint)
    return None


def _is_all(entity: Entity) -> bool:
    """Whether an entity is its CMS structures and nothing else: no words before, between or behind them."""
    if entity.children:
        around = bytes(entity.preamble) + bytes(entity.epilogue)
        return not around.strip() and all(_is_all(child) for child in entity.children)
    try:
        octets = smime_message.read_cms(entity)
        return entity.is_exactly_encoded() and not octets[ber.read(octets).end :].strip()
    except CmsError:
        return False
