"""Checks of journal addresses: where opened mail goes, and what waits for somebody to look at it."""

from collections.abc import Iterator

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config
from mailseal.store import journaling
from mailseal.store.directory import StoreDirectory


def journal_addresses(_: Config) -> Iterator[Finding]:
    """Whether each archive may have opened mail, and whether reports are kept."""
    directory = StoreDirectory()
    found = journaling.list_journals()
    for one in found:
        journal = one.journal
        if not journal.outside and not directory.party(journal.archive).internal:
            text = f"{journal.archive}, the archive of {journal.address}, is not internal: its reports are deferred"
            yield Finding("journaling", Status.FAIL, text, f"`mailseal domain add {journal.archive.domain}`")
        if one.kept:
            text = f"{one.kept} reports to {journal.address} could not be opened and are kept here"
            what_to_do = "`mailseal journal failures --kept` says why; then `mailseal journal retry`"
            yield Finding("journaling", Status.WARN, text, what_to_do)
    if found and not any(one.kept for one in found):
        yield Finding("journaling", Status.OK, f"{len(found)} journal addresses, nothing is kept")
