"""Started as root, the roles run as their users and can do no more; started by anybody else, a line says what lacks."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

from harness import everybody
from harness.everybody import KEEPER, OTHER, READER, environment
from harness.folder import free_port
from harness.home import Home
from harness.waiting import PATIENCE_SECONDS, wait_until

SANDBOX = "mailseal.roles.sandbox_role"

PARENT = """
import os, sys
from pathlib import Path
from mailseal.config import load
from mailseal.roles.generation import Role
from mailseal.roles.node_roles import node_roles
from mailseal.roles.supervisor import Supervisor
path = Path(sys.argv[1])
def roles(config):
    stranger = [sys.executable, sys.argv[2], str(config.data_dir), sys.argv[3]]
    own = node_roles(path)(config)
    return [*own, Role("stranger", stranger, (), config.users.metrics, config.metrics_dir)]
Supervisor(lambda: load(path, os.environ), roles).run()
"""

STRANGER = """
import json, os, select, sys, time
from pathlib import Path
from mailseal.roles.child import inherit
from mailseal.roles.confinement import confine
confine()
data, report = Path(sys.argv[1]), Path(sys.argv[2])
held = inherit()
held.ready()
while not report.read_text():
    time.sleep(0.02)
def tried(what):
    try:
        return bool(what()) or "nothing"
    except OSError as error:
        return type(error).__name__
found = {
    "kek": tried(lambda: (data / "keks" / os.environ["TEST_KEK"]).read_bytes()),
    "keks": tried(lambda: os.listdir(data / "keks")),
    "database": tried(lambda: (data / "mailseal.db").read_bytes()),
    "journal": tried(lambda: os.listdir(data / "journal")),
    "listing": tried(lambda: os.listdir(data)),
    "lock": tried(lambda: (data / "run" / "supervisor.lock").read_bytes()),
    "shared": tried(lambda: (data / "run" / "metrics" / "shown").read_bytes()),
    "hidden": tried(lambda: (data / "run" / "metrics" / "hidden").read_bytes()),
    "of the group": tried(lambda: (data.parent / "tls.pem").read_bytes()),
    "write": tried(lambda: (data / "run" / "metrics" / "mine").write_bytes(b"x")),
    "secret": os.environ.get("MAILSEAL_DATABASE_PASSWORD", "absent"),
}
report.write_text(json.dumps(found))
select.select([held.supervisor_fd], [], [])
"""

TRACE = """
import ctypes, os, sys
pid = int(sys.argv[1])
def tried(name):
    try:
        return open(f"/proc/{pid}/{name}", "rb").read(1)
    except OSError as error:
        return type(error).__name__
traced = ctypes.CDLL(None, use_errno=True).ptrace(16, pid, 0, 0)  # PTRACE_ATTACH
print(tried("mem"), tried("environ"), traced)
"""


ASK = """
import sys, time
from pathlib import Path
from mailseal.config import load
from mailseal.errors import TransientError
from mailseal.wiring.gateway import sandbox_documents
documents = sandbox_documents(load(Path(sys.argv[2]), {}))
try:
    until = time.monotonic() + 30
    if sys.argv[1] == "status":
        print(documents.status().user)
    else:
        found = documents.read(b"{\\\\rtf1 secret}", "a.rtf", "", documents.budget(until), until)
        print("ok" if [one.text for one in found.passages] == ["secret"] else found)
except TransientError:
    sys.exit(1)
"""


def asked(what: str, user: str, home: Home) -> str:
    """Exit status and output of who asks the sandbox."""
    done = subprocess.run(
        [home.python, "-c", ASK, what, str(home.config)], stdout=subprocess.PIPE, text=True, check=False,
        env=environment(), user=user, group=user, extra_groups=[], cwd="/",
    )  # fmt: skip
    return f"{done.returncode} {done.stdout.strip()}"


def children(pid: int) -> dict[str, int]:
    """The processes below one, by the role in their command line."""
    found = {}
    for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        words = Path(f"/proc/{one}/cmdline").read_bytes().decode().split("\0")
        name = next((word for word in words if word in ("mail", "worker", "metrics", SANDBOX)), "stranger")
        found[name] = int(one)
    return found


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines)}


def test_each_role_has_its_user_and_nothing_more(home: Home) -> None:
    port = free_port()
    home.write(
        f'metrics = "{OTHER}"\nsandbox = "{READER}"\n[metrics]\nlisten = "127.0.0.1:{port}"',
        f'lmtp_outside = "{home.folder}/mta/out"',
    )
    parent, stranger, report = home.folder / "parent.py", home.folder / "stranger.py", home.folder / "report"
    parent.write_text(PARENT)
    stranger.write_text(STRANGER)
    (home.folder / "tls.pem").touch(0o640)  # as administrators give a key to the gateway: root's, of its group
    os.chown(home.folder / "tls.pem", 0, pwd.getpwnam(KEEPER).pw_gid)
    report.touch(0o666)
    report.chmod(0o666)
    (kek,) = (home.data / "keks").glob("*.kek")
    command = [home.python, str(parent), str(home.config), str(stranger), str(report)]
    with home.output.open("wb") as output:
        process = subprocess.Popen(
            command, stderr=output, cwd=home.folder,
            env=environment(MAILSEAL_DATABASE_PASSWORD="made up", TEST_KEK=kek.name),
        )  # fmt: skip
    try:
        wait_until(lambda: home.ready() or process.poll() is not None)
        assert home.ready(), home.said()
        assert "separation" not in home.said()
        roles = children(process.pid)
        keeper, other, reader = pwd.getpwnam(KEEPER), pwd.getpwnam(OTHER), pwd.getpwnam(READER)
        users = {"metrics": other, "stranger": other, SANDBOX: reader}
        for name, pid in roles.items():
            held = status(pid)
            user = users.get(name, keeper)
            assert set(held["Uid"].split()) == {str(user.pw_uid)}
            assert set(held["Gid"].split()) == {str(user.pw_gid)}
            assert set(held["Groups"].split()) == {str(user.pw_gid)}
            assert {int(held[one], 16) for one in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
            assert held["NoNewPrivs"] == "1"
            assert held["Umask"] == "0077"
            assert int(held["VmRSS"].split()[0]) < 100 * 1024  # kB, idle
            limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
            assert next(line for line in limits if "core" in line).split()[4:6] == ["0", "0"]
        assert roles.keys() == {"mail", "worker", "metrics", "stranger", SANDBOX}
        wait_until(lambda: asked("status", KEEPER, home) == "0 bin")
        assert (asked("status", OTHER, home), asked("status", READER, home)) == ("1 ", "1 ")
        readers = [status(pid) for pid in children(roles[SANDBOX]).values()]
        assert [(set(held["Uid"].split()), held["Threads"]) for held in readers] == [({str(reader.pw_uid)}, "1")]
        assert asked("document", KEEPER, home) == "0 ok"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_SECONDS) as page:
            assert b"mailseal_" in page.read()
        for name in ("mail", "worker"):
            trace = subprocess.run(
                [home.python, "-c", TRACE, str(roles[name])], capture_output=True, text=True, check=True,
                user=KEEPER, group=KEEPER, extra_groups=[],
            )  # fmt: skip
            assert trace.stdout.split() == ["PermissionError", "PermissionError", "-1"]
        mta = (home.folder / "mta").stat()
        assert (mta.st_mode & 0o777, mta.st_gid) == (0o750, keeper.pw_gid)
        for name, mode in (("shown", 0o640), ("hidden", 0o600)):
            file = home.data / "run" / "metrics" / name
            file.write_text("7")
            file.chmod(mode)
        report.write_text("go")
        wait_until(lambda: report.read_text().endswith("}"))
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    denied = "PermissionError"
    assert json.loads(report.read_text()) == {
        "kek": denied, "keks": denied, "database": denied, "journal": denied, "listing": denied, "lock": denied,
        "hidden": denied, "of the group": denied, "write": denied, "shared": True, "secret": "absent",
    }  # fmt: skip


def test_started_by_anybody_all_run_as_that_user_and_a_line_says_so(home: Home) -> None:
    line = f"no separation of users: not started as root, every role (mail, sandbox, worker) runs as {KEEPER}"
    keeper = {"user": KEEPER, "group": KEEPER, "extra_groups": []}
    process = home.serve([home.python, "-m", "mailseal", "--config", str(home.config), "serve"], **keeper)
    try:
        wait_until(lambda: home.ready() or process.poll() is not None)
        assert home.ready(), home.said()
        assert home.said().count("separation") == 1
        assert f"mailseal: {line}\n" in home.said()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert f"warn  users           {line}" in home.mailseal("check", **keeper).stdout


def test_a_role_that_root_starts_by_itself_keeps_nothing_of_root(home: Home) -> None:
    port = free_port()
    home.write(f'metrics = "{OTHER}"\n[metrics]\nlisten = "127.0.0.1:{port}"')
    process = home.serve(home.command("metrics"))
    try:
        wait_until(lambda: process.poll() is not None or _answers(port))
        held = status(process.pid)
        assert set(held["Uid"].split()) == {str(pwd.getpwnam(OTHER).pw_uid)}
        assert held["Groups"].split() == [str(pwd.getpwnam(OTHER).pw_gid)]
        assert {int(held[one], 16) for one in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


def _answers(port: int) -> bool:
    """Not only takes the connection: the system does that before the role is ready to be told to end."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        return client.recv(100).startswith(b"HTTP/1.1 ")
    return False


def test_a_user_that_is_named_must_exist(home: Home) -> None:
    home.write('worker = "no-such-user"')
    ended = home.mailseal("serve")
    assert ended.returncode == 1
    assert ended.stderr == "error: worker shall run as 'no-such-user', but there is no such user\n"
    home.write(f'mail = "{OTHER}"')
    refused = home.mailseal("serve")
    assert refused.returncode == 1
    assert f"mail 1 shall run as '{OTHER}', but {home.data} belongs to {KEEPER}" in refused.stderr
    assert f"but {home.data} belongs to {KEEPER}" in home.mailseal("check").stdout
    home.write(f'mail = "{KEEPER}"\nmetrics = "root"\n[metrics]\nlisten = "127.0.0.1:1"')
    assert "no role runs as root" in home.mailseal("serve").stderr


def test_root_follows_no_link_of_the_keeper(home: Home) -> None:
    """Who has taken over a mail worker shall not get at root's files when the supervisor starts the next time."""
    home.write(f'metrics = "{OTHER}"\n[metrics]\nlisten = "127.0.0.1:{free_port()}"')
    victims = home.folder / "victims"
    victims.mkdir(mode=0o700)
    (victims / "file").touch(0o600)
    before = [(path.stat().st_uid, path.stat().st_gid, path.stat().st_mode) for path in (victims, victims / "file")]
    for name, victim in (("supervisor.lock", victims / "file"), ("metrics", victims)):
        link, aside = home.data / "run" / name, home.data / "run" / "aside"
        if link.exists():
            link.rename(aside)
        link.symlink_to(victim)
        ended = home.mailseal("serve")
        link.unlink()
        if aside.exists():
            aside.rename(link)
        assert ended.returncode == 1
        assert ended.stderr.startswith("error: ")
        assert ended.stderr.count("\n") == 1
    after = [(path.stat().st_uid, path.stat().st_gid, path.stat().st_mode) for path in (victims, victims / "file")]
    assert after == before


def test_users_are_made_when_asked_for(home: Home) -> None:
    (home.folder / "bin").mkdir()
    useradd = home.folder / "bin" / "useradd"
    useradd.write_text(f'#!/bin/sh\necho "$@" >> {home.folder}/made\n')
    useradd.chmod(0o755)
    new = home.folder / "new"
    home.write('metrics = "new-metrics"\nsandbox = "new-sandbox"\nweb = "new-web"')
    text = home.config.read_text().replace(str(home.data), str(new))
    home.config.write_text(text)
    command = [home.python, "-m", "mailseal", "--config", str(home.config), "init", "--make-users"]
    env = environment(PATH=f"{home.folder}/bin:{os.environ['PATH']}")
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    options = f"--system --user-group --no-create-home --home-dir {new} --shell /usr/sbin/nologin --"
    made = [
        f"{options} {name}" for name in ("mailseal", "new-metrics", "new-sandbox", "new-web") if name not in _users()
    ]
    assert (home.folder / "made").read_text().splitlines() == made
    assert "made       user new-metrics" in done.stdout
    refused = home.mailseal("init", "--make-users", user=KEEPER, group=KEEPER, extra_groups=[])
    assert refused.returncode == 1
    assert "only root can make users" in refused.stderr


def test_a_program_that_the_owner_cannot_read_is_told_at_once(home: Home) -> None:
    hidden = home.folder / "hidden"
    hidden.mkdir(mode=0o700)
    shutil.copytree(everybody.SRC / "mailseal", hidden / "mailseal", ignore=shutil.ignore_patterns("__pycache__"))
    env = environment()
    env["PYTHONPATH"] = env["PYTHONPATH"].replace(str(everybody.SRC), str(hidden))
    command = [home.python, "-m", "mailseal", "--config", str(home.config), "domain", "list"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=home.folder)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: the owner of the data folder cannot read {hidden}/")
    assert "where every user can read them" in done.stderr


def _users() -> set[str]:
    return {entry.pw_name for entry in pwd.getpwall()}
