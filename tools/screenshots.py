"""`make screenshots`: the pictures of the console in docs/pictures, of a gateway of its own with made-up mail.

    python tools/screenshots.py [--out docs/pictures] [--port 8843] [NAME …]

The gateway is a real one on loopback: its people have real certificates, what it holds was sent to it. Debian's
Chromium looks at it, with Inter for the system's font, so that pictures are the same on every machine.
"""

import argparse
import json
import os
import re
import signal
import smtplib
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from ssl import CERT_NONE, SSLContext, create_default_context

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

import sample_log  # noqa: E402 -- beside this file

from pki import Authority  # noqa: E402 -- of the tests, demo and bench

CHROMIUM = "/usr/bin/chromium"
ADMIN, PASSWORD = "ada.winter@northwind.example", "correct-horse-battery-staple-42"
DESKTOP, PHONE = ViewportSize(width=1360, height=850), ViewportSize(width=390, height=844)
SCALE = 1.5
START_SECONDS = 60
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<include ignore_missing="yes">/etc/fonts/fonts.conf</include>{}</fontconfig>"""
FONT = """<match target="pattern"><test name="family"><string>{}</string></test>
<edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>"""
CARDS = "Please charge 4111 1111 1111 1111, 5500 0000 0000 0004 and 3400 0000 0000 009.\r\n"


@dataclass(frozen=True)
class Picture:
    """`path` may have a {name} that the made-up data has; `do` fills in something first; `whole`: all of the page."""

    name: str
    path: str
    phone: bool = False
    dark: bool = False
    do: str = ""
    whole: bool = False


PICTURES = (
    Picture("start", "/", whole=True),
    Picture("start-dark", "/", dark=True, whole=True),
    Picture("start-phone", "/", phone=True),
    Picture("messages", "/mails/"),
    Picture("messages-phone", "/mails/", phone=True, dark=True),
    Picture("mail", "/mails/{mail}/"),
    Picture("simulator", "/simulator/?sender=anna.keller@northwind.example", do="simulate", whole=True),
    Picture("settings", "/settings/?owner=northwind.example"),
    Picture("address", "/addresses/anna.keller@northwind.example/"),
    Picture("keys", "/keys/?days=365"),
    Picture("quarantine", "/quarantine/"),
    Picture("held", "/quarantine/{held}/"),
    Picture("audit", "/audit/"),
    Picture("api", "/api/docs/"),
    Picture("sign-in", "/account/login/", do="signed-out"),
)


class Gateway:
    """A gateway in a folder, with its command."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.config = folder / "mailseal.toml"
        self.url = f"https://localhost:{port}"

    def run(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "mailseal", "--config", str(self.config), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    @contextmanager
    def serving(self) -> Iterator[None]:
        with (self.folder / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "mailseal", "--config", str(self.config), "serve"], stdout=log, stderr=log
            )
            try:
                self._wait()
                yield
            except BaseException:
                print((self.folder / "log").read_text()[-2000:], file=sys.stderr)
                raise
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(90)

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            with suppress(OSError), urllib.request.urlopen(self.url, context=blind(), timeout=5):
                return
            time.sleep(0.3)
        raise SystemExit(f"the gateway did not start; see {self.folder / 'log'}")


def blind() -> SSLContext:
    context = create_default_context()
    context.check_hostname, context.verify_mode = False, CERT_NONE
    return context


def furnish(gateway: Gateway, smtp: int) -> str:
    """Domains, people, keys, settings; returns the link by which the administrator sets a password."""
    gateway.run(
        "init", "--data", str(gateway.folder / "data"), "--hostname", "localhost", "--smtp", f"127.0.0.1:{smtp}",
        "--web", f"127.0.0.1:{gateway.port}", *(f"--internal-domain={one}" for one in sample_log.INSIDE),
    )  # fmt: skip
    text = gateway.config.read_text().replace(
        "# smtp_authorised_networks = []", 'smtp_authorised_networks = ["127.0.0.0/8"]'
    )
    gateway.config.write_text(text)
    keys(gateway)
    for owner, name, value in (
        ("--domain=northwind.example", "mode", "force"),
        ("--domain=northwind.example", "on_failure", "quarantine"),
        ("--domain=hospital-west.example", "mode", "mandatory"),
        ("--domain=clinic.example", "sign_only_when_encrypting", "yes"),
        ("--address=hr@northwind.example", "mode", "mandatory"),
    ):
        gateway.run("settings", "set", owner, name, value)
    gateway.run("dlp", "pattern", "add", "credit-card", "--expression", r"(?:\d[ -]?){13,19}", "--validator", "luhn",
                "--threshold", "3", "--action", "quarantine", "--mask", "last4")  # fmt: skip
    gateway.run("dlp", "assign", "credit-card", "--global")
    for email, role in (
        ("bo.lindgren@northwind.example", "auditor"),
        ("c.marin@clinic.example", "quarantine-reviewer"),
    ):
        gateway.run("admin", "create", email, "--role", role)
    told = json.loads(gateway.run("admin", "create", ADMIN, "--name", "Ada Winter", "--json"))
    return next(str(value) for value in told.values() if str(value).startswith("https://"))


def keys(gateway: Gateway) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    day = timedelta(days=1)
    root = Authority("Northwind Root CA", not_before=now - 900 * day, not_after=now + 2700 * day)
    (gateway.folder / "root.pem").write_bytes(root.pem)
    (gateway.folder / "password").write_text("secret")
    gateway.run("root", "import", str(gateway.folder / "root.pem"))
    ends = {"anna.keller": 12, "b.okafor": 25, "chen.wei": 190, "daniela.rossi": 300, "finance": 320, "hr": 64}
    for name, days in ends.items():
        one = root.issue(
            f"{name}@northwind.example", not_before=now - 300 * day, not_after=now + days * day, fresh_key=True
        )
        (gateway.folder / f"{name}.p12").write_bytes(one.p12())
        gateway.run(
            "cert", "import", "--password-file", str(gateway.folder / "password"), str(gateway.folder / f"{name}.p12")
        )
    for number, partner in enumerate(sample_log.PARTNERS[:6]):
        if not partner.startswith("dr.haas"):
            one = root.issue(
                partner, not_before=now - 100 * day, not_after=now + (20 + 70 * number) * day, fresh_key=True
            )
            (gateway.folder / f"{number}.pem").write_bytes(one.pem)
            gateway.run("cert", "import", str(gateway.folder / f"{number}.pem"))


def send(smtp: int) -> None:
    """Mails that are held, for DLP and because they must be encrypted and cannot be."""
    mails = (
        ("finance@northwind.example", "orders@supplier-one.example", "Cards for the conference", CARDS),
        ("hr@northwind.example", "j.doe@recruiting.example", "Offer letter", "As discussed.\r\n"),
        (
            "anna.keller@northwind.example",
            "dr.haas@hospital-west.example",
            "Lab results, patient 20417",
            "Attached.\r\n",
        ),
        ("office@clinic.example", "payroll@ledgerworks.example", "Corporate cards", CARDS),
    )
    with smtplib.SMTP("127.0.0.1", smtp, timeout=60) as client:
        for number, (sender, recipient, subject, text) in enumerate(mails):
            fields = (
                f"From: {sender}", f"To: {recipient}", f"Subject: {subject}",
                f"Message-ID: <held-{number}@northwind.example>", "", text,
            )  # fmt: skip
            client.sendmail(sender, [recipient], "\r\n".join(fields).encode())


def sample(gateway: Gateway) -> None:
    """A week of mail, and what the gateway finds of itself."""
    from mailseal.store import findings  # noqa: PLC0415 -- after it is registered
    from mailseal.store.configure import register, use  # noqa: PLC0415 -- same

    register()
    use(f"sqlite://{gateway.folder}/data/database/mailseal.db", node="mx1")
    sample_log.fill()
    found = [{"check": "all", "status": "ok", "text": "well", "what_to_do": ""}] * 27
    resolver = "the resolver 127.0.0.53 does not validate DNSSEC: DANE cannot be used"
    what = "set dns.servers to one that does, best on this machine"
    findings.keep([*found, {"check": "resolver", "status": "warn", "text": resolver, "what_to_do": what}])


def sign_in(page: Page, gateway: Gateway, link: str) -> None:
    page.goto(re.sub(r"^https://[^/]+", gateway.url, link))
    for field in page.locator("input[type=password]").all():
        field.fill(PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_load_state()
    page.goto(f"{gateway.url}/account/login/")
    if page.locator("input[type=email], input[name=login]").count():
        page.locator("input[name=login]").fill(ADMIN)
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator("main form button[type=submit]").first.click()
        page.wait_for_load_state()


def ids(page: Page, gateway: Gateway) -> dict[str, str]:
    """A mail that was tried twice, and one that is held."""
    page.goto(f"{gateway.url}/mails/?reason=lookup-running&fate=deferred")
    mail = page.locator("tbody a").first.get_attribute("href") or ""
    page.goto(f"{gateway.url}/quarantine/")
    held = page.locator("main a[href*='/quarantine/']").evaluate_all("all => all.map(one => one.getAttribute('href'))")
    found = [match[1] for one in held if (match := re.match(r"/quarantine/([0-9a-f-]{36})/", one))]
    return {"mail": mail.strip("/").rpartition("/")[2], "held": found[0]}


def take(browser: Browser, state: str, gateway: Gateway, picture: Picture, names: dict[str, str], out: Path) -> None:
    context = browser.new_context(
        viewport=PHONE if picture.phone else DESKTOP, device_scale_factor=SCALE,
        color_scheme="dark" if picture.dark else "light",
        ignore_https_errors=True, storage_state=None if picture.do == "signed-out" else state, locale="en-GB",
    )  # fmt: skip
    page = context.new_page()
    answer = page.goto(gateway.url + picture.path.format(**names))
    if answer is None or not answer.ok:
        raise SystemExit(f"{picture.path}: {answer and answer.status}")
    if picture.do == "simulate":
        page.fill("#id_recipients", "orders@supplier-one.example\ndr.haas@hospital-west.example\nhr@clinic.example")
        page.locator("main form button[type=submit]").click()
        page.wait_for_load_state()
    if picture.whole:
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size(ViewportSize(width=DESKTOP["width"], height=height))
    page.screenshot(path=out / f"{picture.name}.png")
    print(f"{picture.name}.png")
    context.close()


def look(gateway: Gateway, link: str, fonts: Path, wanted: list[Picture], out: Path) -> None:
    with sync_playwright() as playwright:
        environment = {**os.environ, "FONTCONFIG_FILE": str(fonts)}
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], env=environment)
        context = browser.new_context(ignore_https_errors=True)
        page = context.new_page()
        sign_in(page, gateway, link)
        state = str(gateway.folder / "state.json")
        context.storage_state(path=state)
        names = ids(page, gateway)
        for picture in wanted:
            take(browser, state, gateway, picture, names, out)
        browser.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    options.add_argument("names", nargs="*", metavar="NAME")
    options.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    options.add_argument("--port", type=int, default=8843)
    given = options.parse_args()
    wanted = [one for one in PICTURES if not given.names or one.name in given.names]
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(Path(folder), given.port)
        link = furnish(gateway, given.port + 1)
        fonts = Path(folder) / "fonts.conf"
        fonts.write_text(FONTS.format("".join(map(FONT.format, ("sans", "sans-serif", "system-ui")))))
        with gateway.serving():
            send(given.port + 1)
            sample(gateway)
            look(gateway, link, fonts, wanted, given.out)


if __name__ == "__main__":
    main()
