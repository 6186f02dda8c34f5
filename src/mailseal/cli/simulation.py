"""A mail in a file as if it came in: by the gateway as it stands, without effects; its documents are read by our own.

So it needs no running gateway, and what the running one is doing is not disturbed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from mailseal.cli.session import Session
from mailseal.mail.address import Address
from mailseal.mail.envelope import Client, Envelope, Origin, Recipient
from mailseal.mail.message import Message
from mailseal.ports import Gateway
from mailseal.wiring.gateway import open_node, without_effects
from mailseal.wiring.own_sandbox import OwnSandbox


@dataclass(frozen=True, slots=True)
class Simulation:
    """What `pipeline.explain` takes."""

    envelope: Envelope
    message: Message
    gateway: Gateway


@contextmanager
def simulated(
    session: Session, octets: bytes, sender: str, recipients: Sequence[str], *, origin: str | None, submission: bool
) -> Iterator[Simulation]:
    """`sender`: "" is the null sender; `origin`: None is as `--origin` says. Raises AddressError, MailsealError."""
    from_address = Address.parse(sender) if sender else None
    to = tuple(Recipient(Address.parse(one)) for one in recipients)
    config = session.open_store()
    gateway = without_effects(open_node(config).gateway)
    if origin is None:
        internal = gateway.directory.party(from_address).internal
        origin = Origin.AUTHORISED if internal else Origin.OUTSIDE
    envelope = Envelope(from_address, to, Origin(origin), client=Client("explain"), submission=submission)
    with OwnSandbox(config) as documents:
        yield Simulation(envelope, Message(octets), replace(gateway, documents=documents))
