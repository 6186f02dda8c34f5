"""Check of DLP: whether what is assigned can be looked for, is looked for, and documents can be read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mailseal.cli.checks.finding import Finding, Status
from mailseal.cli.output import counted
from mailseal.config import Config
from mailseal.extract.archive import libarchive_problem
from mailseal.extract.confinement import NAMESPACES
from mailseal.policy.model import Action
from mailseal.policy.notice_kind import NoticeKind
from mailseal.roles.listening import is_held
from mailseal.store import dlp_assignments, dlp_patterns, overrides
from mailseal.store.dlp_assignments import Assignment
from mailseal.store.dlp_patterns import PatternInfo
from mailseal.store.dlp_rows import BrokenPatternError
from mailseal.store.dlp_scanners import compile_together
from mailseal.transport.sandbox import SandboxAwayError
from mailseal.wiring.gateway import sandbox_documents

SUBJECT = "DLP"
NAMED = 5


def dlp(config: Config) -> Iterator[Finding]:
    """Nothing where no pattern is assigned to anybody."""
    assigned = dlp_assignments.list_assignments()
    if not assigned:
        return
    groups = {one.group for one in assigned}
    patterns = [one for one in dlp_patterns.list_patterns() if one.assigned_to or groups.intersection(one.groups)]
    broken = [one for one in patterns if one.problem]
    if broken:
        named = "; ".join(f"{one.name}: {one.problem}" for one in broken[:NAMED])
        text = f"{counted(len(broken), 'pattern')} cannot be used, so mail that they count for waits: {named}"
        yield Finding(SUBJECT, Status.FAIL, text, "`mailseal dlp pattern set`, or `unassign`")
    else:
        yield from _together(patterns)
    yield from _reading(config)
    yield from _switched_off([one.owner for one in assigned])
    yield from _unheard(assigned, patterns)


def _together(patterns: list[PatternInfo]) -> Iterator[Finding]:
    """All at once is the most that any mail can have."""
    try:
        compile_together([one.pattern for one in patterns if one.pattern is not None])
    except BrokenPatternError as error:
        yield Finding(SUBJECT, Status.WARN, f"all patterns at once: {error}", "mail that has them all would wait")
    else:
        yield Finding(SUBJECT, Status.OK, f"{counted(len(patterns), 'pattern')} looked for")


def _reading(config: Config) -> Iterator[Finding]:
    """Of documents, which mail waits for."""
    problem = libarchive_problem()
    if problem is not None:
        text = f"archives other than zip, gzip, bzip2 and xz cannot be read: {problem}"
        yield Finding(SUBJECT, Status.WARN, text, "install libarchive (Debian: libarchive13)")
    if not is_held(config.run_dir / "supervisor.lock"):
        return
    try:
        status = sandbox_documents(config).status()
    except SandboxAwayError as error:
        text = f"mail with documents waits: {error}"
        yield Finding(SUBJECT, Status.FAIL, text, error.what_to_do)
        return
    if status.trouble:
        text = f"mail with documents waits: the sandbox cannot start a process ({status.trouble})"
        yield Finding(SUBJECT, Status.FAIL, text, "see the log of the role sandbox")
    elif any(not one.startswith(NAMESPACES) for one in status.lacking):
        text = f"processes that read documents are without: {', '.join(status.lacking)}"
        yield Finding(SUBJECT, Status.WARN, text, "docs/security.md says what these walls keep away")
    else:
        walls = f", without {', '.join(status.lacking)}" if status.lacking else ""
        text = f"documents are read by up to {counted(status.extractors, 'process')}{walls}"
        yield Finding(SUBJECT, Status.OK, text)


def _switched_off(owners: Sequence[str]) -> Iterator[Finding]:
    if all(one.value for one in overrides.list_overrides() if one.name == "dlp"):
        return
    off = [one for one in dict.fromkeys(owners) if not overrides.shown(one)["dlp"][0]]
    if off:
        text = f"the setting dlp is off where patterns are assigned: {_named(off)}"
        yield Finding(SUBJECT, Status.WARN, text, "`mailseal settings set dlp true`, or `mailseal dlp unassign`")


def _unheard(assigned: Sequence[Assignment], patterns: Sequence[PatternInfo]) -> Iterator[Finding]:
    """Mail that is held waits for somebody."""
    holding = [one for one in patterns if one.pattern is not None and one.pattern.action is Action.QUARANTINE]
    names, groups = {one.name for one in holding}, {group for one in holding for group in one.groups}
    owners = dict.fromkeys(one.owner for one in assigned if one.pattern in names or one.group in groups)
    alone = [one for one in owners if not _is_heard(overrides.shown(one))]
    if alone:
        text = f"patterns hold mail of which no manager is told: {_named(alone)}"
        yield Finding(SUBJECT, Status.WARN, text, "`mailseal settings set dlp_managers`, and see notify_managers")


def _is_heard(shown: Mapping[str, tuple[Any, ...]]) -> bool:
    return bool(shown["dlp_managers"][0]) and NoticeKind.DLP_QUARANTINE in shown["notify_managers"][0]


def _named(owners: Sequence[str]) -> str:
    more = f" and {len(owners) - NAMED} more" if len(owners) > NAMED else ""
    return f"{', '.join(one or 'all mail' for one in owners[:NAMED])}{more}"
