"""The sample mails whose content decides: held and released; held as nobody can read it; encrypted or not at all."""

import email
import email.policy
import json
import shlex
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any

from demo.company import Company
from demo.documents import locked_zip, spreadsheet, text_document
from demo.peer import Mail, transfer
from demo.samples import ANNA, BEA, BERT, CAROL, REFUSED, Sample, Stage, Told, form_of, wait_until

CARDS = [f"4111 1111 1111 1{at:03}" for at in (38, 103, 178, 244, 319, 384, 459, 525, 590, 665, 731)]
"""As they are made up for tests: the check digits are good."""
PATTERNS = {"many-cards": "Many payment card numbers", "strictly-confidential": "Marked strictly confidential"}
HELD, DELETED, RELEASED = "Mail held for its content", "Held mail deleted", "Held mail released"
SPREADSHEET, DOCUMENT, ZIP = "customers.xlsx", "contract.docx", "figures.zip"


def held(stage: Stage) -> Told:
    """A spreadsheet with card numbers to Bea: held, looked at, released; then it leaves encrypted like any other."""
    alpha, on_wire = stage.alpha, len(stage.internet.mails)
    sheet = spreadsheet([("Customer", "Card"), *((f"Customer {at}", card) for at, card in enumerate(CARDS, 1))])
    code, text = transfer(alpha.port, ANNA, [BEA], letter(BEA, "Our customers", SPREADSHEET, sheet))
    one = _held(alpha, BEA)
    notices = [_notice(stage, reader, HELD, one["message"]) for reader in (ANNA, BERT)]
    left = len(stage.internet.mails) - on_wire
    shown = alpha.run("quarantine", "show", one["id"], "--json")
    release = ("quarantine", "release", one["id"], "--note", "agreed with Beta")
    alpha.run(*release)
    wire, arrived = stage.internet.wait(on_wire + 1), stage.inboxes[stage.beta.domain].wait_for("Our customers")
    _notice(stage, ANNA, RELEASED, one["message"])
    return Told(
        [
            ("reply", f"{code} {text}"),
            ("quarantine show", _findings(shown)),
            ("to Anna and Bert", f"“{HELD}”: {_found(notices[0])}"),
            ("", f"$ mailseal {shlex.join(release)}"),
            ("on the wire", form_of(wire)),
            ("to Anna", f"“{RELEASED}”"),
            ("quarantine events", _events(alpha, one["id"])),
        ],
        [
            ("nothing had left before", not left),
            ("it says what for", _says(shown, PATTERNS["many-cards"], SPREADSHEET)),
            ("who looks sees no whole number", not _has_a_card(shown)),
            ("nor who is told", not any(map(_has_a_card, map(_text, notices)))),
            ("nobody on the way could read it", form_of(wire) == "S/MIME, encrypted"),
            ("Bea has the very file", _attached(arrived, SPREADSHEET) == sheet),
        ],
    )


def locked(stage: Stage) -> Told:
    """A zip with a password to Carol: nobody can say what is in it, so it is held, and deleted."""
    alpha, on_wire = stage.alpha, len(stage.internet.mails)
    octets = locked_zip("figures.csv", "\n".join(CARDS).encode(), b"swordfish")
    (stage.folder / ZIP).write_bytes(octets)
    code, text = transfer(alpha.port, ANNA, [CAROL], letter(CAROL, "The figures", ZIP, octets))
    one = _held(alpha, CAROL)
    delete = ("quarantine", "delete", one["id"], "--yes", "--note", "by the portal, please")
    alpha.run(*delete)
    why = ", ".join(one["findings"])
    for reader, subject in ((ANNA, HELD), (BERT, HELD), (ANNA, DELETED)):
        _notice(stage, reader, subject, one["message"])
    return Told(
        [
            ("reply", f"{code} {text}"),
            ("quarantine list", why),
            ("", f"$ mailseal {shlex.join(delete)}"),
            ("to Anna", f"“{HELD}”, “{DELETED}”"),
        ],
        [
            ("what cannot be read does not leave", len(stage.internet.mails) == on_wire),
            ("it says why", "encrypted" in why),
        ],
    )


def marked(stage: Stage) -> Told:
    """Words within a document make encryption mandatory: Bea gets it, Carol, who has no key, does not."""
    alpha, inbox, on_wire = stage.alpha, stage.inboxes[stage.alpha.domain], len(stage.internet.mails)
    document = text_document(["Contract", "Strictly confidential. The price is on page two."])
    before = len(inbox.mails)
    transfer(alpha.port, ANNA, [BEA], letter(BEA, "The contract", DOCUMENT, document))
    wire = stage.internet.wait(on_wire + 1)
    code, text = transfer(alpha.port, ANNA, [CAROL], letter(CAROL, "The contract", DOCUMENT, document))
    said = f"{code} {text}"
    if alpha.with_postfix:
        said = inbox.wait(before + 1).delivery_status("Diagnostic-Code").removeprefix("smtp; ")
    return Told(
        [("to Bea", f"on the wire: {form_of(wire)}"), ("to Carol", said)],
        [
            ("Bea gets it encrypted", form_of(wire) == "S/MIME, encrypted"),
            ("to Carol nothing has left", said.startswith(str(REFUSED)) and len(stage.internet.mails) == on_wire + 1),
        ],
    )


def letter(to: str, subject: str, name: str, attached: bytes) -> bytes:
    """A mail of Anna's with a file."""
    made = EmailMessage(email.policy.SMTP)
    made["From"], made["To"], made["Subject"] = ANNA, to, subject
    made["Date"], made["Message-ID"] = "Mon, 02 Mar 2026 10:00:00 +0000", f"<{name}.{to}>"
    made.set_content("As promised.\n\nAnna\n")
    made.add_attachment(attached, maintype="application", subtype="octet-stream", filename=name)
    return made.as_bytes()


def _held(company: Company, recipient: str) -> dict[str, Any]:
    """What `mailseal quarantine list` says of the one mail that is held for a recipient."""

    def listed() -> list[dict[str, Any]]:
        return list(json.loads(company.run("quarantine", "list", "--recipient", recipient, "--json", quiet=True)))

    [one] = wait_until(listed, f"no mail to {recipient} is held")
    return one


def _notice(stage: Stage, reader: str, subject: str, mail: str) -> Mail:
    """What a reader was told of a mail, by its ID in the log."""

    def told() -> Mail | None:
        mails = [one for one in stage.inboxes[stage.alpha.domain].mails if one.recipients == [reader]]
        return next((one for one in mails if one.header("Subject") == subject and mail in _text(one)), None)

    notice = wait_until(told, f"{reader} has got no notice “{subject}” of {mail}")
    assert notice is not None
    return notice


def _text(mail: Mail) -> str:
    """The plain text of a notice."""
    body = _parsed(mail).get_body(("plain",))
    return "" if body is None else str(body.get_content())


def _attached(mail: Mail, name: str) -> bytes:
    [part] = [part for part in _parsed(mail).walk() if part.get_filename() == name]
    return bytes(part.get_content())


def _parsed(mail: Mail) -> EmailMessage:
    return email.message_from_bytes(mail.octets, policy=email.policy.default)


def _found(notice: Mail) -> str:
    lines = _text(notice).splitlines()
    return next((line.strip(" *") for line in lines if line.startswith("  * ")), "")


def _findings(shown: str) -> str:
    """Each with the first place and, masked, what was found there."""
    found = json.loads(shown)["findings"]
    return "\n".join(
        f"{one['name']} ({one['count']}), {one['places'][0]}{': ' if one['excerpt'] else ''}{one['excerpt'] or ''}"
        for one in found
    )


def _says(shown: str, name: str, place: str) -> bool:
    found = json.loads(shown)["findings"]  # by chance digits elsewhere, as in a boundary, count for one more
    return any(one["name"] == name and place in " ".join(one["places"]) for one in found)


def _events(company: Company, held_as: str) -> str:
    """Who did what, the oldest first."""
    rows = json.loads(company.run("quarantine", "events", held_as, "--json", quiet=True))
    return ", ".join(f"{one['action']} by {one['who']}" for one in reversed(rows))


def _has_a_card(text: str) -> bool:
    digits = text.replace(" ", "")
    return any(card.replace(" ", "") in digits for card in CARDS)


SAMPLES: Sequence[Sample] = (
    Sample(
        "Anna sends a list of card numbers to Bea",
        "a spreadsheet; more than nine card numbers are held until somebody has looked at them",
        held,
    ),
    Sample("Anna sends Carol a zip with a password", "nobody can say what is in it, so it does not leave", locked),
    Sample(
        "Anna sends a contract to Bea and to Carol",
        "the document says that it is strictly confidential, so it must be encrypted; Carol has no key",
        marked,
    ),
)
