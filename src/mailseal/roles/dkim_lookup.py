"""Whether the DNS has the record of a DKIM key: asked before a key signs, and by `mailseal check`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from mailseal.discover.dns import Dns, DnsUnavailableError, NoAnswerError
from mailseal.dkim.algorithms import Algorithm
from mailseal.dkim.record import RecordError, choose_record, read_record
from mailseal.store import dkim_keys
from mailseal.store.dkim_keys import DkimKeyInfo


class Published(StrEnum):
    """What the DNS says of a key."""

    YES = "published"
    NO = "not published"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the DNS says, in words, and what to do about it."""

    state: Published
    text: str
    what_to_do: str = ""


def ask(info: DkimKeyInfo, dns: Dns) -> Answer:
    """Ask the DNS, and keep what it says, unless it cannot say."""
    answer = look_up(info, dns)
    if answer.state is not Published.UNKNOWN:
        at = datetime.now(UTC) if answer.state is Published.YES else None
        dkim_keys.note_published(info.domain, info.selector, at)
    return answer


def look_up(info: DkimKeyInfo, dns: Dns, deadline: float | None = None) -> Answer:
    """Ask for the record of a key and compare."""
    publish = f"`mailseal dkim record {info.domain} {info.selector}` prints what to publish"
    try:
        texts = dns.txt(info.name, deadline).records
    except NoAnswerError:
        return Answer(Published.NO, f"the DNS has no record {info.name}", publish)
    except DnsUnavailableError as error:
        return Answer(Published.UNKNOWN, str(error), "try again, or look at [dns] servers")
    try:
        found, own = choose_record(texts), read_record(info.record)
    except RecordError as error:
        return Answer(Published.WRONG, f"{info.name}: {error}", publish)
    if found.key != own.key:
        return Answer(Published.WRONG, f"{info.name} has another key", publish)
    if not found.may_verify(Algorithm(f"{own.key_type}-sha256")):
        return Answer(Published.WRONG, f"{info.name} has the key, but not for mail (its tags k, h, s)", publish)
    if found.testing:
        return Answer(Published.YES, f"{info.name} is there, but says that DKIM is only tried (t=y)")
    return Answer(Published.YES, f"{info.name} is there")
