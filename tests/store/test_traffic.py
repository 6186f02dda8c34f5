"""What came into the log is counted once, by the hour."""

import contextlib
from datetime import UTC, datetime, timedelta

from logged import START, keep, logged
from mailseal.store import log, traffic
from mailseal.store.journal_import import log_now
from mailseal.store.log import LogFilter
from mailseal.store.traffic import Traffic
from mailseal.store.transaction import run

DAY = timedelta(days=1)


def counted() -> list[tuple[int, int]]:
    return [(one.hour.hour, one.copies) for one in traffic.traffic(START, START + DAY)]


def test_each_row_is_counted_once_however_often_it_is_read(store):
    first, rest = [logged(n, "a@one.test", "b@two.test") for n in (0, 59, 60)], logged(61, "a@one.test", "b@two.test")
    keep(*first)
    assert counted() == [(0, 2), (1, 1)]
    keep(first[2], rest, rest)
    assert counted() == [(0, 2), (1, 2)]
    assert len(log.search(LogFilter())) == 4
    assert traffic.traffic(START + timedelta(minutes=65), START + DAY) == (
        Traffic(START + timedelta(hours=1), "out", "relayed", "passed", "", 2),
    )


def test_what_is_counted_goes_with_the_log(store):
    keep(*(logged(n * 60, "a@one.test", "b@two.test") for n in range(4)))
    log.purge(START + timedelta(hours=2))
    assert counted() == [(1, 1), (2, 1), (3, 1)], "an hour of which a part is still in the log is kept"


def test_nothing_is_counted_of_what_was_not_logged(store):
    class StopError(Exception):
        pass

    def work():
        log_now([logged(1, "a@one.test", "b@two.test")])
        raise StopError

    with contextlib.suppress(StopError):
        run(work)
    assert traffic.traffic(datetime(2020, 1, 1, tzinfo=UTC), START + DAY) == ()


def test_two_threads_that_log_the_first_mail_of_an_hour_lose_none(store, meanwhile):
    """The import, and a release that has just been delivered: the second one has not failed."""
    insert = "INSERT IGNORE INTO store_traffic" if store == "mariadb" else "INSERT OR IGNORE INTO store_traffic"
    with meanwhile(insert, lambda: keep(logged(2, "c@one.test", "d@two.test"))) as other:
        keep(logged(1, "a@one.test", "b@two.test"))
    assert other == [None]
    assert counted() == [(0, 2)]
    assert len(log.search(LogFilter())) == 2


def test_any_time_that_the_log_takes_is_counted(store):
    row = list(range(12))
    for time in ("2026-03-01T12:30:00.5", "20260301T123000", "2026-03-01 12:59"):
        row[3] = time
        run(lambda: traffic.count([[*row[:4], "out", *row[5:9], "relayed", "passed", ""]]))
    assert [
        (one.hour, one.copies)
        for one in traffic.traffic(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
    ] == [(datetime(2026, 3, 1, 12, tzinfo=UTC), 3)]
