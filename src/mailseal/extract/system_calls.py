"""The system calls that a process which reads documents does not need, as a filter for the kernel (seccomp(2))."""

import errno
import struct
from collections.abc import Mapping
from dataclasses import dataclass

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ, …|BPF_JGE, …|BPF_JSET, BPF_RET, each with BPF_K."""
_ALLOW, _DENY, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32_BIT = 0x40000000
_WRITES = 0o1 | 0o2 | 0o100 | 0o1000
"""O_WRONLY, O_RDWR, O_CREAT, O_TRUNC: the same on both."""


@dataclass(frozen=True, slots=True)
class _Architecture:
    """Numbers of calls by name (asm/unistd.h). `opens`: those whose flags are looked at, with the place of these.

    `of_own`: those that are for this process alone, whose first argument is nobody's number then.
    """

    audit: int
    opens: Mapping[int, int]
    of_own: Mapping[str, int]
    denied: Mapping[str, int]
    other_numbers: bool = False


_SAME_EVERYWHERE = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "pidfd_open": 434,
    "clone3": 435,
    "openat2": 437,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "process_mrelease": 448,
    "fchmodat2": 452,
}
_X86_64 = _Architecture(
    audit=0xC000003E,
    other_numbers=True,
    opens={2: 1, 257: 2},
    of_own={"prlimit64": 302},
    denied=_SAME_EVERYWHERE
    | {
        "shmget": 29, "shmat": 30, "socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50,
        "socketpair": 53, "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "kill": 62, "semget": 64, "msgget": 68,
        "truncate": 76, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "link": 86, "unlink": 87, "symlink": 88,
        "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "ptrace": 101, "rt_sigqueueinfo": 129,
        "mknod": 133, "personality": 135, "setpriority": 141, "sched_setparam": 142, "sched_setscheduler": 144,
        "pivot_root": 155, "prctl": 157, "chroot": 161, "mount": 165, "umount2": 166, "init_module": 175,
        "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "tkill": 200, "sched_setaffinity": 203, "tgkill": 234,
        "mq_open": 240, "add_key": 248, "request_key": 249, "keyctl": 250, "ioprio_set": 251, "migrate_pages": 256,
        "mkdirat": 258, "mknodat": 259, "fchownat": 260, "unlinkat": 263, "renameat": 264, "linkat": 265,
        "symlinkat": 266, "fchmodat": 268, "unshare": 272, "move_pages": 279, "accept4": 288, "rt_tgsigqueueinfo": 297,
        "perf_event_open": 298, "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310,
        "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "sched_setattr": 314, "renameat2": 316, "bpf": 321,
        "execveat": 322, "userfaultfd": 323,
    },
)  # fmt: skip
_AARCH64 = _Architecture(
    audit=0xC00000B7,
    opens={56: 2},
    of_own={"prlimit64": 261},
    denied=_SAME_EVERYWHERE
    | {
        "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "ioprio_set": 30, "mknodat": 33, "mkdirat": 34, "unlinkat": 35,
        "symlinkat": 36, "linkat": 37, "renameat": 38, "umount2": 39, "mount": 40, "pivot_root": 41, "truncate": 45,
        "chroot": 51, "fchmod": 52, "fchmodat": 53, "fchownat": 54, "fchown": 55, "personality": 92, "unshare": 97,
        "init_module": 105, "ptrace": 117, "sched_setparam": 118, "sched_setscheduler": 119, "sched_setaffinity": 122,
        "kill": 129, "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138, "setpriority": 140, "prctl": 167,
        "mq_open": 180, "msgget": 186, "semget": 190, "shmget": 194, "shmat": 196, "socket": 198, "socketpair": 199,
        "bind": 200, "listen": 201, "accept": 202, "connect": 203, "add_key": 217, "request_key": 218, "keyctl": 219,
        "clone": 220, "execve": 221, "migrate_pages": 238, "move_pages": 239, "rt_tgsigqueueinfo": 240,
        "perf_event_open": 241, "accept4": 242, "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270,
        "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "sched_setattr": 274, "renameat2": 276, "bpf": 280,
        "execveat": 281, "userfaultfd": 282,
    },
)  # fmt: skip
_ARCHITECTURES = {"x86_64": _X86_64, "aarch64": _AARCH64}


def program(machine: str) -> bytes | None:
    """The filter for a machine (`platform.machine`), as instructions of 8 octets; None for one that is not known."""
    known = _ARCHITECTURES.get(machine)
    if known is None:
        return None
    steps = [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_JUMP_EQUAL, known.audit, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER_AT),
    ]
    if known.other_numbers:
        steps += [_step(_JUMP_AT_LEAST, _X32_BIT, 0, 1), _step(_RETURN, _KILL)]
    for number in sorted(set(known.denied.values())):
        steps += [_step(_JUMP_EQUAL, number, 0, 1), _step(_RETURN, _DENY)]
    for number in known.of_own.values():
        steps += [
            _step(_JUMP_EQUAL, number, 0, 4),
            _step(_LOAD, _ARGUMENTS_AT),
            _step(_JUMP_EQUAL, 0, 1, 0),
            _step(_RETURN, _DENY),
            _step(_RETURN, _ALLOW),
        ]
    for number, flags_at in known.opens.items():
        steps += [
            _step(_JUMP_EQUAL, number, 0, 4),
            _step(_LOAD, _ARGUMENTS_AT + 8 * flags_at),
            _step(_JUMP_BITS, _WRITES, 0, 1),
            _step(_RETURN, _DENY),
            _step(_RETURN, _ALLOW),
        ]
    return b"".join([*steps, _step(_RETURN, _ALLOW)])


def _step(code: int, operand: int, then: int = 0, otherwise: int = 0) -> bytes:
    """`struct sock_filter`: a comparison goes on after so many instructions."""
    return struct.pack("=HBBI", code, then, otherwise, operand)
