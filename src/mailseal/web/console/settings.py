"""Settings in one form for everybody, a domain or an address; what is changed is shown before it is saved."""

from collections.abc import Mapping

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from mailseal.mail.address import AddressError
from mailseal.policy.settings import Level, SettingError
from mailseal.store import overrides
from mailseal.store.overrides import LockedSettingError, StaleSettingsError, Wanted
from mailseal.store.owners import owners_of_domain, read_owner
from mailseal.web.access import Area, Verb
from mailseal.web.console import setting_diff, setting_fields
from mailseal.web.console.scope import allowed, domain_of, seen
from mailseal.web.console.setting_fields import Field
from mailseal.web.guard import needs, principal
from mailseal.web.told import told

MAX_QUERY_CHARS = 200
_AREA = Area.SETTINGS


@needs(_AREA)
@require_http_methods(["GET", "POST"])
def settings(request: HttpRequest) -> HttpResponse:
    """The form of an owner (`owner`, "" for everybody); posted, what would change; posted with `save`, saved."""
    given = request.POST if request.method == "POST" else request.GET
    if "owner" not in given and not principal(request).may_for("", _AREA):
        return _choose(request, "")
    try:
        _, owner = read_owner(given.get("owner", "")[:MAX_QUERY_CHARS])
    except AddressError as error:
        return _choose(request, told(str(error)))
    seen(request, _AREA, domain_of(owner))
    if request.method != "POST":
        return _form(request, owner, {}, {})
    allowed(request, _AREA, Verb.CHANGE, domain_of(owner))
    return _posted(request, owner)


def _choose(request: HttpRequest, error: str) -> HttpResponse:
    """Whose settings, for somebody who may not see everybody's; or who has asked for what is no owner."""
    domains = sorted(principal(request).domains_for(_AREA) or ())
    context = {"domains": domains, "error": error, "asked": request.GET.get("owner", "")}
    return render(request, "settings/choose.html", context, status=400 if error else 200)


def _posted(request: HttpRequest, owner: str) -> HttpResponse:
    wanted = setting_fields.posted(request.POST)
    if "edit" in request.POST:
        return _form(request, owner, wanted, {})
    version = request.POST.get("version", "")
    if version != overrides.version(owner):
        return _stale(request, owner, wanted)
    if not wanted:
        messages.info(request, gettext("Nothing was changed."))
        return redirect(_url(owner))
    good, errors = setting_fields.checked(wanted)
    if errors:
        return _form(request, owner, wanted, errors, status=422)
    return _save(request, owner, good, version) if "save" in request.POST else _review(request, owner, good, version)


def _review(request: HttpRequest, owner: str, wanted: Mapping[str, Wanted], version: str) -> HttpResponse:
    try:
        rows = setting_diff.changes(owner, _fields(owner), wanted)
    except SettingError as error:
        return _form(request, owner, wanted, _by_name(error), status=422)
    refused = {one.name: one.refused for one in rows if one.refused}
    if refused:
        return _form(request, owner, wanted, refused, status=422)
    context = {"owner": owner, "changes": rows, "version": version, "weaker": any(one.weaker for one in rows)}
    return render(request, "settings/review.html", context)


def _save(request: HttpRequest, owner: str, wanted: Mapping[str, Wanted], version: str) -> HttpResponse:
    may_lock = principal(request).everywhere(_AREA, Verb.CHANGE)
    try:
        overrides.change(owner, wanted, expected=version, may_lock=may_lock)
    except StaleSettingsError:
        return _stale(request, owner, wanted)
    except LockedSettingError as error:
        messages.error(request, told(str(error)))
        return _form(request, owner, {}, {}, status=409)
    except SettingError as error:
        return _form(request, owner, wanted, _by_name(error), status=422)
    messages.success(request, gettext("Saved. The change counts within a second or two."))
    return redirect(_url(owner), permanent=False)


def _stale(request: HttpRequest, owner: str, wanted: Mapping[str, Wanted]) -> HttpResponse:
    """The form again: what was wanted, beside what somebody else has made of it meanwhile."""
    text = gettext("Somebody else has changed settings meanwhile. Look at what you wanted, and review it once more.")
    messages.warning(request, text)
    return _form(request, owner, wanted, {}, status=409)


def _form(
    request: HttpRequest,
    owner: str,
    wanted: Mapping[str, Wanted],
    errors: Mapping[str, str],
    *,
    status: int = 200,
) -> HttpResponse:
    who, version = principal(request), overrides.version(owner)  # before the rest is read: older is safe
    posted = request.POST.dict()
    was = {name.removeprefix("was-"): str(text) for name, text in posted.items() if name.startswith("was-")}
    found = setting_fields.with_wishes(_fields(owner), wanted, was, errors)
    asked = request.GET.get("q", "")[:MAX_QUERY_CHARS]
    own_only = "own" in request.GET
    names = setting_fields.matching(asked.split(), found, own_only=own_only) | set(wanted) | set(errors)
    context = {
        "owner": owner,
        "version": version,
        "groups": setting_fields.groups(found, names),
        "chain": _chain(request, owner, found),
        "q": asked,
        "own_only": own_only,
        "own_count": sum(one.own for one in found.values()),
        "may_change": who.may_for(domain_of(owner), _AREA, Verb.CHANGE),
        "may_lock": who.everywhere(_AREA, Verb.CHANGE),
        "wrong": [(name, one.label) for name, one in found.items() if one.error],
    }
    return render(request, "settings/form.html", context, status=status)


def _fields(owner: str) -> dict[str, Field]:
    own = overrides.list_overrides(owner)
    return setting_fields.fields(own, overrides.shown(owner), overrides.inherited(owner))


def _chain(request: HttpRequest, owner: str, found: Mapping[str, Field]) -> list[tuple[str, str, bool]]:
    """(url, name, whether it is this one) of the levels that count here, as far as they may be seen."""
    level, _ = read_owner(owner)
    used = {one.owner for field in found.values() for one in (field.origin, field.inherited_from)}
    owners = [""]
    if level is not Level.GLOBAL:
        domain = domain_of(owner).removeprefix("*.")
        above = [one for one in reversed(owners_of_domain(domain)) if one in used or one == domain_of(owner)]
        if level is Level.ADDRESS and domain not in above:
            above.append(domain)
        owners += [one for one in above if level is not Level.WILDCARD or one != domain]
    if owner not in owners:
        owners.append(owner)
    who = principal(request)
    return [
        (_url(one) if who.may_for(domain_of(one), _AREA) else "", one or gettext("Everybody"), one == owner)
        for one in owners
    ]


def _by_name(error: SettingError) -> dict[str, str]:
    name, _, text = told(str(error)).partition(": ")
    return {name: text}


def _url(owner: str) -> str:
    return f"{reverse('settings')}?{urlencode({'owner': owner})}"
