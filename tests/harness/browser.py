"""A real headless Chromium (Debian's) in which people look at a console, and all that was wrong with what they saw.

Whoever uses it sees to it that nothing was wrong: `Browser.nothing_wrong`.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, Response, sync_playwright

from harness.waiting import PATIENCE_SECONDS

CHROMIUM = Path("/usr/bin/chromium")
WIDE, PHONE = (1280, 900), (375, 812)
SERIOUS = ("serious", "critical")
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa")
_ARGUMENTS = ("--disable-gpu", "--disable-background-networking", "--no-pings")
_OF_STATUS = "Failed to load resource: the server responded with a status"
"""Chromium's words on any answer from 400 on; those of pages are looked at by stories, of all else by `Browser`."""
_LISTEN = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error("securitypolicyviolation", event.violatedDirective, event.blockedURI, event.sourceFile));
"""


def why_not() -> str | None:
    """Why no browser can be started here; None if one can."""
    return None if os.access(CHROMIUM, os.X_OK) else "Chromium is not installed (apt-get install chromium)"


class Browser:
    """One for all people of a story; `name` and `port` are the only ones that it can reach.

    It starts when the first person comes, and takes the certificate that is shown then, and no other.
    """

    def __init__(self, name: str, port: int) -> None:
        self.url = f"https://{name}:{port}"
        self.wrong: list[str] = []
        self._place = name, port
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @functools.cached_property
    def _browser(self) -> Chromium:
        name, port = self._place
        playwright = self._held.enter_context(sync_playwright())
        return self._held.enter_context(
            playwright.chromium.launch(
                executable_path=CHROMIUM,
                args=[
                    *_ARGUMENTS,
                    f"--host-resolver-rules=MAP {name} 127.0.0.1, MAP * ~NOTFOUND",
                    f"--ignore-certificate-errors-spki-list={_key_digest(port)}",
                ],
                timeout=PATIENCE_SECONDS * 1000,
            )
        )

    def person(self, **options: Any) -> Person:
        """Somebody with a browser that knows nothing of the others' sessions. `options` of a Playwright context."""
        context = self._browser.new_context(
            base_url=self.url, reduced_motion="reduce", viewport=dict(zip(("width", "height"), WIDE, strict=True)),
            **options,
        )  # fmt: skip
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        context.add_init_script(_LISTEN)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.wrong.append(f"script: {error.error}"))
        context.on("request", self._asked)
        context.on("response", self._answered)
        return Person(context)

    def nothing_wrong(self) -> None:
        """Since last asked: no violation of the policy, error of a script, request elsewhere; nothing was missing."""
        wrong, self.wrong = self.wrong, []
        assert not wrong, "\n".join(wrong)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(_OF_STATUS):
            self.wrong.append(f"{message.page and message.page.url}: {message.text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "data:")):
            self.wrong.append(f"a request elsewhere: {request.url}")

    def _answered(self, response: Response) -> None:
        of_page = response.request.resource_type == "document"
        if response.status >= (500 if of_page else 400):
            self.wrong.append(f"{response.status} of {urlsplit(response.url).path}")


class Person:
    """At a page. `clicks` counts what they pressed."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.page: Page = context.new_page()
        self.clicks = 0

    def open(self, path: str) -> int:
        """Go to a page of the console; its status. A link's secret stays behind the #."""
        answer = self.page.goto(path)
        assert answer is not None
        return answer.status

    def fill(self, **fields: str) -> None:
        """What is typed into fields, by their labels: `Email_address="anna@alpha.example"`."""
        for label, text in fields.items():
            self.page.get_by_label(label.replace("_", " "), exact=True).fill(text)

    def press(self, name: str, role: Any = "button", *, within: Locator | None = None) -> None:
        """Press what leads to another page (of several the first), and be there."""
        self.follow((within or self.page).get_by_role(role, name=name, exact=True).first)

    def follow(self, link: Locator) -> None:
        """As `press`."""
        self.clicks += 1
        with self.page.expect_navigation():
            link.click()

    def attend_to(self, title: str) -> None:
        """Follow what the start page offers to do about something that needs attention."""
        self.follow(self.page.locator(".attention li").filter(has_text=title).get_by_role("link"))

    def sign_in(self, email: str, password: str) -> None:
        """By a password, from wherever that leads."""
        self.open("/account/login/")
        self.fill(Email=email, Password=password)
        self.press("Sign in")

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path

    @property
    def text(self) -> str:
        """What the page says, but for the menu."""
        return self.page.locator("main").inner_text()

    def cookies(self) -> dict[str, Any]:
        """By name."""
        return {one["name"]: one for one in self.context.cookies()}

    def authenticator(self) -> VirtualAuthenticator:
        """A device with passkeys, from now on, in this page (WebAuthn level 3 §11)."""
        return VirtualAuthenticator(self)

    @contextlib.contextmanager
    def at_home(self) -> Iterator[None]:
        """What is pressed in this block counts from the start page."""
        self.open("/")
        self.clicks = 0
        yield
        assert self.clicks <= 2, f"{self.clicks} clicks"

    def unfold(self, few: int) -> None:
        """Open what is folded up in the page, the first few of it."""
        folded = self.page.locator("main details")
        folded.evaluate_all("(all, few) => all.slice(0, few).forEach((one) => { one.open = true; })", few)

    def no_barriers(self) -> None:
        """The page as it is has none, of WCAG 2.2 AA, that axe sees: on a wide screen in light, on a phone in dark."""
        found = self._barriers(WIDE, "light") + self._barriers(PHONE, "dark")
        self._sit_at(WIDE, "light")
        assert not found, "\n".join(found)

    def _barriers(self, size: tuple[int, int], scheme: Literal["light", "dark"]) -> list[str]:
        self._sit_at(size, scheme)
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE_SCRIPT)  # by the debugging protocol, so the page's policy need not allow it
        options = {"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"]}
        found = self.page.evaluate("(options) => axe.run(document, options)", options)
        return [
            f"{self.path} {scheme} {size[0]}: {one['id']} ({one['impact']}): {node['html']}: {node['failureSummary']}"
            for one in found["violations"]
            for node in one["nodes"]
            if one["impact"] in SERIOUS
        ]

    def _sit_at(self, size: tuple[int, int], scheme: Literal["light", "dark"]) -> None:
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        self.page.emulate_media(color_scheme=scheme)


class VirtualAuthenticator:
    """Chromium's own, by the debugging protocol: a platform authenticator that knows its user."""

    def __init__(self, person: Person) -> None:
        self._session = person.context.new_cdp_session(person.page)
        self._session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
            "isUserVerified": True, "automaticPresenceSimulation": True,
        }  # fmt: skip
        made = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self._id = {"authenticatorId": made["authenticatorId"]}

    def credentials(self) -> list[dict[str, Any]]:
        """What it holds."""
        found: list[dict[str, Any]] = self._session.send("WebAuthn.getCredentials", self._id)["credentials"]
        return found

    def knows_its_user(self, *, verified: bool) -> None:
        """Whether the finger fits from now on."""
        self._session.send("WebAuthn.setUserVerified", self._id | {"isUserVerified": verified})


def _key_digest(port: int) -> str:
    """SHA-256 of the key of the certificate that is shown at a port of loopback, as Chromium wants it."""
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()
