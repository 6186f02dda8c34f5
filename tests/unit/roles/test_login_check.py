"""Whether somebody is let in: the same work and the same words for whoever is not; never a password in a line."""

import asyncio
import logging
import threading

import pytest

from mailseal.config import LogAddresses
from mailseal.keys.password_hash import NOBODYS, BrokenHashError, WrongPasswordError
from mailseal.roles import login_check
from mailseal.roles.login_check import LoginCheck
from mailseal.roles.login_limits import FAILURES_OF_LOGIN
from mailseal.roles.meter import Meter
from mailseal.roles.metric_table import By
from mailseal.store.logins import Login
from mailseal.store.transaction import StoreUnavailable
from mailseal.transport.dovecot_auth import Attempt
from mailseal.transport.sasl import Credentials

LOGINS = {
    "anna": Login("anna", "of anna"),
    "dora@inside.example": Login("dora@inside.example", "of dora", enabled=False),
    "broken": Login("broken", "broken"),
}
PASSWORDS = {"of anna": b"annas secret", "of dora@": b"doras secret", "of dora": b"doras secret", NOBODYS: b"nobodys"}


class Bench:
    def __init__(self, monkeypatch, addresses=LogAddresses.FULL):
        self.meter = Meter(By.MAPS)
        self.slept = []
        self.looked_at = []
        self.away = False
        self.gate = None
        self.now = 1000.0
        self.addresses = addresses
        monkeypatch.setattr(login_check.logins, "find", self.find)
        monkeypatch.setattr(login_check, "verify_password", self.verify)
        monkeypatch.setattr(asyncio, "sleep", self.sleep)

    def find(self, name):
        if self.away:
            raise StoreUnavailable("away")
        return LOGINS.get(name)

    def verify(self, password, phc):
        self.looked_at.append(phc)
        if self.gate is not None:
            assert self.gate.wait(60)
        if phc == "broken":
            raise BrokenHashError("a stored password is broken")
        if PASSWORDS[phc] != password:
            raise WrongPasswordError("another")

    async def sleep(self, seconds):
        self.slept.append(seconds)

    def check(self):
        return LoginCheck(self.meter, self.addresses, lambda: self.now)

    def run(self, *attempts, client="192.0.2.1"):
        """The answers, one after the other."""

        async def all_of_them():
            check = self.check()
            try:
                return [
                    await check.answer(Attempt(number, Credentials(*one), client, "smtp", secured=True))
                    for number, one in enumerate(attempts, 1)
                ]
            finally:
                check.close()

        return asyncio.run(all_of_them())

    def counted(self):
        found = {}
        for metric in self.meter.registry.collect():
            if metric.name == "mailseal_logins":
                found = {one.labels["result"]: one.value for one in metric.samples if one.name.endswith("_total")}
        return found


@pytest.fixture
def bench(monkeypatch):
    return Bench(monkeypatch)


def test_who_shows_his_password_is_let_in_under_the_name_that_is_stored(bench):
    assert bench.run(("ANNA", b"annas secret")) == [b"OK\t1\tuser=anna\n"]
    assert bench.slept == []
    assert bench.counted() == {"accepted": 1}


def test_whoever_is_not_let_in_hears_the_same_after_the_same_work(bench):
    answers = bench.run(
        ("anna", b"x"),
        ("dora@inside.example", b"doras secret"),
        ("nobody", b"x"),
        ("nobody", b"nobodys"),
        ("no body", b"x"),
    )
    said = {answer.partition(b"reason=")[2] for answer in answers}
    assert said == {b"wrong user or password\n"}
    assert bench.looked_at == ["of anna", "of dora", NOBODYS, NOBODYS, NOBODYS]
    assert bench.counted() == {"wrong-password": 1, "disabled": 1, "unknown": 3}
    assert len(bench.slept) == 5


def test_postfix_logs_names_of_logins_and_nothing_else_that_was_typed(bench):
    known, unknown = bench.run(("anna", b"x"), ("my secret", b"x"))
    assert b"\tuser=anna\t" in known
    assert b"user=" not in unknown
    assert b"secret" not in unknown


def test_lines_have_no_password_and_no_name_that_may_be_one(bench, caplog):
    with caplog.at_level(logging.DEBUG, "mailseal"):
        bench.run(("anna", b"wrongword"), ("mypassword", b"x"), ("anna", b"annas secret"))
    fields = [(one.getMessage(), getattr(one, "login", None), one.result) for one in caplog.records]
    assert fields == [
        ("login refused", "anna", "wrong-password"),
        ("login refused", None, "unknown"),
        ("login", "anna", "accepted"),
    ]
    every = str([one.__dict__ for one in caplog.records])
    for secret in ("wrongword", "mypassword", "annas secret"):
        assert secret not in every
    assert {getattr(one, "from") for one in caplog.records} == {"192.0.2.1"}


def test_lines_have_no_names_where_addresses_are_not_shown(monkeypatch, caplog):
    bench = Bench(monkeypatch, LogAddresses.NONE)
    with caplog.at_level(logging.DEBUG, "mailseal"):
        bench.run(("anna", b"wrongword"))
    assert "anna" not in str([one.__dict__ for one in caplog.records])


def test_without_the_database_nothing_is_said(bench):
    bench.away = True
    assert bench.run(("anna", b"annas secret"), ("nobody", b"x")) == [None, None]
    assert bench.counted() == {"unavailable": 2}
    assert bench.looked_at == []


def test_a_database_that_was_away_locks_nobody_out(bench):
    async def scene():
        check = bench.check()
        bench.away = True
        for _ in range(2 * FAILURES_OF_LOGIN):
            assert await check.answer(Attempt(1, Credentials("anna", b"x"), "192.0.2.1")) is None
        bench.away = False
        assert (
            await check.answer(Attempt(1, Credentials("anna", b"annas secret"), "192.0.2.1")) == b"OK\t1\tuser=anna\n"
        )
        check.close()

    asyncio.run(scene())


def test_a_stored_password_that_cannot_be_calculated_says_nothing_about_who_tries(bench, caplog):
    assert bench.run(("broken", b"x")) == [None]
    assert "a stored password is broken" in caplog.text


def test_what_nobody_expected_does_neither(bench, monkeypatch):
    def find(name):
        raise RuntimeError(f"the row of {name}")

    monkeypatch.setattr(login_check.logins, "find", find)
    assert bench.run(("anna", b"x")) == [None]


def test_who_guesses_is_locked_out_and_not_even_looked_at(bench):
    answers = bench.run(*[("anna", b"x")] * FAILURES_OF_LOGIN, ("anna", b"annas secret"))
    assert answers[-1].startswith(b"FAIL\t11\treason=too many failures")
    assert b"user=" not in answers[-1]
    assert len(bench.looked_at) == FAILURES_OF_LOGIN
    assert bench.counted()["locked"] == 1
    assert bench.slept == sorted(bench.slept)


def test_a_name_that_nobody_has_is_locked_as_well(bench):
    assert bench.run(*[("nobody", b"x")] * FAILURES_OF_LOGIN, ("nobody", b"x"))[-1].startswith(
        b"FAIL\t11\treason=too many"
    )


def test_few_at_the_same_time_and_few_who_wait(bench, monkeypatch):
    """Each costs 64 MiB: a crowd is told to come again."""
    monkeypatch.setattr(login_check, "MAX_WAITING", 3)
    bench.gate = threading.Event()

    async def scene():
        check = bench.check()
        attempts = [Attempt(n, Credentials(f"user{n}", b"x"), f"192.0.2.{n}") for n in range(10)]
        tasks = [asyncio.create_task(check.answer(one)) for one in attempts]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result() for task in done} == {None}
        bench.gate.set()
        answers = await asyncio.gather(*tasks)
        check.close()
        return answers

    answers = asyncio.run(scene())
    assert sum(answer is not None for answer in answers) == login_check.AT_ONCE + 3
    assert bench.counted() == {"busy": 5, "unknown": 5}


def test_who_waits_too_long_for_his_turn_is_told_to_come_again(bench, monkeypatch):
    monkeypatch.setattr(login_check, "TURN_SECONDS", 0.05)
    bench.gate = threading.Event()

    async def scene():
        check = bench.check()
        attempts = [Attempt(n, Credentials("anna", b"annas secret"), "") for n in range(3)]
        tasks = [asyncio.create_task(check.answer(one)) for one in attempts]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result() for task in done] == [None]
        bench.gate.set()
        answers = await asyncio.gather(*tasks)
        check.close()
        return answers

    assert sum(answer is not None for answer in asyncio.run(scene())) == 2
    assert bench.counted() == {"busy": 1, "accepted": 2}
