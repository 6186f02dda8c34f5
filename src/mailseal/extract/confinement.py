"""What the process that reads hostile documents gives up for good (setrlimit(2), prctl(2), landlock(7), seccomp(2)).

Standard library only. Limits and no_new_privs are had everywhere or the process does not start; the rest is best
effort, each a wall behind the other, and what could not be had is told: an old kernel, a container, another system.
"""

import contextlib
import ctypes
import os
import platform
import resource
import signal
import site
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from mailseal.extract import system_calls

MAX_FILES = 64
UMASK = 0o777
SPARE_SECONDS = 8
NAMESPACES = "namespaces of user and network"
"""The outermost wall: without it, seccomp keeps sockets away."""
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 4, 38, 22
_PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 24, 47, 4
_CAPABILITIES, _CAPABILITY_VERSION_3 = 64, 0x20080522
_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
_SECCOMP_MODE_FILTER = 2
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_LANDLOCK_VERSION, _LANDLOCK_PATH_BENEATH = 1, 1
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
_FILE_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights to files there are to take away, by the version of landlock; of a later one the last are known."""
_ABI_WITH_NETWORK, _ABI_WITH_SCOPES = 4, 6


class _UnavailableError(OSError):
    """Something cannot be had here."""


def confine(memory_bytes: int) -> tuple[str, ...]:
    """Close this process off, once all its code is loaded; what could not be had. Raises OSError, ValueError.

    It has one thread.
    """
    os.umask(UMASK)
    _limit(memory_bytes)
    if sys.platform != "linux":
        return ("no namespaces, landlock or seccomp: this is not Linux",)
    libc = ctypes.CDLL(None, use_errno=True)
    _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1)
    _prctl(libc, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    if os.geteuid() == 0:
        _drop_capabilities(libc)
    lacking = _lack(libc, "namespaces of user and network", _leave_network)
    # Not before: who enters a namespace loses both. Not later: of the last wall's calls this is one.
    _prctl(libc, _PR_SET_DUMPABLE, 0)
    _prctl(libc, _PR_SET_PDEATHSIG, signal.SIGKILL)
    lacking += _lack(libc, "landlock (files, TCP)", _close_files)
    lacking += _lack(libc, "seccomp (system calls)", _filter_calls)
    return tuple(lacking)


def _lack(libc: ctypes.CDLL, name: str, wall: Callable[[ctypes.CDLL], None]) -> list[str]:
    try:
        wall(libc)
    except OSError as error:
        return [f"{name}: {error.strerror}"]
    return []


def _limit(memory_bytes: int) -> None:
    """No core, no file written, no process, few descriptors, so much memory."""
    limits = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, MAX_FILES),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_AS, memory_bytes),
    ]
    for which, most in limits:
        hard = resource.getrlimit(which)[1]
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (allowed, allowed))


def limit_time(seconds: float) -> None:
    """Of processor and clock from now on: a second wall, should nobody be left to kill this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + SPARE_SECONDS
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
    signal.alarm(int(seconds) + SPARE_SECONDS)  # SIGALRM, which nobody handles, ends it


def no_time_limit() -> None:
    """It waits for the next document."""
    signal.alarm(0)


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> None:
    _call(libc.prctl, option, value, 0, 0, 0)


def _call(function: Callable[..., int], *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    given = [ctypes.c_ulong(one) if isinstance(one, int) else one for one in arguments]
    result = function(*given)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    for number in range(_CAPABILITIES):
        libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(number), *[ctypes.c_ulong(0)] * 3)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "capset failed")


def _leave_network(libc: ctypes.CDLL) -> None:
    """Into a user namespace, which is what a network of one's own, with nobody in it, needs (namespaces(7))."""
    _call(libc.unshare, _CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC)
    # The new namespace's own capabilities go at once: there is nothing to set up in it.
    _drop_capabilities(libc)


def _close_files(libc: ctypes.CDLL) -> None:
    """Only Python and libraries can be read, nothing can be made or changed; no TCP, no signals to others."""
    version = _call(libc.syscall, _LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_VERSION)
    files = (1 << _FILE_RIGHTS_BY_ABI.get(version, 16)) - 1
    network = 0b11 if version >= _ABI_WITH_NETWORK else 0
    scopes = 0b11 if version >= _ABI_WITH_SCOPES else 0
    known = (files, network, scopes)[: 1 + (version >= _ABI_WITH_NETWORK) + (version >= _ABI_WITH_SCOPES)]
    ruleset = _call(
        libc.syscall, _LANDLOCK_CREATE_RULESET, _buffer(struct.pack(f"={len(known)}Q", *known)), 8 * len(known), 0
    )
    try:
        for folder in _readable():
            with contextlib.suppress(PermissionError):  # of no use to this process then: it stays closed
                _allow(libc, ruleset, folder)
        _call(libc.syscall, _LANDLOCK_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, folder: Path) -> None:
    descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = _READ_FILE | _READ_FOLDER if folder.is_dir() else _READ_FILE
        rule = _buffer(struct.pack("=Qi", rights, descriptor))
        _call(libc.syscall, _LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)


def _readable() -> list[Path]:
    """Where code lies: modules that are imported late, converters of character sets."""
    system = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo")
    places = [Path(one).resolve() for one in (*sys.path, *site.PREFIXES, sys.base_prefix, *system) if one]
    return [one for one in dict.fromkeys(places) if one != Path("/") and os.path.lexists(one)]


def _filter_calls(libc: ctypes.CDLL) -> None:
    """No new sockets, programs, processes, signals, shared memory, files to write, and nothing that changes another
    process of the same user, which the two before do not keep from: such calls fail with EPERM.
    """
    program = system_calls.program(platform.machine())
    if program is None:
        raise _UnavailableError(0, f"not known for {platform.machine()}")
    octets = _buffer(program)
    header = _buffer(
        struct.pack("HxxxxxxP" if struct.calcsize("P") == 8 else "HxxP", len(program) // 8, ctypes.addressof(octets))
    )
    _call(libc.prctl, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0)


def _buffer(octets: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(octets, len(octets))
