"""Services of a system's Postfix that take mail from other machines and hand it to no content filter (smtpd(8)).

What comes by them is relayed as it is, whatever it should be.
"""

import re
from collections.abc import Collection, Iterable, Iterator

from mailseal.postfix.program import ServiceLine

_TAKES_MAIL = frozenset({"smtpd", "qmqpd"})
_FILTER = re.compile(r"-o\s*(?:\{\s*)?content_filter\s*=\s*([^\s}]*)")
_LOOPBACK = re.compile(r"127\.[0-9.]+:|\[::1\]:|localhost:", re.IGNORECASE)


def unfiltered(services: Iterable[ServiceLine], ours: Collection[str], content_filter: str) -> Iterator[str]:
    """The keys of such services. `ours`: keys of services that are Mailseal's; `content_filter`: what main.cf says.

    Only whether there is a filter can be said, not what it does. Where this machine alone can connect, it may be the
    way back from another filter.
    """
    for one in services:
        if one.command not in _TAKES_MAIL or one.kind not in {"inet", "pass"} or one.key in ours:
            continue
        given = _FILTER.findall(one.arguments)
        if not (given[-1] if given else content_filter) and not _LOOPBACK.match(one.name):
            yield one.key
