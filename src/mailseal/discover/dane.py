"""Whether mail for a domain is secured by DANE: TLSA records of its MX hosts, proven by DNSSEC (RFC 7672 §2).

What the name server says of DNSSEC is believed; Postfix looks for itself when it delivers.
"""

from mailseal.discover.dns import Dns, DnsUnavailableError, Mx, NoAnswerError, Records, Tlsa

MAX_HOSTS = 10
_DIGEST_OCTETS = {1: 32, 2: 64}
"""Of matching types 1 and 2, SHA-256 and SHA-512 (RFC 6698 §2.1.3)."""


def has_dane(dns: Dns, domain: str) -> bool:
    """Whether some MX host of the domain has usable TLSA records; raises DnsUnavailableError if nobody knows its MX.

    A host in a signed zone whose TLSA records nobody can say now counts as one that has some: they may be wrong on
    purpose, and whoever looks when mail is delivered will see.
    """
    try:
        found = dns.mx(domain)
    except NoAnswerError as nothing:  # the domain is its own exchanger (RFC 5321 §5.1)
        found = Records((Mx(0, domain),), nothing.authenticated)
    if not found.authenticated:
        return False
    return any(host_has_dane(dns, one.host) for one in found.records[:MAX_HOSTS] if one.host)


def usable(record: Tlsa) -> bool:
    """Whether a record is one that SMTP can use: DANE-TA or DANE-EE (RFC 7672 §3.1.3), of known kinds."""
    length = _DIGEST_OCTETS.get(record.matching)
    right_length = len(record.data) == length if length else record.matching == 0 and bool(record.data)
    return record.usage in (2, 3) and record.selector in (0, 1) and right_length


def host_has_dane(dns: Dns, host: str, port: int = 25) -> bool:
    """The same of one host; never raises."""
    if not _signed(dns, host):
        return False
    try:
        records = dns.tlsa(host, port)
    except NoAnswerError:
        return False
    except DnsUnavailableError:
        return True
    return records.authenticated and any(map(usable, records.records))


def _signed(dns: Dns, host: str) -> bool:
    """Whether its addresses are proven; only then TLSA records are asked for (RFC 7672 §2.2.2)."""
    for ask in (dns.a, dns.aaaa):
        try:
            if ask(host).authenticated:
                return True
        except NoAnswerError:
            continue
        except DnsUnavailableError:
            return True
    return False
