"""The web role's account in MariaDB: it reads what the console shows, and nothing that is sealed."""

import pytest
from django.db.utils import DatabaseError

from mailseal import store as store_package
from mailseal.keys.hpke import PrivateKey
from mailseal.store import (
    audit,
    console_jobs,
    console_keys,
    console_parcels,
    credentials,
    domains,
    jobs,
    journal_failures,
    log,
    logins,
    private_keys,
    quarantine,
    tls_identities,
    web_rights,
)
from mailseal.store.configure import use
from mailseal.store.console_jobs import Done
from mailseal.store.log_filter import LogFilter
from mailseal.store.quarantine import HeldFilter
from mailseal.store.rewrap import SEALED
from mailseal.store.transaction import close_connection, connection

pytestmark = [pytest.mark.mariadb, pytest.mark.parametrize("engine", ["mariadb"], indirect=True)]

ACCOUNT = "'mailseal_web'@'localhost'"


@pytest.fixture
def as_web(store, mariadb):
    """Tables that are there, used by the web's account from now on."""
    with mariadb.connect() as root, root.cursor() as cursor:
        cursor.execute(f"CREATE USER IF NOT EXISTS {ACCOUNT} IDENTIFIED BY 'of the web'")
        for line in web_rights.statements("mailseal", ACCOUNT):
            cursor.execute(line)
    before = web_rights.judge()
    assert before.lacking == ()
    assert "store_private_key.sealed" in before.excess
    use(mariadb.url.replace("mailseal@", "mailseal_web@"), "of the web", node="mx1")
    yield
    close_connection()


def denied(sql: str) -> bool:
    with connection().cursor() as cursor:
        try:
            cursor.execute(sql)
        except DatabaseError as error:
            return error.args[0] in web_rights.DENIED_CODES
    return False


def test_it_has_what_it_needs_and_not_more(as_web):
    assert web_rights.judge() == web_rights.Judged((), ())
    assert store_package.pending_migrations() == ()
    said = "\n".join(web_rights.statements("mail`seal", ACCOUNT))
    assert "`mail``seal`.`store_domain`" in said
    assert "GRANT ALL" not in said


def test_nothing_that_is_sealed_is_read_or_changed(as_web):
    for column in SEALED:
        table = column.model._meta.db_table
        assert denied(f"SELECT sealed FROM {table}"), table
        assert denied(f"SELECT * FROM {table}"), table
        assert denied(f"UPDATE {table} SET sealed = ''"), table
        if table not in {"store_job", "store_console_key"}:  # to ask for something, and to say which key it has
            assert denied(f"INSERT INTO {table} (id, sealed) VALUES ('', '')"), table
    assert denied("SELECT password FROM store_login")
    assert denied("SELECT octets FROM store_message_chunk")


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM store_audit",
        "UPDATE store_audit SET actor = 'x'",
        "DELETE FROM store_audit_signature",
        "DELETE FROM store_log",
        "UPDATE store_log SET fate = ''",
        "INSERT INTO store_kek (id, kek_id) VALUES ('', '')",
        "UPDATE store_kek SET activated = NOW()",
        "UPDATE store_tls_identity SET directory = 'https://ca.elsewhere.example/', due = NOW()",
        "UPDATE django_migrations SET name = ''",
        "CREATE TABLE more (id INT)",
        "DROP TABLE store_domain",
    ],
)
def test_history_and_the_house_itself_are_not_its_own(as_web, sql):
    assert denied(sql)


def test_what_the_console_shows_and_does(as_web):
    domains.add("inside.example", internal=True)
    assert [one.name for one in domains.list_domains()] == ["inside.example"]
    assert audit.list_events()
    for shown in (private_keys.list_keys, credentials.list_credentials, tls_identities.list_identities):
        assert list(shown()) == []
    assert log.search(LogFilter()) == quarantine.search(HeldFilter()) == journal_failures.list_failures() == ()
    logins.add("anna", "$argon2id$", ["anna@inside.example"])
    logins.set_password("anna", "$argon2id$another")
    logins.set_enabled("anna", enabled=False)
    assert [(one.name, one.enabled) for one in logins.list_logins()] == [("anna", False)]
    with pytest.raises(logins.LoginError, match="there is a login anna already"):
        logins.add("anna", "$argon2id$", [])
    assert logins.remove("anna")


def test_it_asks_the_worker_and_hears_it(as_web, mariadb, kek):
    key = PrivateKey.generate()
    assert console_keys.register_web(key.public)
    console_keys.hold_web(key)
    use(mariadb.url, mariadb.password, node="mx1")
    intake = console_keys.open_intake(kek)
    use(mariadb.url.replace("mailseal@", "mailseal_web@"), "of the web", node="mx1")
    job = console_jobs.ask("greet", {"a": 1}, blob=bytes(3 << 20))
    assert [one.kind for one in jobs.list_jobs()] == ["console"]
    use(mariadb.url, mariadb.password, node="mx1")
    claimed = jobs.claim("tests")
    request = console_jobs.open_request(claimed, intake)
    assert (request.action, request.arguments, len(request.blob)) == ("greet", {"a": 1}, 3 << 20)
    console_jobs.answer(claimed, request, Done("hello"), key.public)
    use(mariadb.url.replace("mailseal@", "mailseal_web@"), "of the web", node="mx1")
    assert console_jobs.result(job) == Done("hello")
    console_parcels.drop(job, console_parcels.RESULT)
    console_keys.hold_web(None)
