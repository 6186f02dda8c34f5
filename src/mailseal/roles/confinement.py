"""What a process gives up at its start (prctl(2), setrlimit(2), capset(2)); standard library only.

Keys and mails are in its memory: it leaves no core dump, and no other process of its user may trace it or read its
memory. Programs that it starts gain nothing by set-user-ID bits or file capabilities.
"""

import ctypes
import os
import resource
import sys
from collections.abc import Collection
from pathlib import Path

_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_CAPABILITIES = 64
_CAPABILITY_VERSION_3 = 0x20080522
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_NOTHING = [ctypes.c_ulong(0)] * 3
UMASK = 0o077


def confine() -> None:
    """Close this process off. Not for other systems than Linux, where only the core dump and the umask are seen to."""
    os.umask(UMASK)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    # Ambient capabilities (a supervisor that may bind port 25) would be handed down by exec; its own it keeps.
    for arguments in ((_PR_SET_NO_NEW_PRIVS, 1), (_PR_SET_DUMPABLE, 0), (_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)):
        option, value = arguments
        if prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
            raise OSError(ctypes.get_errno(), f"prctl({option}, {value}) failed")


def keep_capabilities(kept: Collection[int]) -> None:
    """Of root's capabilities (capabilities(7), by number) keep these alone, for this process and what it starts."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for number in set(range(_CAPABILITIES)).difference(kept):
        if libc.prctl(_PR_CAPBSET_READ, ctypes.c_ulong(number), *_NOTHING) == 1:
            # Without CAP_SETPCAP it stays: then a service manager has set the bounds (CapabilityBoundingSet=).
            libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(number), *_NOTHING)
    mask = sum(1 << number for number in kept)
    held = _permitted() & mask
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # Twice effective, permitted, inheritable: the lower and the upper 32 of them.
    data = (ctypes.c_uint32 * 6)(held & 0xFFFFFFFF, held & 0xFFFFFFFF, 0, held >> 32, held >> 32, 0)
    if libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset failed")


def _permitted() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("CapPrm:")).split()[1], 16)
