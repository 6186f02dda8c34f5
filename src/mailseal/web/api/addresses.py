"""Operations on addresses that something was set up for (`store.addresses`), and what could be done for them now."""

from datetime import datetime
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field

from mailseal.mail.address import Address
from mailseal.policy.model import MethodName
from mailseal.store import addresses
from mailseal.store.abilities import Ability, StoreAbilities
from mailseal.store.addresses import AddressInfo
from mailseal.store.owners import domain_name
from mailseal.store.row import utc_now
from mailseal.web.access import Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs, principal, reach
from mailseal.web.api.paging import ITEMS, After, Limit, Page, page
from mailseal.web.api.problem import not_found
from mailseal.web.api.reasons import ReasonShown, reason_shown
from mailseal.web.api.shapes import Shown
from mailseal.web.forgetting import forget

router = Router()


class AddressShown(Shown):
    """An address, and how much was set up for it."""

    address: str
    key: str = Field(description="As it is compared: case-folded, its domain as A-label.")
    settings: int
    certificates: int
    pgp_keys: int
    created: datetime


class AbilityShown(Shown):
    """What one method can do for an address now, by its own settings. Fingerprints of certificates or OpenPGP keys."""

    method: MethodName
    encrypts_to: list[str]
    why_not: ReasonShown | None
    signs_with: str | None
    why_not_sign: ReasonShown | None
    opens_with: list[str]


class AbilitiesShown(Shown):
    """What could be done for an address now."""

    address: str
    internal: bool
    methods: list[AbilityShown]


@router.get("", response=Page[AddressShown], auth=needs(Area.ADDRESSES), operation_id="list_addresses")
def list_addresses(
    request: HttpRequest,
    domain: Annotated[str, Query(max_length=255, description="Only those of one domain.")] = "",
    text: Annotated[str, Query(max_length=254, description="Only those with this text in them.")] = "",
    after: After = "",
    limit: Limit = ITEMS,
) -> Page[AddressShown]:
    """Addresses by key."""
    rows = addresses.list_addresses(
        domain=domain_name(domain) if domain else None,
        domains=principal(request).domains_for(Area.ADDRESSES),
        text=text,
        after=after,
        limit=limit + 1,
    )
    return page(rows, limit, show=_shown, key=lambda one: one.key)


@router.get("/{path:address}/abilities", response=AbilitiesShown, auth=needs(Area.ADDRESSES), operation_id="abilities")
def abilities(request: HttpRequest, address: str) -> AbilitiesShown:
    """Which methods can be used for an address now, with which keys, and why not. It need not have been set up."""
    one = _reached(request, address, Verb.SEE)
    asked = StoreAbilities()
    found = asked.of(one, utc_now())
    return AbilitiesShown(address=str(one), internal=asked.party(one).internal, methods=list(map(_ability, found)))


@router.get("/{path:address}", response=AddressShown, auth=needs(Area.ADDRESSES), operation_id="get_address")
def get_address(request: HttpRequest, address: str) -> AddressShown:
    """One address."""
    return _find(_reached(request, address, Verb.SEE))


@router.put(
    "/{path:address}", response=AddressShown, auth=needs(Area.ADDRESSES, Verb.CHANGE), operation_id="put_address"
)
def put_address(request: HttpRequest, address: str) -> AddressShown:
    """Remember an address. That also happens by itself when a certificate or setting needs it."""
    one = _reached(request, address, Verb.CHANGE)
    addresses.add(one)
    return _find(one)


@router.delete(
    "/{path:address}", response={204: None}, auth=needs(Area.ADDRESSES, Verb.CHANGE), operation_id="delete_address"
)
def delete_address(request: HttpRequest, address: str) -> Status[None]:
    """Forget an address with its settings and what was chosen for it by hand. Its certificates stay."""
    one = _reached(request, address, Verb.CHANGE)
    if not etag.change(request, lambda: _find(one), lambda: forget(principal(request), one)):
        raise not_found("address")
    return Status(204, None)


def _reached(request: HttpRequest, text: str, verb: Verb) -> Address:
    one = Address.parse(text)
    reach(request, Area.ADDRESSES, verb, domain=one.domain, what="address")
    return one


def _find(one: Address) -> AddressShown:
    found = addresses.find(one)
    if found is None:
        raise not_found("address")
    return _shown(found)


def _shown(one: AddressInfo) -> AddressShown:
    return AddressShown(
        address=one.text,
        key=one.key,
        settings=one.overrides,
        certificates=one.certificates,
        pgp_keys=one.pgp_keys,
        created=one.created,
    )


def _ability(one: Ability) -> AbilityShown:
    return AbilityShown(
        method=one.method,
        encrypts_to=list(one.encrypts_to),
        why_not=reason_shown(one.why_not) if one.why_not else None,
        signs_with=one.signs_with or None,
        why_not_sign=reason_shown(one.why_not_sign) if one.why_not_sign else None,
        opens_with=list(one.opens_with),
    )
