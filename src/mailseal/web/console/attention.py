"""What needs somebody's attention, the gravest first: only what who asks may see, and each with where to go."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mailseal.policy.model import Fate
from mailseal.store import crls, domains, gauges, jobs, log, nodes
from mailseal.store import quarantine as held_mails
from mailseal.store.expiry import Whose, endings
from mailseal.store.jobs import State
from mailseal.store.log import LogFilter
from mailseal.store.quarantine import HeldFilter
from mailseal.web.access import Area, Principal, Verb
from mailseal.web.written import Precision, written_time

COUNTED = 100
"""Further than this nothing is counted."""
SOON, PAST = timedelta(days=30), timedelta(days=14)
NAMED = 3
MAX_CRLS = 200
GRAVITY = {"bad": 0, "held": 1, "warn": 2, "info": 3}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing. Tones: bad, held, warn, info."""

    tone: str
    icon: str
    title: str | Promise
    text: str | Promise = ""
    url: str = ""
    action: str | Promise = ""


def attention(who: Principal, now: datetime) -> list[Item]:
    """All there is."""
    found = [item for area, look in _LOOKS if who.may(area) for item in look(who, now)]
    return sorted(found, key=lambda one: GRAVITY[one.tone])


def _nodes(who: Principal, now: datetime) -> Iterator[Item]:
    del now
    silent = [one for one in nodes.list_nodes() if not one.alive()] if who.everywhere(Area.HEALTH) else []
    for node in silent[:NAMED]:
        last = written_time(node.heartbeat, Precision.MINUTE)
        text = _("Its job worker was last heard of at %(time)s (UTC).") % {"time": last}
        yield Item("bad", "bad", _("The node %(name)s is silent") % {"name": node.name}, text)


def _domains(who: Principal, now: datetime) -> Iterator[Item]:
    del now
    if who.everywhere(Area.DOMAINS) and not domains.any_internal():
        yield Item(
            "bad",
            "domain",
            _("No domain is internal"),
            _("No mail is opened, and none is signed, until Mailseal knows which domains are yours."),
            reverse("domains"),
            _("Domains"),
        )


def _held(who: Principal, now: datetime) -> Iterator[Item]:
    mine = who.domains_for(Area.QUARANTINE)
    first = held_mails.search(HeldFilter(domains=mine), limit=COUNTED)
    if not first:
        return
    number = str(gauges.held().count) if mine is None else _number(len(first))
    ends = min(one.expires for one in first)
    text = _("The next one expires at %(time)s (UTC).") % {"time": written_time(ends, Precision.MINUTE)}
    title = ngettext("One mail is held", "%(number)s mails are held", len(first)) % {"number": number}
    yield Item("held", "held", title, text, reverse("quarantine"), _("Look"))
    asked = [one for one in first if one.asked_by and one.asked_until and one.asked_until > now]
    if asked and who.may(Area.QUARANTINE, Verb.APPROVE):
        title = ngettext(
            "One release waits for a second person", "%(number)s releases wait for a second person", len(asked)
        ) % {"number": len(asked)}
        url = reverse("held", args=[asked[0].id]) if len(asked) == 1 else reverse("quarantine")
        yield Item("warn", "clock", title, _("Mail goes as it came only if two people say so."), url, _("Decide"))


def _deferred(who: Principal, now: datetime) -> Iterator[Item]:
    wanted = LogFilter(fate=Fate.DEFERRED, since=now - timedelta(hours=1), domains=who.domains_for(Area.LOG))
    found = log.page(wanted, limit=COUNTED)
    mails = len({one.message for one in found.entries})
    if mails:
        title = ngettext(
            "One mail was deferred in the last hour", "%(number)s mails were deferred in the last hour", mails
        ) % {"number": _number(mails)}
        url = f"{reverse('mails')}?{urlencode({'fate': Fate.DEFERRED.value, 'period': '1h'})}"
        yield Item("warn", "clock", title, _("Each is tried again; its page says why it waits."), url, _("Look"))


def _keys(who: Principal, now: datetime) -> Iterator[Item]:
    mine = who.domains_for(Area.CERTIFICATES)
    for whose in (Whose.OURS, Whose.PARTNERS):
        ending = [
            one for one in endings(whose, now - PAST, now + SOON, domains=mine, limit=COUNTED) if not one.is_replaced
        ]
        if not ending:
            continue
        yield Item(
            "bad" if ending[0].ends < now else "warn",
            "key",
            _ending_title(whose, len(ending)),
            _whom(
                ending[0].ends, list(dict.fromkeys(hit.owner for one in ending for hit in one.hits if not hit.lasts))
            ),
            f"{reverse('keys')}?{urlencode({'whose': whose.value, 'days': SOON.days})}",
            _("Which"),
        )


def _ending_title(whose: Whose, number: int) -> str:
    if whose is Whose.OURS:
        text = ngettext(
            "One of our keys ends soon or has ended", "%(number)s of our keys end soon or have ended", number
        )
    else:
        text = ngettext(
            "One key of a partner ends soon or has ended", "%(number)s keys of partners end soon or have ended", number
        )
    return text % {"number": _number(number)}


def _whom(first: datetime, owners: list[str]) -> str:
    day, names = written_time(first, Precision.DAY), ", ".join(owners[:NAMED])
    if not owners:
        return _("The first on %(day)s.") % {"day": day}
    more = len(owners) - NAMED
    if more > 0:
        names = _("%(names)s and %(number)s more") % {"names": names, "number": more}
    return _("The first on %(day)s. It hits %(names)s.") % {"day": day, "names": names}


def _crls(who: Principal, now: datetime) -> Iterator[Item]:
    if not who.everywhere(Area.TRUST):
        return
    stale = [one for one in crls.list_crls(limit=MAX_CRLS) if one.next_update and one.next_update < now]
    if stale:
        title = ngettext(
            "One revocation list is out of date", "%(number)s revocation lists are out of date", len(stale)
        ) % {"number": len(stale)}
        text = _("%(issuer)s should have been replaced by %(day)s; after a while it counts for nothing.") % {
            "issuer": stale[0].issuer,
            "day": written_time(min(one.next_update for one in stale if one.next_update), Precision.DAY),
        }
        yield Item("warn", "certificate", title, text)


def _jobs(who: Principal, now: datetime) -> Iterator[Item]:
    del now
    failed = jobs.list_jobs(state=State.FAILED, limit=COUNTED) if who.everywhere(Area.JOBS) else ()
    if failed:
        title = ngettext("One job was given up", "%(number)s jobs were given up", len(failed)) % {
            "number": _number(len(failed))
        }
        kinds = ", ".join(dict.fromkeys(one.kind for one in failed[:NAMED]))
        yield Item(
            "warn", "warn", title, _("Of the kind %(kinds)s. The log of the job worker says why.") % {"kinds": kinds}
        )


def _number(number: int) -> str:
    return f"{COUNTED}+" if number >= COUNTED else str(number)


_LOOKS: tuple[tuple[Area, Callable[[Principal, datetime], Iterator[Item]]], ...] = (
    (Area.HEALTH, _nodes),
    (Area.DOMAINS, _domains),
    (Area.QUARANTINE, _held),
    (Area.LOG, _deferred),
    (Area.CERTIFICATES, _keys),
    (Area.TRUST, _crls),
    (Area.JOBS, _jobs),
)
