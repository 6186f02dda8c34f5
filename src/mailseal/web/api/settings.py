"""Operations on settings: policy at its four levels (`store.overrides`), with where each value comes from."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

from django.http import HttpRequest
from ninja import Router
from pydantic import Field, StrictBool, StrictInt, StrictStr

from mailseal.policy import settings as policy
from mailseal.policy.setting_info import SettingInfo
from mailseal.policy.settings import Level, Override
from mailseal.store import overrides
from mailseal.store.overrides import Wanted
from mailseal.store.stamps import Scope, bump_alone
from mailseal.web.access import Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs, principal
from mailseal.web.api.owner import Owner, reach_owner
from mailseal.web.api.paging import ITEMS, After, Limit, Page, page
from mailseal.web.api.problem import not_found
from mailseal.web.api.shapes import Given, Shown

router = Router()

Value = StrictBool | StrictInt | StrictStr | list[StrictStr]
"""A setting's value: yes or no, a number, a text or one of `choices`, a list of texts."""


class SettingKind(StrEnum):
    """What values a setting has."""

    FLAG = "flag"
    NUMBER = "number"
    CHOICE = "choice"
    TEXT = "text"
    LIST = "list"


class ValueShown(Shown):
    """A value, and the level that it comes from."""

    value: Value
    level: Level | None = Field(description="null: the factory's.")
    owner: str = Field(description='Who it is set for: "" for everybody.')
    locked: bool = Field(description="Levels below may only make it stricter.")


class OwnShown(Shown):
    """What is set at this very level."""

    value: Value
    locked: bool
    counts: bool = Field(description="False: a locked value of a level above is stricter, and holds.")


class SettingShown(Shown):
    """A setting as it counts for an owner."""

    name: str
    kind: SettingKind
    effective: ValueShown
    inherited: ValueShown = Field(description="What would count if nothing were set at this level.")
    own: OwnShown | None
    default: Value
    unit: str
    choices: list[str]
    lowest: int | None
    highest: int | None
    help: str


class SettingsShown(Shown):
    """All settings as they count for an owner."""

    owner: str
    settings: list[SettingShown]


class SettingGiven(Given):
    """A value to set at a level. Texts are read as `mailseal settings set` reads them."""

    value: Annotated[Value, Field(description="In the type of the setting, or its text.")]
    locked: StrictBool = False


class ChangesGiven(Given):
    """Settings by name; null lets the level inherit."""

    settings: dict[str, SettingGiven | None] = Field(min_length=1, max_length=200)


class OverrideShown(Shown):
    """A setting that is set somewhere."""

    level: Level
    owner: str
    name: str
    value: Value
    locked: bool


@router.get("", response=SettingsShown, auth=needs(Area.SETTINGS), operation_id="list_settings")
def list_settings(request: HttpRequest, owner: Owner = "") -> SettingsShown:
    """Every setting as it counts for an owner, and where its value comes from."""
    return _all(reach_owner(request, Area.SETTINGS, Verb.SEE, owner))


@router.patch("", response=SettingsShown, auth=needs(Area.SETTINGS, Verb.CHANGE), operation_id="change_settings")
def change_settings(request: HttpRequest, changes: ChangesGiven, owner: Owner = "") -> SettingsShown:
    """Set and unset several settings at once, or none. `If-Match` is the ETag of all settings of the owner."""
    key = reach_owner(request, Area.SETTINGS, Verb.CHANGE, owner)
    wanted = {name: Wanted(None) if one is None else _wanted(one) for name, one in changes.settings.items()}
    for name in wanted:
        policy.setting(name)
    etag.change(request, lambda: _alone(lambda: _all(key)), lambda: _change(request, key, wanted))
    return _all(key)


@router.get("/overrides", response=Page[OverrideShown], auth=needs(Area.SETTINGS), operation_id="list_overrides")
def list_overrides(request: HttpRequest, after: After = "", limit: Limit = ITEMS) -> Page[OverrideShown]:
    """What is set anywhere, by owner and name."""
    last_owner, _, last_name = after.rpartition(" ")
    within = principal(request).domains_for(Area.SETTINGS)
    rows = overrides.page(within=within, after=(last_owner, last_name) if after else None, limit=limit + 1)
    return page(rows, limit, show=_override, key=lambda one: f"{one.owner} {one.name}")


@router.get("/{name}", response=SettingShown, auth=needs(Area.SETTINGS), operation_id="get_setting")
def get_setting(request: HttpRequest, name: str, owner: Owner = "") -> SettingShown:
    """One setting as it counts for an owner."""
    return _one(reach_owner(request, Area.SETTINGS, Verb.SEE, owner), name)


@router.put("/{name}", response=SettingShown, auth=needs(Area.SETTINGS, Verb.CHANGE), operation_id="put_setting")
def put_setting(request: HttpRequest, name: str, given: SettingGiven, owner: Owner = "") -> SettingShown:
    """Set a setting for an owner."""
    key = reach_owner(request, Area.SETTINGS, Verb.CHANGE, owner)
    _known(name)
    etag.change(request, lambda: _alone(lambda: _one(key, name)), lambda: _change(request, key, {name: _wanted(given)}))
    return _one(key, name)


@router.delete("/{name}", response=SettingShown, auth=needs(Area.SETTINGS, Verb.CHANGE), operation_id="unset_setting")
def unset_setting(request: HttpRequest, name: str, owner: Owner = "") -> SettingShown:
    """Let an owner inherit a setting again."""
    key = reach_owner(request, Area.SETTINGS, Verb.CHANGE, owner)
    if _one(key, name).own is None:
        raise not_found("value of its own")
    etag.change(request, lambda: _alone(lambda: _one(key, name)), lambda: _change(request, key, {name: Wanted(None)}))
    return _one(key, name)


def _change(request: HttpRequest, key: str, wanted: dict[str, Wanted]) -> None:
    may_lock = principal(request).everywhere(Area.SETTINGS, Verb.CHANGE)
    overrides.change(key, wanted, may_lock=may_lock)


def _alone(shown: Callable[[], Shown]) -> Shown:
    """What is shown, while nobody else changes it."""
    bump_alone(Scope.SETTINGS)
    return shown()


def _known(name: str) -> None:
    if name not in {info.name for info in policy.SETTINGS}:
        raise not_found("setting")


def _wanted(given: SettingGiven) -> Wanted:
    match given.value:
        case bool() as flag:
            text = "yes" if flag else "no"
        case list() as elements:
            text = ", ".join(elements)
        case value:
            text = str(value)
    return Wanted(text, given.locked)


def _all(key: str) -> SettingsShown:
    found, inherited = overrides.shown(key), overrides.inherited(key)
    own = {one.name: one for one in overrides.list_overrides(key)}
    shown = [_shown(info, found[info.name], inherited[info.name], own.get(info.name)) for info in policy.SETTINGS]
    return SettingsShown(owner=key, settings=shown)


def _one(key: str, name: str) -> SettingShown:
    _known(name)
    return next(one for one in _all(key).settings if one.name == name)


def _shown(
    info: SettingInfo,
    found: tuple[object, Override | None],
    inherited: tuple[object, Override | None],
    own: Override | None,
) -> SettingShown:
    kind = _kind(info)
    number = kind is SettingKind.NUMBER
    return SettingShown(
        name=info.name,
        kind=kind,
        effective=_value(*found),
        inherited=_value(*inherited),
        own=OwnShown(value=as_json(own.value), locked=own.locked, counts=found[1] == own) if own else None,
        default=as_json(info.default),
        unit=info.unit,
        choices=[one.value for one in info.type] if issubclass(info.type, StrEnum) else [],
        lowest=info.lowest if number else None,
        highest=info.highest if number else None,
        help=info.help,
    )


def _value(value: object, origin: Override | None) -> ValueShown:
    if origin is None:
        return ValueShown(value=as_json(value), level=None, owner="", locked=False)
    return ValueShown(value=as_json(value), level=origin.level, owner=origin.owner, locked=origin.locked)


def _override(one: Override) -> OverrideShown:
    return OverrideShown(level=one.level, owner=one.owner, name=one.name, value=as_json(one.value), locked=one.locked)


def as_json(value: object) -> Value:
    """A setting's value as JSON has it."""
    if isinstance(value, bool | int):
        return value
    return [str(one) for one in value] if isinstance(value, tuple) else str(value)


def _kind(info: SettingInfo) -> SettingKind:
    if issubclass(info.type, StrEnum):
        return SettingKind.CHOICE
    return {bool: SettingKind.FLAG, int: SettingKind.NUMBER, tuple: SettingKind.LIST}.get(info.type, SettingKind.TEXT)
