"""What the service manager hands in: only listeners of ours, by their own names."""

import os
import socket
import threading

import pytest

from mailseal.roles.child import ActivationError, inherit
from mailseal.roles.notify import ALIVE, STOPPING, beat_seconds, notify


def environ(count: int, names: str, pid: int | None = None) -> dict[str, str]:
    return {"LISTEN_FDS": str(count), "LISTEN_FDNAMES": names, "LISTEN_PID": str(pid or os.getpid())}


@pytest.mark.parametrize(
    ("count", "names"),
    [
        (1, "mailseal-lmtp-outside.socket"),
        (1, "LMTP-outside"),
        (2, "lmtp-outside:lmtp-outside"),
        (2, "lmtp-outside"),
        (1, "lmtp-outside:lmtp-authorised"),
        (1, ""),
    ],
)
def test_other_names_are_refused(count, names):
    with pytest.raises(ActivationError, match=r"FileDescriptorName= of each must be another one of .*lmtp-authorised"):
        inherit(environ(count, names))


def test_what_is_for_another_process_is_left_alone():
    assert inherit(environ(1, "lmtp-outside", os.getpid() + 1)).sockets == {}
    assert not inherit({}).supervised


def test_the_watchdog_of_another_process_is_not_ours():
    assert beat_seconds({"WATCHDOG_USEC": "60000000"}) == 30.0
    assert beat_seconds({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}) == 30.0
    assert beat_seconds({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}) is None
    for value in ({}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}):
        assert beat_seconds(value) is None


def test_what_is_said_once_is_not_lost_in_a_full_queue(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        for _ in range(2000):  # more than any queue takes (net.unix.max_dgram_qlen); none of them waits
            notify(ALIVE)
        reading = threading.Timer(0.2, lambda: [manager.recv(100) for _ in range(5)])
        reading.start()
        notify(STOPPING)
        reading.join()
        manager.settimeout(0.5)
        heard = []
        while not heard or heard[-1] != STOPPING.encode():
            heard.append(manager.recv(100))
