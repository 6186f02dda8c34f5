"""What one look-up costs: cache-missing party, of_recipient, with_key_of, by_fingerprint, private_key; journal import.

.venv/bin/python bench/store.py [--mysql URL --password P] [--count 10000]
"""

import argparse
import random
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from mailseal.keys.sealing import Kek
from mailseal.mail.address import Address
from mailseal.mail.reply import ACCEPTED
from mailseal.policy.model import Fate, MethodName, Outcome, Treatment
from mailseal.policy.reason import ReasonCode, because
from mailseal.smime.certificate import Revocation, Verdict
from mailseal.store import certificate_rows, domains, private_keys
from mailseal.store.certificates import StoreCertificates
from mailseal.store.configure import migrate, use
from mailseal.store.directory import StoreDirectory
from mailseal.store.journal import JournalWriter, LogRecord, import_journals
from mailseal.store.ledger import StoreLedger
from mailseal.store.models import CertificateRow, CertificateUse
from mailseal.store.transaction import run
from pki import Authority, make_key


def fill(count: int, kek: Kek) -> list[Address]:
    authority = Authority("Bench CA")
    addresses = [Address.parse(f"user{number}@inside.test") for number in range(count)]
    domains.add("inside.test")
    keys = [make_key("p256", fresh=True) for _ in range(50)]
    now = datetime.now(UTC)

    def work() -> None:
        rows, uses = [], []
        for number, address in enumerate(addresses):
            identity = authority.issue(str(address), key=keys[number % 50])
            certificate = identity.certificate
            private_keys.keep(identity.key, certificate.spki_sha256, certificate.key_algorithm, kek)
            verdict = Verdict(
                True,  # noqa: FBT003 -- trusted
                None,
                certificate.not_before,
                certificate.not_after,
                Revocation.GOOD,
                now + timedelta(days=9),
            )
            values = certificate_rows.columns(certificate)
            values |= certificate_rows.verdict_values(verdict, now, candidate=False)
            row = CertificateRow(fingerprint=certificate.fingerprint, purpose="end-entity", bound=True, **values)
            rows.append(row)
            uses += [
                CertificateUse(certificate=row, owner=owner, kind=kind)
                for owner, kind in certificate_rows.address_uses(certificate)
            ]
        CertificateRow.objects.bulk_create(rows, batch_size=500)
        CertificateUse.objects.bulk_create(uses, batch_size=500)

    run(work)
    return addresses


def timed(name: str, work, items) -> None:
    started, cpu = time.perf_counter(), time.process_time()
    for item in items:
        work(item)
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"{name:<46}{wall / len(items) * 1e6:8.1f} µs  {cpu / len(items) * 1e6:8.1f} µs of CPU")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mysql")
    parser.add_argument("--password")
    parser.add_argument("--count", type=int, default=10_000)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mailseal-bench-"))
    use(options.mysql or f"sqlite://{folder}/mailseal.db", options.password)
    migrate()
    kek = Kek(b"k" * 32)
    addresses = fill(options.count, kek)
    random.Random(1).shuffle(addresses)
    look_ups(addresses, kek)
    ledger_and_journal(addresses, folder)


def look_ups(addresses: list[Address], kek: Kek) -> None:
    directory, certificates = StoreDirectory(), StoreCertificates(kek)
    timed("party, not cached", directory.party, addresses)
    timed("party, cached", directory.party, addresses)
    timed("of_recipient, not cached, not parsed", certificates.of_recipient, addresses)
    certificates.clear()
    timed("of_recipient, not cached, parsed", certificates.of_recipient, addresses)
    timed("with_key_of after it", certificates.with_key_of, addresses)
    names = [certificates.of_recipient(one)[0].certificate.fingerprint for one in addresses]
    timed("by_fingerprint after it", certificates.by_fingerprint, names)
    certificates.clear()
    timed("by_fingerprint, not cached", certificates.by_fingerprint, names)
    spkis = list({row[0] for row in CertificateRow.objects.values_list("spki_sha256")})
    timed("private_key (P-256), not cached", certificates.private_key, spkis)
    timed("private_key, cached", certificates.private_key, spkis)
    nobody = [Address.parse(f"nobody{number}@outside.test") for number in range(len(addresses))]
    timed("party of an unknown domain", directory.party, nobody)
    timed("of_recipient of nobody", certificates.of_recipient, nobody)


def ledger_and_journal(addresses: list[Address], folder: Path) -> None:
    outcome = Outcome(
        addresses[0], Fate.RELAYED, ACCEPTED, Treatment.SIGNED_ENCRYPTED, MethodName.SMIME,
        (because(ReasonCode.MODE_ALLOW), because(ReasonCode.PROTECTED_BY, method="smime", keys="ab" * 32)),
        (("algorithm", "aes256-cbc"), ("signer", "ab" * 32)),
    )  # fmt: skip
    ledger = StoreLedger()
    attempts = [bytes([number % 256]) * 31 + bytes([number // 256]) for number in range(500)]
    timed("ledger.settled of a new mail", ledger.settled, attempts)
    timed("ledger.settle", lambda attempt: ledger.settle(attempt, [outcome]), attempts)
    now = datetime.now(UTC)
    writer = JournalWriter(folder)
    records = range(len(addresses))
    timed(
        "journal append of one record",
        lambda number: writer.append(
            [LogRecord(f"{number:x}", now, addresses[number], "out", outcome, f"<{number}@x.test>", "Subject")]
        ),
        records,
    )
    started, cpu = time.perf_counter(), time.process_time()
    rows = import_journals(folder).rows
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"journal import of {rows} rows: {wall / rows * 1e6:.1f} µs a row, {cpu / rows * 1e6:.1f} µs of CPU")


main()
