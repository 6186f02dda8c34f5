"""What is sealed of a held mail: findings; its envelope, for processing it again as it came (RFC 5321, RFC 3461)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from mailseal.keys.sealing import BrokenSealError
from mailseal.mail.address import Address, AddressError
from mailseal.mail.envelope import Client, Envelope, Origin, Protocol, Recipient, Tls
from mailseal.policy.model import Action, Finding

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Details:
    """What nobody may read without the KEK."""

    envelope: Envelope
    subject: str
    findings: tuple[Finding, ...]


def identity(held: UUID) -> bytes:
    """What the sealed details of a held mail are bound to."""
    return b"store_quarantine:" + held.bytes


def to_octets(details: Details) -> bytes:
    """As they are sealed."""
    value = {
        "envelope": _envelope_json(details.envelope),
        "subject": details.subject,
        "findings": [_finding_json(one) for one in details.findings],
    }
    return json.dumps(value).encode()


def from_octets(octets: bytes) -> Details:
    """The details again; raises BrokenSealError for those of another release."""
    try:
        value = json.loads(octets)
        findings = tuple(_finding(one) for one in value["findings"])
        return Details(_envelope(value["envelope"]), str(value["subject"]), findings)
    except (ValueError, LookupError, TypeError, AddressError) as error:
        raise BrokenSealError(f"what is known of a held mail cannot be read ({type(error).__name__})") from None


def safe_findings(findings: Sequence[Finding]) -> list[Json]:
    """What may be stored in clear and logged: neither places nor excerpts."""
    return [{"name": one.name, "action": one.action.value, "count": one.count} for one in findings]


def _finding_json(finding: Finding) -> Json:
    return {
        "name": finding.name,
        "action": finding.action.value,
        "delayed": finding.delayed,
        "count": finding.count,
        "places": list(finding.places),
        "excerpt": finding.excerpt,
        "key": finding.key,
    }


def _finding(value: Mapping[str, Any]) -> Finding:
    return Finding(
        name=value["name"],
        action=Action(value["action"]),
        delayed=value["delayed"],
        count=value["count"],
        places=tuple(value["places"]),
        excerpt=value["excerpt"],
        key=value["key"],
    )


def _envelope_json(envelope: Envelope) -> Json:
    (recipient,) = envelope.recipients
    client, tls = envelope.client, envelope.tls
    return {
        "sender": None if envelope.sender is None else str(envelope.sender),
        "recipient": [str(recipient.address), recipient.notify, recipient.orcpt],
        "origin": envelope.origin.value,
        "protocol": envelope.protocol.value,
        "client": [client.address, client.name, client.helo],
        "queue_id": envelope.queue_id,
        "eight_bit": envelope.eight_bit,
        "smtputf8": envelope.smtputf8,
        "ret": envelope.ret,
        "envid": envelope.envid,
        "tls": None if tls is None else [tls.version, tls.cipher, tls.bits],
        "submission": envelope.submission,
    }


def _envelope(value: Mapping[str, Any]) -> Envelope:
    address, notify, orcpt = value["recipient"]
    sender, tls = value["sender"], value["tls"]
    return Envelope(
        sender=None if sender is None else Address.parse(sender),
        recipients=(Recipient(Address.parse(address), notify, orcpt),),
        origin=Origin(value["origin"]),
        protocol=Protocol(value["protocol"]),
        client=Client(*value["client"]),
        queue_id=value["queue_id"],
        eight_bit=value["eight_bit"],
        smtputf8=value["smtputf8"],
        ret=value["ret"],
        envid=value["envid"],
        tls=None if tls is None else Tls(*tls),
        submission=value["submission"],
    )
