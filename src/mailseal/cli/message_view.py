"""What `mailseal message` shows: layers and signers of an opened mail, and explanations."""

from collections.abc import Sequence
from typing import Any

import click

from mailseal.cli.output import show
from mailseal.methods.layer import Layer, SignerReport
from mailseal.pipeline.explain import Explanation
from mailseal.pipeline.marks import result_headers
from mailseal.pipeline.open_path import Opened
from mailseal.policy.model import Finding
from mailseal.policy.text import render


def opened_json(opened: Opened, errors: Sequence[str]) -> dict[str, Any]:
    """The stable JSON of `message open`. Reasons are codes of `policy.reason`."""
    return {
        "layers": [_layer(layer) for layer in opened.layers],
        "decrypted": opened.decrypted,
        "signed_by_sender": opened.signed_by_sender,
        "covers_whole_message": opened.covers_whole_message,
        "headers": dict(result_headers(opened.layers)),
        "errors": list(errors),
    }


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "kind": layer.kind,
        "depth": layer.depth,
        "part": layer.part,
        "ok": layer.ok,
        "reason": layer.reason.code.value if layer.reason else None,
        "algorithm": layer.algorithm,
        "integrity": layer.integrity,
        "recipients": list(layer.recipients),
        "signers": [_signer(one) for one in layer.signers],
    }


def _signer(signer: SignerReport) -> dict[str, Any]:
    return {
        "addresses": list(signer.addresses),
        "subject": signer.subject,
        "fingerprint": signer.fingerprint,
        "verified": signer.verified,
        "trusted": signer.trusted,
        "matches_from": signer.matches_from,
        "signing_time": signer.signing_time.isoformat() if signer.signing_time else None,
        "reason": signer.reason.code.value if signer.reason else None,
        "user_ids": list(signer.user_ids),
    }


def show_opened(opened: Opened, errors: Sequence[str]) -> None:
    """For people: a row per layer and per signer, then the summary."""
    rows = []
    for number, layer in enumerate(opened.layers, 1):
        rows.append(
            {
                "layer": number,
                "what": layer.kind,
                "ok": layer.ok,
                "algorithm": layer.algorithm,
                "integrity": layer.integrity,
                "who": "",
                "why": render(layer.reason) if layer.reason and not layer.signers else "",
            }
        )
        rows += [
            {
                "layer": number,
                "what": "signer",
                "ok": one.good,
                "who": ", ".join(one.addresses) or one.subject,
                "why": render(one.reason) if one.reason else "",
            }
            for one in layer.signers
        ]
    show(rows, ("layer", "what", "ok", "algorithm", "integrity", "who", "why"), as_json=False, nothing="no protection")
    click.echo(f"decrypted: {_yes(opened.decrypted)}; signed by the sender: {_yes(opened.signed_by_sender)}")
    for error in errors:
        click.echo(f"note: {error}", err=True)


def show_explanations(explanations: Sequence[Explanation], *, as_json: bool) -> None:
    """A row per recipient; of the findings people get names and counts."""
    rows = explanation_rows(explanations)
    if not as_json:
        for row, one in zip(rows, explanations, strict=True):
            row["findings"] = [f"{found.name} ({found.count})" for found in one.findings]
    show(rows, ("recipient", "outcome", "method", "findings", "reasons"), as_json=as_json)


def explanation_rows(explanations: Sequence[Explanation]) -> list[dict[str, object]]:
    """A row per recipient."""
    return [
        {
            "recipient": one.recipient,
            "outcome": one.fate.value if one.hop is None else f"{one.treatment.value}, to the {one.hop.value} next hop",
            "fate": one.fate.value,
            "treatment": one.treatment.value,
            "method": one.method.value if one.method else None,
            "hop": one.hop.value if one.hop else None,
            "reasons": [render(reason) for reason in one.reasons],
            "codes": [reason.code.value for reason in one.reasons],
            "details": dict(one.details),
            "findings": [finding_row(found) for found in one.findings],
        }
        for one in explanations
    ]


def finding_row(found: Finding) -> dict[str, object]:
    """What DLP has found; the excerpt is masked."""
    return {
        "finding": found.name,
        "count": found.count,
        "places": list(found.places),
        "excerpt": found.excerpt,
        "action": found.action.value,
        "delayed": found.delayed,
        "key": found.key,
    }


def _yes(value: bool) -> str:  # noqa: FBT001 -- a formatter of truth values
    return "yes" if value else "no"
