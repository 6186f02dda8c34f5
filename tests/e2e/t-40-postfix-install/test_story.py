"""A machine's Postfix that an administrator has set up: ours is put into it, and nothing of theirs is touched.

Real postconf, postfix and master, on a made-up /etc/postfix with its own queue and ports. Needs root.
"""

from __future__ import annotations

import contextlib
import io
import os
import pwd
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.client import Client, send
from harness.folder import free_port, short_folder
from harness.gateway import Gateway
from harness.mail import CANARY, mail
from harness.postfix import QUICK, Looks
from harness.sink import Sink
from harness.waiting import wait_until
from mailseal.cli import run
from mailseal.postfix import master
from mailseal.postfix.program import Program

MAIN = """\
# The administrator's own: blanks, comments and order stay as they are.
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/maillog
maillog_file_prefixes = {folder}/log
inet_interfaces   =   loopback-only
mydestination =
    localhost.$mydomain,
    localhost
local_transport = error:none
alias_maps =
    # of the list server
bounce_size_limit = 50000
relayhost = [old.example]:25
mynetworks = 127.0.0.0/8

smtpd_banner = $myhostname ESMTP of the administrator
smtp_tls_loglevel = 1
{quick}
"""
MASTER = """\
# ==========================================================================
smtp      inet  n       -       n       -       -       {smtpd}
127.0.0.1:{theirs} inet n - n - - smtpd
  -o syslog_name=postfix/theirs
  -o {{ smtpd_client_restrictions = permit_mynetworks, reject }}
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
        -o syslog_name=postfix/$service_name
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""


@dataclass
class System(Looks):
    """The machine's Postfix, and the mailseal.toml beside it."""

    folder: Path
    entry: int
    theirs: int
    reinjection: int

    def __post_init__(self) -> None:
        self.etc, self.queue, self.log = self.folder / "etc", self.folder / "queue", self.folder / "log" / "maillog"
        self.toml = self.folder / "mailseal.toml"
        user = pwd.getpwnam("postfix")
        for path in (self.etc, self.queue, self.folder / "data", self.log.parent):
            path.mkdir(exist_ok=True)
        os.chown(self.folder / "data", user.pw_uid, user.pw_gid)
        self.write()

    def write(self, *, smtpd: str = "smtpd") -> None:
        """As the administrator has left it."""
        for path in self.etc.iterdir():
            path.unlink()
        quick = "\n".join(f"{name} = {value}" for name, value in QUICK.items())
        text = MASTER.format(smtpd=smtpd, theirs=self.theirs)
        # Nobody may have port 25 of a shared machine: their entry is named by the port that ours is to have.
        text = text.replace("smtp      inet", f"127.0.0.1:{self.entry} inet", 1)
        (self.etc / "main.cf").write_text(MAIN.format(folder=self.folder, quick=quick))
        (self.etc / "master.cf").write_text(text)
        self.configure()

    def configure(self, **more: object) -> None:
        self.tables = {
            "postfix": {
                "instance": "system",
                "config_dir": str(self.etc),
                "listen": [f"127.0.0.1:{self.entry}"],
                "reinjection": f"127.0.0.1:{self.reinjection}",
                "networks": ["127.0.0.1/32"],
                "verify_recipients": False,
                **more,
            },
            "listen": {
                name.replace("-", "_"): str(self.queue / "mailseal" / name)
                for name in ("lmtp-authorised", "lmtp-outside", "lmtp-submission", "socketmap", "auth")
            },
        }
        Gateway(self.folder, top={"hostname": "gw.alpha.example"}, **self.tables)

    def content(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.etc.iterdir())}

    def start(self) -> None:
        program = Program(self.etc)
        program.must("postfix", "check")
        self.process = master.start(program)
        self.wait_for_banner()

    def wait_for_banner(self) -> None:
        """Until it greets as the administrator has told it to: master has its lock before it listens."""

        def greets() -> bool:
            with contextlib.suppress(OSError), Client(self.entry) as client:
                return client.banner.endswith("of the administrator")
            return False

        wait_until(greets, self.maillog, every=0.05)

    def stop(self) -> None:
        master.end(self.process.pid, self.queue, 5.0, self.process.poll)


@pytest.fixture(scope="module")
def _system(need_postfix: None) -> Iterator[System]:
    with short_folder("system") as folder:
        yield System(folder, free_port(), free_port(), free_port())


@pytest.fixture
def system(_system: System) -> System:
    _system.write()
    return _system


@pytest.fixture
def mailseal(system: System, capsys: pytest.CaptureFixture[str]):
    def command(*words: str) -> tuple[int, str]:
        """Status and output of `mailseal postfix …`."""
        status = run(["--config", str(system.toml), "postfix", *words])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return command


def test_what_is_theirs_stays_octet_by_octet(system: System, mailseal, monkeypatch: pytest.MonkeyPatch) -> None:
    before = system.content()
    status, shown = mailseal("diff")
    assert status == 1
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    status, asked = mailseal("install")
    assert (status, "Change " in asked) == (130, True)
    assert system.content() == before

    assert mailseal("install", "--yes")[0] == 0

    after = system.content()
    left = after["main.cf"]
    expected = before["main.cf"]
    for old, new in ((b"50000", b"1"), (b" [old.example]:25", b" "), (b"level = disabled", b"level = dnssec")):
        expected = expected.replace(old, new)
    assert left.startswith(expected)
    assert left.count(b"bounce_size_limit") == 1
    services = after["master.cf"].decode()
    for line in before["master.cf"].decode().splitlines():
        if not line.startswith(("pickup", f"127.0.0.1:{system.entry}")):
            assert line in services.splitlines()
    assert f"#127.0.0.1:{system.entry} inet  n" in services
    changed = re.findall(r"^[-+](?![-+]|\s*#)\s*([\w.:\[\]-]+)", shown, re.MULTILINE)
    assert not {"smtpd_banner", "mynetworks", "mydestination", "cleanup"} & set(changed)

    backups = {name.partition(".mailseal-")[0]: one for name, one in after.items() if ".mailseal-" in name}
    assert backups == before
    assert mailseal("diff") == (0, "")
    assert "is as it shall be" in mailseal("install", "--yes")[1]
    assert system.content() == after


def test_drift_is_found_and_mended_and_what_is_no_longer_wanted_goes(system: System, mailseal) -> None:
    system.configure(settings={"smtpd_hard_error_limit": "7"})
    assert mailseal("install", "--yes")[0] == 0
    program = Program(system.etc)
    program.must("postconf", "-e", "bounce_size_limit=50000")
    program.must("postconf", "-P", "-e", "mailseal-outside/unix/lmtp_data_done_timeout=10s")
    program.must("postconf", "-PX", "pickup/unix/content_filter")
    program.must("postconf", "-e", "smtpd_helo_required=yes")  # not ours

    status, said = mailseal("check")

    assert status == 1
    assert said.splitlines() == [
        "bounce_size_limit is '50000'",
        "the service mailseal-outside/unix is not as it shall be",
        "the service pickup/unix is not as it shall be",
    ]
    system.configure(networks=[], listen=[])
    assert mailseal("install", "--yes")[0] == 0
    assert mailseal("check") == (0, f"{system.etc} is as it shall be\n")
    given = program.given()
    assert (given["smtpd_helo_required"], given["bounce_size_limit"]) == ("yes", "1")
    assert not {"smtpd_hard_error_limit", "mailseal_authorised_clients"} & given.keys()
    assert not [one for one in program.services() if one.name == f"127.0.0.1:{system.entry}"]


def test_a_service_of_theirs_is_not_put_out_of_use_unasked(system: System, mailseal) -> None:
    key = f"127.0.0.1:{system.entry}/inet"
    system.write(smtpd="smtpd\n  -o smtpd_milters=inet:127.0.0.1:1")
    before = system.content()

    status, said = mailseal("install", "--yes")

    assert status == 1
    assert f"--replace {key}" in said
    assert system.content() == before
    assert mailseal("install", "--yes", "--replace", key)[0] == 0
    assert "#  -o smtpd_milters=inet:127.0.0.1:1" in re.sub("# +-o", "#  -o", system.content()["master.cf"].decode())
    assert mailseal("check")[0] == 0


@pytest.mark.parametrize("instance", ["off", "private"])
def test_without_a_gateway_that_would_answer_it_nothing_is_installed(system: System, mailseal, instance: str) -> None:
    system.configure(instance=instance, folder=str(system.folder / "private"))
    before = system.content()

    status, said = mailseal("install", "--yes")

    assert status == 1
    assert f"postfix.instance is {instance}" in said
    assert 'set it to "system"' in said
    assert system.content() == before


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"smtp_destination_concurrency_limit": "many"}, "a whole number is needed"),
        ({"maximal_queue_lifetime": "long"}, "a time such as 5d"),
        ({"smtpd_helo_required": "maybe"}, "yes or no"),
        ({"smtpd_no_such_thing": "1"}, "Postfix has no setting smtpd_no_such_thing"),
        ({"content_filter": ""}, "content_filter cannot be set: it decides which mail is opened"),
        ({"mynetworks": "0.0.0.0/0"}, "mynetworks cannot be set: .*set postfix.networks"),
    ],
)
def test_what_postfix_could_not_read_is_refused(system: System, mailseal, settings: dict[str, str], what: str) -> None:
    system.configure(settings=settings)
    before = system.content()
    status, said = mailseal("install", "--yes")
    assert status == 1
    assert re.search(what, said), said
    assert system.content() == before


def test_a_running_one_reads_it_and_mail_goes_through(system: System, mailseal) -> None:
    with Sink() as inside, Sink() as outside:
        system.configure(inside=[f"smtp://127.0.0.1:{inside.port}"], outside=[f"smtp://127.0.0.1:{outside.port}"])
        system.start()
        try:
            status, said = mailseal("install", "--yes")
            assert (status, "Postfix has read it" in said) == (0, True), said
            relay = [f"smtp://127.0.0.1:{system.reinjection}"]
            tables = system.tables | {"relay": {"inside": relay, "outside": relay}}
            with Gateway(system.folder / "gateway", top={"hostname": "gw.alpha.example"}, **tables) as gateway:
                gateway.init("alpha.example")
                gateway.start()
                refused = send(system.entry, "a@out.example", ["b@else.example"], b"", source="127.0.0.2")
                assert refused.rcpt[0].startswith("554 5.7.1")
                send(system.entry, "a@out.example", ["anna@alpha.example"], mail("a", "anna"), source="127.0.0.2")
                send(system.entry, "anna@alpha.example", ["b@else.example"], mail("anna", "b"))
                for sink in (inside, outside):
                    [got] = sink.wait(1)
                    assert CANARY in got.octets
                    assert sum(b"Mailseal" in line.encode() for line in got.fields("Received")) == 1
                found = {row["text"]: row for row in gateway.rows("check") if row["check"] == "Postfix"}
                assert [row["status"] for row in found.values()] == ["ok"], found
        finally:
            system.stop()


def test_what_does_not_come_up_is_taken_back(system: System, mailseal) -> None:
    system.start()
    try:
        system.write()
        before = system.content()
        with socket.socket() as other:
            other.bind(("127.0.0.1", system.reinjection))
            other.listen()
            status, said = mailseal("install", "--yes")
        assert status == 1
        assert "everything is as it was" in said
        assert {name: one for name, one in system.content().items() if ".mailseal-" not in name} == before
        system.wait_for_banner()
    finally:
        pid = master.left_over(system.queue)
        system.stop()
        if pid is not None and pid != system.process.pid:
            master.end(pid, system.queue, 5.0)


def test_rendering_needs_neither_store_nor_file_nor_postfix(tmp_path: Path) -> None:
    done = subprocess.run(
        [os.sys.executable, "-P", "-m", "mailseal", "postfix", "render"],
        cwd=tmp_path, env={"PATH": "/nonexistent"}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "bounce_size_limit = 1" in done.stdout
    assert "mailseal-outside:unix:mailseal/lmtp-outside" in done.stdout
