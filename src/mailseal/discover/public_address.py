"""Which addresses are of the public Internet (RFC 6890, and the registries of IANA that follow it).

Written out, since `ipaddress.is_global` has changed its mind between releases of Python.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_NOT_PUBLIC = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)
_GLOBAL_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
"""A translator sends what goes there to the IPv4 address in the last 32 bits (RFC 6052)."""


def is_public(text: str) -> bool:
    """Whether a numeric address is one that anybody on the Internet could reach; False for what is no address."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        if address in _NAT64:
            address = IPv4Address(int(address) & 0xFFFF_FFFF)
        elif address not in _GLOBAL_UNICAST:  # ::ffff:0:0/96 and what was once IPv4-compatible too
            return False
    return not any(address in network for network in _NOT_PUBLIC if network.version == address.version)
