"""What would happen to a mail: the pipeline as it stands, on a copy without effects (`pipeline.explain`)."""

from dataclasses import replace
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from mailseal.mail.address import Address, AddressError
from mailseal.mail.envelope import Client, Envelope, Origin, Recipient
from mailseal.mail.message import Message, with_crlf
from mailseal.pipeline.explain import Explanation, explain
from mailseal.policy.model import Finding
from mailseal.roles.console_arguments import ArgumentError, Arguments, flag, one_of, text, texts
from mailseal.store.acting import Acting
from mailseal.store.console_jobs import Json
from mailseal.store.outcomes import reasons_to_json
from mailseal.store.row import utc_now
from mailseal.wiring.gateway import Node, without_effects

MAX_RECIPIENTS = 50
SECONDS = 60.0
"""What the documents of the mail may take, whatever the configuration gives a real one: others wait for their turn."""
MAX_SUBJECT_CHARS = 400


def explain_mail(node: Node, arguments: Arguments, blob: bytes, _who: Acting) -> Json:
    """`explain` {sender, recipients, origin, submission, subject}; the mail as blob, without one a short one is made.

    `sender`: "" is the null sender; `origin`: of `Origin`, null as it follows from the sender. Nothing is sent, kept or
    asked of anybody. Raises ArgumentError, MimeError, StoreUnavailable.
    """
    sender = _address(text(arguments, "sender")) if text(arguments, "sender") else None
    recipients = [_address(one) for one in texts(arguments, "recipients")]
    if not 1 <= len(recipients) <= MAX_RECIPIENTS:
        raise ArgumentError(f"a mail has from 1 to {MAX_RECIPIENTS} recipients here")
    gateway = without_effects(node.gateway)
    gateway = replace(gateway, deadline_seconds=min(gateway.deadline_seconds, SECONDS))
    if arguments.get("origin") is None:
        internal = gateway.directory.party(sender).internal
        origin = Origin.AUTHORISED if internal else Origin.OUTSIDE
    else:
        origin = one_of(Origin, arguments, "origin")
    to = tuple(Recipient(one) for one in recipients)
    client = Client("explain")
    envelope = Envelope(sender, to, origin, client=client, submission=flag(arguments, "submission"))
    subject = text(arguments, "subject", "")[:MAX_SUBJECT_CHARS]
    octets = _crlf(blob) if blob else _made(sender, recipients, subject)
    found = explain(envelope, Message(octets), gateway)
    return {
        "origin": origin.value,
        "sender": "" if sender is None else str(sender),
        "recipients": [_explanation(one, to_inside=_inside(node, one)) for one in found],
    }


def _address(given: str) -> Address:
    try:
        return Address.parse(given.strip())
    except AddressError as error:
        raise ArgumentError(f"{given[:100]!r} is no address: {error}") from None


def _crlf(octets: bytes) -> bytes:
    """A file whose header has bare LF was stored by a Unix program: give it the line ends it had on the wire."""
    first = octets.find(b"\n")
    return octets if first < 0 or octets[max(0, first - 1) : first] == b"\r" else with_crlf(octets)


def _made(sender: Address | None, recipients: list[Address], subject: str) -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = "" if sender is None else str(sender)
    mail["To"] = ", ".join(map(str, recipients))
    mail["Subject"] = " ".join(subject.split()) or "Simulation"
    mail["Date"] = format_datetime(utc_now())
    mail["Message-ID"] = "<simulation@mailseal.invalid>"
    mail.set_content("This mail was made by the simulator.\n")
    return mail.as_bytes()


def _inside(node: Node, one: Explanation) -> bool:
    return node.gateway.directory.party(Address.parse(one.recipient)).internal


def _explanation(one: Explanation, *, to_inside: bool) -> Json:
    return {
        "recipient": one.recipient,
        "internal": to_inside,
        "fate": one.fate.value,
        "hop": None if one.hop is None else one.hop.value,
        "treatment": one.treatment.value,
        "method": None if one.method is None else one.method.value,
        "reasons": reasons_to_json(one.reasons),
        "details": [list(pair) for pair in one.details],
        "findings": [_finding(found) for found in one.findings],
    }


def _finding(found: Finding) -> Json:
    """The excerpt is masked."""
    return {
        "name": found.name,
        "count": found.count,
        "places": list(found.places),
        "excerpt": found.excerpt,
        "action": found.action.value,
        "delayed": found.delayed,
    }
