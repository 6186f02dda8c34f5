"""Mail that the gateway itself has written, on its way to the next hop: reports and notices."""

import time
from datetime import UTC, datetime

from mailseal.errors import PermanentError, TransientError
from mailseal.mail.address import Address
from mailseal.mail.envelope import Recipient
from mailseal.mail.mime import parse
from mailseal.pipeline.domain_signature import own_mail_signed
from mailseal.pipeline.loop import loop_field
from mailseal.ports import Gateway, Hop, Transfer
from mailseal.store import jobs
from mailseal.store.jobs import Job

SEND_SECONDS = 120.0


class LostJobError(TransientError):
    """Another worker has taken the job over meanwhile."""


def hop_to(gateway: Gateway, to: Address, hop: Hop | None) -> Hop:
    """Where mail of ours goes: back to the neighbour if the mail that it is about came from there, else as any mail."""
    if hop is Hop.NEIGHBOUR and gateway.neighbour is not None:
        return hop
    return Hop.INSIDE if gateway.directory.party(to).internal else Hop.OUTSIDE


def send(gateway: Gateway, job: Job, content: bytes, sender: Address | None, to: Address, hop: Hop | None) -> None:
    """Send a mail, signed for the domain of its author, for a job that is fenced right before.

    Raises TransientError, also when the next hop defers it, and PermanentError when that refuses it for good.
    """
    way = hop_to(gateway, to, hop)
    route = gateway.relay.route(way, to)
    if not jobs.fence(job):
        raise LostJobError("another worker has taken this job over")
    utf8 = not content.isascii()  # then in its header (RFC 6531 §3.2): all of these have seven-bit bodies
    now = datetime.now(UTC)
    transfer = Transfer(
        way,
        sender,
        (Recipient(to),),
        (*_loop_mark(gateway, way, content, sender, to), *own_mail_signed(gateway, content, now)),
        eight_bit=utf8,
        smtputf8=utf8,
        deadline=time.monotonic() + SEND_SECONDS,
        route=route,
    )
    (answer,) = gateway.relay.send(transfer)
    if answer.refused:
        raise PermanentError(f"the next hop refused it: {answer.code} {answer.text}")
    if not answer.accepted:
        raise TransientError(f"the next hop deferred it: {answer.code} {answer.text}")


def _loop_mark(gateway: Gateway, hop: Hop, content: bytes, sender: Address | None, to: Address) -> tuple[bytes, ...]:
    """As on every copy that goes to the neighbour, which else would send the mail here first."""
    if hop is not Hop.NEIGHBOUR or gateway.neighbour is None:
        return ()
    message_id = parse(content).root.header("message-id") or ""
    return (loop_field(gateway.neighbour.loop, (content,), message_id, sender, [to], datetime.now(UTC)),)
