"""What holds for every page."""

from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from mailseal.store.accounts.roles import Role
from mailseal.web.headers import HEADERS


def _ours(resolver: URLResolver):
    for one in resolver.url_patterns:
        if isinstance(one, URLPattern):
            if getattr(one.callback, "__module__", "").startswith("mailseal.web.console"):
                yield one
        else:
            yield from _ours(one)


def test_every_page_of_the_console_has_a_guard(web):
    pages = list(_ours(get_resolver()))
    assert pages
    assert [page.pattern for page in pages if not hasattr(page.callback, "guarded_by")] == []


def test_who_has_not_signed_in_is_sent_there(web):
    client = Client(SERVER_NAME="localhost")
    assert client.get("/", secure=True).headers["Location"].startswith("/account/login/")


def test_every_answer_has_the_headers_of_safety(sign_in):
    answer = sign_in(Role.AUDITOR).get("/")
    assert answer.status_code == 200
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_a_host_that_is_not_ours_is_refused(web):
    assert Client(SERVER_NAME="evil.example").get("/", secure=True).status_code == 400
