"""A role that gives no sign of life any more, with the stand-ins of the supervisor's other tests."""

import os
import signal
import time

import pytest

from e2e.test_supervisor import housed, wait

pytestmark = pytest.mark.e2e


@pytest.fixture
def house(tmp_path_factory):
    yield from housed(tmp_path_factory.mktemp("h"))


def test_who_gives_no_sign_of_life_is_killed_but_not_after_a_pause_of_all(house):
    house.config(workers=1, deadline_seconds=2)
    (house.folder / "impatient").touch()
    process = house.start()
    wait(house.ready)
    everybody = [process.pid, *house.pids("started")]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(3)  # as a machine that is paused
    for pid in everybody:
        os.kill(pid, signal.SIGCONT)
    time.sleep(0.5)
    assert len(house.log("started")) == 2
    (house.folder / "mute").touch()
    wait(lambda: len(house.log("started")) == 4)
    (house.folder / "mute").unlink()
    wait(house.ready)
    process.terminate()
    assert process.wait(10) == 0
    assert process.communicate()[1].count("gives no sign of life; it is killed") == 2
