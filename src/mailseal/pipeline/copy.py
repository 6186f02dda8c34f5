"""A recipient's copy as it goes to the next hop, and the work that makes and sends one."""

from collections.abc import Callable
from dataclasses import dataclass

from mailseal.mail.address import Address
from mailseal.mail.message import Octets
from mailseal.policy.model import Harvest, MethodName, Treatment
from mailseal.policy.reason import Reason
from mailseal.ports import Hop


@dataclass(frozen=True, slots=True)
class Copy:
    """Octets to send (after our Received field), and what the log says of them.

    `headers_only` asks the next hops to return headers only when they bounce the mail: set on every copy whose
    content must not come back to somebody else.
    """

    chunks: tuple[Octets, ...]
    treatment: Treatment
    method: MethodName | None = None
    headers_only: bool = False
    eight_bit: bool = False
    reasons: tuple[Reason, ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    harvested: tuple[Harvest, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One effect: build a copy and send it to these recipients (indices into the envelope's).

    `build` may raise PermanentError; then `fall_back` gives the tasks to do instead, given why. `route` is None until
    the copy is built; a copy whose recipients have more than one is sent by a task for each. `to`: who gets it in the
    place of these recipients.
    """

    indices: tuple[int, ...]
    hop: Hop
    build: Callable[[], Copy]
    fall_back: Callable[[Reason], "list[Task]"]
    reasons: Callable[[int], tuple[Reason, ...]]
    route: str | None = None
    to: Address | None = None
