"""The sample mails: what is sent, what becomes of it, and whether that is what should have become of it."""

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from demo.company import Company
from demo.gnupg import Gnupg
from demo.peer import OUTSIDE_ADDRESS, Internet, Mail, Peer, transfer
from demo.pki import Authority

ANNA, BERT, NEWS = "anna@alpha.example", "bert@alpha.example", "news@alpha.example"
BEA, BOB = "bea@beta.example", "bob@beta.example"
CAROL = "carol@gamma.example"
DANA, DIRK = "dana@delta.example", "dirk@delta.example"
SECRET = b"The merger is on the 14th."
REFUSED = 550
PATIENCE_SECONDS = 60.0

T = TypeVar("T")


@dataclass(frozen=True)
class Stage:
    """Everything that stands in the demo. `inboxes` by domain; `elsewhere` has the mailboxes of everyone else.

    `gnupg` is the mail program of Delta, who have no gateway.
    """

    folder: Path
    alpha: Company
    beta: Company
    inboxes: dict[str, Peer]
    internet: Internet
    elsewhere: Peer
    gnupg: Gnupg


@dataclass(frozen=True)
class Told:
    """What became of a sample: rows to show (what, value), and checks (what, whether it is so)."""

    rows: list[tuple[str, str]]
    checks: list[tuple[str, bool]]


@dataclass(frozen=True)
class Sample:
    """A title, a line that says what is shown, and the act."""

    title: str
    about: str
    act: Callable[[Stage], Told]


def letter(sender: str, to: str, subject: str, *, fields: str = "", text: bytes = SECRET) -> bytes:
    """A plain mail as a mail program writes it."""
    return (
        f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n{fields}Date: Mon, 02 Mar 2026 10:00:00 +0000\r\n"
        f"Message-ID: <{abs(hash((sender, to, subject)))}@{sender.partition('@')[2]}>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    ).encode() + text + b"\r\n"  # fmt: skip


def wait_until(found: Callable[[], T], otherwise: str) -> T:
    """What is found, once that is something."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not (it := found()):
        if time.monotonic() > until:
            raise TimeoutError(otherwise)
        time.sleep(0.1)
    return it


def seen_on_the_wire(mail: Mail) -> Iterator[tuple[str, str]]:
    """What somebody who listens between the companies learns."""
    kind = (mail.header("Content-Type") or "no Content-Type").split(";")
    words = [word.strip() for word in kind if "boundary" not in word]
    yield "on the wire", "; ".join(words[:3])
    yield "", "the text can be read there" if SECRET in mail.octets else "the text cannot be read there"


def form_of(mail: Mail) -> str:
    """In which form a mail is."""
    kind = (mail.header("Content-Type") or "").partition(";")[0]
    if kind == "text/plain" and b"\r\n-----BEGIN PGP MESSAGE-----\r\n" in mail.octets:
        return "OpenPGP in the text (inline), encrypted"
    forms = {
        "application/pkcs7-mime": "S/MIME, encrypted",
        "multipart/encrypted": "PGP/MIME, encrypted",
        "multipart/signed": "signed, readable",
    }
    return forms.get(kind, "readable")


def delivered(mail: Mail) -> Iterator[tuple[str, str]]:
    """What the reader's mail program gets."""
    yield "delivered to", ", ".join(mail.recipients)
    yield "Subject", mail.header("Subject") or ""
    if results := mail.header("Authentication-Results"):
        yield "Authentication-Results", results
    yield from mail.result_headers()
    yield "text", "readable" if SECRET in mail.octets else "not readable"


def protected(stage: Stage) -> Told:
    """Signed by Alpha's gateway, encrypted for Bea, opened and verified by Beta's."""
    return _between(stage, stage.alpha, ANNA, BEA, "Merger")


def answered(stage: Stage) -> Told:
    """The other direction, with elliptic curve keys."""
    return _between(stage, stage.beta, BOB, BERT, "Re: Merger")


def _between(stage: Stage, company: Company, sender: str, to: str, subject: str) -> Told:
    inbox = stage.inboxes[to.partition("@")[2]]
    before, on_wire = len(inbox.mails), len(stage.internet.mails)
    code, text = transfer(company.port, sender, [to], letter(sender, to, subject))
    wire = stage.internet.wait(on_wire + 1)
    arrived = inbox.wait(before + 1)
    marks = dict(arrived.result_headers())
    return Told(
        [("reply", f"{code} {text}"), *seen_on_the_wire(wire), *delivered(arrived)],
        [
            ("nobody on the way could read it", SECRET not in wire.octets),
            ("the reader can", SECRET in arrived.octets),
            ("it came encrypted", marks.get("X-Mailseal-Decrypted") == "yes"),
            ("it is signed by the sender", marks.get("X-Mailseal-Signed-By-Sender") == "yes"),
            ("and by his domain (DKIM)", "dkim=pass" in (arrived.header("Authentication-Results") or "")),
        ],
    )


def refused(stage: Stage) -> Told:
    """Anna demands encryption; Carol has no certificate: the mail does not leave. Postfix has taken it, and reports."""
    inbox, on_wire = stage.inboxes[stage.alpha.domain], len(stage.internet.mails)
    code, text = transfer(stage.alpha.port, ANNA, [CAROL], letter(ANNA, CAROL, "[encrypt] Merger"))
    rows, checks = [("reply", f"{code} {text}")], [("it is refused", code == REFUSED)]
    if stage.alpha.with_postfix:
        report = inbox.wait_for("Undelivered Mail")
        said = report.delivery_status("Diagnostic-Code")
        rows += [("report to Anna", said.removeprefix("smtp; "))]
        checks = [("it is refused", str(REFUSED) in said), ("the report quotes nothing", SECRET not in report.octets)]
    return Told(rows, [*checks, ("nothing has left", len(stage.internet.mails) == on_wire)])


def untouched(stage: Stage) -> Told:
    """A sender without a key, a reader without a certificate: octet for octet as it came."""
    before = len(stage.elsewhere.mails)
    octets = letter(NEWS, CAROL, "Our newsletter", text=b"Nothing secret.")
    code, text = transfer(stage.alpha.port, NEWS, [CAROL], octets)
    arrived = stage.elsewhere.wait(before + 1)
    added = len(arrived.octets) - len(octets)
    lines = arrived.octets[:added].decode("ascii", "replace").split("\r\n")
    names = dict.fromkeys(line.partition(":")[0] for line in lines if line[:1].strip())
    return Told(
        [("reply", f"{code} {text}"), ("added", f"{', '.join(names)} on top ({added} octets); the rest is the same")],
        [
            ("not an octet was changed", arrived.octets.endswith(octets)),
            ("its domain has signed it", "DKIM-Signature" in names),
        ],
    )


def forged(stage: Stage) -> Told:
    """Mallory signs as Mallory, writes Anna into From, and our marks into the header and the subject."""
    mallory = Authority("Mallory & Sons").person("Mallory", "mallory@mallory.example")
    (stage.folder / "mallory.pem").write_bytes(mallory.pem)
    (stage.folder / "mallory.key").write_bytes(mallory.key_pem)
    signed = openssl(
        "cms", "-sign", "-signer", str(stage.folder / "mallory.pem"), "-inkey", str(stage.folder / "mallory.key"),
        given=b"Content-Type: text/plain\r\n\r\nPlease pay to my new account.\r\n",
    )  # fmt: skip
    top = (
        f"From: {ANNA}\r\nTo: {BEA}\r\nSubject: Invoice [signed by {ANNA}]\r\n"
        "X-Mailseal-Signed-By-Sender: yes\r\n"
    ).encode()  # fmt: skip
    inbox = stage.inboxes[stage.beta.domain]
    before = len(inbox.mails)
    octets = top + signed.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    code, text = transfer(stage.beta.port, ANNA, [BEA], octets, source=OUTSIDE_ADDRESS)
    arrived = inbox.wait(before + 1)
    marks = dict(arrived.result_headers())
    return Told(
        [("Subject sent", f"Invoice [signed by {ANNA}]"), ("reply", f"{code} {text}"), *list(delivered(arrived))[:-1]],
        [
            ("it is not shown as signed by Anna", marks.get("X-Mailseal-Signed-By-Sender") == "no"),
            ("the forged tag is gone", f"[signed by {ANNA}]" not in (arrived.header("Subject") or "")),
        ],
    )


def to_everybody(stage: Stage) -> Told:
    """Bert is a colleague, Bea has a certificate, Dana and Dirk have OpenPGP keys, Carol has nothing."""
    readers = [BERT, BEA, DANA, DIRK, CAROL]
    inbox, on_wire = stage.inboxes[stage.alpha.domain], len(stage.internet.mails)
    before = len(inbox.mails)
    code, text = transfer(stage.alpha.port, ANNA, readers, letter(ANNA, ", ".join(readers), "Merger: the date"))
    stage.internet.wait(on_wire + len(readers) - 1)
    copies = {one: copy for copy in stage.internet.mails[on_wire:] for one in copy.recipients}
    stage.gnupg.learn_from(copies[DANA])
    opened = [stage.gnupg.read(copies[one].octets) for one in (DANA, DIRK)]
    rows = [(BERT, f"inside: {form_of(inbox.wait(before + 1))}")]
    rows += [(one, f"on the wire: {form_of(copies[one])}") for one in readers[1:]]
    return Told(
        [("reply", f"{code} {text}"), *rows],
        [
            ("one mail has left in four forms", len({form_of(one) for one in copies.values()}) == 4),
            ("who has a key gets it encrypted", all(SECRET not in copies[one].octets for one in (BEA, DANA, DIRK))),
            ("gpg opens what went to Dana and Dirk", all(SECRET in content for content, _ in opened)),
            ("and verifies Anna's signature", all(good for _, good in opened)),
        ],
    )


def by_gpg(stage: Stage) -> Told:
    """To Anna's key, which her mail has brought along."""
    entity = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + SECRET + b"\r\n"
    head = f"From: Dana <{DANA}>\r\nTo: {ANNA}\r\nSubject: Re: Merger: the date\r\nMIME-Version: 1.0\r\n".encode()
    inbox = stage.inboxes[stage.alpha.domain]
    before, on_wire = len(inbox.mails), len(stage.internet.mails)
    octets = head + stage.gnupg.write(DANA, ANNA, entity)
    code, text = transfer(stage.internet.port, DANA, [ANNA], octets)
    wire = stage.internet.wait(on_wire + 1)
    arrived = inbox.wait(before + 1)
    marks = dict(arrived.result_headers())
    return Told(
        [("reply", f"{code} {text}"), *seen_on_the_wire(wire), *delivered(arrived)],
        [
            ("nobody on the way could read it", SECRET not in wire.octets),
            ("the reader can", SECRET in arrived.octets),
            ("it is signed by the sender", marks.get("X-Mailseal-Signed-By-Sender") == "yes"),
        ],
    )


SAMPLES = (
    Sample(
        "Anna of Alpha writes to Bea of Beta",
        "a plain mail leaves her mail program; the gateways do the rest",
        protected,
    ),
    Sample("Bob of Beta writes to Bert of Alpha", "the other direction, with elliptic curve keys", answered),
    Sample(
        "Anna demands encryption for Carol",
        "[encrypt] in the subject; Carol of gamma.example has no certificate",
        refused,
    ),
    Sample("The newsletter to Carol", "no key, no certificate, no demand: nothing to do", untouched),
    Sample("Mallory pretends to be Anna", "a signature of someone else, and our own marks forged", forged),
    Sample(
        "Anna writes to five people at once",
        "a colleague, Beta, two of Delta who have OpenPGP only, and Carol: each gets the mail in a form they can read",
        to_everybody,
    ),
    Sample(
        "Dana of Delta answers by gpg", "her program signs and encrypts by OpenPGP; Alpha's gateway opens it", by_gpg
    ),
)


def openssl(*arguments: str, given: bytes = b"") -> bytes:
    """Run openssl; CalledProcessError if it fails."""
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True, timeout=30).stdout
