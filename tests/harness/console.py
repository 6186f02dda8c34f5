"""A gateway with its console, as an administrator has it: people with accounts, a browser, and callers without one."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

from harness.browser import Browser, Person
from harness.folder import free_port
from harness.gateway import Gateway
from harness.sink import Sink
from harness.site import smtp_site
from harness.waiting import PATIENCE_SECONDS

HOST = "gate.alpha.example"
PASSWORD = "vier gruene Wolken im Regal"


@dataclass
class Answer:
    """Of the console to a caller."""

    status: int
    fields: Message
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def location(self) -> str:
        return self.fields["Location"] or ""

    @property
    def token(self) -> str:
        """The token of the page's forms against forgery."""
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.text)
        assert found is not None, self.text
        return found[1]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Caller:
    """A program that speaks HTTPS, keeps cookies and does nothing by itself; each request has its own connection."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)

    def __call__(self, method: str, path: str, body: bytes = b"", **fields: str) -> Answer:
        """`fields` of the header, `_` for `-`; one that is "" is not sent."""
        given = {
            "Host": f"{HOST}:{self.port}",
            "Cookie": "; ".join(f"{one}={two}" for one, two in self.cookies.items()),
        }
        given |= {name.replace("_", "-"): value for name, value in fields.items()}
        if body or method == "POST":
            given["Content-Length"] = given.get("Content-Length", str(len(body)))
        context = ssl._create_unverified_context()
        asking = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS, context=context)
        with contextlib.closing(asking):
            asking.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in given.items():
                if value:
                    asking.putheader(name, value)
            asking.endheaders(body)
            answer = asking.getresponse()
            told = Answer(answer.status, answer.msg, answer.read())
        for one in told.fields.get_all("Set-Cookie", []):
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(one).items()}
        return told

    def get(self, path: str, **fields: str) -> Answer:
        return self("GET", path, **fields)

    def post(self, path: str, form: Mapping[str, str], **fields: str) -> Answer:
        """A form as a browser sends it from a page of the console."""
        given = {"Origin": f"https://{HOST}:{self.port}", "Content_Type": "application/x-www-form-urlencoded"} | fields
        return self("POST", path, urlencode(form).encode(), **given)

    def send(self, path: str, page: str = "", **form: str) -> Answer:
        """Look at a page (`path` unless another is named) and send its form, with its token."""
        return self.post(path, {"csrfmiddlewaretoken": self.get(page or path).token, **form})

    def sign_in(self, email: str) -> Answer:
        answer = self.send("/account/login/", login=email, password=PASSWORD)
        assert answer.status == 302, answer.text
        return answer


@dataclass
class Console:
    """Everything of it, running. `smtp`: where mail comes in; `inside` and `outside` take what goes on."""

    gateway: Gateway
    port: int
    smtp: int
    inside: Sink
    outside: Sink
    browser: Browser
    _persons: dict[str, Person] = field(default_factory=dict)

    def caller(self, email: str = "") -> Caller:
        """A new one; signed in if it says as whom."""
        made = Caller(self.port)
        if email:
            made.sign_in(email)
        return made

    def person(self, email: str) -> Person:
        """Who has signed in in a browser of their own; the same one each time, at whatever page they were."""
        if email not in self._persons:
            self._persons[email] = made = self.browser.person()
            made.sign_in(email, PASSWORD)
            assert made.path == "/", made.text
        return self._persons[email]

    def admit(self, *people: str) -> None:
        """Accounts as `mailseal admin create` takes them: "anna@alpha.example --role pki"; their password is set."""
        told = self.gateway.type(*(f"admin create {one} --json" for one in people))
        for link in re.findall(r'"link": "[^"#]*#([\w-]+)"', told):
            answer = self.caller().send("/account/link/", code=link, password=PASSWORD, again=PASSWORD)
            assert answer.status == 302, answer.text


@contextlib.contextmanager
def console(name: str, *people: str, **tables: Mapping[str, object]) -> Iterator[Console]:
    """At `harness.site.smtp_site`, with accounts for people."""
    port = free_port()
    given = {"web": {"listen": f"127.0.0.1:{port}", **tables.pop("web", {})}, "top": {"workers": 1}, **tables}
    with smtp_site(name, **given) as (gateway, smtp, inside, outside):
        wait_for_certificate(gateway)
        with Browser(HOST, port) as browser:
            made = Console(gateway, port, smtp, inside, outside, browser)
            made.admit(*people)
            yield made


def wait_for_certificate(gateway: Gateway) -> None:
    """Until the console shows the certificate that it is going to show: the job worker makes it."""
    gateway.wait_until_said("web: the console shows the certificate ")
