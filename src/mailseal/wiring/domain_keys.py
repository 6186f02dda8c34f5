"""The keys of domains: ours out of the store, all others out of the DNS."""

from collections.abc import Sequence

from mailseal.discover.dns import Dns, NoAnswerError
from mailseal.dkim.sign import DkimKey
from mailseal.store.dkim_keys import StoreDomainKeys


class StoredAndPublished:
    """Implements `ports.DomainKeys`."""

    def __init__(self, stored: StoreDomainKeys, dns: Dns) -> None:
        self._stored = stored
        self._dns = dns

    def signing(self, domain: str) -> Sequence[DkimKey]:
        """As of the port; raises SealError and StoreUnavailable, both transient."""
        return self._stored.signing(domain)

    def txt(self, name: str, deadline: float) -> Sequence[str]:
        """As of the port; raises DnsUnavailableError, which is transient."""
        try:
            return self._dns.txt(name, deadline).records
        except NoAnswerError:
            return ()
