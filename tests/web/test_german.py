"""The console in German: every text has one, every page shows it, and nothing of what is filled in gets lost."""

import importlib.util
import json
import sys
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import polib
import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver
from django.utils import translation

from held_mails import held, message
from logged import keep, logged
from mailseal.keys.sealing import Kek
from mailseal.mail.address import Address
from mailseal.policy.model import Fate
from mailseal.store import addresses, audit, domains, findings, overrides
from mailseal.store.accounts import tokens
from mailseal.store.accounts.models import Account
from mailseal.store.accounts.roles import Role
from mailseal.store.quarantine import StoreQuarantine
from mailseal.web.look import day, minute, number, short_day, when
from mailseal.web.told import told
from mailseal.web.words import setting_text, value_text

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "src" / "mailseal" / "web"
GERMAN = {"HTTP_ACCEPT_LANGUAGE": "de-DE,de;q=0.9,en;q=0.5"}
NOON = datetime(2026, 3, 30, 12, 3, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def messages():
    """tools/messages.py."""
    spec = importlib.util.spec_from_file_location("messages_of_tools", ROOT / "tools" / "messages.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def catalogue() -> polib.POFile:
    return polib.pofile(str(WEB / "locale" / "de" / "LC_MESSAGES" / "django.po"))


def test_the_catalogue_is_of_these_sources_and_complete(messages):
    wanted = messages.texts()
    path = messages.LOCALE / "de" / "LC_MESSAGES" / "django.po"
    assert list(messages.faults(path, messages.merged(path, wanted), complete=True)) == []
    assert messages.TOLD.read_text() == messages.templates(wanted)


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('msgstr "Absender"', 'msgstr ""', "no translation of 'Sender'"),
        ("%(who)s hat es auf %(value)s fixiert", "%(wer)s hat es fixiert", "other placeholders"),
        ('"%(number)s Mails sind angehalten"', '"Mails sind angehalten"', "other placeholders"),
        ('"Absender"', '"Der Absender"', "is not of its .po"),
        ('msgid "Sender"', 'msgid "Sendre"', "is not of these sources"),
    ],
)
def test_what_is_wrong_with_it_is_found(messages, tmp_path, monkeypatch, before, after, fault):
    path = tmp_path / "de" / "LC_MESSAGES" / "django.po"
    path.parent.mkdir(parents=True)
    good = WEB / "locale" / "de" / "LC_MESSAGES" / "django.po"
    text = good.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    path.with_suffix(".mo").write_bytes(good.with_suffix(".mo").read_bytes())
    monkeypatch.setattr(messages, "ROOT", tmp_path)
    wanted = {
        messages.Text(one.msgid, one.msgid_plural, one.msgctxt or ""): [place for place, _ in one.occurrences]
        for one in polib.pofile(str(good))
    }
    assert fault in "\n".join(messages.faults(path, messages.merged(path, wanted), complete=True))


class Seen(HTMLParser):
    """What a person sees of a page, or is read to them: texts, and the attributes that have some."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.language = ""
        self._silent = 0

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "html":
            self.language = given["lang"]
        self._silent += tag in {"script", "code"}
        self.texts += [given[name] for name in ("title", "placeholder", "aria-label") if given.get(name)]

    def handle_endtag(self, tag):
        self._silent -= tag in {"script", "code"}

    def handle_data(self, data):
        if not self._silent:
            self.texts.append(data)


def words(answer) -> list[str]:
    """The texts of a page in German, each without the blanks around it."""
    page = Seen()
    page.feed(answer.content.decode())
    assert page.language == "de"
    return [" ".join(one.split()) for one in page.texts if one.strip()]


@pytest.fixture
def full(web) -> list[str]:
    """Something to see on every page; the URLs of the pages about one thing."""
    domains.add("one.example")
    ago = datetime.now(UTC) - timedelta(minutes=9)
    keep(
        logged(1, "anna@one.example", "bob@out.example", subject="Zahlen", start=ago),
        logged(2, "anna@one.example", "bob@out.example", Fate.HELD, start=ago),
    )
    addresses.add(Address.parse("anna@one.example"))
    overrides.set_override("one.example", "mode", "mandatory", locked=True)
    wrong = {"check": "resolver", "status": "warn", "text": "the domain is not a valid international domain name"}
    findings.keep([wrong | {"what_to_do": "run `mailseal init`"}])
    held_mail = StoreQuarantine(Kek(b"k" * 32)).hold(held(), message())
    account = Account.objects.create(email="eva@one.example", roles=[Role.AUDITOR.value])
    token, _ = tokens.make(account.pk, "Programm", None, datetime.now(UTC) + timedelta(days=9))
    event = audit.list_events(audit.AuditFilter(), limit=1)[0]
    return [
        "/mails/m1/", "/mails/m2/", "/mails/?fate=refused", f"/quarantine/{held_mail}/", f"/audit/{event.id}/",
        "/settings/?owner=one.example", "/settings/?owner=a%20b", "/domains/one.example/",
        "/domains/one.example/delete/", "/addresses/anna@one.example/", "/addresses/anna@one.example/delete/",
        "/keys/?whose=partners", "/keys/?whose=authorities", f"/accounts/{account.pk}/", "/nowhere/",
        "/simulator/?sender=anna@one.example", f"/account/tokens/{token.id}/revoke/",
    ]  # fmt: skip


def _plain_urls(resolver, before="/"):
    """URLs without parameters."""
    for one in resolver.url_patterns:
        route = before + str(one.pattern)
        if not isinstance(one, URLPattern):
            yield from _plain_urls(one, route) if not route.startswith("/api/v") else ()
        elif "<" not in route and one.name not in {"audit-export", "api-docs"}:
            yield route


def test_every_page_is_german(sign_in, full, catalogue):
    english = {one.msgid for one in catalogue if not one.msgctxt and one.msgstr.casefold() != one.msgid.casefold()} - {
        one.msgid for one in catalogue if one.msgctxt
    }  # names of values, as the API has them
    same = {one.msgstr for one in catalogue}  # "Name" is German, too
    browser = sign_in()
    seen, left = 0, {}
    for url in (*_plain_urls(get_resolver()), *full):
        answer = browser.get(url, **GERMAN)
        if answer.status_code in {302, 303, 405} or "html" not in answer.headers["Content-Type"]:
            continue
        seen += 1
        texts = words(answer)
        said = [one for one in texts if one in english and one not in same]
        said += [one for one in texts if one in {"Sender", "Recipient", "Settings", "Search", "Held", "Save", "Delete"}]
        if said:
            left[url] = said
    assert left == {}
    assert seen > 30


def test_what_allauth_and_django_say_is_german(web):
    answer = Client(SERVER_NAME="localhost").post("/account/login/", {"login": ""}, secure=True, **GERMAN)
    assert "Dieses Feld ist zwingend erforderlich." in words(answer)


def test_an_account_has_its_own_language(sign_in, full):
    browser = sign_in(email="eva@one.example")
    assert "Settings" in browser.get("/settings/", HTTP_ACCEPT_LANGUAGE="en").content.decode()
    Account.objects.filter(email="eva@one.example").update(language="de")
    assert "Einstellungen" in words(browser.get("/settings/", HTTP_ACCEPT_LANGUAGE="en"))


def test_a_setting_says_its_error_and_its_values(sign_in, full):
    browser = sign_in()
    version = overrides.version("")
    given = {"owner": "", "version": version, "v-quarantine_days": "99999999", "was-quarantine_days": ""}
    texts = words(browser.post("/settings/", given, **GERMAN))
    assert any("liegt nicht zwischen 1 und 365; zum Beispiel: " in one for one in texts)
    assert "mandatory (Pflicht)" in texts
    assert any("Erben: never (nie)" in one or "Geerbt: " in one for one in texts)


def test_templates_of_other_layers_are_found_again_with_their_values(catalogue):
    translated = {one.msgid: one.msgstr for one in catalogue if not one.msgctxt}
    templates = json.loads((WEB / "locale" / "told.json").read_text())
    with translation.override("de"):
        for template in templates:
            values = {name: f"⟨{place}⟩" for place, (_, name, *_) in enumerate(Formatter().parse(template)) if name}
            assert told(template.format_map(values)) == translated[template].format_map(values)


@pytest.mark.parametrize(
    ("text", "german"),
    [
        ("the link is not valid: it was used, has expired, or a later one was made",
         "der Link ist nicht gültig: er wurde benutzt, ist abgelaufen, oder es gibt einen späteren"),
        ("the mail 7 is not held any more: it is expired", "die Mail 7 ist nicht mehr angehalten: Sie ist abgelaufen"),
        ("'a' is neither an address nor a domain: an address is written local-part@domain",
         "'a' ist weder eine Adresse noch eine Domain: eine Adresse wird name@domain geschrieben"),
        ("quarantine_days: 0 is not between 1 and 9; for example: 3",
         "quarantine_days: 0 liegt nicht zwischen 1 und 9; zum Beispiel: 3"),
        ("what nobody has thought of: {0} %s", "what nobody has thought of: {0} %s"),
        ("", ""),
        ("x" * 5000, "x" * 5000),
    ],
)  # fmt: skip
def test_what_other_layers_say_is_translated_with_its_values(text, german):
    with translation.override("de"):
        assert told(text) == german
    with translation.override("en"):
        assert told(text) == text


def test_times_are_utc_and_numbers_have_separators_in_each_language():
    with translation.override("en"):
        assert [number(12345), short_day(NOON)] == ["12,345", "Mar 30"]
        assert when(NOON) == '<time datetime="2026-03-30T12:03:04Z">2026-03-30 12:03:04</time>'
    with translation.override("de"):
        assert [number(12345), short_day(NOON)] == ["12.345", "30. Mär"]
        assert when(NOON) == '<time datetime="2026-03-30T12:03:04Z">30.03.2026 12:03:04</time>'
        assert ">30.03.2026 12:03<" in minute(NOON.astimezone())
        assert ">30.03.2026<" in day(NOON.date())


def test_a_value_has_words_only_where_it_is_of_a_closed_list():
    with translation.override("de"):
        assert setting_text("mode", "never") == "never (nie)"
        assert setting_text("dlp", "yes") == "ja"
        assert setting_text("smime_cipher", "aes256-gcm") == "aes256-gcm"
        assert setting_text("encrypt_subject_trigger", "never") == "never"
        assert value_text("quarantine") == "anhalten"
    assert setting_text("mode", "never") == "never"
