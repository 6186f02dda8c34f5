"""OpenPGP as an encryption method (RFC 9580, RFC 3156): choose keys, sign, encrypt, take layers off."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from mailseal.errors import PermanentError, TransientError
from mailseal.mail.address import Address
from mailseal.mail.message import Octets
from mailseal.mail.mime import Entity
from mailseal.methods import openpgp_keys
from mailseal.methods.layer import Opening, Peeled
from mailseal.methods.made import Made, Signed
from mailseal.methods.openpgp_already import already
from mailseal.methods.openpgp_layers import peel
from mailseal.methods.openpgp_write import Shape, SigningKey, encrypted, shape_for, signed
from mailseal.openpgp import inline, mime
from mailseal.openpgp.certificate import PgpTrust, StoredPgpCertificate
from mailseal.openpgp.mime import LayerKind
from mailseal.openpgp.select import newest_first, signing_component, speaks_for, why_not_encrypt, why_not_sign
from mailseal.policy.model import Already, Awaited, Harvest
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.settings import PgpLookup, Settings
from mailseal.ports import Gateway, KeyPorts, LookupState

MAX_KEYS_PER_RECIPIENT = 20


class OpenPgp:
    """The OpenPGP row of METHODS. A fingerprint is that of a certificate's primary key."""

    def usable_keys(
        self, gateway: KeyPorts, recipient: Address, policy: Settings, at: datetime, *, seek: bool = False
    ) -> tuple[str, ...] | Reason | Awaited:
        """Fingerprints of all usable certificates of the recipient, then of the additional ones."""
        if not policy.pgp:
            return because(ReasonCode.METHOD_OFF, method="pgp")
        found = _usable(gateway, recipient, policy, at)
        if not seek or policy.pgp_lookup is PgpLookup.OFF:
            return found
        if isinstance(found, Reason):
            return self._sought(gateway, recipient, policy, at, found)
        if policy.pgp_trust_wkd and _by_word_of_the_domain(gateway, recipient, found):
            # It counts for as long as the domain says so: whether it still does is asked anew now and then.
            gateway.lookups.ask(recipient, at, wait=False)
        return found

    @staticmethod
    def _sought(
        gateway: KeyPorts, recipient: Address, policy: Settings, at: datetime, found: Reason
    ) -> tuple[str, ...] | Reason | Awaited:
        wait = policy.pgp_lookup is PgpLookup.WAIT
        lookup = gateway.lookups.ask(recipient, at, wait=wait)
        if lookup.state is LookupState.RUNNING and wait:
            return Awaited(because(ReasonCode.LOOKUP_RUNNING, address=recipient))
        return _usable(gateway, recipient, policy, at) if lookup.state is LookupState.FINISHED else found

    def additional(self, policy: Settings) -> tuple[str, ...]:
        """As set."""
        return policy.pgp_additional_keys

    def signer(
        self, gateway: KeyPorts, identity: Address, policy: Settings, at: datetime, *, seek: bool = False
    ) -> str | Reason:
        """The newest usable certificate with a secret key of the identity; its domain's only if it has none itself.

        If there is none and a setting asks for it, one is made.
        """
        found = _signer(gateway.pgp.with_key_of(identity), identity, at)
        if isinstance(found, Reason) and seek and policy.pgp_generate_signing_key:
            with suppress(PermanentError):  # the reason is the one that there was before
                found = _signer([gateway.pgp.create(identity, at)], identity, at)
        return found

    def signing(self, gateway: Gateway, readers: Sequence[str], policy: Settings) -> Shape:
        """Where the signature goes; by which algorithm it is made is up to the key alone."""
        for one in readers:
            _stored(gateway, one)
        return shape_for(policy.pgp_format, readers)

    def sign(
        self, gateway: Gateway, entity: bytes, fingerprint: str, readers: Sequence[str], policy: Settings, at: datetime
    ) -> Signed:
        """The entity signed; TransientError when the key, or the certificate of a reader, is gone."""
        shape = self.signing(gateway, readers, policy)
        component = signing_component(_stored(gateway, fingerprint), at)
        if component is None:
            raise TransientError("a key that could sign a moment ago no longer can")
        private = gateway.certificates.private_key(component.public.spki_sha256)
        return signed(entity, SigningKey(component.public, private), shape, at)

    def encrypt(
        self, gateway: Gateway, what: Sequence[Octets] | Signed, keys: Sequence[str], policy: Settings, at: datetime
    ) -> Made:
        """One message to all keys, signature and all; TransientError when one of them is gone."""
        return encrypted(what, [_stored(gateway, one) for one in keys], policy, at)

    def announce(
        self, gateway: Gateway, identity: Address, policy: Settings, at: datetime
    ) -> tuple[tuple[str, str], ...]:
        """An Autocrypt field, if that is set."""
        return openpgp_keys.announce(gateway, identity, at) if policy.pgp and policy.pgp_autocrypt else ()

    def already(self, root: Entity) -> Already:
        """Judged by packets and for whom they are, never by an armor line; encrypted only if nothing is beside that."""
        return already(root)

    def held(self, gateway: KeyPorts, reader: Address) -> tuple[str, ...]:
        """All certificates with a secret key that the reader may use, expired ones too: mail outlives them."""
        return tuple(one.certificate.fingerprint for one in gateway.pgp.with_key_of(reader))

    def recognise(self, entity: Entity, settings: Settings) -> str | None:
        """A LayerKind value, or None; in texts only if the reader wants that opened."""
        kind = mime.classify(entity) or (inline.classify(entity) if settings.pgp_open_inline else None)
        return None if kind is None else kind.value

    def peel(self, entity: Entity, kind: str, opening: Opening, depth: int) -> Peeled:
        """Decrypt or verify one layer, or both if they are one message."""
        return peel(entity, LayerKind(kind), opening, depth)

    def harvest(self, root: Entity, content: Entity, settings: Settings) -> tuple[Harvest, ...]:
        """Attached keys, and that of an Autocrypt field."""
        return openpgp_keys.harvest(root, content) if settings.pgp_harvest_keys else ()

    def tidy(self, content: Entity, settings: Settings) -> Entity:
        """Without attached keys, if that is set."""
        return openpgp_keys.tidy(content) if settings.pgp_remove_key_attachments else content


def _usable(gateway: KeyPorts, recipient: Address, policy: Settings, at: datetime) -> tuple[str, ...] | Reason:
    stored = gateway.pgp.of_recipient(recipient)
    if not stored:
        return because(ReasonCode.NO_PGP_KEY, address=recipient)
    wkd = policy.pgp_trust_wkd
    refusals = [(one, why_not_encrypt(one, recipient, at, trust_wkd=wkd)) for one in stored]
    usable = newest_first(one for one, refusal in refusals if refusal is None)
    if not usable:
        return next(refusal for _, refusal in refusals if refusal is not None)
    own = [one.certificate.fingerprint for one in usable[:MAX_KEYS_PER_RECIPIENT]]
    extra = [name for name in policy.pgp_additional_keys if _additional_usable(gateway, name, at)]
    return tuple(dict.fromkeys(own + extra))


def _by_word_of_the_domain(gateway: KeyPorts, recipient: Address, used: Collection[str]) -> bool:
    """Whether one of the certificates is used only since the domain of the address publishes it."""
    return any(
        one.own_domain and one.trust is PgpTrust.CANDIDATE and one.certificate.fingerprint in used
        for one in gateway.pgp.of_recipient(recipient)
    )


def _additional_usable(gateway: KeyPorts, fingerprint: str, at: datetime) -> bool:
    stored = gateway.pgp.by_fingerprint(fingerprint)
    # Set by an administrator for everybody's mail, so it counts as chosen by hand: no address has to fit.
    return stored is not None and why_not_encrypt(replace(stored, selected=True), None, at) is None


def _signer(stored: Iterable[StoredPgpCertificate], identity: Address, at: datetime) -> str | Reason:
    refusals = [(one, why_not_sign(one, identity, at)) for one in stored]
    usable = newest_first(one for one, refusal in refusals if refusal is None)
    if not usable:
        reasons = (refusal for _, refusal in refusals if refusal is not None)
        return next(reasons, because(ReasonCode.NO_SIGNING_KEY, address=identity))
    usable.sort(key=lambda one: not speaks_for(one, identity, at))
    return usable[0].certificate.fingerprint


def _stored(gateway: Gateway, fingerprint: str) -> StoredPgpCertificate:
    stored = gateway.pgp.by_fingerprint(fingerprint)
    if stored is None:
        # Deleted between plan and now: the next attempt plans with what there is then; this one goes nowhere.
        raise TransientError("an OpenPGP key that was usable a moment ago is no longer stored")
    return stored
