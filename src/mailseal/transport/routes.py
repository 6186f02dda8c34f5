"""Next hops by recipient domain, and the key under which the pipeline keeps recipients of one route together."""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Protocol

from mailseal.config.next_hop import NextHop, next_hop


class Routes(Protocol):
    """The routes that administrators set. Each method may raise TransientError."""

    def of(self, domain: str) -> Sequence[NextHop]:
        """The next hops of a domain in order of preference; empty: those of the direction."""

    def hops(self) -> Collection[NextHop]:
        """Every next hop that any route names."""


class NoRoutes:
    """All mail goes to its direction's next hops."""

    def of(self, domain: str) -> Sequence[NextHop]:  # noqa: ARG002 -- the protocol's signature
        """None."""
        return ()

    def hops(self) -> Collection[NextHop]:
        """None."""
        return ()


def key_of(hops: Sequence[NextHop]) -> str:
    """The key of a route: it names the next hops themselves, so a route that is changed meanwhile does no harm."""
    return "\n".join(map(str, hops))


@lru_cache(maxsize=1024)
def hops_of(key: str) -> tuple[NextHop, ...]:
    """The next hops that a key names."""
    return tuple(next_hop(one) for one in key.split("\n"))
