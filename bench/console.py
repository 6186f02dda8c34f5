"""How fast the pages of the console are with many addresses and a long log: every list page, for an administrator and
for somebody who looks after one domain of many.

    python bench/console.py [--short] [--addresses 100000] [--rows 10000000] [--times 5]

The pages are asked in this process, on SQLite, without TLS; the slowest time of each counts, after a first one that
reads templates. Processor time says what of it is the page's and not of what else the machine does. Made once and kept
in var/bench/console-…: 10 million rows take some minutes and 9 GB. SLOW is what took longer than 300 ms.
"""

import argparse
import os
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import log_rows
from django.test import Client
from instance import FOLDER

from mailseal.config.load import from_values
from mailseal.keys.web_key import WebKey
from mailseal.store import audit, domains, log
from mailseal.store.accounts.models import Account
from mailseal.store.accounts.roles import Role
from mailseal.store.configure import migrate, use
from mailseal.store.log import LogFilter
from mailseal.store.models import CertificateRow, CertificateUse, KnownAddress, SettingOverride
from mailseal.store.transaction import run, unit_of_work
from mailseal.web import secrets, setup

LIMIT_SECONDS = 0.3
BATCH = 5000
EVENTS = 5000
INSIDE = "inside.test"
_TRAFFIC = (
    "INSERT INTO store_traffic (id, node, hour, direction, fate, treatment, method, copies)"
    " SELECT lower(hex(randomblob(16))), 'bench', substr(time, 1, 13) || ':00:00', direction, fate, treatment, method,"
    " count(*) FROM store_log GROUP BY substr(time, 1, 13), direction, fate, treatment, method"
)


def prepare(folder: Path, addresses: int, rows: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "mailseal.db"
    use(f"sqlite://{database}", node="bench")
    migrate()
    added = log_rows.fill(database, rows, addresses // 2)
    if added:
        with sqlite3.connect(database) as connection:
            connection.execute("DELETE FROM store_traffic")
            connection.execute(_TRAFFIC)
    if KnownAddress.objects.count() < addresses:
        print(f"{addresses} addresses", flush=True)
        people(addresses)


def people(count: int) -> None:
    """Half of them ours, half partners' with a certificate each; every tenth has a setting of its own."""
    for name in (INSIDE, *(f"d{n}.test" for n in range(500))):
        domains.add(name)
    for first in range(0, count // 2, BATCH):
        numbers = range(first, min(first + BATCH, count // 2))
        run(lambda numbers=numbers: batch(numbers))
    for number in range(EVENTS):
        run(
            lambda number=number: audit.record(
                "settings", "change", f"mode s{number}@{INSIDE}", after={"mode": "allow"}
            )
        )


def batch(numbers: range) -> None:
    ours, theirs = [f"s{n}@{INSIDE}" for n in numbers], [f"r{n}@outside.test" for n in numbers]
    KnownAddress.objects.bulk_create(KnownAddress(key=one, text=one) for one in ours + theirs)
    SettingOverride.objects.bulk_create(
        SettingOverride(level="address", owner=one, name="mode", value="mandatory") for one in ours[::10]
    )
    now = datetime.now(UTC)
    rows = [
        CertificateRow(
            fingerprint=f"{n:064x}", purpose="end-entity", der=b"", spki_sha256=f"{n:064x}", subject=f"CN=r{n}",
            issuer="CN=Bench", subject_sha256=f"{n:064x}", issuer_sha256="0" * 64, serial=f"{n:x}",
            key_algorithm="rsa-2048", not_before=now - timedelta(days=1), not_after=now + timedelta(days=n % 700),
            trusted=True, valid_from=now, valid_until=now + timedelta(days=n % 700), revocation="good",
        )
        for n in numbers
    ]  # fmt: skip
    CertificateRow.objects.bulk_create(rows)
    CertificateUse.objects.bulk_create(
        CertificateUse(certificate=row, owner=one, kind="san") for row, one in zip(rows, theirs, strict=True)
    )


def browser(role: Role, *mine: str) -> Client:
    account, _ = Account.objects.get_or_create(
        email=f"{role.value}@{INSIDE}", defaults={"roles": [role.value], "domains": list(mine)}
    )
    client = Client(SERVER_NAME="localhost")
    client.force_login(account, backend="mailseal.web.accounts.backend.Backend")
    return client


def pages() -> Iterator[str]:
    (newest,) = log.search(LogFilter(direction="out"), limit=1)
    day = (datetime.now(UTC) - timedelta(days=20)).strftime("%Y-%m-%dT%H:%M")
    yield from ("/", "/?range=24h", "/?range=30d")
    yield from (f"/mails/?{query}" for query in (
        "", "direction=in", "q=s77@inside.test", "q=inside.test", "q=nobody@nowhere.test", "q=nothing+of+the+kind",
        f"q={newest.message_id}", "q=4ABCDEF0123", "fate=deferred", "fate=held", "method=pgp", "method=smime",
        "fate=refused&direction=in", "recipient=r5@outside.test", "sender=inside.test&fate=deferred",
        "sender=inside.test&recipient=outside.test&fate=refused", "subject=budget", "reason=finding",
        f"until={day}", f"until={day}&fate=deferred&period=30d", "sender=s77@inside.test&subject=x",
    ))  # fmt: skip
    yield f"/mails/{newest.message}/"
    yield from ("/addresses/", "/addresses/?q=s77", f"/addresses/?domain={INSIDE}", f"/addresses/s77@{INSIDE}/")
    yield from ("/domains/", f"/domains/{INSIDE}/", "/quarantine/", "/keys/", "/keys/?whose=partners&days=365")
    yield from ("/settings/?owner=", f"/settings/?owner=s70@{INSIDE}", "/audit/", "/audit/?q=s77", "/accounts/")
    yield "/simulator/"


def measured(client: Client, url: str, times: int) -> tuple[int, list[float], list[float]]:
    """Status, times by the clock, times of the processor; the first request is not counted."""
    clock, processor, status = [], [], 0
    for _ in range(times + 1):
        begun, worked = time.perf_counter(), time.process_time()
        with unit_of_work():
            status = client.get(url, secure=True).status_code
        clock.append(time.perf_counter() - begun)
        processor.append(time.process_time() - worked)
    return status, clock[1:], processor[1:]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    options.add_argument("--short", action="store_true", default=os.environ.get("MAILSEAL_BENCH") == "short")
    options.add_argument("--addresses", type=int, default=0)
    options.add_argument("--rows", type=int, default=0)
    options.add_argument("--times", type=int, default=5)
    given = options.parse_args()
    addresses = given.addresses or (4000 if given.short else 100_000)
    rows = given.rows or (300_000 if given.short else 10_000_000)
    folder = FOLDER / f"console-{addresses}-{rows}"
    prepare(folder, addresses, rows)
    secrets.hold(WebKey(bytes(32)))
    setup(from_values({"data_dir": str(folder), "hostname": "localhost"}), secrets.django_secret())
    people_at_work = (
        (browser(Role.ADMINISTRATOR), "administrator"),
        (browser(Role.DOMAIN_ADMINISTRATOR, INSIDE, "d7.test"), "of a domain"),
    )
    print(f"\n{addresses} addresses, {rows} log rows; milliseconds: median, slowest of {given.times}; of the processor")
    slow = sum(report(client, who, url, given.times) for client, who in people_at_work for url in pages())
    print(f"{slow} took longer than {LIMIT_SECONDS * 1000:.0f} ms")


def report(client: Client, who: str, url: str, times: int) -> bool:
    """Print how long a page took; whether it was too slow."""
    status, clock, processor = measured(client, url, times)
    if status >= 500:
        raise SystemExit(f"{url}: {status}")
    if status != 200:
        return False
    slow = max(clock) > LIMIT_SECONDS
    told = (sorted(clock)[times // 2], max(clock), sorted(processor)[times // 2])
    print("".join(f"{one * 1000:7.0f}" for one in told), f" {who:13} {url}{'  SLOW' if slow else ''}", flush=True)
    return slow


if __name__ == "__main__":
    main()
