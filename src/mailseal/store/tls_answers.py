"""What Postfix is answered about TLS: the tables `tls` (smtp_tls_policy_maps) and, of `transport`, which way mail goes.

Every question has one whole answer: Postfix asks nobody else, and main.cf decides nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from mailseal.config import Config
from mailseal.postfix.tls_choice import Choice, choose
from mailseal.postfix.tls_destination import read_key, wildcards_above
from mailseal.postfix.tls_policy import rendered
from mailseal.postfix.tls_way import Way, Ways
from mailseal.store.sts_policies import NOTHING, StoreStsPolicies, StsKnown
from mailseal.store.tls_policies import StoreTlsRules


@dataclass(frozen=True, slots=True)
class TlsAnswer:
    """What to tell Postfix. `asking`: the domain's MTA-STS policy is being looked for, and may be here in a moment."""

    choice: Choice
    asking: bool = False

    @property
    def text(self) -> str:
        """The policy as Postfix reads it."""
        return rendered(self.choice.policy)


class StsSource(Protocol):
    """Who knows the MTA-STS policies of domains."""

    def of(self, domain: str, at: datetime) -> StsKnown:
        """What is known of a domain; raises StoreUnavailable."""

    def clear(self) -> None:
        """Forget what was read."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class TlsAnswers:
    """Thread-safe. Whoever holds one must `clear` it when the stamp `tls` has changed, and trust it only meanwhile."""

    def __init__(self, ways: Ways, sts: StsSource | None, *, now: Callable[[], datetime] = _utc_now) -> None:
        self._ways = ways
        self._rules = StoreTlsRules()
        self._sts = sts
        self._now = now

    @staticmethod
    def of(config: Config) -> "TlsAnswers":
        """As the configuration says. A domain of which nothing is known is looked at by the worker."""
        return TlsAnswers(Ways.of(config), StoreStsPolicies() if config.tls.mta_sts else None)

    def policy(self, key: str) -> TlsAnswer | None:
        """The answer to a key of the table `tls`; None: nothing is known under it (a parent domain).

        Raises MailsealError, as which mail waits: UnknownKeyError, RuleNotKeptError, TlsPolicyError (a next hop's URL
        that Postfix cannot do), BrokenTlsRuleError, StoreUnavailable.
        """
        asked = read_key(key)
        rule = self._rules.first(asked.destinations)
        rules = {} if rule is None else {rule.destination.key: rule}
        known = NOTHING
        if rule is None and asked.domain and self._sts is not None:
            known = self._sts.of(asked.domain, self._now())
        choice = choose(asked, rules, self._ways.hops, known.facts, self._ways.default)
        return None if choice is None else TlsAnswer(choice, known.asking)

    def way(self, domain: str, *, internal: bool) -> Way:
        """Which way mail for a domain (an A-label) goes on from Postfix.

        Raises RuleNotKeptError where that would break the domain's TLS rule, BrokenTlsRuleError, StoreUnavailable.
        """
        rule = self._rules.first((domain, *wildcards_above(domain)))
        return self._ways.of_mail(domain, rule, internal=internal)

    def clear(self) -> None:
        """Forget what was read: the stamp `tls` changed."""
        self._rules.clear()
        if self._sts is not None:
            self._sts.clear()
