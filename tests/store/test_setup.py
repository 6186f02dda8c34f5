import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

from mailseal.store import pending_migrations
from mailseal.store.configure import DatabaseUrlError, database_settings, migrate
from mailseal.store.models import CertificateRow, KnownAddress
from mailseal.store.transaction import connection


def test_models_and_migrations_agree(store):
    call_command("makemigrations", "store", check=True, dry_run=True, verbosity=0)
    assert pending_migrations() == ()


def test_what_was_stored_before_harvests_were_kept_is_still_there(store):
    call_command("migrate", "store", "0001", verbosity=0)
    try:
        with connection().cursor() as cursor:
            values = {
                "id": "0" * 32,
                "fingerprint": "ab" * 32,
                "purpose": "end-entity",
                "candidate": 0,
                "bound": 1,
                "der": b"x",
                "spki_sha256": "s",
                "subject": "",
                "issuer": "",
                "subject_sha256": "",
                "issuer_sha256": "",
                "serial": "1",
                "key_algorithm": "",
                "revocation": "unknown",
                "reason": "",
                "trusted": 1,
                "marks": 0,
            } | dict.fromkeys(
                ("not_before", "not_after", "created", "valid_from", "valid_until"), "2026-01-01 00:00:00"
            )
            marks = ", ".join(["%s"] * len(values))
            into = f"INSERT INTO store_certificate ({', '.join(values)}) VALUES ({marks})"
            cursor.execute(into, list(values.values()))
    finally:
        migrate()
    row = CertificateRow.objects.get()
    assert (row.bound, row.capabilities, row.capabilities_at, row.conflict) == (True, "", None, False)


def test_sqlite_is_durable_and_private(store):
    if store != "sqlite":
        pytest.skip("of SQLite")
    with connection().cursor() as cursor:
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert cursor.execute("PRAGMA synchronous").fetchone() == (2,)
    assert stat.S_IMODE(Path(connection().settings_dict["NAME"]).stat().st_mode) == 0o600


def test_mariadb_is_strict(store):
    if store != "mariadb":
        pytest.skip("of MariaDB")
    with connection().cursor() as cursor:
        cursor.execute("SELECT @@sql_mode, @@tx_isolation, @@character_set_connection")
        mode, isolation, charset = cursor.fetchone()
    assert "STRICT_TRANS_TABLES" in mode
    assert (isolation, charset) == ("READ-COMMITTED", "utf8mb4")


def test_keys_are_compared_octet_by_octet(store):
    for key in ("a@x.test", "ä@x.test", "A@x.test", "ss@x.test", "ß@x.test", "😀@x.test"):
        KnownAddress.objects.create(key=key, text=key)
    assert KnownAddress.objects.filter(key="a@x.test").count() == 1


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://u@db.test:3307/name", {"HOST": "db.test", "PORT": "3307", "USER": "u", "NAME": "name"}),
        ("mysql://u@/name?unix_socket=/run/db", {"HOST": "/run/db", "PORT": ""}),
        ("sqlite:///var/lib/mailseal/mailseal.db", {"NAME": "/var/lib/mailseal/mailseal.db"}),
    ],
)
def test_database_urls(url, expected):
    assert database_settings(url, "secret").items() >= expected.items()


@pytest.mark.parametrize("url", ["postgres://u@h/d", "mysql://h/d", "mysql://u@h/", "mysql://u@h/d?sslmode=x", "x"])
def test_bad_database_urls(url):
    with pytest.raises(DatabaseUrlError):
        database_settings(url, None)


def test_any_module_may_be_imported_first():
    code = "from mailseal.store.jobs import claim; import mailseal.store.models, mailseal.store.certificates"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
