"""A second SIGTERM, while Postfix waits for a reply: all ends at once, and no Postfix is left that takes mail."""

from __future__ import annotations

import os
import signal

from harness.client import send
from harness.mail import mail
from harness.site import INSIDE, private_site
from harness.waiting import wait_until
from mailseal.postfix import master

CARL, OLGA = f"carl@{INSIDE}", "olga@out.example"


def test_it_ends_at_once_and_the_mail_is_there_for_the_next(need_postfix: None) -> None:
    with private_site("twice", top={"workers": 1}, limits={"drain_seconds": 600}) as site:
        running = site.postfix.master()
        site.inside.data_delay_seconds = 600.0
        send(site.postfix.mx, OLGA, [CARL], mail(OLGA, CARL))
        wait_until(lambda: site.inside.delays)
        os.kill(site.gateway.pid, signal.SIGTERM)
        wait_until(lambda: not site.postfix.lives())
        assert master._programs(running) & master._DELIVERING, "what delivers may end that first"
        os.kill(site.gateway.pid, signal.SIGTERM)
        wait_until(lambda: not site.gateway.processes())
        assert not master._lives(running)
        assert any(one.is_file() for one in (site.postfix.queue / "active").glob("**/*"))
        site.inside.data_delay_seconds = 0.0
