"""The administrator's commands on a database of their own, and `check` against real sockets."""

import json
import os
import socket
import stat
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections

from harness.folder import free_port
from mailseal.cli import run
from mailseal.keys.sealing import Kek
from mailseal.policy.model import Harvest
from mailseal.store import harvest, revalidate, transaction
from pki import Authority

DAY = timedelta(days=1)


class Home:
    """A node made by `mailseal init`."""

    def __init__(self, folder, capsys):
        self.folder = folder
        self.capsys = capsys
        self.file = folder / "mailseal.toml"

    def __call__(self, *arguments, status=0):
        """Standard output of a command."""
        found = run(["--config", str(self.file), *map(str, arguments)])
        captured = self.capsys.readouterr()
        assert found == status, captured.err
        self.err = captured.err
        return captured.out

    def json(self, *arguments, status=0):
        return json.loads(self(*arguments, "--json", status=status))

    def put(self, name, octets):
        path = self.folder / name
        path.write_bytes(octets)
        return path


@pytest.fixture
def home(tmp_path, capsys, no_next_hop):
    made = Home(tmp_path, capsys)
    made("init", "--data", tmp_path / "data", "--hostname", "mx.example.com", "--internal-domain", "Example.com")
    yield made
    connections.close_all()


@pytest.fixture(scope="module")
def root():
    return Authority("Commands Root", not_before=datetime.now(UTC) - 100 * DAY, not_after=datetime.now(UTC) + 900 * DAY)


def issue(authority, email, days=100, **more):
    return authority.issue(
        email, key="p256", not_before=datetime.now(UTC) - DAY, not_after=datetime.now(UTC) + days * DAY, **more
    )


def test_init_makes_everything_and_again_keeps_it(home):
    data = home.folder / "data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    (kek,) = (data / "keks").iterdir()
    assert stat.S_IMODE(kek.stat().st_mode) == 0o400
    before = kek.read_bytes(), home.file.read_bytes()
    text = home("init", "--data", "/elsewhere")
    assert text.count("kept") == 4  # configuration, database, KEK, web key
    assert (kek.read_bytes(), home.file.read_bytes()) == before
    assert list((data / "keks").iterdir()) == [kek]
    assert "domain add" in text
    assert [row["domain"] for row in home.json("domain", "list")] == ["example.com"]


def test_without_init_a_command_says_so(tmp_path, capsys):
    file = tmp_path / "x.toml"
    file.write_text(f'data_dir = "{tmp_path}/none"\n')
    for command in (["domain", "list"], ["serve"], ["log"]):
        assert run(["--config", str(file), *command]) == 1
        assert "`mailseal init` makes it" in capsys.readouterr().err


def test_domains(home):
    assert home.json("domain", "add", "*.Bücher.example")["domain"] == "*.xn--bcher-kva.example"
    home("domain", "add", "out.example", "--external")
    assert {row["domain"]: row["internal"] for row in home.json("domain", "list")} == {
        "*.xn--bcher-kva.example": True,
        "example.com": True,
        "out.example": False,
    }
    home("domain", "delete", "out.example", "--yes")
    home("domain", "delete", "out.example", "--yes", status=1)
    assert "there is no domain out.example" in home.err
    home("domain", "add", "a b", status=1)


def test_addresses(home):
    assert home.json("address", "add", "Anna@Example.com") == {"address": "Anna@example.com", "new": True}
    assert home.json("address", "add", "anna@example.com")["new"] is False
    assert [row["address"] for row in home.json("address", "list", "--domain", "example.com")] == ["Anna@example.com"]
    home("address", "delete", "anna@example.com", "--yes")
    home("address", "delete", "anna@example.com", "--yes", status=1)


def test_routes_and_passwords(home):
    home("route", "list")
    assert "no route yet" in home.err
    first, second = "smtp://mx1:587?tls=verified&user=me", "smtp://mx2:25?tls=required"
    home("domain", "add", "our.bücher.example")
    row = home.json("route", "set", "*.Bücher.example", first, second)
    assert row == {"domain": "*.xn--bcher-kva.example", "next_hops": [first, second], "no_password_for": ["me@mx1:587"]}
    assert "mailseal route password me@mx1:587" in home.err
    assert "mail to our.xn--bcher-kva.example, which is internal, goes there too" in home.err
    home("route", "password", "me@MX1:587", "--password-file", home.put("password", b"secret\n"))
    assert home.err == ""
    assert home.json("route", "list")[0]["no_password_for"] == []
    home("route", "password", "other@mx1:587", "--password-file", home.folder / "password")
    assert "no next hop names other@mx1:587" in home.err
    home("route", "password", "other@mx1:587", "--delete")
    home("route", "password", "other@mx1:587", "--delete", status=1)
    home("route", "password", "me@mx1", "--password-file", home.folder / "password", status=1)
    home("route", "password", "me@mx1:587", "--password-file", home.put("empty", b"\n"), status=1)
    home("route", "set", "x.example", "smtp://mx:25?user=me", status=1)
    assert "has not proven who they are" in home.err
    home("route", "unset", "*.bücher.example", "--yes")
    home("route", "unset", "*.bücher.example", "--yes", status=1)
    assert home.json("route", "list") == []


def test_settings_at_their_levels(home):
    home("settings", "set", "mode", "never", "--lock")
    home("settings", "set", "mode", "mandatory", "--domain", "example.com")
    (row,) = home.json("settings", "show", "mode", "--address", "a@example.com")
    assert (row["value"], row["from"]) == ("mandatory", "example.com")
    home("settings", "set", "smime_cipher", "aes256-gcm", "--domain", "example.com", "--lock")
    home("settings", "set", "smime_cipher", "aes128-cbc", "--address", "a@example.com")
    assert "example.com has locked smime_cipher" in home.err
    assert len(home.json("settings", "list")) == 4
    assert len(home.json("settings", "list", "--domain", "example.com")) == 2
    home("settings", "unset", "mode", "--domain", "example.com")
    (row,) = home.json("settings", "show", "mode", "--domain", "example.com")
    assert (row["value"], row["from"], row["locked"]) == ("never", "everybody", True)
    home("settings", "unset", "mode", "--domain", "example.com", status=1)
    home("settings", "set", "mode", "sometimes", status=1)
    assert "for example" in home.err
    home("settings", "set", "mod", "never", status=1)
    assert "did you mean mode" in home.err
    home("settings", "show", "--domain", "x", "--address", "a@x", status=2)
    home("settings", "show", "--domain", "a@x", status=2)
    assert "help" in home("settings", "show", "--help-text")


def test_certificates_with_keys(home, root):
    anna = issue(root, "anna@example.com")
    home("root", "import", home.put("root.pem", root.pem))
    password = home.put("password", b"secret\n")
    done = home.json("cert", "import", home.put("anna.p12", anna.p12()), "--password-file", password)
    row = done["certificates"][0]
    assert row["addresses"] == ["anna@example.com"]
    assert row["key"]
    assert row["trusted"]
    short = row["fingerprint"][:12]
    home("cert", "use", short, "Sales@example.com")
    home("cert", "use", short, "*.example.com", "--share")
    shown = home.json("cert", "show", short)
    assert shown["chosen_for"] == ["sales@example.com"]
    assert shown["shared_with"] == ["*.example.com"]
    home("cert", "use", short, "sales@example.com", "--stop")
    home("cert", "use", short, "sales@example.com", "--stop", status=1)
    assert [one["fingerprint"] for one in home.json("cert", "list", "--with-key")] == [row["fingerprint"]]
    assert home.json("cert", "list", "--without-key") == []
    assert home.json("cert", "list", "--address", "anna@example.com")
    assert short in home("cert", "list", "--text", "anna")
    home("cert", "delete", short, "--with-key", "--yes")
    assert home.json("cert", "list") == []
    assert "0 values are sealed" in home("check", status=1)


def test_a_key_that_came_with_a_mail_waits_to_be_accepted(home, root):
    home("root", "import", home.put("root.pem", root.pem))
    home("cert", "import", home.put("bob.pem", issue(root, "bob@partner.test").pem))
    assert "another key" not in home("check", status=1)
    other = issue(root, "bob@partner.test")
    now = datetime.now(UTC)
    harvested = [Harvest(other.der, "aes256-gcm pss", now), Harvest(issue(root, "carol@partner.test").der)]
    transaction.run(lambda: harvest.insert_candidates(harvested))
    assert "to judge them: 2" in home("check", status=1)
    revalidate.after_change()
    assert "out of signed mail: 1" in home("check", status=1)
    (row,) = home.json("cert", "list", "--conflicts")
    assert (row["fingerprint"], row["conflict"], row["candidate"]) == (other.certificate.fingerprint, True, True)
    assert (row["capabilities"], row["capabilities_at"]) == ("aes256-gcm pss", now.isoformat())
    assert "aes256-gcm pss" in home("cert", "list", "--candidates")
    accepted = home.json("cert", "accept", row["fingerprint"][:12])
    assert (accepted["conflict"], accepted["candidate"], accepted["trusted"]) == (False, False, True)
    assert home.json("cert", "list", "--conflicts") == []
    assert "another key" not in home("check", status=1)
    home("cert", "accept", "00000000", status=1)


def test_a_wrong_password_and_a_file_that_is_nothing(home, root):
    anna = issue(root, "anna@example.com")
    p12 = home.put("anna.p12", anna.p12())
    home("cert", "import", p12, "--password-file", home.put("password", b"wrong"), status=1)
    assert "password" in home.err
    assert "Traceback" not in home.err
    home("cert", "import", p12, status=1)
    home("cert", "import", home.put("x.pem", b"nothing"), status=1)
    home("cert", "import", home.put("y.der", b"\x30\x03\x02\x01\x03"), status=1)
    home("root", "import", home.put("leaf.pem", anna.pem), status=1)
    assert "not a CA certificate" in home.err
    assert home.json("cert", "list") == []


def test_trust_roots_and_revocation(home, root):
    bob = issue(root, "bob@example.org")
    (row,) = home.json("cert", "import", home.put("bob.pem", bob.pem))["certificates"]
    assert not row["trusted"]
    assert row["reason"] == "the certificate does not lead to a trusted root"
    name = row["fingerprint"]
    home("cert", "trust", name[:16], "--comment", "by phone")
    (entry,) = home.json("ctl", "list")
    assert (entry["fingerprint"], entry["entry"], entry["comment"]) == (name, "allow", "by phone")
    home("cert", "distrust", name)
    assert home.json("cert", "show", name)["ctl"] == "deny"
    home("ctl", "set", "AB" * 32, "allow-expired")
    home("ctl", "delete", name)
    home("ctl", "delete", name, status=1)
    assert [one["entry"] for one in home.json("ctl", "list")] == ["allow-expired"]

    (anchor,) = home.json("root", "import", home.put("root.pem", root.pem))
    assert home.json("cert", "show", name)["trusted"]
    times = {"this_update": datetime.now(UTC) - DAY, "next_update": datetime.now(UTC) + 6 * DAY}
    (crl,) = home.json("crl", "import", home.put("list.crl", root.crl([bob], **times)))
    assert crl["entries"] == 1
    assert home.json("cert", "show", name)["revocation"] == "revoked"
    assert len(home.json("crl", "show", crl["fingerprint"][:16])["revoked"]) == 1
    assert home.json("crl", "list")
    home("crl", "delete", crl["fingerprint"], "--yes")
    assert home.json("cert", "show", name)["revocation"] == "unknown"
    home("root", "delete", name, "--yes", status=1)
    home("root", "delete", anchor["fingerprint"], "--yes")
    assert home.json("root", "list") == []
    assert not home.json("cert", "show", name)["trusted"]


def test_a_crl_of_a_stranger_is_refused(home, root):
    home("crl", "import", home.put("list.crl", root.crl()), status=1)
    home("crl", "import", home.put("x.crl", b"x"), status=1)
    assert home.json("crl", "list") == []


def test_the_log_of_no_mail(home):
    assert home.json("log", "--since", "2h", "--sender", "example.com", "--fate", "relayed") == []
    home("log", "--since", "soon", status=2)
    home("log", "--sender", "a b@", status=1)


@contextmanager
def mail_server(*lines):
    """Answers a greeting, then these lines to EHLO."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.sendall(b"220 sink ESMTP\r\n")
                    client.recv(200)
                    client.sendall("".join(f"{line}\r\n" for line in lines).encode())
                    client.recv(200)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"smtp://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def findings(home, status, **environ):
    for name, value in environ.items():
        os.environ[f"MAILSEAL_{name}"] = value
    try:
        found = home.json("check", status=status)
    finally:
        for name in environ:
            del os.environ[f"MAILSEAL_{name}"]
    rows = {}
    for row in found:
        rows.setdefault(row["check"], []).append(row)
    return rows


def test_check_of_a_sound_node(home):
    with (
        mail_server("250-sink", "250-8BITMIME", "250-DSN", "250 SMTPUTF8") as inside,
        mail_server("250-sink", "250 8BITMIME") as outside,
    ):
        found = findings(home, 0, RELAY_INSIDE=inside, RELAY_OUTSIDE=outside, LISTEN_SMTP="127.0.0.1:1")
    first, second = found["next hop"]
    assert first["status"] == "ok"
    assert second["status"] == "warn"
    assert "without DSN, SMTPUTF8" in second["text"]
    assert found["embedded"][0]["status"] == "warn"
    assert found["domains"][0]["text"] == "internal: example.com"
    assert {row["status"] for name in ("database", "KEK", "keys", "clock") for row in found[name]} == {"ok"}
    assert found["users"][0]["status"] in {"ok", "warn"}


def test_check_names_what_is_wrong(home, root):
    home("domain", "delete", "example.com", "--yes")
    soon = issue(root, "anna@example.com", days=10)
    home("cert", "import", home.put("a.p12", soon.p12()), "--password-file", home.put("password", b"secret"))
    with mail_server("554 5.7.1 no") as inside, socket.create_server(("127.0.0.1", 0)) as taken:
        found = findings(
            home,
            1,
            RELAY_INSIDE=inside,
            RELAY_OUTSIDE=f"smtp://127.0.0.1:{free_port()}",
            LISTEN_SMTP=f"127.0.0.1:{taken.getsockname()[1]}",
        )
    assert "answers the greeting with 554 5.7.1 no" in found["next hop"][0]["text"]
    assert "Connection refused" in found["next hop"][1]["text"]
    assert any("taken by another program" in row["text"] for row in found["listener"])
    assert "incoming mail is not decrypted" in found["domains"][0]["text"]
    assert found["certificates"][0]["status"] == "warn"
    assert "anna@example.com" in found["certificates"][0]["text"]
    assert all(row["what_to_do"] for rows in found.values() for row in rows if row["status"] != "ok")


def test_check_of_a_wrong_and_of_a_missing_kek(home, root):
    anna = issue(root, "anna@example.com")
    home("cert", "import", home.put("a.p12", anna.p12()), "--password-file", home.put("password", b"secret"))
    (right,) = (home.folder / "data" / "keks").iterdir()
    away = home.folder / right.name
    right.rename(away)
    found = findings(home, 1)
    assert "there is no KEK" in found["KEK"][0]["text"]
    home("init", status=1)
    assert f"KEK {right.stem} seals" in home.err, "a second first KEK would be of no use"
    assert not list(right.parent.iterdir())
    Kek.generate_in(right.parent)
    found = findings(home, 1)
    assert any("1 values are sealed with" in row["text"] and "not at hand" in row["text"] for row in found["keys"])
    assert any(f"{right.stem} seals, and is not at hand" in row["text"] for row in found["keys"])
    found = findings(home, 1, KEYS_KEK=f"{right.parent},{away}")
    assert found["keys"][0]["status"] == "ok"


def test_an_older_node_keeps_its_kek_and_finds_it_unasked(tmp_path, capsys):
    home, data = Home(tmp_path, capsys), tmp_path / "data"
    data.mkdir(mode=0o700)
    old = Kek.generate(data / "kek")
    home("init", "--data", data)
    assert [(row["kek"], row["state"]) for row in home.json("key", "list")] == [(old.id, "active")]
    assert not (data / "keks").exists()
    connections.close_all()


def test_check_of_the_database_and_the_folder(home):
    found = findings(home, 1, DATABASE_URL=f"sqlite://{home.folder}/new.db")
    assert "run `mailseal init`" in found["database"][0]["what_to_do"]
    assert "keys" not in found
    found = findings(home, 1, DATABASE_URL="sqlite:///nonexistent/x.db")
    assert found["database"][0]["status"] == "fail"
    (home.folder / "data").chmod(0o755)
    assert "others can get into" in findings(home, 1)["users"][0]["text"]


def test_check_of_a_clock_that_is_behind(home):
    late = (datetime.now(UTC) + DAY).timestamp()
    os.utime(home.folder / "data" / "journal", (late, late))
    found = findings(home, 1)
    assert found["clock"][0]["status"] == "fail"


def test_check_of_a_wrong_configuration(home):
    found = findings(home, 1, WORKERS="none")
    assert found["configuration"][0]["text"].startswith("MAILSEAL_WORKERS: must be a whole number")
    assert "workers = 4" in found["configuration"][0]["what_to_do"]
