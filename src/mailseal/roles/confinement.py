"""What a process gives up at its start (prctl(2), setrlimit(2)); standard library only.

Keys and mails are in its memory: it leaves no core dump, and no other process of its user may trace it or read its
memory. Programs that it starts gain nothing by set-user-ID bits or file capabilities.
"""

import ctypes
import os
import resource
import sys

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
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
