"""The encryption methods: one file and one row in METHODS each; the contract suite runs over the table."""

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from mailseal.mail.address import Address
from mailseal.mail.message import Octets
from mailseal.mail.mime import Entity
from mailseal.methods.layer import Opening, Peeled
from mailseal.methods.made import Made, Signed
from mailseal.methods.openpgp import OpenPgp
from mailseal.methods.smime import Smime
from mailseal.policy.model import Already, Awaited, Harvest, MethodName
from mailseal.policy.reason import Reason
from mailseal.policy.settings import Settings
from mailseal.ports import Gateway, KeyPorts


class Method(Protocol):
    """A way to protect a mail and to open one."""

    def usable_keys(
        self, gateway: KeyPorts, recipient: Address, policy: Settings, at: datetime, *, seek: bool = False
    ) -> tuple[str, ...] | Reason | Awaited:
        """Fingerprints to encrypt to for one recipient, additional keys included; or why there is none.

        `seek`: no method before this one can, so that keys may be looked for elsewhere.
        """

    def additional(self, policy: Settings) -> tuple[str, ...]:
        """Fingerprints of the keys to which everything that the method encrypts is encrypted as well."""

    def signer(
        self, gateway: KeyPorts, identity: Address, policy: Settings, at: datetime, *, seek: bool = False
    ) -> str | Reason:
        """Fingerprint of the key that signs for an address; or why there is none.

        `seek`: no method before this one signs, so that a key may be made.
        """

    def signing(self, gateway: Gateway, readers: Sequence[str], policy: Settings) -> Hashable:
        """Equal for readers (fingerprints of their keys, none for a mail in clear) for whom is signed alike."""

    def sign(
        self, gateway: Gateway, entity: bytes, fingerprint: str, readers: Sequence[str], policy: Settings, at: datetime
    ) -> Signed:
        """A signed entity (Content-* fields and body); for readers, what this method then encrypts to them.

        PermanentError: this method cannot; TransientError: plan anew. A key that is gone since the plan was made is
        the latter.
        """

    def encrypt(
        self, gateway: Gateway, what: Sequence[Octets] | Signed, keys: Sequence[str], policy: Settings, at: datetime
    ) -> Made:
        """An entity, or what this method signed, encrypted; errors as for `sign`."""

    def announce(
        self, gateway: Gateway, identity: Address, policy: Settings, at: datetime
    ) -> tuple[tuple[str, str], ...]:
        """Header fields (name, value) that tell readers about the keys of the sender; raises TransientError."""

    def already(self, root: Entity) -> Already:
        """The protection of this kind that the whole mail already has."""

    def held(self, gateway: KeyPorts, reader: Address) -> tuple[str, ...]:
        """Fingerprints of the keys that mail to this reader may be opened with."""

    def recognise(self, entity: Entity, settings: Settings) -> str | None:
        """The kind of layer that starts at this entity, if it is one of this method's that the reader wants opened."""

    def peel(self, entity: Entity, kind: str, opening: Opening, depth: int) -> Peeled:
        """Take one layer off. Never raises for bad content: that is a layer which is not ok, with its reason."""

    def harvest(self, root: Entity, content: Entity, settings: Settings) -> tuple[Harvest, ...]:
        """Keys that a mail brings along beside its signatures, if the reader keeps such; `content` is what is shown."""

    def tidy(self, content: Entity, settings: Settings) -> Entity:
        """What is shown without what is there for this method only; the same object where that changes nothing."""


METHODS: Mapping[MethodName, Method] = {
    MethodName.SMIME: Smime(),
    MethodName.PGP: OpenPgp(),
}
