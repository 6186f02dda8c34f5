"""The supervisor with real processes: a small stand-in for the roles says what it got and what happened to it."""

import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from harness.everybody import SRC
from harness.folder import free_port
from harness.house import alive, housed
from harness.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.e2e

WHO = """
import os, sys
open(sys.argv[1], "w").write(f"{os.getuid()} {os.getgid()} {os.getgroups()}\\n")
"""


@pytest.fixture
def house(tmp_path_factory):
    yield from housed(tmp_path_factory.mktemp("h"))


def test_all_start_with_their_sockets_and_sigterm_drains(house):
    process = house.start()
    wait_until(house.ready)
    assert len(house.log("started works lmtp-authorised,lmtp-outside,lmtp-submission")) == 2
    assert house.log("worker ")[0].endswith("started works ")
    mode = (house.data / "run" / "lmtp-outside").stat().st_mode
    assert mode & 0o777 == 0o660
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 0
    assert len(house.log("drained")) == 3
    assert not house.ready()
    assert not (house.data / "run" / "lmtp-outside").exists()
    assert "ready (mail-0, mail-1, worker)" in house.end_of(process)


def test_who_ends_is_started_again_with_growing_pauses(house):
    house.config(workers=1)
    process = house.start()
    wait_until(house.ready)
    os.kill(house.pids("mail-0")[0], signal.SIGKILL)
    wait_until(lambda: len(house.log("mail-0")) == 2)
    house.mode("fails")
    os.kill(house.pids("mail-0")[1], signal.SIGKILL)
    wait_until(lambda: len(house.log("mail-0")) >= 5)
    process.terminate()
    text = house.end_of(process)
    assert "ended with status 7 (3 times in a row); it starts again in " in text
    pauses = [float(line.split()[-2]) for line in text.splitlines() if "mail-0" in line and "starts again" in line]
    assert "was killed by SIGKILL" in text
    assert "ended with status 7" in text
    assert pauses[0] == pytest.approx(0.1, abs=0.02)
    assert pauses[3] >= 2 * pauses[1]


def test_who_cannot_work_ends_the_first_start_and_no_later_one(house):
    house.config(workers=1)
    house.mode("cannot")
    process = house.start()
    text = house.end_of(process)
    assert "cannot work as things are, and says why" in text
    assert len(house.log("started")) <= 2
    house.mode("works")
    process = house.start()
    wait_until(house.ready)
    house.mode("cannot")
    os.kill(house.pids("started")[-1], signal.SIGKILL)
    wait_until(lambda: len(house.log("started cannot")) >= 3)
    assert process.poll() is None
    process.terminate()
    house.end_of(process)


def test_told_to_stop_while_nobody_runs_it_does_not_wait_for_anybody(house):
    house.config(workers=1, drain_seconds=600)
    house.mode("fails")
    process = house.start()
    wait_until(lambda: len(house.log("mail-0")) >= 5 and len(house.log("worker")) >= 5)
    time.sleep(0.3)  # both are in a pause that is longer than this
    process.terminate()
    house.end_of(process)


def test_the_back_off_begins_anew_after_a_steady_time(house):
    house.config(workers=1)
    house.seconds({"process.STEADY_SECONDS": 0.5})
    process = house.start()
    wait_until(house.ready)
    time.sleep(0.6)
    os.kill(house.pids("mail-0")[0], signal.SIGKILL)
    wait_until(lambda: len(house.log("mail-0")) == 2)
    process.terminate()
    assert "it starts again in 0.00 s" in house.end_of(process)


def test_who_does_not_drain_is_killed(house):
    house.mode("stubborn")
    process = house.start()
    wait_until(house.ready)
    process.terminate()
    text = house.end_of(process)
    assert "did not drain in time; it is killed" in text
    assert process.returncode == 0


def test_a_second_signal_kills_at_once(house):
    house.config(drain_seconds=600)
    house.mode("stubborn")
    process = house.start()
    wait_until(house.ready)
    process.terminate()
    wait_until(lambda: len(house.log("stays")) == 3)
    process.terminate()
    house.end_of(process)


def test_reload_starts_the_new_before_it_drains_the_old(house):
    process = house.start()
    wait_until(house.ready)
    old = house.pids("started")
    house.config(workers=1, extra=f'smtp = "127.0.0.1:{free_port()}"')
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(house.log("drained")) == 3)
    new = [pid for pid in house.pids("started") if pid not in old]
    assert len(new) == 2
    assert house.log("started works lmtp-authorised,lmtp-outside,lmtp-submission,smtp")
    lines = (house.folder / "log").read_text().splitlines()
    last_new = max(index for index, line in enumerate(lines) if "started" in line)
    first_drained = min(index for index, line in enumerate(lines) if "drained" in line)
    assert last_new < first_drained
    assert all(alive(pid) for pid in new)
    process.terminate()
    house.end_of(process)


@pytest.mark.parametrize("how", ["file", "fails", "silent", "taken"])
def test_a_reload_that_cannot_be_leaves_all_as_it_was(house, how):
    if how == "silent":
        house.seconds({"supervisor.READY_SECONDS": 1.0})
    expected = {"file": "workers: must be between 1 and 256", "taken": "another program listens there"}
    process = house.start()
    wait_until(house.ready)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        if how == "file":
            (house.folder / "mailseal.toml").write_text("workers = 0\n")
        elif how == "taken":
            house.config(extra=f'smtp = "127.0.0.1:{taken.getsockname()[1]}"')
        else:
            house.mode(how)
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: expected.get(how, "the reload is given up") in house.said(process))
    old = house.pids("started works")
    assert len(old) == 3
    assert all(alive(pid) for pid in old)
    assert (house.data / "run" / "lmtp-outside").exists()
    process.terminate()
    house.end_of(process)


def test_workers_leave_when_the_supervisor_is_killed_and_a_new_one_takes_over(house):
    first = house.start()
    wait_until(house.ready)
    first.kill()
    first.wait()
    second = house.start()
    wait_until(lambda: len(house.log("orphaned")) == 3)
    wait_until(lambda: len(house.log("started")) == 6)
    wait_until(house.ready)
    second.terminate()
    assert second.wait(PATIENCE_SECONDS) == 0


def test_two_supervisors_on_one_data_folder_refuse(house):
    first = house.start()
    wait_until(house.ready)
    second = house.start()
    text = house.end_of(second)
    assert second.returncode == 1
    assert f"error: another `mailseal serve` (process {first.pid}) works on {house.data}" in text
    assert house.ready()


def test_a_file_in_the_place_of_a_socket_is_left_alone(house):
    run = house.data / "run"
    run.mkdir()
    (run / "lmtp-outside").write_text("mine")
    process = house.start()
    text = house.end_of(process)
    assert process.returncode == 1
    assert "there is something else than a socket" in text
    assert (run / "lmtp-outside").read_text() == "mine"


def test_a_dead_socket_is_replaced(house):
    run = house.data / "run"
    run.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(run / "lmtp-outside"))
    process = house.start()
    wait_until(house.ready)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(run / "lmtp-outside"))
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 0


def test_systemd_is_told(house):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(house.folder / "notify"))
        told.settimeout(PATIENCE_SECONDS)
        process = house.start(NOTIFY_SOCKET=str(house.folder / "notify"), WATCHDOG_USEC="500000")
        heard = [told.recv(100)]
        while heard[-1] != b"READY=1":
            heard.append(told.recv(100))
        assert set(heard[:-1]) <= {b"WATCHDOG=1"}
        assert [told.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        process.terminate()
        while heard[-1] != b"STOPPING=1":
            heard.append(told.recv(100))
    assert not house.log("told")


def test_started_as_root_the_roles_run_as_the_owner_of_the_data_folder():
    python = "/usr/bin/python3"
    if os.geteuid() != 0 or not Path(python).exists():
        pytest.skip("needs root, and a Python that everybody can run")
    probe = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    if subprocess.run(probe, check=False).returncode:
        pytest.skip("the system's Python is too old")
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as folder:
        for path in (Path(folder), Path(folder) / "data"):
            path.mkdir(exist_ok=True)
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        file = Path(folder) / "user"
        parent = (
            "import sys\n"
            "from mailseal.config import from_values\n"
            "from mailseal.roles import supervisor\n"
            "from mailseal.roles.generation import Role\n"
            f"config = from_values({{'data_dir': {folder + '/data'!r}, 'workers': 1}})\n"
            f"role = Role('one', [sys.executable, '-c', {WHO!r}, {str(file)!r}])\n"
            "supervisor.Supervisor(lambda: config, lambda _: [role]).run()\n"
        )
        process = subprocess.Popen([python, "-c", parent], env={"PYTHONPATH": str(SRC)}, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: file.exists() and file.read_text().endswith("\n"))
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)
        assert file.read_text() == f"{nobody.pw_uid} {nobody.pw_gid} [{nobody.pw_gid}]\n"


def test_the_supervisor_loads_nothing_but_the_standard_library(house):
    code = """import re, sys, mailseal.roles.supervisor
ours = re.compile(r"__main__|mailseal([.](config|roles|postfix|errors)\\b.*)?").fullmatch
print([n for n in sys.modules if n.partition(".")[0] not in sys.stdlib_module_names and not ours(n)])"""
    run = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": str(SRC)}, check=True, capture_output=True, text=True
    )
    assert run.stdout.strip() == "[]", run.stderr
