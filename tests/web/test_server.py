"""The web role's server on loopback: who is slow, large or many keeps nobody out, and drains when told."""

import contextlib
import datetime as dt
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from harness.waiting import wait_until
from mailseal.keys.tls_certificate import key_pem, new_key, self_signed
from mailseal.roles import web_server
from mailseal.roles.web_server import Server, Serving
from mailseal.transport.server_tls import server_context
from mailseal.web.front import Front
from mailseal.web.headers import HEADERS

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Application:
    """Answers at once; below /wait when it may."""

    def __init__(self):
        self.may_go_on = threading.Event()
        self.waiting = 0

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/wait":
            self.waiting += 1
            assert self.may_go_on.wait(30)
        if path == "/fail":
            raise ValueError("a canary of the failure")
        body = b"%d octets" % len(environ["wsgi.input"].read()) if path == "/read" else b"hello"
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]


class Running:
    def __init__(self, tls, threads=4):
        self.application = Application()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ready = threading.Event()
        serving = Serving(threads, 5.0, tls, lambda: None, self.ready.set)
        self.server = Server(Front(self.application, max_bytes=1 << 20), [self.listener], serving)
        self.thread = threading.Thread(target=self.server.init_process)

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(10)
        return self

    def __exit__(self, *_):
        self.application.may_go_on.set()
        self.server.end()
        self.thread.join(20)
        assert not self.thread.is_alive()

    @contextlib.contextmanager
    def connection(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), 20) as client:
            yield client

    def ask(self, request=GET) -> bytes:
        with self.connection() as client:
            client.sendall(request)
            return answer(client)


def answer(client) -> bytes:
    """One response, or all until the end."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while (piece := client.recv(4096)) != b"":
            got += piece
            head, end, body = got.partition(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            if end and length and len(body) >= int(length[1]):
                break
    return got


def get(path, fields=b"", method=b"GET") -> bytes:
    return method + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n"


def until_closed(client) -> float:
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while client.recv(4096):
            pass
    return time.monotonic() - began


@pytest.fixture
def running():
    with Running(None) as one:
        yield one


def test_it_answers_and_goes_on_on_the_same_connection(running):
    with running.connection() as client:
        for _ in range(3):
            client.sendall(GET)
            assert answer(client).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get(b"/" + b"x" * 9000), b"414"),
        (get(b"/", b"X: " + b"y" * 9000 + b"\r\n"), b"431"),
        (get(b"/", b"X: y\r\n" * 101), b"431"),
        (b"canary\r\n\r\n", b"400"),
        (get(b"/", b"Bad Header canary\r\n"), b"400"),
        (get(b"/", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"POST"), b"400"),
        (get(b"/", b"Content-Length: 99999999\r\n", b"POST"), b"413"),
        (get(b"/", b"Transfer-Encoding: chunked\r\n", b"POST") + b"1\r\nx\r\n0\r\n\r\n", b"411"),
        (get(b"/fail"), b"500"),
    ],
)
def test_what_cannot_be_answered_gets_a_status_and_says_nothing_of_it(running, caplog, request_, status):
    told = running.ask(request_)
    assert told.split(b" ")[1] == status
    for name, value in HEADERS.items():
        assert f"{name}: {value}\r\n".encode() in told
    assert b"canary" not in told
    assert "canary" not in caplog.text
    assert running.ask().startswith(b"HTTP/1.1 200")


def test_a_large_request_is_refused_before_it_is_sent(running):
    with running.connection() as client:
        client.sendall(get(b"/read", b"Content-Length: 2000000\r\n", b"POST"))
        assert answer(client).startswith(b"HTTP/1.1 413")


def test_connections_that_say_nothing_hold_no_thread_and_are_closed(running):
    with contextlib.ExitStack() as held:
        silent = [held.enter_context(running.connection()) for _ in range(20)]
        assert running.ask().startswith(b"HTTP/1.1 200")
        for waiting in list(running.server.pending_conns):
            assert 0 < waiting.timeout - time.monotonic() <= web_server.IDLE_SECONDS
            waiting.timeout = 0.0  # as if it were over
        for one in silent:
            assert until_closed(one) < 20
    wait_until(lambda: running.server.nr_conns == 0)
    assert running.server._clients == {}


def test_a_slow_head_and_a_slow_body_are_cut_off(running, monkeypatch):
    monkeypatch.setattr(web_server, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(web_server, "ANSWER_SECONDS", 0.5)
    with running.connection() as head, running.connection() as body:
        head.sendall(b"GET / HTTP/1.1\r\nX: ")
        body.sendall(get(b"/read", b"Content-Length: 100\r\n", b"POST"))
        for one in (head, body):
            assert until_closed(one) < 20
    monkeypatch.undo()
    assert running.ask().startswith(b"HTTP/1.1 200")


def test_one_client_gets_a_part_of_the_threads(running, monkeypatch):
    monkeypatch.setattr(web_server, "client_of", lambda _: names.pop(0))
    names = ["mallory"] * 6 + ["anna"]
    with contextlib.ExitStack() as held:
        busy = [held.enter_context(running.connection()) for _ in range(6)]
        for one in busy:
            one.sendall(get(b"/wait"))
        wait_until(lambda: running.application.waiting == 2)
        assert running.ask().startswith(b"HTTP/1.1 200")
        assert running.application.waiting == 2
        running.application.may_go_on.set()
        for one in busy:
            assert answer(one).startswith(b"HTTP/1.1 200")


def test_of_too_many_connections_of_one_client_the_last_are_closed(running, monkeypatch):
    monkeypatch.setattr(web_server, "MAX_OF_ONE_CLIENT", 3)
    with contextlib.ExitStack() as held:
        held_ones = [held.enter_context(running.connection()) for _ in range(3)]
        wait_until(lambda: running.server.nr_conns == 3)
        with running.connection() as fourth:
            assert until_closed(fourth) < 10
        held_ones[0].sendall(GET)
        assert answer(held_ones[0]).startswith(b"HTTP/1.1 200")


def test_it_finishes_what_is_at_hand_and_ends():
    with Running(None) as running, running.connection() as client:
        client.sendall(get(b"/wait"))
        wait_until(lambda: running.application.waiting == 1)
        running.server.end()
        wait_until(lambda: not running.server._accepting)
        running.application.may_go_on.set()
        assert answer(client).startswith(b"HTTP/1.1 200")
        running.thread.join(20)
        assert not running.thread.is_alive()


@pytest.mark.parametrize(
    ("address", "client"),
    [
        (("192.0.2.1", 1), "192.0.2.1"),
        (("::ffff:192.0.2.1", 1, 0, 0), "192.0.2.1"),
        (("2001:db8::1", 1, 0, 0), "20010db800000000/64"),
        (("2001:db8::2", 1, 0, 0), "20010db800000000/64"),
        (("fe80::1%eth0", 1, 0, 2), "fe80000000000000/64"),
        ("", ""),
    ],
)
def test_bounds_are_for_an_address_or_a_network(address, client):
    assert web_server.client_of(address).zfill(19 if "/" in client else 0) == client


@pytest.fixture
def tls(tmp_path):
    """Of the server, and of who trusts it."""
    key = new_key()
    chain = self_signed(key, ["localhost"], dt.datetime.now(dt.UTC))
    path = tmp_path / "tls.pem"
    path.touch(0o600)
    path.write_bytes(chain.pem + key_pem(key))
    context = server_context(path, None)
    return context, ssl.create_default_context(cadata=chain.pem.decode())


def test_tls(tls):
    context, trusting = tls
    with Running(lambda: context) as running:
        with running.connection() as plain, trusting.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(GET)
            assert answer(client).startswith(b"HTTP/1.1 200")
        assert running.ask() == b""  # no TLS, no answer
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with running.connection() as plain, old.wrap_socket(plain) as client:
            assert client.version() == "TLSv1.2"


def test_who_says_nothing_after_the_handshake_holds_no_thread(tls):
    context, trusting = tls
    with Running(lambda: context) as running, contextlib.ExitStack() as held:
        for _ in range(9):
            plain = held.enter_context(running.connection())
            last = held.enter_context(trusting.wrap_socket(plain, server_hostname="localhost"))
        wait_until(lambda: len(running.server.pending_conns) == 9)
        for _ in range(2):
            last.sendall(GET)
            assert answer(last).startswith(b"HTTP/1.1 200")
