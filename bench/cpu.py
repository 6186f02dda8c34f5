"""CPU time and memory of process trees, read from /proc."""

import os
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def tree(pid: int) -> set[int]:
    """The process and all its living descendants."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))) is not None:
            parents[int(entry.name)] = int(stat[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a tree so far, with children that have ended and been waited for."""
    total = 0
    for member in tree(pid):
        stat = _stat(member)
        if stat is not None:
            total += sum(int(field) for field in stat[11:15])
    return total / _TICKS_PER_SECOND


def resident_bytes(pid: int) -> int:
    """Memory of a tree; shared pages count once per process."""
    total = 0
    for member in tree(pid):
        try:
            total += int(Path(f"/proc/{member}/statm").read_text(encoding="ascii").split()[1])
        except OSError:
            continue
    return total * os.sysconf("SC_PAGE_SIZE")
