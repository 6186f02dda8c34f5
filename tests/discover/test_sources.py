"""Web Key Directory and key servers, as URLs and against a server; the hash by the draft's own example."""

import json

import pytest

from mailseal.discover.fetch import Answer, FetchError, UnknownHostError
from mailseal.discover.key_servers import Hkp, Vks, key_server
from mailseal.discover.wkd import WebKeyDirectory, advanced_url, direct_url, zbase32
from mailseal.mail.address import Address

JOE = Address.parse("Joe.Doe@Example.ORG")
HU = "iy9q119eutrkn8s1mk4r39qejnbu3n5q"
ADVANCED = f"https://openpgpkey.example.org/.well-known/openpgpkey/example.org/hu/{HU}?l=Joe.Doe"
DIRECT = f"https://example.org/.well-known/openpgpkey/hu/{HU}?l=Joe.Doe"


class Web:
    """Stands for a Fetcher, whose own tests are in test_fetch: answers by URL, notes what was asked."""

    def __init__(self, **answers):
        self.answers = {}
        self.asked = []

    def says(self, url, status, body=b""):
        self.answers[url] = Answer(status, body, url)
        return self

    def get(self, url, *, any_port=False):
        self.asked.append(url)
        if url not in self.answers:
            raise UnknownHostError("no such host")
        if isinstance(self.answers[url], Exception):
            raise self.answers[url]
        return self.answers[url]

    def post(self, url, body, content_type, *, any_port=False):
        self.asked.append((url, body, content_type))
        return self.answers[url]


def test_the_urls_of_the_draft():
    assert advanced_url(JOE) == ADVANCED
    assert direct_url(JOE) == DIRECT


def test_zbase32_of_lengths_that_are_no_multiple_of_five():
    assert zbase32(b"") == ""
    assert zbase32(b"\x00") == "yy"
    assert zbase32(b"\xf0\xbf\xc7") == "6n9hq"


def test_only_ascii_letters_count_in_any_case():
    def file(text):
        return direct_url(Address.parse(text)).split("?")[0]

    assert file("ÄA@example.org") == file("Äa@example.org")
    assert file("äa@example.org") != file("Äa@example.org")


def test_advanced_first_and_direct_only_without_the_subdomain():
    web = Web().says(ADVANCED, 200, b"ring")
    assert WebKeyDirectory(web).keys_of(JOE) == b"ring"
    assert web.asked == [ADVANCED]
    web = Web().says(ADVANCED, 404).says(DIRECT, 200, b"ring")
    assert WebKeyDirectory(web).keys_of(JOE) == b""
    assert web.asked == [ADVANCED]
    web = Web().says(DIRECT, 200, b"ring")
    assert WebKeyDirectory(web).keys_of(JOE) == b"ring"


@pytest.mark.parametrize("status", [500, 403, 301, 429])
def test_another_status_says_nothing(status):
    with pytest.raises(FetchError, match=str(status)):
        WebKeyDirectory(Web().says(ADVANCED, status)).keys_of(JOE)


def test_a_fault_does_not_make_the_direct_method_count():
    web = Web().says(DIRECT, 200, b"ring")
    web.answers[ADVANCED] = FetchError("no answer in time")
    with pytest.raises(FetchError):
        WebKeyDirectory(web).keys_of(JOE)


def test_vks():
    web = Web().says("https://keys.example/vks/v1/by-email/Joe.Doe%40example.org", 200, b"ring")
    server = key_server(web, "https://keys.example/")
    assert isinstance(server, Vks)
    assert server.keys_of(JOE) == b"ring"


def test_vks_upload_asks_for_the_addresses_that_are_not_published():
    web = Web()
    web.says(
        "https://keys.example/vks/v1/upload", 200, b'{"token": "t", "status": {"Joe.Doe@example.org": "unpublished"}}'
    )
    web.says("https://keys.example/vks/v1/request-verify", 200, b'{"token": "t", "status": {}}')
    said = key_server(web, "https://keys.example").publish("armor", [JOE])
    assert "Joe.Doe@example.org" in said
    assert json.loads(web.asked[1][1]) == {"token": "t", "addresses": ["Joe.Doe@example.org"]}
    web.says(
        "https://keys.example/vks/v1/upload", 200, b'{"token": "t", "status": {"Joe.Doe@example.org": "published"}}'
    )
    assert key_server(web, "https://keys.example").publish("armor", [JOE]) == "published"


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"status": 1, "token": 2}', b"[" * 100_000, b"\xff"])
def test_vks_that_answers_with_something_else(body):
    web = Web().says("https://keys.example/vks/v1/upload", 200, body)
    with pytest.raises(FetchError, match="something else"):
        key_server(web, "https://keys.example").publish("armor", [JOE])


def test_hkp():
    url = "https://keys.example:8443/pks/lookup?op=get&options=mr&exact=on&search=Joe.Doe%40example.org"
    web = Web().says(url, 200, b"ring").says("https://keys.example:8443/pks/add", 200)
    server = key_server(web, "hkps://keys.example:8443")
    assert isinstance(server, Hkp)
    assert server.keys_of(JOE) == b"ring"
    assert server.publish("a+b", [JOE]) == "published"
    assert web.asked[-1][1] == b"keytext=a%2Bb"
    with pytest.raises(FetchError, match="400"):
        key_server(Web().says("https://k.example/pks/add", 400), "hkps://k.example").publish("a", [JOE])
