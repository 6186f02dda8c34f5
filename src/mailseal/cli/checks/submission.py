"""Checks of submission: whether anybody can log in, and sends as somebody of ours."""

from collections.abc import Iterator

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config, Instance
from mailseal.store import logins
from mailseal.store.domains import is_internal
from mailseal.store.logins import LoginInfo

SUBJECT = "submission"
MAX_NAMED = 10


def submission(config: Config) -> Iterator[Finding]:
    """Nothing where Postfix takes no mail of users."""
    postfix = config.postfix
    if postfix.instance is Instance.OFF or not (postfix.submission or postfix.submissions):
        return
    enabled = [one for one in logins.list_logins() if one.enabled]
    if not enabled:
        text = "users could hand in mail, and nobody can log in"
        yield Finding(SUBJECT, Status.WARN, text, "mailseal submission add NAME --generate")
        return
    yield Finding(SUBJECT, Status.OK, f"logins that are let in: {len(enabled)}")
    useless = [one.name for one in enabled if not one.may_use]
    if useless:
        text = f"they may use no address, so all their mail is refused: {_named(useless)}"
        yield Finding(SUBJECT, Status.WARN, text, "mailseal submission allow NAME ADDRESS")
    strange = [one.name for one in enabled if _strange(one)]
    if strange:
        text = f"they may use addresses that are not internal, as which nothing is signed: {_named(strange)}"
        yield Finding(SUBJECT, Status.WARN, text, "`mailseal domain add`, or `mailseal submission deny`")


def _strange(login: LoginInfo) -> bool:
    domains = {owner.rpartition("@")[2] for owner in login.may_use}
    return not all(is_internal(domain.replace("*.", "any.", 1)) for domain in domains)


def _named(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"{', '.join(names[:MAX_NAMED])}{more}"
