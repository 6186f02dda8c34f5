"""Hostile browsers and programs at the console as it runs: what they send counts for nothing and keeps nobody out."""

from __future__ import annotations

import contextlib
import re
import socket
import sqlite3
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from harness.client import send
from harness.console import HOST, PASSWORD, Caller, Console, console
from harness.folder import free_port
from harness.mail import mail
from harness.waiting import PATIENCE_SECONDS
from mailseal.web.headers import HEADERS

ANNA, BERT, NILS = "anna@alpha.example", "bert@alpha.example", "nils@secret.example"
SESSION, CSRF = "__Host-mailseal-console", "__Host-mailseal-csrf"
EVIL = "https://evil.example"
MIB = 1 << 20


@pytest.fixture(scope="module")
def plain_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def house(plain_port: int) -> Iterator[Console]:
    """With a held mail; besides TLS it answers without, as a CA needs it."""
    metrics = {"listen": f"127.0.0.1:{free_port()}"}
    web = {"plain_listen": f"127.0.0.1:{plain_port}"}
    with console("hostile", f"{ANNA} --name Anna", f"{BERT} --role auditor", web=web, metrics=metrics) as made:
        made.gateway.type("settings set on_failure quarantine")
        made.gateway.wait_until_noticed()
        assert "held" in send(made.smtp, ANNA, [NILS], mail(ANNA, NILS)).end[0]
        made.gateway.wait_for_log(1)
        yield made


@pytest.fixture(scope="module")
def session(house: Console) -> dict[str, str]:
    """Anna's cookies."""
    return house.caller(ANNA).cookies


@pytest.fixture
def anna(house: Console, session: dict[str, str]) -> Caller:
    return Caller(house.port, dict(session))


def profile(token: str) -> dict[str, str]:
    return {"csrfmiddlewaretoken": token, "name": "Mallory", "language": "en"}


FORGED = {
    "no token": ({"csrfmiddlewaretoken": ""}, {}),
    "a token that is none": ({"csrfmiddlewaretoken": "a" * 64}, {}),
    "another origin": ({}, {"Origin": EVIL}),
    "our name as a part of another": ({}, {"Origin": f"https://{HOST}.evil.example"}),
    "no origin is told": ({}, {"Origin": "null"}),
    "neither origin nor page": ({}, {"Origin": ""}),
    "another page": ({}, {"Origin": "", "Referer": f"{EVIL}/https://{HOST}/"}),
    "without TLS": ({}, {"Origin": f"http://{HOST}"}),
    "no cookie": ({}, {"Cookie": "{session}"}),
    "the cookie of a script": ({}, {"Cookie": "{session}; csrftoken={token}"}),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_form_that_another_site_sends_is_refused(anna: Caller, how: str) -> None:
    changed, fields = FORGED[how]
    token = anna.get("/account/").token
    session = f"{SESSION}={anna.cookies[SESSION]}"
    fields = {name: value.format(session=session, token=token) for name, value in fields.items()}
    answer = anna.post("/account/", profile(token) | changed, **fields)
    assert answer.status == 403
    assert "Mallory" not in answer.text
    assert "Mallory" not in anna.get("/account/").text


def test_the_token_of_somebody_else_is_refused(house: Console, anna: Caller) -> None:
    theirs = house.caller(BERT).get("/account/").token
    assert anna.post("/account/", profile(theirs)).status == 403
    assert anna.send("/account/", name="Anna", language="").status == 302


def test_cookies_are_for_this_host_alone_and_for_no_script(house: Console) -> None:
    caller = house.caller()
    page = caller.get("/account/login/")
    form = {"csrfmiddlewaretoken": page.token, "login": ANNA, "password": PASSWORD}
    signed_in = caller.post("/account/login/", form)
    told = page.fields.get_all("Set-Cookie", []) + signed_in.fields.get_all("Set-Cookie", [])
    assert {one.partition("=")[0] for one in told} == {SESSION, CSRF}
    for one in told:
        attributes = {name.strip().lower() for name in one.split(";")[1:]}
        assert {"secure", "httponly", "samesite=strict", "path=/"} <= attributes, one
        assert not [name for name in attributes if name.startswith("domain")], one
    [session] = [one for one in told if one.startswith(SESSION)]
    assert "max-age" not in session.lower(), "it ends with the browser"
    assert "expires" not in session.lower()


def test_a_session_that_somebody_planted_stays_theirs(house: Console) -> None:
    attacker = house.caller()
    attacker.get("/account/login/passkey/", Accept="application/json")  # it makes a session for whoever begins
    for planted in ("a" * 32, attacker.cookies[SESSION]):
        victim = Caller(house.port, {SESSION: planted})
        victim.sign_in(ANNA)
        assert victim.cookies[SESSION] != planted
        assert ANNA not in Caller(house.port, {SESSION: planted}).get("/account/").text


def test_who_has_signed_out_is_out_with_any_copy_of_the_cookie(house: Console) -> None:
    caller = house.caller(ANNA)
    kept = dict(caller.cookies)
    assert caller.send("/account/logout/").status == 302
    assert Caller(house.port, kept).get("/").location.startswith("/account/login/")


@pytest.mark.parametrize(
    "host", ["evil.example", f"{HOST}.evil.example", f"evil.example@{HOST}", f"{HOST}:1/../@evil.example", "[::1", " "]
)
def test_another_name_is_not_answered(house: Console, host: str) -> None:
    for path in ("/", "/account/login/", "/api/v1/openapi.json"):
        answer = house.caller().get(path, Host=host)
        assert answer.status == 400
        assert "evil" not in answer.text + str(answer.fields)


def test_nor_does_a_name_get_into_a_link_or_a_redirect(house: Console, anna: Caller) -> None:
    said = {"X_Forwarded_Host": "evil.example", "X_Forwarded_For": "192.0.2.9", "Forwarded": "host=evil.example"}
    people = anna.get("/accounts/").text
    [bert] = re.findall(rf'href="(/accounts/[0-9a-f-]+/)">\s*{BERT}', people)
    form = {"csrfmiddlewaretoken": anna.get(f"{bert}link/").token}
    made = anna.post(f"{bert}link/", form, **said)
    assert f"https://{HOST}:{house.port}/account/link/#mslink_" in made.text
    assert "evil.example" not in made.text
    assert "192.0.2.9" not in anna.get("/audit/", **said).text + anna.get("/account/sessions/", **said).text
    assert house.caller().get("/", **said).location == "/account/login/?next=/"


ELSEWHERE = (
    EVIL, "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
    f"https://{HOST}@evil.example", f"https://{HOST}.evil.example/", "javascript:alert(1)", "http:evil.example",
    "/%09/evil.example", "/ok\r\nLocation: https://evil.example", "data:text/html,x",
)  # fmt: skip


@pytest.mark.parametrize("place", ELSEWHERE)
def test_nobody_is_sent_elsewhere(house: Console, place: str) -> None:
    caller = house.caller()
    told = [caller.send("/account/login/", login=BERT, password=PASSWORD, next=place)]
    assert told[0].status == 302
    if place in ELSEWHERE[:3]:  # a password takes its time
        told.append(caller.send("/account/reauthenticate/", password=PASSWORD, next=place))
    told.append(caller.send("/account/logout/", next=place))
    for answer in told:
        assert "evil" not in urlsplit(answer.location).netloc
        assert re.match(r"/(?![/\\\s])|\Z", answer.location), answer.location


@pytest.mark.parametrize("path", ["//evil.example", "//evil.example/%2e%2e", "/\\evil.example", "/%2f%2fevil.example"])
def test_nor_by_a_path_that_looks_like_a_host(house: Console, path: str) -> None:
    answer = house.caller().get(path)
    assert not answer.location or answer.location.startswith(("/account/", "/%2F", "/%5C")), answer.location


def test_what_is_answered_is_kept_by_nobody_and_framed_by_nobody(anna: Caller, house: Console) -> None:
    start = anna.get("/")
    told = [
        start, anna.get("/mails/"), anna.get("/account/"), anna.get("/nothing/"), anna.get("/audit/export/"),
        anna.get("/api/v1/openapi.json"), anna.get("/api/v1/domains"), house.caller().get("/"),
        house.caller().get("/account/login/"), house.caller().get("/", Host="evil.example"),
        anna.post("/account/", profile("")), anna("TRACE", "/"), anna("PUT", "/domains/"),
    ]  # fmt: skip
    for answer in told:
        assert {name: answer.fields[name] for name in HEADERS} == HEADERS, answer.status
        assert re.search("no-store|private", answer.fields["Cache-Control"]), answer.fields
        assert not {"Server", "X-Powered-By"} & {name.title() for name in answer.fields if "/" in answer.fields[name]}
    assert [one.status for one in told[-2:]] == [501, 403]
    [sheet] = re.findall(r'href="(/static/[^"]+/base.css)"', start.text)
    answer = house.caller().get(sheet)
    assert answer.fields["Cache-Control"] == "public, max-age=31536000, immutable"
    assert {name: answer.fields[name] for name in HEADERS} == HEADERS
    assert "Set-Cookie" not in answer.fields


VOLATILE = re.compile("django_session|sqlite_|_job|_node|_signature|_lock|_failure|heartbeat|gauge|finding|usersession")
"""Tables that change by themselves, or by somebody signing in and looking."""


def everything(house: Console) -> dict[str, list[tuple[object, ...]]]:
    with contextlib.closing(sqlite3.connect(house.gateway.data / "mailseal.db")) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: sorted(database.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for name in names
            if not VOLATILE.search(name)
        }


def test_no_get_changes_anything(house: Console, anna: Caller) -> None:
    """All that is linked, and all that forms are sent to, with all their buttons."""
    [row] = house.gateway.log("--recipient", NILS)
    held = f"/quarantine/{row['quarantine']}/"
    asked, waiting = set[str](), [
        "/", "/accounts/", "/account/", "/account/second-factor/", "/account/tokens/", "/audit/verify/", "/domains/",
        "/domains/alpha.example/", f"/addresses/{ANNA}/", "/settings/", held, "/checks/",
        *(f"{held}{act}/?days=1&version=1" for act in ("release", "ask", "approve", "deny", "delete", "content")),
        "/domains/alpha.example/change/?internal=no", "/account/sessions/?session=others",
    ]  # fmt: skip
    before, people = everything(house), house.gateway.cli("admin", "list", "--json")
    while waiting:
        path = waiting.pop()
        asked.add(kind(path))
        answer = anna.get(path)
        assert answer.status in {200, 302, 400, 404, 405, 422}, path
        if "text/html" in answer.fields.get("Content-Type", "") and answer.status == 200:
            found = re.findall(r'(?:href|action|formaction)="(/[^"#]*)', answer.text)
            waiting += {kind(one): one for one in found if kind(one) not in asked and "/static/" not in one}.values()
    assert len(asked) > 40, asked
    after = everything(house)
    assert {name: rows for name, rows in after.items() if rows != before[name]} == {}
    assert house.gateway.cli("admin", "list", "--json") == people
    assert anna.get("/").status == 200, "she is still signed in"


def kind(path: str) -> str:
    """What a page is, whoever or whatever it is about; one of each is asked for."""
    return re.sub(r"(?<=/)([0-9a-f-]{16,}|[^/]+(@|%40|\.example)[^/]*)(?=/)|\?.*", "*", path)


def test_a_request_that_is_too_large_is_refused_before_it_is_sent(house: Console, anna: Caller) -> None:
    for path in ("/simulator/", "/account/login/", "/api/v1/explain"):
        with speaking(house.port) as client:
            client.sendall(f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {51 * MIB}\r\n\r\n".encode())
            assert client.recv(4096).startswith(b"HTTP/1.1 413")
    boundary = "0123456789"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n'
        f"{anna.get('/simulator/').token}\r\n"
        f'--{boundary}\r\nContent-Disposition: form-data; name="recipients"\r\n\r\n{NILS}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="mail"; filename="../../a.eml"\r\n\r\n'
    )
    body = head.encode() + b"x" * (26 * MIB) + f"\r\n--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"
    answer = anna("POST", "/simulator/", body, Content_Type=kind, Origin=f"https://{HOST}:{house.port}")
    assert "larger than 25 MiB" in answer.text
    many = {"csrfmiddlewaretoken": anna.get("/account/").token, **{f"f{number}": "" for number in range(2001)}}
    assert anna.post("/account/", many).status == 400
    long = {"csrfmiddlewaretoken": anna.get("/account/").token, "name": "x" * 3 * MIB}
    with contextlib.suppress(OSError):  # the answer may get lost: the rest of the request is not read
        assert anna.post("/account/", long).status == 400
    assert "xxx" not in anna.get("/account/").text


def test_who_is_slow_keeps_nobody_out(house: Console, anna: Caller) -> None:
    """Of one client so many connections that only begin to ask, and so many that begin to send."""
    begin = f"POST /account/login/ HTTP/1.1\r\nHost: {HOST}\r\n".encode()
    with contextlib.ExitStack() as held:
        slow = [held.enter_context(speaking(house.port, "127.0.0.2")) for _ in range(40)]
        for number, one in enumerate(slow):
            one.sendall(begin + (b"Content-Length: 100000\r\n\r\nx" if number % 2 else b"X: y"))
        assert anna.get("/").status == 200
        assert anna.get("/mails/").status == 200
        still_open = 0
        for one in slow:
            one.settimeout(0)
            with contextlib.suppress(ssl.SSLWantReadError):
                still_open += bool(one.recv(1))
                continue
            still_open += 1
        assert still_open, "she was answered while they were at it"


def test_nothing_is_said_without_tls(house: Console, plain_port: int) -> None:
    with socket.create_connection(("127.0.0.1", house.port), PATIENCE_SECONDS) as client:
        client.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        got = b""
        with contextlib.suppress(ConnectionError):
            while piece := client.recv(4096):
                got += piece
    assert b"HTTP/" not in got
    told = without_tls(plain_port, f"GET /account/login/?next=/ HTTP/1.1\r\nHost: {HOST}\r\nCookie: {SESSION}=x\r\n")
    assert told.startswith("HTTP/1.1 308")
    assert f"Location: https://{HOST}:{house.port}/account/login/?next=%2F\r\n" in told
    assert "Set-Cookie" not in told
    for request in (f"POST /account/login/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n",
                    "GET / HTTP/1.1\r\nHost: evil.example\r\n"):  # fmt: skip
        told = without_tls(plain_port, request)
        assert told.startswith("HTTP/1.1 400")
        assert "Location" not in told


def test_nothing_of_all_this_is_in_the_log(house: Console) -> None:
    said = house.gateway.said()
    assert "evil.example" not in said
    assert "Mallory" not in said
    assert PASSWORD not in said
    assert "Traceback" not in said
    assert "unexpected failure" not in said


@contextlib.contextmanager
def speaking(port: int, source: str = "127.0.0.1") -> Iterator[ssl.SSLSocket]:
    """A connection with TLS by which anything can be said."""
    context = ssl._create_unverified_context()
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS, source_address=(source, 0))
    with plain, context.wrap_socket(plain, server_hostname=HOST) as client:
        yield client


def without_tls(port: int, head: str) -> str:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as client:
        client.sendall(f"{head}Connection: close\r\n\r\n".encode())
        got = b""
        while piece := client.recv(4096):
            got += piece
    return got.decode()
