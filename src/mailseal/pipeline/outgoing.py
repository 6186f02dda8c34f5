"""The copies of one mail that leave on the protect path; each signature is made once, however many copies carry it."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from mailseal.errors import PermanentError
from mailseal.mail.message import Octets
from mailseal.mail.mime import Entity, HeaderField
from mailseal.mail.outgoing import signable
from mailseal.methods import METHODS
from mailseal.methods.made import Made, Signed
from mailseal.pipeline.assemble import assemble, entity_chunks
from mailseal.pipeline.loop import loop_fields
from mailseal.pipeline.run import Run
from mailseal.policy.model import Protect, Signer
from mailseal.policy.settings import Settings

Fields = Sequence[tuple[str, str]]
"""Names and values of header fields to add."""
BLIND_FIELDS = ("bcc", "resent-bcc")


def blind_fields(root: Entity) -> list[HeaderField]:
    """The fields that name recipients whom the others are not to know."""
    return [field for field in root.fields if field.name in BLIND_FIELDS]


@dataclass(frozen=True, slots=True)
class Written:
    """A copy of the mail, and the algorithms of its encryption and its signature as the log names them."""

    chunks: tuple[Octets, ...]
    algorithm: str = ""
    signature: str = ""


class Outgoing:
    """Makes copies of the mail with this root. `failed` are the signers that turned out not to be able to sign it."""

    def __init__(self, root: Entity) -> None:
        self.root = root
        self.failed: set[Signer] = set()
        self._signed: dict[tuple[Signer, Hashable], Signed] = {}
        self._left_out = blind_fields(root) + loop_fields(root)

    def clear(self, subject: str | None, fields: Fields) -> tuple[Octets, ...]:
        """The mail as it came; only the subject changed where a trigger is taken off, Bcc and loop header left out,
        `fields` added.
        """
        if subject is None and not self._left_out and not fields:
            return (self.root.buffer,)
        return assemble(self.root, remove=self._left_out, subject=subject, prepend=fields)

    def signed(self, run: Run, signer: Signer, policy: Settings, subject: str | None, fields: Fields) -> Written:
        """The mail signed."""
        made = self._signed_entity(run, signer, (), policy)
        return Written(self._assemble(made, subject, fields), signature=made.algorithm)

    def protected(self, run: Run, wish: Protect, policy: Settings, subject: str | None, fields: Fields) -> Written:
        """The mail encrypted, signed before if the plan says so."""
        what: Sequence[Octets] | Signed = entity_chunks(self.root)
        signature = ""
        if wish.signer is not None:
            what = self._signed_entity(run, wish.signer, wish.keys, policy)
            signature = what.algorithm
        made = METHODS[wish.method].encrypt(run.gateway, what, wish.keys, policy, run.at)
        return Written(self._assemble(made, subject, fields), made.algorithm, signature)

    def _assemble(self, made: Made, subject: str | None, fields: Fields) -> tuple[Octets, ...]:
        return assemble(self.root, remove=self._left_out, subject=subject, prepend=fields, entity=made.entity)

    def _signed_entity(self, run: Run, signer: Signer, readers: Sequence[str], policy: Settings) -> Signed:
        method = METHODS[signer.method]
        # A reader whose certificate is gone says nothing against the signer.
        key = (signer, method.signing(run.gateway, readers, policy))
        try:
            if key not in self._signed:
                entity = signable(self.root)
                self._signed[key] = method.sign(run.gateway, entity, signer.fingerprint, readers, policy, run.at)
        except PermanentError:
            self.failed.add(signer)
            raise
        return self._signed[key]
