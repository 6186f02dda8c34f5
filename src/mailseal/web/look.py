"""Template tags of the pages: icons, badges, times, and the colour that goes with what became of a mail.

Every template has them without `{% load %}`. A badge's word says what its colour says.
"""

from collections.abc import Sequence
from datetime import date, datetime

from django import template
from django.template.defaultfilters import date as date_filter
from django.templatetags.static import static
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import pgettext

from mailseal.policy.reason import Reason
from mailseal.web.told import told as told_text
from mailseal.web.words import (
    DIRECTIONS,
    FATES,
    HOPS,
    METHODS,
    TREATMENTS,
    WOULD,
    Word,
    reason_text,
    setting_text,
    value_text,
)
from mailseal.web.written import Precision, machine_time, written_number, written_time

register = template.Library()


@register.simple_tag
def icon(name: str, kind: str = "") -> SafeString:
    """A drawing of static/img/icons.svg; `kind` is "small" or a tone. It says nothing to a screen reader."""
    href = f"{static('img/icons.svg')}#{name}"
    return format_html('<svg class="icon {}" aria-hidden="true"><use href="{}"></use></svg>', kind, href)


@register.simple_tag
def badge(text: str | Promise, tone: str = "", icon_name: str = "") -> SafeString:
    """A state in a word. Tones: good, warn, bad, held, info, accent, outline, "" for none."""
    drawing = icon(icon_name) if icon_name else ""
    return format_html('<span class="badge {}">{}{}</span>', tone, drawing, text)


@register.simple_tag
def fate(name: str) -> SafeString:
    """What became of a copy, as a badge."""
    return _badge_of(FATES.get(name), name)


@register.simple_tag
def would(name: str) -> SafeString:
    """What would become of a copy, as a badge."""
    return _badge_of(WOULD.get(name), name)


@register.simple_tag
def would_tone(name: str) -> str:
    """The tone of it."""
    word = WOULD.get(name)
    return "" if word is None else word.tone


@register.simple_tag
def would_sentence(name: str, hop: str) -> str | Promise:
    """The same in a sentence, which says where to."""
    word = WOULD.get(name)
    return HOPS.get(hop) or (name if word is None else word.text)


@register.simple_tag
def treatment(name: str) -> SafeString:
    """What was done to a copy, as a badge."""
    return _badge_of(TREATMENTS.get(name), name)


@register.simple_tag
def protection(treatment_name: str, method: str = "") -> SafeString:
    """What was done to a copy and by which method, as a badge."""
    word = TREATMENTS.get(treatment_name)
    if word is None or not method:
        return _badge_of(word, treatment_name)
    return badge(f"{word.text} · {METHODS.get(method, method)}", word.tone, word.icon)


@register.filter
def last_reason(reasons: Sequence[Reason]) -> str:
    """What decided last."""
    return reason_text(reasons[-1]) if reasons else ""


@register.filter
def method_name(name: str) -> str | Promise:
    """A method of encryption, as people call it."""
    return METHODS.get(name, name)


@register.filter
def because(reason: Reason, about: str = "") -> str:
    """Why, in a sentence of the reader's language; `about`: whose page it is, who is not named again."""
    return reason_text(reason, about)


@register.filter
def told(text: str) -> str:
    """A text of another layer in the reader's language."""
    return told_text(str(text))


@register.filter
def value_of(value: object, setting_name: str) -> str:
    """A setting's value for people: those of a closed list have words."""
    return setting_text(setting_name, str(value))


@register.filter
def named(value: object) -> str:
    """A value of a closed list of the core, or of the store, for people."""
    return value_text(str(value))


@register.filter
def unit(name: str) -> str:
    """What a setting counts."""
    return pgettext("unit", name)


@register.filter
def number(value: float) -> str:
    """A number with the reader's separators."""
    return written_number(value)


@register.simple_tag
def direction(name: str) -> SafeString:
    """Which way a mail went: a drawing, with the word for those who do not see it."""
    word = DIRECTIONS[name]
    return format_html(
        '<span title="{0}">{1}<span class="visually-hidden">{0}</span></span>', word.text, icon(word.icon)
    )


@register.filter
def when(value: datetime | None) -> SafeString:
    """A time to the second, in UTC."""
    return _time(value, Precision.SECOND)


@register.filter
def minute(value: datetime | None) -> SafeString:
    """A time to the minute, in UTC."""
    return _time(value, Precision.MINUTE)


@register.filter
def day(value: date | datetime | None) -> SafeString:
    """A day, in UTC."""
    return _time(value, Precision.DAY)


@register.filter
def short_day(value: date) -> str:
    """Day and month, as under a chart."""
    return date_filter(value, pgettext("format of Django's date", "M j"))


@register.filter
def week_day(value: date) -> str:
    """Day of the week and of the month, as under a chart."""
    return date_filter(value, pgettext("format of Django's date", "D j"))


def _time(value: date | datetime | None, precision: Precision) -> SafeString:
    if value is None:
        return SafeString("–")  # noqa: RUF001 -- a dash for nothing, as everywhere in the tables
    return format_html('<time datetime="{}">{}</time>', machine_time(value), written_time(value, precision))


def _badge_of(word: Word | None, name: str) -> SafeString:
    return badge(name) if word is None else badge(word.text, word.tone, word.icon)
