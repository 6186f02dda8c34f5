"""How long the first page of what administrators read takes in a database that has grown.

python bench/scale_reading.py var/bench/scale-100000-10000000/mailseal.toml
"""

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from instance import Instance, memory_bytes

from mailseal.config import load
from mailseal.mail.address import Address
from mailseal.policy.model import Fate
from mailseal.store import addresses, certificate_admin, log, setup
from mailseal.store.log import LogFilter


def filters() -> dict[str, LogFilter]:
    now = datetime.now(UTC)
    newest = log.search(LogFilter(direction="out"), limit=1)[0]
    return {
        "no filter": LogFilter(),
        "sender": LogFilter(sender="s77@inside.test"),
        "sender nobody": LogFilter(sender="nobody@inside.test"),
        "recipient": LogFilter(recipient="r77@outside.test"),
        "sender and fate": LogFilter(sender="s77@inside.test", fate=Fate.REFUSED),
        "fate deferred": LogFilter(fate=Fate.DEFERRED),
        "fate held (none)": LogFilter(fate=next(one for one in Fate if one.value not in log_fates())),
        "direction": LogFilter(direction="in"),
        "message": LogFilter(message=newest.message),
        "Message-ID": LogFilter(message_id=newest.message_id),
        "a day a month ago": LogFilter(since=now - timedelta(days=31), until=now - timedelta(days=30)),
        "sender domain, frequent": LogFilter(sender="inside.test"),
        "sender domain, rare": LogFilter(sender="77.example"),
        "sender domain, none": LogFilter(sender="nowhere.example"),
        "recipient domain, none": LogFilter(recipient="nowhere.example"),
        "recipient domain, fate": LogFilter(recipient="outside.test", fate=Fate.DEFERRED),
    }


def log_fates() -> set[str]:
    return {"relayed", "refused", "deferred"}


def timed(name: str, work: Callable[[], object]) -> None:
    for attempt in ("first", "again"):
        began, cpu = time.perf_counter(), time.process_time()
        count = len(work())  # type: ignore[arg-type]
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        if attempt == "again" or wall > 5:
            print(f"{name:48} {count:5} rows {wall * 1000:9.1f} ms {cpu * 1000:9.1f} ms of CPU", flush=True)
            return


def main(instance: Instance) -> None:
    setup(load(instance.config, os.environ))
    for name, wanted in filters().items():
        timed(f"log, {name}", lambda wanted=wanted: log.search(wanted))
    some = Address.parse("r77@outside.test")
    timed("cert list", certificate_admin.list_certificates)
    timed("cert list, address", lambda: certificate_admin.list_certificates(address=some))
    timed("cert list, conflicts", lambda: certificate_admin.list_certificates(conflict=True))
    timed("cert list, text of none", lambda: certificate_admin.list_certificates(text="no such words"))
    soon = datetime.now(UTC) + timedelta(days=1)
    timed("cert list, expiring (none)", lambda: certificate_admin.list_certificates(expires_before=soon))
    timed("address list", addresses.list_addresses)
    timed("address list, domain", lambda: addresses.list_addresses(domain="outside.test"))
    timed("address list, no such domain", lambda: addresses.list_addresses(domain="nowhere.example"))
    print(f"memory of the reader: {memory_bytes(os.getpid())['VmRSS'] / 1048576:.0f} MiB")


if __name__ == "__main__":
    place = Path(sys.argv[1]).resolve().parent
    main(Instance(place.name, 21850, 21650))
