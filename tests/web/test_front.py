"""Before Django: who is believed about whom, and what is too large or of no known length."""

from ipaddress import ip_network

import pytest

from mailseal.web.front import Front
from mailseal.web.headers import HEADERS

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def ask(front_options, **environ):
    """Status, fields, and the environment that the application saw (None if it was not asked)."""
    seen, told = {}, []

    def application(found, start_response):
        seen.update(found)
        start_response("200 OK", [])
        return [b"ok"]

    front = Front(application, max_bytes=1000, **front_options)
    given = {
        "REQUEST_METHOD": "GET",
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.url_scheme": "http",
        "HTTP_HOST": "localhost",
    } | environ
    body = b"".join(front(dict(given), lambda status, fields: told.append((status, dict(fields)))))
    return told[0][0], told[0][1], seen or None, body


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),  # a stranger is not believed
        ("10.0.0.5", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.5", "1.2.3.4, 203.0.113.9", "203.0.113.9"),  # what the client itself said is not, either
        ("10.0.0.5", "203.0.113.9, 10.1.1.1", "203.0.113.9"),  # a chain of proxies
        ("10.0.0.5", "10.1.1.1, 10.1.1.2", "10.1.1.1"),
        ("10.0.0.5", "203.0.113.9, unknown", "10.0.0.5"),
        ("10.0.0.5", "", "10.0.0.5"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.5", "<script>", "10.0.0.5"),
        ("10.0.0.5", ",".join(["203.0.113.9"] * 5000), "203.0.113.9"),
    ],
)
def test_only_a_proxy_of_ours_says_who_asks(peer, forwarded, client):
    _, _, seen, _ = ask({"trusted": PROXIES}, REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
    assert seen["REMOTE_ADDR"] == client


def test_behind_a_unix_socket_the_proxy_is_believed_and_has_to_have_tls():
    seen = ask(
        {"behind_proxy": True}, REMOTE_ADDR="", HTTP_X_FORWARDED_FOR="203.0.113.9", HTTP_X_FORWARDED_PROTO="https"
    )
    assert seen[2]["REMOTE_ADDR"] == "203.0.113.9"
    assert seen[2]["wsgi.url_scheme"] == "https"
    for said in ({}, {"HTTP_X_FORWARDED_PROTO": "http"}, {"HTTP_X_FORWARDED_PROTO": "https, http"}):
        status, fields, seen, _ = ask({"behind_proxy": True}, REMOTE_ADDR="", **said)
        assert (status, seen) == ("400 Bad Request", None)
        assert HEADERS.items() <= fields.items()


def test_nothing_of_what_proxies_say_goes_on():
    said = {
        "HTTP_X_FORWARDED_HOST": "evil.example",
        "HTTP_X_FORWARDED_PROTO": "http",
        "HTTP_FORWARDED": "for=1.1.1.1",
        "HTTP_X_REAL_IP": "1.1.1.1",
        "HTTP_VIA": "1.1 evil",
    }
    _, _, seen, _ = ask({"trusted": PROXIES}, REMOTE_ADDR="10.0.0.5", **said)
    assert not said.keys() & seen.keys()
    assert seen["HTTP_HOST"] == "localhost"


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"CONTENT_LENGTH": "1000"}, "200 OK"),
        ({"CONTENT_LENGTH": ""}, "200 OK"),
        ({"CONTENT_LENGTH": "1001"}, "413 Request Entity Too Large"),
        ({"CONTENT_LENGTH": "9" * 4000}, "413 Request Entity Too Large"),
        ({"CONTENT_LENGTH": "-1"}, "400 Bad Request"),
        ({"CONTENT_LENGTH": "\uff11"}, "400 Bad Request"),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, "411 Length Required"),
    ],
)
def test_what_is_too_large_or_of_no_known_length_is_not_read(environ, status):
    told = ask({}, **environ)
    assert told[0] == status
    assert (told[2] is None) == (status != "200 OK")


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "get", "PROPFIND", ""])
def test_methods_that_nothing_here_has_are_not_answered(method):
    assert ask({}, REQUEST_METHOD=method)[::2] == ("501 Not Implemented", None)
