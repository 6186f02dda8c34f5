"""`mailseal dlp test`: what DLP makes of a mail, and what single patterns find in a file. Nothing is sent or kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mailseal.cli.dlp_view import name_of
from mailseal.cli.errors import CommandError
from mailseal.cli.message import crlf, origin_options
from mailseal.cli.message_view import explanation_rows
from mailseal.cli.output import Row, counted, json_option, plain, print_json, read_file, show
from mailseal.cli.session import Session, pass_session
from mailseal.cli.simulation import Simulation, simulated
from mailseal.mail.address import Address
from mailseal.mail.mime import parse
from mailseal.pipeline.explain import explain
from mailseal.pipeline.sender import sender_of
from mailseal.policy.dlp.model import Pattern
from mailseal.ports import Hop
from mailseal.roles.dlp_trial import DOCUMENT, extracted, gap_row, tried
from mailseal.store import dlp_assignments, dlp_patterns
from mailseal.store.dlp_assignments import Assignment
from mailseal.wiring.own_sandbox import OwnSandbox

PATTERNS = ("pattern", "assigned_to")
FINDINGS = ("finding", "count", "action", "places", "excerpt")
TRIALS = ("pattern", "found", "threshold", "counts", "action", "places", "excerpt", "compile_ms", "search_ms")
GAPS = ("place", "status", "reason", "detail")
LIMIT_SECONDS = 600.0


@click.command("test")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--from", "sender", metavar="ADDRESS", help='Envelope sender; "" for the null sender.')
@click.option("--to", "recipients", metavar="ADDRESS", multiple=True, help="Recipient. May be repeated.")
@origin_options
@click.option(
    "--pattern", "patterns", multiple=True, help="Only try this pattern (name or ID), for nobody. May be repeated."
)
@json_option
@pass_session
def test(
    session: Session,
    *,
    file: Path,
    sender: str | None,
    recipients: Sequence[str],
    origin: str | None,
    submission: bool,
    patterns: Sequence[str],
    as_json: bool,
) -> None:
    """Say what is looked for in a mail from A to B, what is found, and what would become of it.

    With --pattern, FILE may also be a document: what each pattern finds in it, and how long it takes.
    """
    octets = read_file(file)
    if patterns:
        if sender is not None or recipients:
            raise click.UsageError("--pattern tries patterns for nobody: give no --from and --to")
        _try(session, octets, file.name, patterns, as_json=as_json)
        return
    if sender is None or not recipients:
        raise click.UsageError("give --from and --to, or --pattern")
    with simulated(session, crlf(octets), sender, recipients, origin=origin, submission=submission) as simulation:
        rows = _explained(simulation)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        _show(row)


def _explained(simulation: Simulation) -> list[dict[str, object]]:
    envelope, gateway = simulation.envelope, simulation.gateway
    root = parse(simulation.message.raw).root
    senders = sender_of(envelope, root, gateway.directory, gateway.logins).addresses
    recipients = {str(one.address): one.address for one in envelope.recipients}
    rows = explanation_rows(explain(envelope, simulation.message, gateway))
    for row in rows:
        recipient = recipients[str(row["recipient"])]
        internal = gateway.directory.party(recipient).internal
        row["patterns"] = [] if internal else _counting(*senders, recipient)
    return rows


def _counting(*addresses: Address | None) -> list[Row]:
    counting = dlp_assignments.counting_for(*addresses)
    return [{"pattern": one.pattern, "assigned_to": list(map(_whose, one.through))} for one in counting]


def _whose(one: Assignment) -> str:
    whose = one.owner or "all mail"
    return f"{whose} (group {one.group})" if one.group else whose


def _show(row: dict[str, Any]) -> None:
    click.secho(f"{row['recipient']}: {row['outcome']}", bold=True)
    for reason in row["reasons"]:
        click.echo(f"  {plain(reason)}")
    nothing = "no pattern counts for this pair" if row["hop"] != Hop.INSIDE else "internal: nothing is looked for"
    show(row["patterns"], PATTERNS, as_json=False, nothing=nothing)
    if row["patterns"]:
        show(row["findings"], FINDINGS, as_json=False, nothing="nothing was found")


# ---- single patterns


def _try(session: Session, octets: bytes, name: str, patterns: Sequence[str], *, as_json: bool) -> None:
    config = session.open_store()
    found = [_usable(one) for one in patterns]
    with OwnSandbox(config) as documents:
        inspection = extracted(octets, documents, LIMIT_SECONDS, kind=DOCUMENT, name=name)
    rows = [tried(one, inspection) for one in found]
    gaps = [gap_row(one) for one in inspection.gaps]
    characters = sum(len(one.text) for one in inspection.passages)
    if as_json:
        print_json({"characters": characters, "patterns": rows, "gaps": gaps})
        return
    show(rows, TRIALS, as_json=False)
    click.echo(f"{counted(characters, 'character')} of text in {counted(len(inspection.passages), 'place')}")
    if gaps:
        show(gaps, GAPS, as_json=False)


def _usable(name: str) -> Pattern:
    info = dlp_patterns.find(name_of(name))
    if info.pattern is None or info.problem:
        raise CommandError(f"{info.name} cannot be used: {info.problem}", "`mailseal dlp pattern set` mends it")
    return info.pattern
