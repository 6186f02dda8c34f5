"""Deleting an address takes with it what was set for it in other areas: only who may change those does that."""

from mailseal.mail.address import Address
from mailseal.store import addresses
from mailseal.web.access import Area, Principal, Verb

_GOES_TOO = (Area.SETTINGS, Area.CERTIFICATES, Area.PGP)


def forget(who: Principal, address: Address) -> bool:
    """As `addresses.delete`; raises ForbiddenError, and LockedAddressError for what is locked against who asks."""
    for area in _GOES_TOO:
        who.require(area, Verb.CHANGE, domain=address.domain)
    whole = who.everywhere(Area.SETTINGS, Verb.CHANGE) and who.everywhere(Area.DLP, Verb.CHANGE)
    return addresses.delete(address, whole=whole)
