"""What mail and administrators ask of large tables is found by an index, whatever has grown."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pymysql
import pytest

import pgp_craft as craft
from dlp_patterns import a_pattern, stored
from mailseal.keys.seal_errors import BrokenSealError
from mailseal.keys.sealing import Kek
from mailseal.mail.address import Address
from mailseal.openpgp.certificate import PgpTrust
from mailseal.openpgp.errors import PgpError
from mailseal.policy.model import Fate
from mailseal.store import (
    addresses,
    certificate_admin,
    dlp_assignments,
    dlp_groups,
    harvest,
    jobs,
    ledger,
    log,
    overrides,
    pgp_admin,
    pgp_candidates,
    pgp_certificates,
    pgp_generate,
    pgp_import,
    pgp_keep,
    private_keys,
    revalidate,
)
from mailseal.store.certificates import _BEST_OF_OWNERS, StoreCertificates, chain_above
from mailseal.store.directory import StoreDirectory
from mailseal.store.dlp_models import DlpAssignmentRow, DlpPatternRow
from mailseal.store.dlp_scanners import StorePatterns
from mailseal.store.ledger import StoreLedger
from mailseal.store.log import LogFilter
from mailseal.store.models import CertificateRow, CertificateUse, KnownAddress, LedgerRow, LogRow, PrivateKeyRow
from mailseal.store.owners import with_places
from mailseal.store.pgp_certificates import StorePgpCertificates
from mailseal.store.pgp_conflicts import known_addresses
from mailseal.store.pgp_domain_keys import domain_keys
from mailseal.store.pgp_expiry import expiring
from mailseal.store.pgp_models import PgpCertificateRow, PgpComponentRow, PgpUseRow
from mailseal.store.private_keys import open_key
from mailseal.store.queue_models import LogQueueRow
from mailseal.store.row import first_uuid7, uuid7
from mailseal.store.transaction import connection, select
from pgp_keys import shared_key
from pki import Authority

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
THEN = datetime(2026, 6, 1, tzinfo=UTC)
ANNA = Address.parse("anna@inside.test")
BOB = Address.parse("bob@partner.test")
ROWS = 600


@pytest.fixture
def grown(store, certificates):
    """Some hundred rows in each table that grows: MariaDB reads a small table without any index."""
    authority = Authority("Large CA")
    anna = authority.issue(str(ANNA)).certificate
    rows = [_row(number, anna) for number in range(ROWS)]
    CertificateRow.objects.bulk_create(rows)
    CertificateUse.objects.bulk_create(
        [CertificateUse(certificate=row, owner=f"u{number}@inside.test", kind="san") for number, row in enumerate(rows)]
    )
    CertificateUse.objects.create(certificate=rows[0], owner=ANNA.key, kind="san")
    PrivateKeyRow.objects.bulk_create(
        [PrivateKeyRow(spki_sha256=f"{n:064x}", kek_id="k", sealed=b"", algorithm="") for n in range(ROWS)]
    )
    _many_pgp_keys()
    _many_patterns()
    KnownAddress.objects.bulk_create([KnownAddress(key=f"u{n}@inside.test", text="") for n in range(ROWS)])
    LedgerRow.objects.bulk_create([LedgerRow(attempt=f"{n:064x}", recipient="a", outcome={}) for n in range(ROWS)])
    rows = [_log_row(number) for number in range(4 * ROWS)]
    LogRow.objects.bulk_create(rows)
    LogQueueRow.objects.bulk_create(
        [LogQueueRow(id=row.id, queue_id=f"4{n:08x}", sent_as=f"5{n:08x}") for n, row in enumerate(rows)]
    )
    if store == "mariadb":
        with connection().cursor() as cursor:
            cursor.execute(
                "ANALYZE TABLE store_log, store_log_queue, store_certificate, store_certificate_use, store_ledger,"
                " store_private_key, store_pgp_certificate, store_pgp_component, store_pgp_use, store_dlp_pattern,"
                " store_dlp_member, store_dlp_assignment"
            )
    return anna


def _row(number: int, certificate) -> CertificateRow:
    texts = {"subject": "", "issuer": "", "serial": f"{number:x}", "key_algorithm": "rsa-2048", "revocation": "good"}
    times = dict.fromkeys(("not_before", "not_after", "valid_from", "valid_until", "judged_at", "due"), THEN)
    first = number == 0
    return CertificateRow(
        fingerprint=certificate.fingerprint if first else f"{number:064x}",
        der=certificate.der,
        purpose="end-entity" if number % 20 else "intermediate",
        spki_sha256=f"{number:064x}",
        subject_sha256=f"{number:064x}",
        issuer_sha256=f"{number % 7:064x}",
        candidate=number % 50 == 1,
        trusted=number % 50 != 1,
        **texts,
        **times,
    )  # fmt: skip


def _many_pgp_keys() -> None:
    made = shared_key("bob@partner.test").certificate
    rows = [_pgp_row(number, made) for number in range(ROWS)]
    PgpCertificateRow.objects.bulk_create(rows)
    PgpComponentRow.objects.bulk_create(
        PgpComponentRow(
            certificate=row, fingerprint=f"{number:08x}{sub:032x}", key_id=f"{number:08x}{sub:08x}",
            spki_sha256=f"{number:064x}", bound=number % 30 == 2,
        )
        for number, row in enumerate(rows)
        for sub in range(2)
    )  # fmt: skip
    PgpUseRow.objects.bulk_create(
        PgpUseRow(certificate=row, owner=f"u{number}@partner.test", kind="user-id") for number, row in enumerate(rows)
    )
    PgpUseRow.objects.create(certificate=rows[0], owner=BOB.key, kind="user-id")
    PgpUseRow.objects.create(certificate=rows[2], owner="partner.test", kind="selected")


def _many_patterns() -> None:
    stored(*(a_pattern(f"p{number}") for number in range(ROWS)))
    rows = list(DlpPatternRow.objects.all())
    dlp_groups.add("few", [row.name for row in rows[:10]])
    dlp_groups.add("all", [row.name for row in rows])
    DlpAssignmentRow.objects.bulk_create(
        DlpAssignmentRow(owner=f"u{number}@inside.test", pattern=row) for number, row in enumerate(rows)
    )
    dlp_assignments.assign("inside.test", groups=["few"])
    dlp_assignments.assign(ANNA.key, [rows[0].name])


def _pgp_row(number: int, made) -> PgpCertificateRow:
    return PgpCertificateRow(
        fingerprint=made.fingerprint if number == 0 else f"{number:040x}",
        octets=made.octets,
        trust="candidate" if number % 50 == 1 else "trusted",
        conflict=number % 100 == 1,
        provenance="mail",
        user_ids="",
        algorithm="ed25519",
        key_created=THEN,
        expires=THEN + timedelta(days=number),
    )


def _log_row(number: int) -> LogRow:
    at = THEN + timedelta(minutes=number)
    texts = dict.fromkeys(("method", "reply", "subject"), "")
    return LogRow(
        id=first_uuid7(at).hex[:20] + uuid7().hex[20:],
        time=at,
        message=f"{number:x}",
        message_id=f"<{number}@x.test>",
        direction="out",
        sender="",
        sender_key=f"u{number % 90}@inside.test",
        recipient="",
        recipient_key=f"v{number % 90}@outside.test",
        fate="refused" if number % 50 == 0 else "relayed",
        treatment="unchanged",
        reasons=[],
        details=[],
        **texts,
    )


def questions(anna) -> dict:
    """By name, what asks the database."""
    page = {"limit": 50}
    certificates = StoreCertificates(None)
    month = LogFilter(since=THEN, until=THEN + timedelta(hours=1))
    return {
        "party": lambda: StoreDirectory().party(ANNA),
        "settings of everybody": lambda: StoreDirectory().party(None),
        "certificates of an address": lambda: certificates.of_recipient(ANNA),
        "too many of them": _all_of_address,
        "certificate by fingerprint": lambda: StoreCertificates(None).by_fingerprint(anna.fingerprint),
        "issuers": lambda: chain_above(anna),
        "private key": _open_nothing,
        "ledger": lambda: StoreLedger().settled(b"x" * 32),
        "ledger, forget": lambda: ledger.forget(b"x" * 32),
        "ledger, purge": lambda: ledger.purge(LONG_AGO),
        "log, newest": lambda: log.search(LogFilter(), **page),
        "log, sender": lambda: log.search(LogFilter(sender="u1@inside.test"), **page),
        "log, recipient": lambda: log.search(LogFilter(recipient="v1@outside.test"), **page),
        "log, domain": lambda: log.search(LogFilter(recipient="outside.test"), **page),
        "log, domains of somebody": lambda: log.search(LogFilter(domains=frozenset({"a.test", "inside.test"})), **page),
        "log, fate": lambda: log.search(LogFilter(fate=Fate.REFUSED), **page),
        "log, message": lambda: log.search(LogFilter(message="1f"), **page),
        "log, Message-ID": lambda: log.search(LogFilter(message_id="<7@x.test>"), **page),
        "log, queue ID": lambda: log.search(LogFilter(queue_id=f"4{77:08x}"), **page),
        "log, purge of queue IDs": lambda: LogQueueRow.objects.filter(pk__lt=first_uuid7(LONG_AGO)).delete(),
        "log, time": lambda: log.search(month, **page),
        "log, next page": lambda: log.search(LogFilter(), before=first_uuid7(THEN), **page),
        "log, purge": lambda: log.purge(LONG_AGO),
        "candidates, room": lambda: harvest._insert([("0", b"")]),
        "candidates, known": lambda: harvest._stored(["0" * 64]),
        "candidates, purge": harvest.purge_candidates,
        "due": lambda: revalidate.due_count(at=LONG_AGO),
        "jobs, next": lambda: jobs.claim("me", kinds=("report",)),
        "jobs, purge": lambda: jobs.purge(LONG_AGO),
        "overrides of one": lambda: overrides.shown("anna@inside.test"),
        "certificate list": certificate_admin.list_certificates,
        "certificate list, address": lambda: certificate_admin.list_certificates(address=ANNA),
        "certificate list, conflict": lambda: certificate_admin.list_certificates(conflict=True),
        "conflicts": certificate_admin.count_conflicts,
        **pgp_questions(),
        "DLP patterns of an address": lambda: StorePatterns().of(ANNA, BOB),
        "DLP patterns by assignment": lambda: dlp_assignments.counting_for(ANNA, BOB),
        "address list": lambda: addresses.list_addresses(after="u5", limit=10),
    }


def pgp_questions() -> dict:
    made = shared_key("bob@partner.test")
    candidate = pgp_keep.Arrival(made.octets, made.certificate, "mail")
    other = made.keys[1][0].fingerprint
    return {
        "OpenPGP keys of an address": lambda: StorePgpCertificates(None).of_recipient(BOB),
        "too many of them": lambda: select(with_places(pgp_certificates._BEST_OF_OWNERS, 2), (BOB.key, "partner.test")),
        "OpenPGP key by fingerprint": lambda: StorePgpCertificates(None).by_fingerprint(made.fingerprint),
        "OpenPGP key by issuer": lambda: StorePgpCertificates(None).by_issuer(other),
        "OpenPGP key by key ID": lambda: StorePgpCertificates(None).by_issuer(other[:16]),
        "domain keys": lambda: domain_keys(["deep.partner.test"]),
        "signing key": lambda: pgp_generate._own(BOB, THEN),
        "addresses with a trusted key": lambda: known_addresses([BOB.key, "x@y.test"], THEN),
        "OpenPGP keys, import": lambda: pgp_import.PgpImport(lambda: None).add([candidate]),
        "OpenPGP candidates, room": lambda: pgp_candidates._welcome(pgp_keep.prepare([candidate])),
        "OpenPGP candidates, of an address": lambda: pgp_candidates._has_room([BOB.key], Counter()),
        "OpenPGP candidates, purge": pgp_candidates.purge_candidates,
        "OpenPGP candidates, published": lambda: pgp_candidates.keep_found([], published_for=BOB),
        "OpenPGP list": pgp_admin.list_keys,
        "OpenPGP list, address": lambda: pgp_admin.list_keys(address=BOB),
        "OpenPGP list, candidates": lambda: pgp_admin.list_keys(trust=PgpTrust.CANDIDATE),
        "OpenPGP list, conflicts": lambda: pgp_admin.list_keys(conflict=True),
        "OpenPGP keys waiting": lambda: pgp_admin.count(PgpTrust.CANDIDATE),
        "OpenPGP keys in conflict": lambda: pgp_admin.count(PgpTrust.CANDIDATE, conflict=True),
        "OpenPGP key by prefix": lambda: pgp_admin.show(made.fingerprint[:8]),
        "OpenPGP key by a key ID": lambda: pgp_admin.find(f"{3:08x}{1:08x}"),
        "OpenPGP key of a revocation": _revocation,
        "OpenPGP keys that end": lambda: next(expiring(THEN)),
        "private key, delete": lambda: private_keys.delete_key(f"{7:064x}"),
    }


def _revocation() -> None:
    with pytest.raises(PgpError, match="not stored"):
        pgp_import.for_signatures(craft.revoke(craft.key()), "import")


def _all_of_address() -> None:
    select(with_places(_BEST_OF_OWNERS, 2), (ANNA.key, "inside.test"))


def _open_nothing() -> None:
    with pytest.raises(BrokenSealError):
        open_key(f"{5:064x}", Kek(b"k" * 32))


LARGE = {
    "store_address", "store_certificate", "store_certificate_use", "store_ledger", "store_log", "store_log_queue",
    "store_private_key", "store_job", "store_override", "store_pgp_certificate", "store_pgp_component", "store_pgp_use",
    "store_dlp_pattern", "store_dlp_member", "store_dlp_assignment",
}  # fmt: skip


def test_every_question_is_answered_by_an_index(grown, store, monkeypatch):
    asked = _sqlite if store == "sqlite" else _mariadb
    without = {}
    for name, work in questions(grown).items():
        statements = asked(work, monkeypatch)
        assert statements, f"{name} asks nothing: the test sees nothing"
        if plans := [plan for statement in statements for plan in _full_reads(statement, store)]:
            without[name] = plans
    assert not without, json.dumps(without, indent=1, default=str)


def test_few_rows_are_not_looked_for_among_all_of_an_outcome(grown, store, monkeypatch):
    asked = _sqlite if store == "sqlite" else _mariadb
    few = (
        {"sender": "u1@inside.test"},
        {"recipient": "v1@outside.test"},
        {"message": "1f"},
        {"message_id": "<7@x.test>"},
        {"queue_id": f"4{77:08x}"},
    )
    for one in few:
        wanted = LogFilter(fate=Fate.RELAYED, **one)
        *asks, _queue_ids = asked(lambda wanted=wanted: log.search(wanted), monkeypatch)
        for statement in asks:
            assert "store_log_fate" not in _used(statement, store), one


def _used(statement: str, store: str) -> str:
    """What the plan says of the indexes it reads."""
    raw = connection().connection
    if store == "sqlite":
        return " ".join(row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}"))
    with raw.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}")
        return " ".join(str(row[5]) for row in cursor.fetchall())


def _sqlite(work, _monkeypatch) -> list[str]:
    seen: list[str] = []
    connection().ensure_connection()
    raw = connection().connection
    raw.set_trace_callback(seen.append)
    try:
        work()
    finally:
        raw.set_trace_callback(None)
    return _questions(seen)


def _mariadb(work, monkeypatch) -> list[str]:
    seen: list[str] = []
    query = pymysql.connections.Connection.query

    def seeing(self, sql, *args, **kwargs):
        seen.append(sql.decode() if isinstance(sql, bytes) else sql)
        return query(self, sql, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(pymysql.connections.Connection, "query", seeing)
        work()
    return _questions(seen)


def _questions(statements) -> list[str]:
    return [one for one in dict.fromkeys(statements) if one.startswith(("SELECT", "UPDATE", "DELETE"))]


def _full_reads(statement: str, store: str) -> list[object]:
    """The parts of a plan that read a whole large table."""
    raw = connection().connection
    if store == "sqlite":
        plan = [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}")]
        # The newest rows of all are read along the primary key, as far as the page goes.
        newest = " LIMIT " in statement and " WHERE " not in statement
        return [one for one in plan if one.startswith("SCAN") and _is_large(one.split()[1], statement) and not newest]
    with raw.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}")
        rows = cursor.fetchall()
    # (…, table, type, possible_keys, key, …); "index" with a LIMIT reads along the order as far as the page goes
    return [row for row in rows if row[3] == "ALL" and _is_large(str(row[2]), statement)]


def _is_large(name: str, statement: str) -> bool:
    """By the name of the table, or its alias in the statement."""
    return name in LARGE or any(f"{table} {name}" in statement for table in LARGE)


def test_a_question_without_an_index_is_seen(grown, store, monkeypatch):
    asked = _sqlite if store == "sqlite" else _mariadb
    statements = asked(lambda: list(LogRow.objects.filter(subject="no index for this")), monkeypatch)
    assert _full_reads(statements[0], store)
