"""For whom something is set: a parameter of many operations, and whether the caller may do that for them."""

from typing import Annotated

from django.http import HttpRequest
from ninja import Query

from mailseal.store.owners import read_owner
from mailseal.store.row import OWNER_CHARS
from mailseal.web.access import Area, Verb
from mailseal.web.api.authentication import reach

Owner = Annotated[
    str,
    Query(
        max_length=OWNER_CHARS,
        description="An address, a domain, a wildcard such as `*.example.com`; empty: the whole gateway.",
    ),
]
"""A parameter `owner: Owner = ""`."""


def reach_owner(request: HttpRequest, area: Area, verb: Verb, owner: str) -> str:
    """The stored form of an owner, for whom the caller may do that; raises AddressError, and what `reach` raises."""
    _, key = read_owner(owner)
    reach(request, area, verb, domain=domain_of(key), what="owner")
    return key


def domain_of(owner: str) -> str:
    """To whose administrators an owner (stored form) belongs: a domain or wildcard; "" to those of all."""
    return owner.rpartition("@")[2]
