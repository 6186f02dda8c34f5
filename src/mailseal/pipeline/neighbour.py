"""What a mail from Exchange Online counts as: whose it is, and whether its own tenant vouches for the sender.

All tenants of Exchange Online send from the same networks, so the network says nothing about who sends. What does are
two fields that Exchange Online puts on each mail that leaves it, and takes off each mail that comes in
(`X-MS-Exchange-Transport-CrossTenantHeadersStripped` is what it leaves in their place):

    X-MS-Exchange-CrossTenant-Id: 11111111-2222-3333-4444-555555555555      the tenant that the mail left
    X-MS-Exchange-CrossTenant-AuthAs: Internal                              Anonymous: from the world

Neither is signed. So each counts only where it stands once, and nothing stands beside it that some reader would take
for another; anything else refuses the mail (the tenant) or makes it mail from the world (the sender).
"""

import re
from dataclasses import dataclass

from mailseal.errors import TransientError
from mailseal.mail.envelope import Envelope, Origin, Protocol
from mailseal.mail.header import seen_values
from mailseal.mail.mime import Entity
from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.ports import Neighbour

TENANT = "x-ms-exchange-crosstenant-id"
AUTHENTICATED_AS = "x-ms-exchange-crosstenant-authas"
_INTERNAL = "Internal"
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a mail counts as. `origin` is AUTHORISED or OUTSIDE; `returns`: every copy goes back to the neighbour.

    `stranger`: nobody but this gateway stands between its sender and the world. `refused`: why nobody gets it.
    """

    origin: Origin
    returns: bool = False
    stranger: bool = False
    refused: Reason | None = None


def arrival_of(envelope: Envelope, root: Entity, neighbour: Neighbour | None) -> Arrival:
    """Resolve the origin class; raises TransientError where mail of a neighbour comes in that is not configured."""
    if envelope.origin is not Origin.NEIGHBOUR:
        stranger = envelope.protocol is Protocol.ESMTP and envelope.origin is Origin.OUTSIDE
        return Arrival(envelope.origin, stranger=stranger)
    if neighbour is None:
        raise TransientError("mail comes from a neighbour, and [office365] names no tenant")
    tenant = (_only(root, TENANT) or "").lower()
    if tenant in neighbour.tenants:
        internal = _only(root, AUTHENTICATED_AS) == _INTERNAL
        return Arrival(Origin.AUTHORISED if internal else Origin.OUTSIDE, returns=True)
    if neighbour.takes_others:
        return Arrival(Origin.OUTSIDE, stranger=True)
    detail = f"tenant {tenant}" if _GUID.fullmatch(tenant) else "its header does not name exactly one tenant"
    return Arrival(Origin.OUTSIDE, refused=because(ReasonCode.FOREIGN_TENANT, detail=detail))


def _only(root: Entity, name: str) -> str | None:
    """The value of the one field of that name; None without one, or with two in anybody's eyes."""
    seen = sum(len(seen_values(field.raw(root.buffer), name.encode("ascii"))) for field in root.fields)
    return root.header(name) if seen == 1 else None
