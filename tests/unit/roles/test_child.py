"""What the service manager hands in: only listeners of ours, by their own names."""

import os

import pytest

from mailseal.roles.child import ActivationError, inherit
from mailseal.roles.notify import beat_seconds


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
    with pytest.raises(ActivationError, match="FileDescriptorName= of each must be another one of lmtp-authorised"):
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
