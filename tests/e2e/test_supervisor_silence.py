"""A role that gives no sign of life any more, with the stand-ins of the supervisor's other tests."""

import os
import signal
import time

import pytest

from harness.house import housed
from harness.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def house(tmp_path_factory):
    yield from housed(tmp_path_factory.mktemp("h"))


def test_who_gives_no_sign_of_life_is_killed_but_not_after_a_pause_of_all(house):
    house.config(workers=1, deadline_seconds=2)
    house.seconds({"supervisor.SILENT_SECONDS": 0.0, "child.BEAT_SECONDS": 0.3})
    process = house.start()
    wait_until(house.ready)
    everybody = [process.pid, *house.pids("started")]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(3)  # as a machine that is paused
    for pid in everybody:
        os.kill(pid, signal.SIGCONT)
    time.sleep(0.5)
    assert len(house.log("started")) == 2
    (house.folder / "mute").touch()
    wait_until(lambda: house.said(process).count("gives no sign of life; it is killed") == 2)
    (house.folder / "mute").unlink()
    wait_until(lambda: len(house.log("started")) == 4)
    wait_until(house.ready)
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 0
    assert house.said(process).count("gives no sign of life; it is killed") == 2
