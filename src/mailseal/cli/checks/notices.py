"""Check of notices: templates and languages that cannot be used, readers that get none, notices that were given up."""

from collections.abc import Iterator
from datetime import timedelta

from mailseal.cli.checks.finding import Finding, Status
from mailseal.cli.output import counted
from mailseal.config import Config
from mailseal.mail.address import Address
from mailseal.notices import catalogue
from mailseal.notices.catalogue import Catalogue
from mailseal.store import notice_requests, notice_templates, overrides
from mailseal.store.directory import StoreDirectory
from mailseal.store.row import utc_now

SUBJECT = "notices"
LATELY = timedelta(days=1)


def notices(config: Config) -> Iterator[Finding]:
    """What keeps notices from being sent as they are set."""
    known = catalogue.load(config.notices.folder)
    found = [*_files(known), *_templates(), *_languages(known), *_managers(), *_given_up()]
    yield from found
    if not found:
        yield Finding(SUBJECT, Status.OK, f"in {counted(len(known.languages), 'language')}")


def _files(known: Catalogue) -> Iterator[Finding]:
    for path, problem in known.broken:
        text = f"{path} cannot be used: {problem}"
        yield Finding(SUBJECT, Status.WARN, text, f"mend it; `mailseal notice check {path}`")


def _templates() -> Iterator[Finding]:
    for one, problem in notice_templates.broken():
        text = f"{one.kind} ({one.language}) of {one.owner or 'everybody'} cannot be used: {problem}"
        yield Finding(SUBJECT, Status.WARN, text, "`mailseal notice set` another; the shipped one stands in")


def _languages(known: Catalogue) -> Iterator[Finding]:
    for one in overrides.list_overrides():
        if one.name == "notice_language" and str(one.value) not in known.languages:
            language = known.language(str(one.value))
            text = f"there is no language {one.value}, as set for {one.owner or 'everybody'}: {language.code} stands in"
            yield Finding(SUBJECT, Status.WARN, text, "mailseal notice languages")


def _managers() -> Iterator[Finding]:
    directory = StoreDirectory()
    for one in overrides.list_overrides():
        if one.name != "dlp_managers":
            continue
        if bool(overrides.shown(one.owner)["notify_outside_managers"][0]):
            continue
        for manager in one.value:
            if not directory.party(Address.parse(manager)).internal:
                text = f"{manager} looks after DLP and is not internal, so no notice is sent there"
                yield Finding(SUBJECT, Status.WARN, text, "mailseal settings set notify_outside_managers yes")


def _given_up() -> Iterator[Finding]:
    failed = notice_requests.failed(utc_now() - LATELY)
    if failed:
        text = f"{counted(failed, 'notice')} of the last day could not be sent"
        yield Finding(SUBJECT, Status.WARN, text, "see the log of the worker; their mails are not concerned")
