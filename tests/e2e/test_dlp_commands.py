"""`mailseal dlp` as it is typed, what `mailseal check` says of it, and what becomes of a mail."""

import io
import json
import os
import subprocess
import sys
import zipfile
from email.message import EmailMessage

import pytest
from django.db import connections

from mailseal.cli import run
from mailseal.cli.checks.dlp import dlp as checked
from mailseal.config import load
from mailseal.mail.address import Address
from mailseal.roles.listening import hold
from mailseal.store.dlp_models import DlpPatternRow
from mailseal.wiring.gateway import open_node

MAIL = (
    b"From: anna@ours.test\r\nTo: bob@out.test\r\nSubject: The merger\r\n\r\n"
    b"Merger code-1234, code-5678, code-5678.\r\n"
)


@pytest.fixture
def node(tmp_path, capsys):
    """A node made by `mailseal init`."""
    file = tmp_path / "mailseal.toml"

    def mailseal(*arguments, status=0):
        found = run(["--config", str(file), *map(str, arguments)])
        captured = capsys.readouterr()
        mailseal.err = captured.err
        assert found == status, captured.err + captured.out
        return json.loads(captured.out) if "--json" in arguments else captured.out

    mailseal("init", "--data", tmp_path / "data", "--hostname", "gw.ours.test", "--internal-domain", "ours.test")
    mailseal.file, mailseal.config = file, load(file, {})
    yield mailseal
    connections.close_all()


def without_ids(row) -> str:
    """All that is told but the IDs of patterns, in which any digits may be."""
    return json.dumps(row | {"findings": [one | {"key": ""} for one in row["findings"]]})


def zipped(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return made.getvalue()


def with_attachment(name: str, content: bytes) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "anna@ours.test", "bob@out.test", "x"
    message.set_content("see there")
    message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


@pytest.fixture
def mail(tmp_path):
    path = tmp_path / "mail.eml"
    path.write_bytes(MAIL)
    return path


def dlp(node, *arguments, **more):
    return node("dlp", *arguments, **more)


def explained(node, mail, to="bob@out.test"):
    (row,) = node("message", "explain", mail, "--from", "anna@ours.test", "--to", to, "--json")
    return row


def test_patterns(node, tmp_path):
    words = tmp_path / "words"
    words.write_text("\ufeffProjekt Größe\n\nmerger*\n", encoding="utf-8")
    made = dlp(node, "pattern", "add", "Mergers", "--keywords-file", words, "--action", "quarantine", "--json")
    assert (made["kind"], made["text"], made["revision"]) == ("keywords", "Projekt Größe\nmerger*", 1)
    dlp(node, "pattern", "add", "Cards", "--expression", r"\d[\d ]{11,18}\d", "--validator", "card", "--threshold", 3,
        "--action", "block", "--mask", "last4", "--delayed", "--description", "P", "--owner", "Ours.test")  # fmt: skip
    changed = dlp(node, "pattern", "set", "cards", "--at-once", "--name", "Card numbers", "--json")
    assert (changed["delayed"], changed["pattern"], changed["revision"], changed["mask"]) == (
        False, "Card numbers", 2, "last4",
    )  # fmt: skip
    assert [one["pattern"] for one in dlp(node, "pattern", "list", "--json")] == ["Card numbers", "Mergers"]
    assert "block" in dlp(node, "pattern", "show", "card NUMBERS")
    for wrong, words in (
        (["add", "x", "--expression", r"(?<!\d)\d{9}", "--action", "warn"], "invalid perl operator"),
        (["add", "x", "--keyword", "a", "--action", "warn", "--validator", "tarot"], "no validator"),
        (["add", "mergers", "--keyword", "a", "--action", "warn"], "already"),
        (["set", "nothing", "--threshold", "1"], "no pattern nothing"),
        (["add", "x", "--keywords-file", "/dev/null", "--action", "warn"], "keyword"),
    ):
        dlp(node, "pattern", *wrong, status=1)
        assert words in node.err
    for wrong in (
        ["add", "x", "--keyword", "a"],
        ["add", "x", "--action", "warn"],
        ["add", "x", "--keyword", "a", "--expression", "b", "--action", "warn"],
        ["set", "mergers"],
    ):
        dlp(node, "pattern", *wrong, status=2)


def test_groups_and_assignments(node):
    for name in ("one", "two"):
        dlp(node, "pattern", "add", name, "--keyword", name, "--action", "warn")
    assert dlp(node, "group", "add", "g", "two", "--json")["patterns"] == ["two"]
    assert dlp(node, "group", "include", "g", "one", "--json")["patterns"] == ["one", "two"]
    assert dlp(node, "group", "exclude", "g", "two", "--json")["patterns"] == ["one"]
    assert dlp(node, "group", "set", "g", "--name", "h", "--description", "d", "--json")["group"] == "h"
    assert (
        dlp(node, "assign", "one", "--group", "h", "--domain", "*.Ours.test", "--json")[0]["mail_of"] == "*.ours.test"
    )
    dlp(node, "assign", "two", "--global")
    dlp(node, "assign", "two", "--address", "Anna@ours.test")
    told = [(one["mail_of"], one["pattern"] or one["group"]) for one in dlp(node, "assignments", "--json")]
    assert told == [("everybody", "two"), ("*.ours.test", "one"), ("*.ours.test", "h"), ("anna@ours.test", "two")]
    assert len(dlp(node, "assignments", "--global", "--json")) == 1
    assert dlp(node, "group", "show", "h", "--json")["assigned_to"] == ["*.ours.test"]
    dlp(node, "unassign", "one", "--global", status=1)
    assert "not assigned to all mail" in node.err
    for wrong in (["one"], ["--global"], ["one", "--global", "--domain", "x.test"], ["one", "--address", "x.test"],
                  ["one", "--domain", "a@x.test"]):  # fmt: skip
        dlp(node, "assign", *wrong, status=2)
    dlp(node, "group", "remove", "h", "--yes", status=1)
    assert "in use: assigned to *.ours.test" in node.err
    assert "--force" in node.err
    dlp(node, "pattern", "remove", "two", "--yes", status=1)
    assert "assigned to all mail, anna@ours.test" in node.err
    dlp(node, "pattern", "remove", "two", "--yes", "--force")
    dlp(node, "group", "remove", "h", "--yes", "--force")
    assert [one["pattern"] for one in dlp(node, "assignments", "--json")] == ["one"]
    assert dlp(node, "unassign", "one", "--domain", "*.ours.test", "--json") == []


def test_export_and_import(node, tmp_path):
    dlp(node, "pattern", "add", "one", "--keyword", "größer", "--action", "warn", "--description", "d")
    dlp(node, "pattern", "add", "two", "--expression", "a+", "--action", "block", "--owner", "ours.test")
    dlp(node, "group", "add", "g", "one")
    file = tmp_path / "patterns.json"
    dlp(node, "pattern", "export", "--output", file)
    before = json.loads(file.read_text())
    assert [one["name"] for one in json.loads(dlp(node, "pattern", "export", "two"))["patterns"]] == ["two"]
    for name in ("one", "two"):
        dlp(node, "pattern", "remove", name, "--yes", "--force")
    dlp(node, "group", "remove", "g", "--yes")
    assert dlp(node, "pattern", "import", file, "--json")["groups_made"] == ["g"]
    assert json.loads(dlp(node, "pattern", "export")) == before
    dlp(node, "pattern", "import", file, status=1)
    assert "already: one, two" in node.err
    assert dlp(node, "pattern", "import", file, "--replace", "--json")["unchanged"] == ["one", "two"]

    (row,) = [one for one in before["patterns"] if one["name"] == "two"]
    for damaged, words in (
        ({"patterns": [row]}, "no file of patterns"),
        ({"mailseal_dlp_patterns": 2, "patterns": [row]}, "no file of patterns"),
        ([], "no file of patterns"),
        (before | {"patterns": [row | {"action": "explode"}]}, "pattern 1 (two): action is one of warn"),
        (before | {"patterns": [row | {"threshold": True}]}, "threshold is not int"),
        (before | {"patterns": [row | {"future": 1}]}, "'future', which this release does not know"),
        (before | {"patterns": [{"name": "x"}]}, "lacks kind, text, action"),
        (before | {"patterns": [row, row]}, "same name"),
        (before | {"patterns": [row | {"name": "new"}, row | {"name": "bad", "text": "("}]}, "bad: not an RE2 pattern"),
    ):
        file.write_text(json.dumps(damaged))
        dlp(node, "pattern", "import", file, "--replace", status=1)
        assert words in node.err
    file.write_text("[" * 100_000)
    dlp(node, "pattern", "import", file, status=1)
    assert len(dlp(node, "pattern", "list", "--json")) == 2, "all of a file or none"


def test_what_is_assigned_is_looked_for_and_explained(node, mail):
    assert explained(node, mail)["findings"] == []
    dlp(node, "pattern", "add", "Mergers", "--keyword", "merger", "--action", "warn")
    dlp(node, "pattern", "add", "Codes", "--expression", r"code-\d{4}", "--action", "block", "--threshold", 2)
    dlp(node, "assign", "Mergers", "--global")
    dlp(node, "assign", "Codes", "--address", "bob@out.test")
    row = explained(node, mail)
    assert row["fate"] == "refused"
    assert {one["finding"]: one["count"] for one in row["findings"]} == {"Codes": 2, "Mergers": 1}
    assert "1234" not in without_ids(row)
    told = node("message", "explain", mail, "--from", "anna@ours.test", "--to", "bob@out.test")
    assert "Codes (2), Mergers (1)" in told
    row = explained(node, mail, "eve@out.test")
    assert [one["finding"] for one in row["findings"]] == ["Mergers"]
    assert row["fate"] == "relayed"
    dlp(node, "pattern", "set", "Codes", "--threshold", 3)
    assert explained(node, mail)["fate"] == "relayed"


def test_a_trial_for_two_people(node, tmp_path):
    dlp(node, "pattern", "add", "Codes", "--expression", r"code-\d{4}", "--action", "must-encrypt")
    dlp(node, "pattern", "add", "Mergers", "--keyword", "merger", "--action", "warn", "--mask", "first4")
    dlp(node, "pattern", "add", "other", "--keyword", "other", "--action", "block")
    dlp(node, "group", "add", "both", "Codes", "Mergers")
    dlp(node, "assign", "--group", "both", "--domain", "ours.test")
    dlp(node, "assign", "Codes", "--global")
    mail = tmp_path / "mail.eml"
    mail.write_bytes(with_attachment("report.zip", zipped("inner.txt", b"code-1234, mergers, merger, merger")))
    people = ("--from", "anna@ours.test", "--to", "bob@out.test", "--to", "olga@ours.test")
    told, inside = dlp(node, "test", mail, *people, "--json")
    assert (told["fate"], told["codes"][-1]) == ("refused", "must-encrypt-failed")
    assert told["patterns"] == [
        {"pattern": "Codes", "assigned_to": ["all mail", "ours.test (group both)"]},
        {"pattern": "Mergers", "assigned_to": ["ours.test (group both)"]},
    ]
    assert [(one["finding"], one["count"], one["places"]) for one in told["findings"]] == [
        ("Codes", 1, ["report.zip > inner.txt"]),
        ("Mergers", 1, ["report.zip > inner.txt"]),
    ]
    assert "1234" not in without_ids(told)
    assert (inside["fate"], inside["patterns"], inside["findings"]) == ("relayed", [], [])
    shown = dlp(node, "test", mail, *people)
    assert "report.zip > inner.txt" in shown
    assert "ours.test (group both)" in shown
    assert "internal: nothing is looked for" in node.err

    mail.write_bytes(with_attachment("report.zip", zipped("inner.txt", b"x")[:-30]))
    told, _ = dlp(node, "test", mail, *people, "--json")
    assert told["fate"] == "held"
    assert [one["finding"].split(":")[1].strip() for one in told["findings"]] == ["broken"]
    dlp(node, "test", mail, "--from", "anna@ours.test", status=2)
    dlp(node, "test", mail, *people, "--pattern", "Codes", status=2)


def test_a_trial_of_patterns(node, tmp_path):
    dlp(node, "pattern", "add", "Codes", "--expression", r"code-\d{4}", "--action", "block", "--threshold", 2)
    dlp(node, "pattern", "add", "Mergers", "--keyword", "merger", "--action", "warn")
    file = tmp_path / "report.zip"
    file.write_bytes(zipped("inner.txt", b"code-1234, code-1234 and the mergers; merger"))
    told = dlp(node, "test", file, "--pattern", "codes", "--pattern", "Mergers", "--json")
    assert [(one["pattern"], one["found"], one["counts"]) for one in told["patterns"]] == [
        ("Codes", 1, False),
        ("Mergers", 1, True),
    ]
    assert all(one["search_ms"] >= 0 < one["compile_ms"] for one in told["patterns"])
    assert told["gaps"] == []
    assert told["characters"] > 40
    file.write_bytes(file.read_bytes()[:-30])
    told = dlp(node, "test", file, "--pattern", "codes", "--json")
    assert [one["reason"] for one in told["gaps"]] == ["broken"]
    assert "report.zip" in dlp(node, "test", file, "--pattern", "codes")
    dlp(node, "test", file, "--pattern", "nothing", status=1)
    DlpPatternRow.objects.filter(key="codes").update(text="(")
    dlp(node, "test", file, "--pattern", "codes", status=1)
    assert "cannot be used: not an RE2 pattern" in node.err


def test_another_process_knows_at_its_next_poll(node):
    here = open_node(node.config)
    anna = Address.parse("anna@ours.test")

    def known() -> list[str]:
        here.stamps.poll(0.0)
        return [one.text for one in here.gateway.patterns.of(anna).patterns]

    def elsewhere(*arguments):
        subprocess.run([sys.executable, "-m", "mailseal", "--config", node.file, "dlp", *arguments], check=True)

    try:
        assert known() == []
        dlp(node, "pattern", "add", "one", "--keyword", "merger", "--action", "warn")
        elsewhere("assign", "one", "--domain", "ours.test")
        assert known() == ["merger"]
        elsewhere("pattern", "set", "one", "--keyword", "fusion")
        assert known() == ["fusion"]
    finally:
        here.relay.close()


def test_check_tells_what_is_not_looked_for(node, mail):
    assert list(checked(node.config)) == []
    dlp(node, "pattern", "add", "one", "--keyword", "merger", "--action", "warn")
    dlp(node, "pattern", "add", "two", "--keyword", "two", "--action", "warn")
    dlp(node, "group", "add", "not assigned", "two")
    dlp(node, "assign", "one", "--global")
    DlpPatternRow.objects.filter(key="two").update(action="explode")
    assert [(one.status, one.text) for one in checked(node.config)] == [("ok", "1 pattern looked for")]
    node("settings", "set", "dlp", "false", "--domain", "ours.test")
    assert len(list(checked(node.config))) == 1
    dlp(node, "assign", "one", "--domain", "ours.test")
    assert "setting dlp is off there" in node.err
    assert [one.text for one in checked(node.config)][1:] == [
        "the setting dlp is off where patterns are assigned: ours.test"
    ]
    assert "the setting dlp is off where" in node("check", status=1)
    node("settings", "unset", "dlp", "--domain", "ours.test")
    DlpPatternRow.objects.filter(key="one").update(text="(", kind="expression")
    (found,) = checked(node.config)
    assert found.status == "fail"
    assert "one: not an RE2 pattern: missing )" in found.text
    row = explained(node, mail)
    assert row["fate"] == "deferred"
    assert "one" in json.dumps(row["reasons"])
    assert "problem" in dlp(node, "pattern", "show", "one")
    dlp(node, "pattern", "set", "one", "--expression", "merger")
    assert [one.status for one in checked(node.config)] == ["ok"]
    assert explained(node, mail)["fate"] == "relayed"


def test_check_asks_the_sandbox_of_a_gateway_that_runs(node):
    dlp(node, "pattern", "add", "one", "--keyword", "merger", "--action", "warn")
    dlp(node, "assign", "one", "--global")
    lock = node.config.run_dir / "supervisor.lock"
    lock.parent.mkdir(exist_ok=True)
    held = hold(lock)
    try:
        assert [one.status for one in checked(node.config)] == ["ok", "fail"]
        assert "mail with documents waits: the sandbox" in list(checked(node.config))[1].text
    finally:
        os.close(held)
    assert [one.status for one in checked(node.config)] == ["ok"]


def test_the_library(node):
    every = dlp(node, "pattern", "library", "list", "--json")
    payment = dlp(node, "pattern", "library", "list", "--group", "payment", "--json")
    assert {one["group"] for one in payment} == {"payment"}
    assert len(every) > len(payment) > 3
    wanted = [one["pattern"] for one in payment]
    done = dlp(
        node, "pattern", "library", "import", "--group", "payment", "nl-bsn", "iban", "--action", "block", "--json"
    )
    assert done["added"] == [*wanted, "Netherlands: BSN"]
    assert dlp(node, "group", "show", "payment", "--json")["patterns"] == sorted(wanted, key=str.casefold)
    assert {one["action"] for one in dlp(node, "pattern", "list", "--json")} == {"block"}
    dlp(node, "pattern", "library", "import", "NL-BSN", status=1)
    assert "already: Netherlands: BSN\nwhat to do: --replace changes them" in node.err
    done = dlp(node, "pattern", "library", "import", "netherlands: bsn", "--replace", "--json")
    assert done["changed"] == ["Netherlands: BSN"]
    for wrong in (["import", "nobody's"], ["import", "--group", "nobody's"], ["list", "--group", "nobody's"]):
        dlp(node, "pattern", "library", *wrong, status=1)
        assert "nobody's" in node.err
    dlp(node, "pattern", "library", "import", status=2)


def test_a_pattern_is_named_by_its_name_or_id(node, mail):
    dlp(node, "pattern", "library", "import", "card", "nl-bsn")
    stored = {one["pattern"]: one["id"] for one in dlp(node, "pattern", "list", "--json")}
    for name in ("Payment card number", "card", "CARD", stored["Payment card number"]):
        assert [one["pattern"] for one in dlp(node, "assign", name, "--global", "--json")] == ["Payment card number"]
        (row,) = dlp(node, "test", mail, "--pattern", name, "--json")["patterns"]
        assert row["pattern"] == "Payment card number"
        assert dlp(node, "unassign", name, "--global", "--json") == []
    dlp(node, "assign", "iban", "--global", status=1)
    assert "iban" in node.err
    dlp(node, "pattern", "add", "card", "--keyword", "one of that name", "--action", "warn")
    assert [one["pattern"] for one in dlp(node, "assign", "card", "--global", "--json")] == ["card"]


def test_check_tells_of_mail_that_would_be_held_and_nobody_hears_of_it(node):
    dlp(node, "pattern", "add", "one", "--keyword", "merger", "--action", "quarantine")
    dlp(node, "pattern", "add", "two", "--keyword", "fusion", "--action", "block")
    dlp(node, "group", "add", "both", "one", "two")
    dlp(node, "assign", "two", "--global")
    assert [one.status for one in checked(node.config)] == ["ok"]
    dlp(node, "assign", "--group", "both", "--domain", "ours.test")
    assert [one.text for one in checked(node.config)][1:] == [
        "patterns hold mail of which no manager is told: ours.test"
    ]
    node("settings", "set", "dlp_managers", "dlp@ours.test", "--domain", "ours.test")
    assert [one.status for one in checked(node.config)] == ["ok"]
    node("settings", "set", "notify_managers", "dlp-warn", "--domain", "ours.test")
    assert [one.status for one in checked(node.config)] == ["ok", "warn"]
