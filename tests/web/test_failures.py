"""What a page says when something fails: what is away, what cannot be done, what nobody has thought of."""

import contextlib
import re
import sqlite3

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.http import HttpResponse
from django.test import Client

from mailseal.errors import PermanentError
from mailseal.store.configure import use
from mailseal.store.console_jobs import ActionFailed, StillRunning, uuid7
from mailseal.store.transaction import unit_of_work
from mailseal.store.trouble import StoreUnavailable
from mailseal.web.console import start

CANARY = "a canary of the failure"


@pytest.fixture
def page(sign_in, monkeypatch):
    """The start page, where this happens."""
    client = sign_in()
    client.raise_request_exception = False

    def get(error: Exception):
        def fail(*_, **__):
            raise error

        monkeypatch.setattr(start, "render", fail)
        return client.get("/")

    return get


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (StoreUnavailable("the database cannot be used now (error 2006)"), 503, "error 2006"),
        (ActionFailed("the job worker does not answer", transient=True), 503, "the job worker does not answer"),
        (StillRunning(uuid7()), 503, "the job worker is still at it"),
        (ActionFailed("that is no certificate"), 422, "that is no certificate"),
        (PermanentError("<script>"), 422, "&lt;script&gt;"),
    ],
)
def test_what_is_expected_to_fail_is_told(page, error, status, text):
    answer = page(error)
    assert answer.status_code == status
    assert text in answer.content.decode()
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert "Content-Security-Policy" in answer.headers


def test_what_nobody_thought_of_has_an_id_and_is_not_shown(page, caplog):
    answer = page(ValueError(CANARY))
    assert answer.status_code == 500
    body = answer.content.decode()
    (failure,) = re.findall(r"\b[0-9a-f]{32}\b", body)
    assert [record.instance for record in caplog.records] == [failure]
    for told in (body, *(record.getMessage() for record in caplog.records)):
        assert CANARY not in told
        assert "Traceback" not in told


@pytest.mark.parametrize("path", ["/", "/account/login/", "/api/v1/domains"])
def test_a_database_that_is_away(sign_in, tmp_path, path):
    client = sign_in()
    client.raise_request_exception = False
    use(f"sqlite://{tmp_path}/away.db", node="mx1")
    answer = client.get(path, HTTP_AUTHORIZATION="Bearer x")
    connections.close_all()
    if path == "/account/login/" and answer.status_code == 200:
        return  # nothing of it needs the database
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    if path.startswith("/api/"):
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_database_that_is_locked_is_not_waited_for_long(sign_in, tmp_path):
    client = Client(SERVER_NAME="localhost", raise_request_exception=False)
    form = client.get("/account/login/", secure=True)
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', form.content.decode())[1]
    fields = {"login": "administrator@inside.example", "password": "wrong", "csrfmiddlewaretoken": token}
    with contextlib.closing(sqlite3.connect(tmp_path / "mailseal.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with unit_of_work():  # as `web.front` has it around each request
            answer = client.post("/account/login/", fields, secure=True, HTTP_REFERER="https://localhost/")
        other.execute("ROLLBACK")
    assert answer.status_code == 503
    assert "locked" in answer.content.decode()


def test_a_large_upload_comes_to_the_view_whole_and_is_in_no_file(sign_in, monkeypatch):
    seen = []

    def view(request, *_):
        upload = request.FILES["mail"]
        seen.append((upload.size, type(upload).__name__))
        return HttpResponse()

    monkeypatch.setattr(start, "render", view)
    answer = sign_in().post("/", {"mail": SimpleUploadedFile("mail.eml", bytes(20 << 20))}, secure=True)
    assert (answer.status_code, seen) == (200, [(20 << 20, "InMemoryUploadedFile")])
