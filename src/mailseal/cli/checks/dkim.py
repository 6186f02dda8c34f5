"""Whether the keys that sign mail are in the DNS, so that others can verify it."""

import time
from collections.abc import Iterator

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config
from mailseal.discover.dns import Dns
from mailseal.roles.dkim_lookup import Published, look_up
from mailseal.store import dkim_keys

SUBJECT = "DKIM"
MAX_SECONDS = 20.0
MAX_NAMED = 10
_STATUS = {
    Published.NO: Status.FAIL,
    Published.WRONG: Status.FAIL,
    Published.UNKNOWN: Status.WARN,
}


def dkim(config: Config) -> Iterator[Finding]:
    """Each active key is looked up, as far as the time goes."""
    active = [info for info in dkim_keys.list_keys() if info.active]
    if not active:
        return
    dns = Dns(config.dns.servers, config.dns.timeout_seconds)
    deadline = time.monotonic() + MAX_SECONDS
    answers = [look_up(info, dns, deadline) for info in active]
    wrong = [answer for answer in answers if answer.state is not Published.YES]
    for answer in wrong[:MAX_NAMED]:
        yield Finding(SUBJECT, _STATUS[answer.state], f"a key signs mail, but {answer.text}", answer.what_to_do)
    if len(wrong) > MAX_NAMED:
        yield Finding(SUBJECT, Status.FAIL, f"{len(wrong) - MAX_NAMED} more keys", "`mailseal dkim check` names them")
    if not wrong:
        domains = len({info.domain for info in active})
        yield Finding(SUBJECT, Status.OK, f"keys that sign: {len(active)}, domains: {domains}; all of them in the DNS")
