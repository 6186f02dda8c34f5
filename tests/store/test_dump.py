"""The portable dump: rows of every kind of column go from each engine to each engine and stay what they were."""

import itertools
import json
import threading
import tracemalloc
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.core.management import call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.waiting import PATIENCE_SECONDS
from mailseal.store import load as load_module
from mailseal.store import migrate, pending_migrations
from mailseal.store.configure import use
from mailseal.store.dump import LOG_TABLES, Dump, Place, snapshot
from mailseal.store.dump_format import DECODE, ENCODE, DumpError, DumpReader, NewerDumpError, split_lines
from mailseal.store.load import NotEmptyError, NotTheSameError, copy, load
from mailseal.store.models import (
    CertificateRow,
    CertificateUse,
    Domain,
    JobRow,
    JournalRow,
    LogRow,
    PrivateKeyRow,
    StampRow,
)
from mailseal.store.row import uuid7
from mailseal.store.schema import applied, last_of, schema
from mailseal.store.stamps import stamps
from mailseal.store.transaction import StoreUnavailable, connection

NOW = datetime(2026, 11, 24, 3, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def here(store, request):
    """The place of the engine under test, with empty tables; used again at the end."""
    if store == "sqlite":
        place = Place(f"sqlite://{connection().settings_dict['NAME']}")
    else:
        server = request.getfixturevalue("mariadb")
        place = Place(server.url, server.password)
    yield place
    use(place.url, place.password, node="mx1")


def whole(place: Place, **more) -> bytes:
    with snapshot(place) as database:
        return b"".join(Dump(database, **more).lines())


def facts(dump: bytes) -> dict:
    """The end of a dump: what is in each table, whatever the order."""
    return json.loads(dump.splitlines()[-1])["end"]


def read(dump: bytes) -> DumpReader:
    return DumpReader(dump.splitlines(keepends=True))


text = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
times = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | text, lambda inner: st.lists(inner, max_size=3)
)
jobs = st.builds(
    JobRow,
    node=st.text("abc", max_size=20),
    kind=text.map(lambda value: value[:32]),
    state=st.integers(-(2**15), 2**15 - 1),
    epoch=st.integers(-(2**63), 2**63 - 1),
    attempts=st.integers(-(2**31), 2**31 - 1),
    lease_until=st.none() | times,
    run_at=times,
    once=st.booleans(),
    every_seconds=st.none() | st.integers(0, 2**31 - 1),
    payload=st.dictionaries(text, documents, max_size=3),
    sealed=st.none() | st.binary(max_size=80),
    error=text,
    created=times,
    finished=st.none() | times,
)


def test_rows_of_every_kind_survive_the_way_through_both_engines(here, tmp_path):
    there = Place(f"sqlite://{tmp_path}/there.db")

    @given(rows=st.lists(jobs, min_size=1, max_size=10))
    @settings(max_examples=4)
    def there_and_back(rows):
        for number, row in enumerate(rows):
            row.id, row.dedupe_key = uuid7(), f"key {number}"
        use(here.url, here.password)
        JobRow.objects.all().delete()
        JobRow.objects.bulk_create(rows)
        before = facts(whole(here))
        for source, target in ((here, there), (there, here)):
            use(target.url, target.password)
            if target is here:
                JobRow.objects.all().delete()
            copy(source)
            assert facts(whole(target)) == before
            found = {row.id: row for row in JobRow.objects.all()}
            for row in rows:
                assert columns(found[row.id]) == columns(row)
        use(there.url)
        JobRow.objects.all().delete()

    there_and_back()


def columns(row: JobRow) -> list:
    values = [getattr(row, field.attname) for field in row._meta.concrete_fields]
    return [bytes(value) if isinstance(value, bytes | memoryview) else value for value in values]


def fill(rows: int = 3) -> None:
    """Something in tables with every kind of column, and a child with its parent."""
    Domain.objects.create(name="alpha.example")
    certificate = CertificateRow.objects.create(
        fingerprint="ab" * 32, purpose="end-entity", der=bytes(range(256)), spki_sha256="cd" * 32, subject="CN=ä",
        issuer="i", subject_sha256="", issuer_sha256="", serial="1", key_algorithm="rsa", not_before=NOW,
        not_after=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), valid_from=NOW, valid_until=NOW, revocation="good",
        bound=True,
    )  # fmt: skip
    CertificateUse.objects.create(certificate=certificate, owner="anna@alpha.example", kind="selected")
    PrivateKeyRow.objects.create(spki_sha256="cd" * 32, kek_id="0" * 16, sealed=b"\0\xff sealed", algorithm="rsa")
    StampRow.objects.create(scope="settings", node="mx1", value=7)
    JournalRow.objects.create(name="journal-1", offset=2**40)
    add_log(rows)


def add_log(rows: int) -> None:
    usual = dict.fromkeys(
        ("message_id", "sender", "sender_key", "recipient", "recipient_key", "method", "reply", "subject"), "x"
    ) | {"direction": "out", "fate": "delivered", "treatment": "clear"}
    LogRow.objects.bulk_create(
        [
            LogRow(
                message=f"{number:032x}", time=NOW, reasons=[["a", {"b": number}]], details={"ü": [1, None]}, **usual
            )
            for number in range(rows)
        ],
        batch_size=1000,
    )


def test_a_database_goes_to_the_other_engine_and_back(here, tmp_path):
    fill(1203)  # several pages and batches
    before = whole(here)
    there = Place(f"sqlite://{tmp_path}/there.db")
    use(there.url)
    copy(here)
    assert facts(whole(there)) == facts(before)
    assert pending_migrations() == ()
    assert CertificateUse.objects.get().certificate.not_after.year == 9999
    assert stamps() == {("settings", "mx1"): 7}
    use(here.url, here.password)
    empty()
    copy(there)
    assert facts(whole(here)) == facts(before)
    assert StampRow.objects.get().value == 7


def empty() -> None:
    for table in reversed(schema(head_migrations())):
        with connection().cursor() as cursor:
            cursor.execute(f"DELETE FROM {table.name}")


def head_migrations() -> tuple[str, ...]:
    return last_of(applied(connection()))


def test_a_dump_is_of_one_instant_and_stops_nobody(here):
    fill(1203)
    with snapshot(here) as database:
        dump = Dump(database)
        lines = dump.lines()
        first = list(itertools.islice(lines, 5))
        in_another_thread(lambda: add_log(700))
        in_another_thread(lambda: Domain.objects.all().delete())
        got = b"".join((*first, *lines))
    assert facts(got)["store_log"]["rows"] == 1203
    assert facts(got)["store_domain"]["rows"] == 1
    assert LogRow.objects.count() == 1903


def in_another_thread(work) -> None:
    def body() -> None:
        work()
        connection().close()

    thread = threading.Thread(target=body)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive(), "the snapshot blocks a writer"


def test_the_log_can_be_left_out(here):
    fill()
    left = facts(whole(here, without=LOG_TABLES))
    assert {left[one]["rows"] for one in LOG_TABLES} == {0}


def test_a_dump_needs_little_memory(here):
    fill(4000)
    with snapshot(here) as database:
        lines = Dump(database).lines()
        for _ in itertools.islice(lines, 1500):
            pass
        tracemalloc.start()
        for _ in lines:
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 3_000_000


def test_what_is_there_is_never_mixed_with_what_comes(here):
    fill()
    dump = whole(here)
    with pytest.raises(NotEmptyError, match="store_"):
        load(read(dump))
    assert facts(whole(here)) == facts(dump)


def test_damage_is_noticed(here, tmp_path):
    fill()
    dump = whole(here)
    lines = dump.splitlines(keepends=True)
    row = next(number for number, line in enumerate(lines) if b"alpha.example" in line)
    changed = [*lines]
    changed[row] = changed[row].replace(b"alpha", b"omega")
    for bad in (
        lines[:-1],  # cut at a line
        [*lines[:-1], lines[-1][:-9]],  # cut in the last line
        lines[:row] + lines[row + 1 :],  # a row less
        [*lines[: row + 1], *lines[row:]],  # a row twice
        changed,
        [*lines, b"[]\n"],
        [],
        [b"\x89PNG\n"],
    ):
        with pytest.raises(DumpError):
            for _ in DumpReader(bad).rows():
                pass
    use(f"sqlite://{tmp_path}/damaged.db")
    with pytest.raises(DumpError):
        load(DumpReader(changed))
    with pytest.raises(StoreUnavailable):
        stamps()  # no mail worker works on what was filled with this


def test_a_load_that_broke_off_is_no_database_for_mail(here, tmp_path):
    fill()
    dump = whole(here)
    use(f"sqlite://{tmp_path}/half.db")

    def broken(_rows: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(read(dump), progress=broken)
    with pytest.raises(StoreUnavailable):
        stamps()
    with pytest.raises(NotEmptyError, match="not finished"):
        load(read(dump))


def test_a_row_that_the_database_changes_is_noticed(here, tmp_path, monkeypatch):
    fill()
    dump = whole(here)
    use(f"sqlite://{tmp_path}/changed.db")
    real = load_module._prepared
    monkeypatch.setattr(
        load_module,
        "_prepared",
        lambda table, row, database: [
            "Alpha.example" if value == "alpha.example" else value for value in real(table, row, database)
        ],
    )
    with pytest.raises(NotTheSameError):
        load(read(dump))


def test_a_newer_release_is_refused(here, tmp_path):
    fill()
    head, *rest = whole(here).splitlines(keepends=True)
    use(f"sqlite://{tmp_path}/newer.db")
    for change, why in (
        ({"migrations": ["9999_later"], "release": "9.9"}, r"release 9\.9 .*9999_later"),
        ({"mailseal-dump": 2}, "format 2"),
    ):
        newer = json.dumps(json.loads(head) | change).encode() + b"\n"
        with pytest.raises(NewerDumpError, match=why):
            load(DumpReader([newer, *rest]))


def test_tables_of_a_newer_release_are_not_dumped(here):
    with connection().cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('store', '9999_later', '2026-01-01')"
        )
    try:
        with pytest.raises(NewerDumpError, match="9999_later"):
            whole(here)
    finally:
        with connection().cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE name = '9999_later'")


def test_an_older_dump_gets_what_migrations_add(here, tmp_path):
    old = Place(f"sqlite://{tmp_path}/old.db")
    use(old.url)
    migrate()
    Domain.objects.create(name="old.example")
    call_command("migrate", "store", "0001", verbosity=0)
    for app in ("usersessions", "socialaccount", "mfa", "account", "accounts"):  # of before there was a console
        call_command("migrate", app, "zero", verbosity=0)
    with connection().cursor() as cursor:
        columns = {
            "id": uuid7().hex,
            "fingerprint": "ab" * 32,
            "purpose": "end-entity",
            "candidate": 0,
            "bound": 1,
            "der": b"x",
            "spki_sha256": "s",
            "subject": "",
            "issuer": "",
            "subject_sha256": "",
            "issuer_sha256": "",
            "serial": "1",
            "key_algorithm": "",
            "revocation": "unknown",
            "reason": "",
            "trusted": 1,
            "marks": 0,
        } | dict.fromkeys(("not_before", "not_after", "created", "valid_from", "valid_until"), "2026-01-01 00:00:00")
        cursor.execute(
            f"INSERT INTO store_certificate ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})",
            list(columns.values()),
        )  # fmt: skip
    use(here.url, here.password)
    copy(old)
    row = CertificateRow.objects.get()
    assert (row.capabilities, row.capabilities_at, row.conflict, row.bound) == ("", None, False, True)
    assert Domain.objects.get().name == "old.example"
    assert pending_migrations() == ()


def test_every_column_has_a_form_in_the_dump(store):
    tables = schema(head_migrations())
    assert {kind for table in tables for kind in table.columns.values()} == {
        "uuid", "text", "boolean", "integer", "time", "octets", "json"
    }  # fmt: skip
    names = [table.name for table in tables]
    assert names.index("store_certificate") < names.index("store_certificate_use")
    assert names.index("store_crl") < names.index("store_crl_entry")


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=20), st.integers(1, 30))
def test_lines_come_out_of_any_chunks(lines, size):
    octets = b"".join(line + b"\n" for line in lines)
    chunks = [octets[at : at + size] for at in range(0, len(octets), size)]
    assert list(split_lines(chunks)) == [line + b"\n" for line in lines]
    assert list(split_lines([*chunks, b"rest"])) == [*(line + b"\n" for line in lines), b"rest"]


def test_keys_and_times_are_read_as_they_are_written():
    key = uuid7()
    assert ENCODE["uuid"](key.hex) == ENCODE["uuid"](str(key)) == ENCODE["uuid"](key) == str(key)
    assert DECODE["uuid"](str(key)) == key == UUID(key.hex)
    naive = NOW.replace(tzinfo=None)
    assert ENCODE["time"](naive) == "2026-11-24T03:00:00.123456Z" == ENCODE["time"](NOW + timedelta())
    assert DECODE["time"](ENCODE["time"](naive)) == NOW
