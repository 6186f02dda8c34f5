"""Fetching within bounds, from servers that do all the wrong things; only loopback is ever called."""

import socket
import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from harness.folder import free_port
from harness.server_certificate import server_certificate
from harness.waiting import PATIENCE_SECONDS
from mailseal.discover.fetch import Fetcher, FetchError, FetchLimits
from mailseal.discover.wkd import WebKeyDirectory
from mailseal.mail.address import Address

LIMITS = FetchLimits(
    total_seconds=PATIENCE_SECONDS, max_bytes=10_000, allow_private=True, schemes=frozenset({"http", "https"})
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@contextmanager
def server(*answers, tls=None, pause=0.0):
    """Answers one connection after the other; yields (port, what was asked)."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        over = threading.Event()

        def accepted():
            while not over.is_set():
                try:
                    return listener.accept()[0]
                except TimeoutError:
                    continue
            raise OSError("over")

        def serve():
            for answer in answers:
                try:
                    connected = accepted()
                    connected.settimeout(PATIENCE_SECONDS)
                    if tls is not None:
                        connected = tls.wrap_socket(connected, server_side=True)
                    with connected:
                        asked.append(connected.recv(65536))
                        for piece in [answer] if isinstance(answer, bytes) else answer:
                            connected.sendall(piece)
                            time.sleep(pause)
                except OSError:
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], asked
        finally:
            over.set()
            thread.join(PATIENCE_SECONDS)


def get(port, path="/x", limits=LIMITS, scheme="http", **more):
    return Fetcher(limits, **more).get(f"{scheme}://127.0.0.1:{port}{path}")


def test_an_answer():
    with server(OK) as (port, asked):
        answer = get(port, "/key?l=a")
    assert (answer.status, answer.body) == (200, b"hello")
    assert asked[0].startswith(b"GET /key?l=a HTTP/1.1\r\n")
    assert b"\r\nAccept-Encoding: identity\r\n" in asked[0]
    assert b"ookie" not in asked[0]
    assert b"uthorization" not in asked[0]


def test_a_status_is_told_not_raised():
    with server(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as (port, _):
        assert get(port).status == 404


def test_a_post():
    with server(OK) as (port, asked):
        answer = Fetcher(LIMITS).post(f"http://127.0.0.1:{port}/u", b"{}", "application/json")
    assert answer.body == b"hello"
    assert b"Content-Type: application/json\r\n" in asked[0]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20000, "more than 10000"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 20000, "more than 10000"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"x" * 4096 + b"\r\n",
            "IncompleteRead",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "less than it announced"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n", "HTTPException"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "LineTooLong"),
        (b"SMTP ready\r\n", "BadStatusLine"),
        (b"", "RemoteDisconnected"),
    ],
)
def test_an_answer_out_of_bounds(answer, why):
    with server(answer) as (port, _), pytest.raises(FetchError, match=why):
        get(port)


def test_a_drip_ends_with_the_time():
    limits = replace(LIMITS, total_seconds=0.5)
    began = time.monotonic()
    with server([b"H", *[b"T"] * 20], pause=0.1) as (port, _), pytest.raises(FetchError, match="no answer in time"):
        get(port, limits=limits)
    assert time.monotonic() - began < PATIENCE_SECONDS


def test_redirects_are_followed_and_counted():
    with server(b"HTTP/1.1 301 Moved\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", OK) as (port, asked):
        assert get(port).url.endswith("/y")
    assert asked[1].startswith(b"GET /y ")
    loop = [b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"] * 4
    with server(*loop) as (port, _), pytest.raises(FetchError, match="too often"):
        get(port)


@pytest.mark.parametrize(
    "location", [b"file:///etc/passwd", b"gopher://127.0.0.1/", b"http://user@127.0.0.1/", b"http://[::1"]
)
def test_redirects_to_elsewhere_are_not_followed(location):
    answer = b"HTTP/1.1 301 Moved\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location
    with server(answer) as (port, _), pytest.raises(FetchError):
        get(port)


def test_a_redirect_to_a_private_address_is_not_followed():
    """The first address counts as public here; the one it sends to does not."""
    with server(OK) as (inner, asked):
        answer = b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n" % inner
        with server(answer) as (port, _):
            fetcher = Fetcher(
                replace(LIMITS, allow_private=False), look_up=lambda host, port, deadline: ((host, port),)
            )
            with pytest.raises(FetchError, match="no public address"):
                fetcher.get(f"http://127.0.0.1:{port}/", any_port=True)
        assert not asked


def test_a_name_with_only_private_addresses_is_not_called():
    fetcher = Fetcher(FetchLimits(), look_up=lambda *_: (("10.0.0.1", 443), ("::1", 443)))
    with pytest.raises(FetchError, match="no public address"):
        fetcher.get("https://internal.example/")


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/", "ftp://a.example/", "https://a.example:22/", "https:///x", "https://u:p@a.example/",
        "https://a.example/ü", "nonsense",
        "https://a.example/a b", "https://a.example/\r\nX: y", "https://" + "a" * 3000, "https://a.example:99999/",
    ],
)  # fmt: skip
def test_urls_that_are_not_called(url):
    def never(*_):
        raise AssertionError("looked up")

    with pytest.raises(FetchError) as caught:
        Fetcher(FetchLimits(), look_up=never).get(url)
    assert "u:p" not in str(caught.value)


def test_tls_verifies_name_and_issuer(tmp_path):
    files = server_certificate(tmp_path, "keys.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    trusting = ssl.create_default_context(cafile=str(files.certificate))

    def here(host, port, deadline):
        return (("127.0.0.1", port),)

    with server(OK, OK, OK, tls=context) as (port, _):
        url = f"https://keys.example:{port}/"
        assert Fetcher(LIMITS, tls=trusting, look_up=here).get(url).body == b"hello"
        with pytest.raises(FetchError, match="certificate"):
            Fetcher(LIMITS, tls=trusting, look_up=here).get(f"https://other.example:{port}/")
        with pytest.raises(FetchError, match="certificate"):
            Fetcher(LIMITS, look_up=here).get(url)


def test_nobody_there():
    with pytest.raises(FetchError, match="ConnectionRefusedError"):
        get(free_port())


def test_a_web_key_directory_over_tls(tmp_path):
    """The whole of it: the subdomain does not exist, the domain answers; its certificate has to be for its name."""
    files = server_certificate(tmp_path, "outside.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    ring = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nring"
    joe = Address.parse("joe@outside.example")
    with server(ring, ring, tls=context) as (port, asked):

        def look_up(host, wanted, deadline):
            assert wanted == 443
            if host == "openpgpkey.outside.example":
                raise socket.gaierror(socket.EAI_NONAME, "unknown")
            return (("127.0.0.1", port),)

        trusting = ssl.create_default_context(cafile=str(files.certificate))
        places = WebKeyDirectory(Fetcher(LIMITS, tls=trusting, look_up=look_up))
        assert places.keys_of(joe) == b"ring"
        assert asked[0].startswith(b"GET /.well-known/openpgpkey/hu/")
        with pytest.raises(FetchError, match="certificate"):
            places.keys_of(Address.parse("joe@elsewhere.example"))
