"""The copies of one mail that leave on the protect path; each signature is made once, however many copies carry it."""

from mailseal.errors import PermanentError
from mailseal.mail.message import Octets
from mailseal.mail.mime import Entity, HeaderField
from mailseal.mail.outgoing import signable
from mailseal.methods import METHODS
from mailseal.pipeline.assemble import assemble, entity_chunks
from mailseal.pipeline.run import Run
from mailseal.policy.model import Protect, Signer
from mailseal.policy.settings import Digest, Settings

BLIND_FIELDS = ("bcc", "resent-bcc")


def blind_fields(root: Entity) -> list[HeaderField]:
    """The fields that name recipients whom the others are not to know."""
    return [field for field in root.fields if field.name in BLIND_FIELDS]


class Outgoing:
    """Makes copies of the mail with this root. `failed` are the signers that turned out not to be able to sign it."""

    def __init__(self, root: Entity) -> None:
        self.root = root
        self.failed: set[Signer] = set()
        self._signed: dict[tuple[Signer, Digest], bytes] = {}
        self._blind = blind_fields(root)

    def clear(self, subject: str | None) -> tuple[Octets, ...]:
        """The mail as it came; only the subject changed where a trigger is taken off, and Bcc left out."""
        if subject is None and not self._blind:
            return (self.root.buffer,)
        return assemble(self.root, remove=self._blind, subject=subject)

    def signed(self, run: Run, signer: Signer, policy: Settings, subject: str | None) -> tuple[Octets, ...]:
        """The mail signed."""
        entity = self._signed_entity(run, signer, policy)
        return assemble(self.root, remove=self._blind, subject=subject, entity=(entity,))

    def protected(self, run: Run, wish: Protect, policy: Settings, subject: str | None) -> tuple[Octets, ...]:
        """The mail encrypted, signed before if the plan says so."""
        inner: list[Octets] = entity_chunks(self.root)
        if wish.signer is not None:
            inner = [self._signed_entity(run, wish.signer, policy)]
        entity = METHODS[wish.method].encrypt(run.gateway, inner, wish.keys, policy)
        return assemble(self.root, remove=self._blind, subject=subject, entity=(entity,))

    def _signed_entity(self, run: Run, signer: Signer, policy: Settings) -> bytes:
        key = (signer, policy.smime_digest)
        entity = self._signed.get(key)
        if entity is None:
            method = METHODS[signer.method]
            try:
                entity = method.sign(run.gateway, signable(self.root), signer.fingerprint, policy, run.at)
            except PermanentError:
                self.failed.add(signer)
                raise
            self._signed[key] = entity
        return entity
