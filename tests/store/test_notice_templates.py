"""Templates of notices at their levels, on both databases."""

import pytest

from mailseal.cli.checks.notices import notices
from mailseal.config import from_values
from mailseal.mail.address import AddressError
from mailseal.notices.errors import TemplateError
from mailseal.notices.template import Part
from mailseal.policy.notice_kind import NoticeKind
from mailseal.store import notice_templates, overrides, stamps
from mailseal.store.notice_models import NoticeTemplateRow
from mailseal.store.notice_templates import list_templates, set_template, templates_for, unset_template

KIND = NoticeKind.RELEASED


def owners(of: str) -> list[str]:
    return [one.owner for one in templates_for(of)]


def test_the_levels_that_count_for_an_owner_nearest_first(store):
    for owner in ("", "*.example.com", "*.a.example.com", "x.a.example.com", "Anna@x.a.example.com", "other.example"):
        set_template(owner, KIND, "en", Part.SUBJECT, f"for {owner}")
    all_levels = ["anna@x.a.example.com", "x.a.example.com", "*.a.example.com", "*.example.com", ""]
    assert owners("anna@X.a.example.com") == all_levels
    assert owners("bob@x.a.example.com") == all_levels[1:]
    assert owners("x.a.example.com") == all_levels[1:]
    assert owners("*.a.example.com") == all_levels[2:]
    assert owners("") == [""]
    assert [one.owner for one in list_templates("other.example")] == ["other.example"]
    assert len(list_templates()) == 6


def test_set_again_is_one_row_and_a_change_is_known(store):
    before = stamps.stamps()
    set_template("", KIND, "en", Part.TEXT, "one")
    changed = stamps.stamps()
    assert changed != before
    set_template("", KIND, "en", Part.TEXT, "two")
    set_template("", KIND, "de", Part.TEXT, "zwei")
    assert [(one.language, one.text) for one in list_templates()] == [("de", "zwei"), ("en", "two")]
    assert unset_template("", KIND, "en", Part.SUBJECT) == 0
    assert unset_template("", KIND, "en") == 1
    assert stamps.stamps() != changed


@pytest.mark.parametrize(("text", "error"), [("{{ found }}", "no variable"), ("{% include 'x' %}", "unexpected tag")])
def test_a_broken_one_is_not_kept(store, text, error):
    with pytest.raises(TemplateError, match=error):
        set_template("", KIND, "en", Part.TEXT, text)
    with pytest.raises(AddressError):
        set_template("no address@", KIND, "en", Part.TEXT, "x")
    assert list_templates() == ()


def test_check_says_what_keeps_notices_from_being_sent_as_they_are_set(store, tmp_path):
    config = from_values({"notices": {"folder": str(tmp_path)}})

    def told() -> list[tuple[str, str]]:
        return [(one.status.value, one.text) for one in notices(config)]

    assert told() == [("ok", "in 2 languages")]
    overrides.set_override("", "notice_language", "fr")
    overrides.set_override("inside.example", "dlp_managers", "dlp@elsewhere.example")
    (tmp_path / "es.toml").write_text("[released]\ntext = '{{ x }}'\nsubject = 'x'\n", "utf-8")
    NoticeTemplateRow.objects.create(
        level="global", owner="", kind="released", language="en", part="text", text="{{ x }}"
    )
    found = told()
    assert {status for status, _ in found} == {"warn"}
    for words in (
        "es.toml cannot be used: [released]",
        "released (en) of everybody",
        "no language fr",
        "dlp@elsewhere",
    ):
        assert len([text for _, text in found if words in text]) == 1
    overrides.set_override("", "notify_outside_managers", "yes")
    assert len(told()) == len(found) - 1


def test_what_another_release_has_left_is_found(store):
    known = {"level": "global", "owner": "", "language": "en"}
    NoticeTemplateRow.objects.create(**known, kind="released", part="text", text="{{ gone }}")
    NoticeTemplateRow.objects.create(**known, kind="of-another-release", part="text", text="x")
    NoticeTemplateRow.objects.create(**known, kind="deleted", part="footer", text="x")
    ((one, problem),) = notice_templates.broken()
    assert (one.kind, problem[:40]) == (KIND, "text line 1: there is no variable 'gone'")
    assert owners("a@b.example") == [""]
