"""Check of DLP: whether what is assigned can be looked for, is looked for, and documents can be read."""

from collections.abc import Iterator

from mailseal.cli.checks.finding import Finding, Status
from mailseal.cli.output import counted
from mailseal.config import Config
from mailseal.extract.archive import libarchive_problem
from mailseal.store import dlp_assignments, dlp_patterns, overrides
from mailseal.store.dlp_patterns import PatternInfo
from mailseal.store.dlp_rows import BrokenPatternError
from mailseal.store.dlp_scanners import compile_together

SUBJECT = "DLP"
NAMED = 5


def dlp(_config: Config) -> Iterator[Finding]:
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
    problem = libarchive_problem()
    if problem is not None:
        text = f"archives other than zip, gzip, bzip2 and xz cannot be read: {problem}"
        yield Finding(SUBJECT, Status.WARN, text, "install libarchive (Debian: libarchive13)")
    for owner in dict.fromkeys(one.owner for one in assigned):
        if not overrides.shown(owner)["dlp"][0]:
            text = f"patterns are assigned to {owner or 'all mail'}, and the setting dlp is off there"
            yield Finding(SUBJECT, Status.WARN, text, "`mailseal settings set dlp true`, or `mailseal dlp unassign`")


def _together(patterns: list[PatternInfo]) -> Iterator[Finding]:
    """All at once is the most that any mail can have."""
    try:
        compile_together([one.pattern for one in patterns if one.pattern is not None])
    except BrokenPatternError as error:
        yield Finding(SUBJECT, Status.WARN, f"all patterns at once: {error}", "mail that has them all would wait")
    else:
        yield Finding(SUBJECT, Status.OK, f"{counted(len(patterns), 'pattern')} looked for")
