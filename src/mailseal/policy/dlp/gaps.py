"""What could not be read of a mail as findings: the settings say what follows."""

from collections.abc import Callable, Sequence
from hashlib import sha256

from mailseal.policy.choices import OnGap
from mailseal.policy.inspection import Gap, GapReason, GapStatus, Inspection
from mailseal.policy.model import MAX_PLACES, Action, Finding
from mailseal.policy.table import Settings

MAX_SINGLE = 100
"""So many gaps are findings of their own; a mail of 10,000 broken parts makes one of the rest."""
_READ = {GapStatus.UNINSPECTABLE: "not readable", GapStatus.PARTIAL: "not all readable"}


def gap_findings(inspection: Inspection, settings: Settings, shown: Callable[[str], str] = str) -> tuple[Finding, ...]:
    """A finding for each gap that the combined settings do not ignore.

    `shown` makes a place fit for the log, since a file's name may hold what patterns look for: `Scanner.masked`.
    """
    strict = [one for one in dict.fromkeys(inspection.gaps) if _on(one, settings) is not OnGap.IGNORE]
    found = [_finding([one], _on(one, settings), shown) for one in strict[:MAX_SINGLE]]
    rest: dict[tuple[GapReason, GapStatus, OnGap], list[Gap]] = {}
    for one in strict[MAX_SINGLE:]:
        rest.setdefault((one.reason, one.status, _on(one, settings)), []).append(one)
    return (*found, *(_finding(gaps, on, shown) for (_, _, on), gaps in rest.items()))


def _on(gap: Gap, settings: Settings) -> OnGap:
    if gap.reason is GapReason.UNKNOWN_FORMAT:
        return settings.dlp_unknown_format
    match gap.status:
        case GapStatus.PARTIAL:
            return settings.dlp_partial
        case GapStatus.UNINSPECTABLE:
            return settings.dlp_uninspectable


def _finding(gaps: Sequence[Gap], on: OnGap, shown: Callable[[str], str]) -> Finding:
    """One finding for gaps of one reason. Its key names the places by digest: a file's name may be a secret."""
    first = gaps[0]
    places = "\0".join(sorted(one.place for one in gaps))
    digest = sha256(places.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return Finding(
        name=f"{_READ[first.status]}: {first.reason.replace('-', ' ')}",
        action=Action(on),
        count=len(gaps),
        places=tuple(shown(one.place) for one in gaps[:MAX_PLACES]),
        key=f"{first.status}:{first.reason}:{digest}",
    )
