"""What is told to the service manager (sd_notify(3), sd_watchdog_enabled(3)); standard library only.

Nothing is said where nobody listens. What the manager has put into the environment is for this process alone.
"""

import contextlib
import os
import socket
from collections.abc import Mapping

SOCKET_VARIABLE = "NOTIFY_SOCKET"
WATCHDOG_VARIABLE = "WATCHDOG_USEC"
WATCHDOG_PID_VARIABLE = "WATCHDOG_PID"
READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"
PATIENCE_SECONDS = 5.0
VARIABLES = frozenset({SOCKET_VARIABLE, WATCHDOG_VARIABLE, WATCHDOG_PID_VARIABLE})


def notify(*states: str) -> None:
    """Tell the manager one or more states in one datagram."""
    name = os.environ.get(SOCKET_VARIABLE)
    if not name:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        # The manager's queue may be full for a moment. A sign of life is followed by the next, all else is said once.
        told.settimeout(0.0 if states == (ALIVE,) else PATIENCE_SECONDS)
        told.connect("\0" + name[1:] if name.startswith("@") else name)
        told.send("\n".join(states).encode())


def beat_seconds(environ: Mapping[str, str] | None = None) -> float | None:
    """How often to say ALIVE: half of what the manager waits; None if it does not watch this process."""
    found = os.environ if environ is None else environ
    microseconds = found.get(WATCHDOG_VARIABLE, "")
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    if found.get(WATCHDOG_PID_VARIABLE, str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 2_000_000
