"""What could be done now for an address, and why not: methods asked as the mail path asks them, with no key opened."""

from dataclasses import dataclass
from datetime import datetime

from mailseal.keys.seal_errors import SealError
from mailseal.mail.address import Address
from mailseal.methods import METHODS, Method
from mailseal.policy.model import Awaited, MethodName, Party
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.ports import Lookup, LookupState
from mailseal.store.certificates import StoreCertificates
from mailseal.store.directory import StoreDirectory
from mailseal.store.pgp_certificates import StorePgpCertificates


@dataclass(frozen=True, slots=True)
class Ability:
    """What one method can do for an address by its own settings; who writes to it, or is written to, counts as well.

    `encrypts_to`, `opens_with`: fingerprints of certificates, or OpenPGP primary keys; `signs_with` is one, or "".
    `why_not` and `why_not_sign` are set where there is none.
    """

    method: MethodName
    encrypts_to: tuple[str, ...]
    why_not: Reason | None
    signs_with: str
    why_not_sign: Reason | None
    opens_with: tuple[str, ...]


class _Closed:
    """Implements `private_keys.Sealing`: whoever only asks opens nothing."""

    def seal(self, plaintext: bytes, *, identity: bytes) -> bytes:  # noqa: ARG002 -- the port's signature
        raise SealError("nothing is sealed here")

    def open(self, sealed: bytes, *, identity: bytes) -> bytes:  # noqa: ARG002 -- the port's signature
        raise SealError("nothing is opened here")


class _NotLookedFor:
    """Implements `ports.Lookups`: whoever only asks has nothing looked for."""

    def ask(self, address: Address, at: datetime, *, wait: bool) -> Lookup:  # noqa: ARG002 -- the port's signature
        return Lookup(LookupState.NEVER)


class StoreAbilities:
    """Implements `ports.KeyPorts`. It remembers what it has read: make one for each page."""

    def __init__(self) -> None:
        self._directory = StoreDirectory()
        self.certificates = StoreCertificates(_Closed())
        self.pgp = StorePgpCertificates(_Closed())
        self.lookups = _NotLookedFor()

    def party(self, address: Address) -> Party:
        """Whether it is internal, and its settings; raises StoreUnavailable."""
        return self._directory.party(address)

    def of(self, address: Address, at: datetime) -> tuple[Ability, ...]:
        """Of each method, in the order in which they are tried; raises StoreUnavailable.

        An address without a local part (`@example.com`) stands for all of a domain that have nothing of their own.
        """
        party = self.party(address)
        return tuple(self._ability(name, method, address, party, at) for name, method in METHODS.items())

    def _ability(self, name: MethodName, method: Method, address: Address, party: Party, at: datetime) -> Ability:
        found = method.usable_keys(self, address, party.settings, at)
        keys, why_not = ((), _reason(found)) if isinstance(found, Reason | Awaited) else (found, None)
        off = not getattr(party.settings, name.value)
        signer = because(ReasonCode.METHOD_OFF, method=name.value) if off else self._signer(method, address, party, at)
        signs_with, why_not_sign = ("", signer) if isinstance(signer, Reason) else (signer, None)
        return Ability(name, keys, why_not, signs_with, why_not_sign, () if off else method.held(self, address))

    def _signer(self, method: Method, address: Address, party: Party, at: datetime) -> str | Reason:
        if not party.internal:
            return because(ReasonCode.NO_SIGNING_IDENTITY)
        if not party.settings.sign:
            return because(ReasonCode.SIGNING_OFF)
        return method.signer(self, address, party.settings, at)


def _reason(found: Reason | Awaited) -> Reason:
    return found.reason if isinstance(found, Awaited) else found
