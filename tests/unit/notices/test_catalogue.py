"""The shipped languages are whole; others come from a folder, and what they lack is told in English."""

import os

import pytest

from mailseal.notices import catalogue, sample
from mailseal.notices.catalogue import load, read_language, shipped
from mailseal.notices.choose import CATALOGUE, StoredTemplate, checked, choose
from mailseal.notices.errors import CatalogueError, TemplateError
from mailseal.notices.kinds import KINDS
from mailseal.notices.render import render
from mailseal.notices.template import Part
from mailseal.policy.notice_kind import EVENTS, NoticeKind, Role

ALL = load(None)


def rendered(kind, role, language, known=ALL):
    source = lambda part: known.template(kind, part, language)  # noqa: E731
    values = sample.values(kind, role, sample.READER, known, language)
    assert set(values) == set(KINDS[kind].known)
    return render(values, source)


@pytest.mark.parametrize("code", ["en", "de"])
@pytest.mark.parametrize("kind", NoticeKind)
def test_every_shipped_notice_in_every_language_for_every_reader(code, kind):
    language = shipped()[code]
    for role in KINDS[kind].roles:
        words = rendered(kind, role, language)
        assert ALL.event(kind, language) in words.subject
        assert "bob@partner.example" in words.text
        assert "bob@partner.example" in words.html
        for text in (words.subject, words.text, words.html):
            assert "{{" not in text
            assert "{%" not in text
            assert "@" not in text.replace("@partner.example", "").replace("@example.com", "").replace("@font", "")
        assert "\n\n\n" not in words.text
        if "found" in KINDS[kind].variables:
            assert "Credit card numbers" in words.text
        if kind is not NoticeKind.SUMMARY:
            assert "Figures of the first quarter" in words.text


@pytest.mark.parametrize("code", ["en", "de"])
def test_the_shipped_languages_lack_nothing(code):
    assert shipped()[code].missing() == ()
    assert shipped()["en"].events != shipped()[code].events or code == "en"


def test_all_kinds_are_in_the_table():
    assert set(KINDS) == set(NoticeKind)
    assert {*EVENTS, NoticeKind.SUMMARY} == set(NoticeKind)


FRENCH = """
name = "Français"
[layout]
html = "<html><body>@content@</body></html>"
bye_text = "Au revoir"
[events]
dlp-warn = "Contenu sensible"
[dlp-warn]
subject = "{{ event }}"
text = "De {{ sender }}. @bye@"
html = "<p>{{ sender }}</p>"
"""


def test_a_language_is_one_more_file(tmp_path):
    (tmp_path / "fr.toml").write_text(FRENCH, "utf-8")
    known = load(tmp_path)
    assert (known.broken, known.own) == ((), {"fr"})
    french = known.language("fr-ca")
    assert french.name == "Français"
    assert "[released]" in french.missing()
    words = rendered(NoticeKind.DLP_WARN, Role.SENDER, french, known)
    assert (words.subject, words.text) == ("Contenu sensible", "De anna@example.com. Au revoir\n")
    assert words.html == "<html><body><p>anna@example.com</p></body></html>"
    assert "has been released" in rendered(NoticeKind.RELEASED, Role.SENDER, french, known).text


def test_an_own_file_of_a_shipped_language_comes_first(tmp_path):
    (tmp_path / "de.toml").write_text('[dlp-warn]\nsubject = "Hallo"\ntext = "Kurz."\n', "utf-8")
    known = load(tmp_path)
    german = known.language("de")
    words = rendered(NoticeKind.DLP_WARN, Role.SENDER, german, known)
    assert (words.subject, words.text, words.html) == ("Hallo", "Kurz.\n", "")
    assert "freigegeben" in rendered(NoticeKind.RELEASED, Role.SENDER, german, known).text


@pytest.mark.parametrize(
    ("code", "text", "problem"),
    [
        ("fr", "[dlp-warn", "not a TOML file"),
        ("fr", "[nothing]", "'nothing' is neither"),
        ("fr", "name = " + "[" * 5000 + "]" * 5000, "not a TOML file"),
        ("fr", "name = " + "9" * 5000, "not a TOML file"),
        ("fr", '[dlp-warn]\nbody = "x"', "'body', which is none of"),
        ("fr", "[dlp-warn]\ntext = 1", "no text"),
        ("fr", '[dlp-warn]\ntext = "x"', "no subject"),
        ("fr", '[dlp-warn]\nsubject = "x"\ntext = "{{ nothing }}"', "line 1: there is no variable"),
        ("fr", '[dlp-warn]\nsubject = "x"\ntext = "@nothing@"', "no 'nothing_text'"),
        ("French!", "", "not the name of a language"),
    ],
)
def test_files_that_cannot_be_used(code, text, problem, tmp_path):
    with pytest.raises(CatalogueError, match=problem):
        read_language(code, text)
    (tmp_path / f"{code}.toml").write_text(text, "utf-8")
    known = load(tmp_path)
    assert len(known.broken) == 1
    assert known.languages.keys() == shipped().keys()


def test_what_has_no_end_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "fr.toml")
    (tmp_path / "it.toml").symlink_to("/dev/zero")
    (tmp_path / "nl.toml").write_bytes(b"#" * (catalogue.MAX_FILE_BYTES + 1))
    known = load(tmp_path)
    assert [reason for _, reason in known.broken] == ["not a file", "not a file", "longer than 524288 octets"]
    assert known.languages.keys() == shipped().keys()


def test_a_folder_that_is_not_there_is_said(tmp_path):
    assert load(tmp_path / "none").broken == ((str(tmp_path / "none"), "no such folder"),)


def test_the_language_of_a_setting():
    assert [ALL.language(code).code for code in ("de", "de-at", "pt-br", "")] == ["de", "de", "en", "en"]


def stored(owner, part, text="x", kind=NoticeKind.RELEASED, language="en"):
    return StoredTemplate(owner, kind, language, part, text)


def test_the_nearest_template_counts_part_by_part():
    english = ALL.language("en")
    nearest_first = [
        stored("a@example.com", Part.SUBJECT, "own"),
        stored("example.com", Part.SUBJECT, "domain"),
        stored("example.com", Part.TEXT, "domain"),
        stored("", Part.HTML, "everybody"),
        stored("", Part.TEXT, "German", language="de"),
        stored("", Part.TEXT, "other", kind=NoticeKind.DELETED),
    ]
    chosen = choose(NoticeKind.RELEASED, english, nearest_first, ALL)
    assert {part: (one.text, one.origin) for part, one in chosen.items()} == {
        Part.SUBJECT: ("own", "a@example.com"),
        Part.TEXT: ("domain", "example.com"),
        Part.HTML: ("", "example.com"),  # what is set farther away says something else
    }
    chosen = choose(NoticeKind.RELEASED, english, [stored("", Part.HTML, "h"), stored("", Part.TEXT, "t")], ALL)
    assert (chosen[Part.HTML].text, chosen[Part.SUBJECT].origin) == ("h", CATALOGUE)
    chosen = choose(NoticeKind.RELEASED, english, [stored("x", Part.HTML, "h"), stored("", Part.TEXT, "t")], ALL)
    assert chosen[Part.HTML].text == "h"
    chosen = choose(NoticeKind.RELEASED, english, [], ALL)
    assert chosen[Part.TEXT].text == shipped()["en"].templates[NoticeKind.RELEASED, Part.TEXT]


@pytest.mark.parametrize(
    ("part", "text", "problem"),
    [
        (Part.TEXT, " \n", "is empty"),
        (Part.SUBJECT, "a\nb", "longer than one line"),
        (
            Part.TEXT,
            "{{ found }}",
            "no variable 'found'",
        ),  # nothing was found in a mail that is only told to be released
    ],
)
def test_what_must_not_be_saved(part, text, problem):
    with pytest.raises(TemplateError, match=problem):
        checked(stored("", part, text))
    with pytest.raises(TemplateError, match="line 2"):
        checked(stored("", Part.TEXT, "a\n{% if recipients > 3 %}x{% endif %}"))
    with pytest.raises(TemplateError, match="empty for a manager"):
        checked(stored("", Part.TEXT, "{% if role == 'sender' %}x{% endif %}"))
    checked(stored("", Part.HTML, ""))
    checked(stored("", Part.SUBJECT, "a\n"))


def test_english_is_shipped():
    assert catalogue.ENGLISH in shipped()
