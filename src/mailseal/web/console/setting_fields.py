"""The form of settings: of each what is set here, what is inherited and from whom; and what was posted, read back.

A field is posted as four values: `v-NAME` the text, `own-NAME` that it is set here, `lock-NAME`, and `was-NAME`: what
the form showed as set here, so that only what somebody has touched is changed, whoever has changed the rest meanwhile.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext

from mailseal.policy.settings import SETTINGS, Override, SettingError, SettingInfo, parse_value, setting, show_value
from mailseal.store import overrides
from mailseal.store.overrides import Shown, Wanted
from mailseal.web.console.setting_groups import GROUPS, LABELS
from mailseal.web.told import told

_FACTORS = (("G", 1024**3), ("M", 1024**2), ("K", 1024))
_INHERIT = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: `owner` None is the factory, "" everybody; `locked`: only stricter ones count below."""

    owner: str | None
    locked: bool = False

    @property
    def text(self) -> str:
        """For people."""
        if self.owner is None:
            return gettext("default")
        return self.owner or gettext("everybody")


@dataclass(frozen=True, slots=True)
class Field:
    """One setting of an owner. `text`: what the input holds; `effective`: what counts now, from `origin`.

    `inherited` and `inherited_from`: what counts when nothing is set here. `was`: for `was-NAME`. `is_wish`: the input
    holds what is not saved yet; `meanwhile`: what somebody else has made of it since it was shown.
    """

    info: SettingInfo
    label: str | Promise
    own: bool
    locked: bool
    text: str
    effective: str
    origin: Origin
    inherited: str
    inherited_from: Origin
    was: str
    error: str = ""
    is_wish: bool = False
    meanwhile: str | None = None

    @property
    def kind(self) -> str:
        """Of the input: choice, number, list or text."""
        if self.choices:
            return "choice"
        return {int: "number", tuple: "list"}.get(self.info.type, "text")

    @property
    def choices(self) -> tuple[str, ...]:
        """Values of a closed list."""
        if self.info.type is bool:
            return ("yes", "no")
        return tuple(self.info.type) if issubclass(self.info.type, StrEnum) else ()

    @property
    def help(self) -> tuple[tuple[str, bool], ...]:
        """The help in pieces, with whether a piece is a value or a name."""
        pieces = gettext(self.info.help).split("`")
        return tuple((piece, bool(place % 2)) for place, piece in enumerate(pieces) if piece)

    @property
    def default(self) -> str:
        """The factory's value."""
        return written(self.info, self.info.default)

    @property
    def counts(self) -> bool:
        """Whether what is set here is what counts: something above may have locked it."""
        return not self.own or self.effective == self.text


def written(info: SettingInfo, value: object) -> str:
    """A value as people write it: a size in K, M or G where that is exact."""
    if info.unit == "octets" and isinstance(value, int):
        return next((f"{value // one}{name}" for name, one in _FACTORS if value and value % one == 0), str(value))
    return show_value(info.name, value)


def fields(own: Iterable[Override], shown: Shown, inherited: Shown) -> dict[str, Field]:
    """The fields as they are stored, by the name of the setting. `own`: what is set for the owner itself."""
    here = {one.name: one for one in own}
    return {info.name: _field(info, here.get(info.name), shown, inherited) for info in SETTINGS}


def _field(info: SettingInfo, own: Override | None, shown: Shown, inherited: Shown) -> Field:
    value, override = shown[info.name]
    above, from_above = inherited[info.name]
    text = "" if own is None else written(info, own.value)
    return Field(
        info=info,
        label=LABELS[info.name],
        own=own is not None,
        locked=own is not None and own.locked,
        text=text,
        effective=written(info, value),
        origin=_origin(override),
        inherited=written(info, above),
        inherited_from=_origin(from_above),
        was=_was(Wanted(None) if own is None else Wanted(text, own.locked)),
    )


def settings_of(owner: str) -> list[tuple[str, str | Promise, str, bool]]:
    """(name, label, value, locked) of what is set for exactly this owner; raises AddressError."""
    found = overrides.list_overrides(owner)
    return [(one.name, LABELS[one.name], written(setting(one.name), one.value), one.locked) for one in found]


def _origin(override: Override | None) -> Origin:
    return Origin(None) if override is None else Origin(override.owner, override.locked)


def _was(wanted: Wanted) -> str:
    return "" if wanted.text is None else f"{'!' if wanted.locked else '='}{wanted.text}"


def posted(post: Mapping[str, str]) -> dict[str, Wanted]:
    """What somebody has touched, and wants; settings that are not in the form stay as they are."""
    wanted: dict[str, Wanted] = {}
    for info in SETTINGS:
        if f"v-{info.name}" in post:
            one = _posted(info, post)
            if _was(one) != _ends(post.get(f"was-{info.name}", "")):
                wanted[info.name] = one
    return wanted


def _posted(info: SettingInfo, post: Mapping[str, str]) -> Wanted:
    text = _ends(post[f"v-{info.name}"])
    is_choice = info.type is bool or issubclass(info.type, StrEnum)
    own = text != _INHERIT if is_choice else _is_own(info.name, text, post)
    return Wanted(text, f"lock-{info.name}" in post) if own else Wanted(None)


def _is_own(name: str, text: str, post: Mapping[str, str]) -> bool:
    """Ticked; or written into what was inherited, without a tick."""
    return f"own-{name}" in post or (text != "" and not post.get(f"was-{name}"))


def _ends(text: str) -> str:
    """Browsers send line ends as CR LF; a list on lines is written with commas."""
    return ", ".join(filter(None, (line.strip(" ,") for line in text.splitlines()))) if "\n" in text else text.strip()


def checked(wanted: Mapping[str, Wanted]) -> tuple[dict[str, Wanted], dict[str, str]]:
    """What can be set, as `written`, and what is wrong with the rest, by name."""
    good: dict[str, Wanted] = {}
    errors: dict[str, str] = {}
    for name, one in wanted.items():
        try:
            text = None if one.text is None else written(setting(name), parse_value(name, one.text))
            good[name] = replace(one, text=text)
        except SettingError as error:
            errors[name] = told(str(error)).removeprefix(f"{name}: ")
    return good, errors


def with_wishes(
    found: Mapping[str, Field], wanted: Mapping[str, Wanted], was: Mapping[str, str], errors: Mapping[str, str]
) -> dict[str, Field]:
    """The fields again with what somebody wants in the inputs, and what is wrong with it.

    `was`: what they had seen set here, so that what somebody else has made of it since can be shown.
    """
    fields = {name: replace(one, error=errors[name]) if name in errors else one for name, one in found.items()}
    for name, one in wanted.items():
        field = fields[name]
        changed = name in was and was[name] != field.was
        fields[name] = replace(
            field,
            own=one.text is not None,
            locked=one.locked,
            text=one.text or "",
            is_wish=True,
            meanwhile=(field.text if field.own else gettext("inherited: %s") % field.inherited) if changed else None,
        )
    return fields


def matching(words: Iterable[str], found: Mapping[str, Field], *, own_only: bool) -> set[str]:
    """Names of the settings in which all words occur: in name, label, help or value."""
    wanted = [word.casefold() for word in words]
    names = set()
    for name, field in found.items():
        text = f"{name} {field.label} {gettext(field.info.help)} {field.effective}".casefold()
        if all(word in text for word in wanted) and (field.own or not own_only):
            names.add(name)
    return names


def groups(found: Mapping[str, Field], names: set[str]) -> list[tuple[str, str | Promise, list[Field]]]:
    """(key, title, fields) of each group of which something is shown."""
    rows = [(one.key, one.title, [found[name] for name, _ in one.settings if name in names]) for one in GROUPS]
    return [row for row in rows if row[2]]
