"""The queue of a real Postfix, looked after by the owner of the data folder, who is not root: why each mail waits, and
what is done about it. Postfix's back-off is an hour, so that nothing moves unless it is told to.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import everybody
from harness.client import send
from harness.everybody import KEEPER, OTHER
from harness.folder import free_port, short_folder
from harness.home import Home
from harness.mail import mail
from harness.postfix import Postfix
from harness.sink import Sink
from harness.waiting import PATIENCE_SECONDS, wait_until
from harness.web import Web
from mailseal.postfix.queue_mails import QueuedMail
from mailseal.postfix.queue_request import Verb
from mailseal.roles.queue_client import QueueClient

INSIDE = "alpha.example"
ANNA = f"anna@{INSIDE}"
HOUR = ("minimal_backoff_time=1h", "maximal_backoff_time=1h", "queue_run_delay=1h")
SECONDS = PATIENCE_SECONDS


TYPED = """
import contextlib, io, json, sys
from mailseal.cli import run
found = []
for words in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = run(["--config", sys.argv[1], *words])
    found.append((status, out.getvalue(), err.getvalue()))
json.dump(found, sys.stdout)
"""


@dataclass(frozen=True)
class Typed:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)


@dataclass
class Place:
    home: Home
    postfix: Postfix
    inside: Sink
    outside: Sink
    web: Web
    metrics: int
    client: QueueClient
    process: subprocess.Popen[bytes]

    def queued(self) -> list[QueuedMail]:
        """As root, who may ask too."""
        with self.client.listing() as listing:
            return list(listing)

    def waiting(self, count: int, *, queue: str = "deferred", why: str = "") -> list[QueuedMail]:
        """The mails of a queue once there are so many, each recipient with a reason (or this one)."""

        def found() -> list[QueuedMail]:
            return [
                one
                for one in self.queued()
                if one.queue == queue and all((why or " ") in to.reason for to in one.recipients)
            ]

        wait_until(
            lambda: len(found()) == count, lambda: f"{count} in {queue}: {self.queued()}\n{self.home.said()[-2000:]}"
        )
        return found()

    def type(self, *commands: str, user: str | None = KEEPER) -> list[Typed]:
        return typed(self.home, *commands, user=user)

    def cli(self, command: str, user: str | None = KEEPER) -> str:
        (done,) = self.type(command, user=user)
        assert done.status == 0, f"mailseal {command}: {done}"
        return done.out

    def json(self, command: str) -> Any:
        return json.loads(self.cli(f"{command} --json"))


def typed(home: Home, *commands: str, user: str | None = KEEPER) -> list[Typed]:
    """Commands, in one process: each of its own would take most of a second to start."""
    who: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
    done = subprocess.run(
        [home.python, "-c", TYPED, str(home.config)], input=json.dumps([one.split() for one in commands]),
        env=everybody.environment(), capture_output=True, text=True, timeout=2 * SECONDS, check=True, cwd="/", **who,
    )  # fmt: skip
    return [Typed(*one) for one in json.loads(done.stdout)]


def configuration(folder: Path, postfix: Postfix, web: Web, metrics: int) -> str:
    relay = f'"smtp://127.0.0.1:{postfix.reinjection}"'
    return f"""\
hostname = "gate.{INSIDE}"
node = "mx1"
data_dir = "{folder / "data"}"
workers = 1
[listen]
lmtp_authorised = "{postfix.lmtp_authorised}"
lmtp_outside = "{postfix.lmtp_outside}"
socketmap = "{folder / "sockets" / "socketmap"}"
auth = "{folder / "sockets" / "auth"}"
[relay]
inside = {relay}
outside = {relay}
[postfix]
instance = "system"
config_dir = "{postfix.folder / "etc"}"
[metrics]
listen = "127.0.0.1:{metrics}"
[discover]
wkd = false
key_servers = ["https://127.0.0.1:{web.port}"]
allow_private = true
ca = "{web.ca}"
total_seconds = 60
wait_seconds = 0
"""


@pytest.fixture(scope="module")
def place(need_postfix: None) -> Iterator[Place]:
    python = everybody.python()
    if python is None:
        pytest.skip("needs a Python that everybody can run")
    with (
        short_folder("queue") as folder,
        Sink() as inside,
        Sink() as outside,
        Web(folder, name="127.0.0.1") as web,
    ):
        postfix = Postfix(folder / "postfix", inside_domains=[INSIDE], inside=inside.port, outside=outside.port)
        postconf(postfix, "-e", *HOUR)
        home = Home(folder, python)
        metrics = free_port()
        home.config.write_text(configuration(folder, postfix, web, metrics))
        furnished = typed(
            home,
            f"domain add {INSIDE}",
            "settings set mode allow",
            "settings set pgp_lookup wait --domain wait.example",
        )
        assert [one.status for one in furnished] == [0, 0, 0], furnished
        with postfix:
            # Mailseal is not there yet: the first story is of this mail.
            send(postfix.submission, ANNA, ["early@out.example"], mail(ANNA, "early@out.example"))
            postfix.wait_for_log("status=deferred", seconds=SECONDS)
            process = home.serve(home.command("serve"))
            try:
                wait_until(lambda: home.ready() or process.poll() is not None, home.said)
                assert home.ready(), home.said()
                client = QueueClient(home.data / "run" / "queue")
                yield Place(home, postfix, inside, outside, web, metrics, client, process)
                process.send_signal(signal.SIGTERM)
                assert process.wait(SECONDS) == 0
            finally:
                process.kill()
                process.wait(10)


@pytest.fixture
def early() -> None:
    """The mail that came before Mailseal; the other stories begin with an empty queue."""


@pytest.fixture(autouse=True)
def _clean(place: Place, request: pytest.FixtureRequest) -> Iterator[None]:
    if "early" not in request.fixturenames and (left := [one.id for one in place.queued()]):
        place.client.change(Verb.DELETE, left)
    yield
    place.web.hold.set()
    for sink in (place.inside, place.outside):
        sink.up()
        sink.clear()


def postconf(postfix: Postfix, *words: str) -> None:
    subprocess.run(["postconf", "-c", str(postfix.folder / "etc"), *words], check=True, timeout=SECONDS)


def deferred(place: Place, to: Sequence[str]) -> list[QueuedMail]:
    """Mails that have passed Mailseal and wait for a next hop that is dead, one to each."""
    place.outside.down()
    for one in to:
        send(place.postfix.submission, ANNA, [one], mail(ANNA, one))
    return place.waiting(len(to), why="Connection refused")


def test_mail_that_waits_for_mailseal_is_told_counted_and_flushed(place: Place, early: None) -> None:
    listed, checked = place.type("queue list --json", "check")
    (row,) = listed.json["summary"]
    assert (row["kind"], row["next_hop"], row["recipients"], row["mails"]) == ("mailseal-away", "Mailseal", 1, 1)
    assert "queue           1 mail, none deferred for long" in checked.out

    def numbers() -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{place.metrics}/metrics", timeout=SECONDS) as page:
            return page.read()

    wait_until(lambda: b'mailseal_queue_mails{queue="deferred"} 1.0\n' in numbers(), lambda: numbers().decode())
    assert b'mailseal_queue_recipients_waiting{reason="mailseal-away"} 1.0\n' in numbers()

    place.cli("queue flush")
    [got] = place.outside.wait(1, seconds=SECONDS)
    assert got.recipients == ("early@out.example",)
    wait_until(lambda: not place.queued())


def test_a_dead_next_hop_is_told_with_its_mails_and_they_are_found_in_the_log(place: Place) -> None:
    deferred(place, ["olga@out.example", "otto@out.example"])
    (queue_id,) = [one.id for one in place.queued() if one.recipients[0].address == "olga@out.example"]
    wait_until(lambda: bool(place.json(f"log --queue-id {queue_id}")))

    shown, narrow, nothing, logged, one, text, gone = place.type(
        "queue list --json",
        "queue list --recipient olga@out.example --why refused",
        "queue list --queue hold",
        f"log --queue-id {queue_id} --json",
        f"queue show {queue_id} --json",
        f"queue show {queue_id}",
        "queue show 4nowhere12",
    )
    assert shown.json["count"] == 2
    (group,) = shown.json["summary"]
    assert (group["kind"], group["next_hop"]) == ("unreachable", f"127.0.0.1:{place.outside.port}")
    assert (group["recipients"], group["mails"]) == (2, 2)
    (olga,) = [one for one in shown.json["mails"] if one["id"] == queue_id]
    assert (olga["queue"], olga["sender"]) == ("deferred", ANNA)
    assert "Connection refused" in olga["recipients"][0]["postfix"]
    assert narrow.out.startswith("1 mail for 1 recipient (1 deferred)\n")
    assert "the next server cannot be reached" in narrow.out
    assert "otto" not in narrow.out
    assert nothing.err == "no mail that fits waits\n"

    # Behind Mailseal it has another queue ID than before; both lead to the row of the message log.
    (row,) = logged.json
    assert (row["sent_as"], row["recipient"]) == (queue_id, "olga@out.example")
    assert row["queue_id"] not in {"", None, queue_id}
    by_the_other, in_words = place.type(f"log --queue-id {row['queue_id']} --json", f"log --queue-id {row['queue_id']}")
    assert by_the_other.json == [row]
    assert f"came as {row['queue_id']}" in in_words.out

    told = one.json
    assert (told["sender"], told["queue"], told["content_filter"]) == (ANNA, "deferred", None)
    assert {"Subject", "From", "Message-ID"} <= set(told["header_fields"])
    assert [row["message"] for row in told["log"]] == [row["message"]]
    assert told["subject"] == row["subject"]
    assert "The numbers" not in one.out + text.out
    assert "Connection refused" in text.out
    assert (gone.status, "is not in the queue" in gone.err) == (1, True)

    place.outside.up()
    place.cli(f"queue flush {queue_id}")
    [got] = place.outside.wait(1, seconds=SECONDS)
    assert got.recipients == ("olga@out.example",)
    place.client.flush()
    place.outside.wait(2, seconds=SECONDS)
    wait_until(lambda: not place.queued())


def test_hold_keeps_release_sends_and_delete_asks(place: Place) -> None:
    held, gone = deferred(place, ["held@out.example", "gone@out.example"])
    (done,) = place.type(f"queue hold {held.id} {gone.id}")
    assert done.out == "2 mails put on hold\n"
    place.outside.up()
    _, listed, asked = place.type("queue flush", "queue list --queue hold --json", f"queue delete {gone.id}")
    (row,) = listed.json["summary"]
    assert (row["kind"], row["recipients"]) == ("held", 2)
    assert not place.outside.mails
    assert (asked.status, len(place.queued())) == (130, 2)  # nobody answered

    deleted, again, released = place.type(
        f"queue delete {gone.id} --yes", f"queue delete {gone.id} --yes", f"queue release {held.id}"
    )
    assert (deleted.status, deleted.out) == (0, "1 mail deleted\n")
    assert (again.status, gone.id in again.err) == (1, True)
    assert (released.status, released.out) == (0, "1 mail released\n")
    [got] = place.outside.wait(1, seconds=SECONDS)
    assert got.recipients == (held.recipients[0].address,)
    wait_until(lambda: not place.queued())


def test_only_what_comes_back_to_its_filter_is_requeued(place: Place) -> None:
    """pickup hands on to the filter of authorised senders: what has passed it, or came to another, is not for it."""
    place.web.hold.clear()
    send(place.postfix.submission, ANNA, ["req@wait.example"], mail(ANNA, "req@wait.example"))
    (before,) = place.waiting(1, why="451")
    place.outside.down()
    send(place.postfix.submission, ANNA, ["out@out.example"], mail(ANNA, "out@out.example"))
    (passed,) = place.waiting(1, why="refused")
    with away(place.postfix.lmtp_outside):
        send(place.postfix.mx, "eve@out.example", [ANNA], mail("eve@out.example", ANNA))
        (stranger,) = place.waiting(1, why="lmtp-outside")

    (done,) = place.type("queue requeue --all")
    assert (done.status, done.out) == (1, "1 mail requeued\n"), done.err
    assert [one.id in done.err for one in (passed, stranger, before)] == [True, True, False]
    wait_until(lambda: before.id not in {one.id for one in place.queued()})

    (again,) = [one.id for one in place.waiting(1, why="451")]
    (row,) = place.json(f"queue show {again}")["log"][:1]
    assert row["queue_id"] == before.id  # as which it came into the queue, and Postfix still calls it that to others
    place.web.hold.set()
    place.outside.up()
    wait_until(lambda: "a search for OpenPGP keys found 0" in place.home.said())
    place.client.try_now([passed.id, stranger.id, again])
    got = place.outside.wait(2, seconds=SECONDS)
    assert {to for one in got for to in one.recipients} == {"req@wait.example", "out@out.example"}
    place.inside.wait(1, seconds=SECONDS)
    wait_until(lambda: not place.queued())


@contextlib.contextmanager
def away(socket: Path) -> Iterator[None]:
    """Nobody is there, as if Mailseal had not been started."""
    aside = socket.with_name("aside")
    socket.rename(aside)
    yield
    aside.rename(socket)


def test_when_a_search_ends_the_mail_goes_at_once(place: Place) -> None:
    place.web.hold.clear()
    send(place.postfix.submission, ANNA, ["piet@wait.example"], mail(ANNA, "piet@wait.example"))
    (waiting,) = place.waiting(1, why="451")
    wait_until(lambda: bool(place.json(f"log --queue-id {waiting.id}")))
    listed, in_words = place.type("queue list --json", "queue list --why mailseal")
    (recipient,) = listed.json["mails"][0]["recipients"]
    assert (recipient["kind"], recipient["next_hop"]) == ("mailseal", "Mailseal")
    assert "lookup-running" in recipient["reason_codes"]
    assert "keys of the recipient are being looked for" in in_words.out

    began = time.monotonic()
    place.web.hold.set()
    [got] = place.outside.wait(1, seconds=SECONDS)
    print(f"{time.monotonic() - began:.1f} s after the end of the search; Postfix's own time is in an hour")
    assert got.recipients == ("piet@wait.example",)
    wait_until(lambda: not place.queued())


def test_who_else_asks_is_refused(place: Place) -> None:
    """Root may; of others the folder keeps away whom the role would refuse."""
    socket = place.home.data / "run" / "queue"
    assert socket.stat().st_mode & 0o777 == 0o600
    assert socket.owner() == KEEPER
    assert place.cli("queue hold --all", user=None) == "0 mails put on hold\n"
    (done,) = place.type("queue flush", user=OTHER)
    assert done.status == 75
    assert "cannot be asked" in done.err
    (pid,) = [
        int(one)
        for one in Path(f"/proc/{place.process.pid}/task/{place.process.pid}/children").read_text().split()
        if b"queue_role" in Path(f"/proc/{one}/cmdline").read_bytes()
    ]
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert status["Uid"].split()[:3] == ["0"] * 3
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0xC2
    assert place.client.change_all(Verb.RELEASE).count == 0
