"""`mailseal dlp extract`: the text of a mail or document that DLP looks at, with its places, and what was not read."""

from pathlib import Path

import click

from mailseal.cli.output import counted, json_option, plain, print_json, read_file
from mailseal.cli.session import Session, pass_session
from mailseal.config import Config
from mailseal.policy.dlp.normal import normalise
from mailseal.policy.inspection import Inspection
from mailseal.roles.dlp_trial import DOCUMENT, MAIL, extracted, gap_row, kind_of
from mailseal.wiring.own_sandbox import OwnSandbox


@click.command("extract")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--as", "kind", type=click.Choice([MAIL, DOCUMENT]), help="What FILE is. Default: what it looks like.")
@click.option(
    "--type", "media_type", default="", metavar="TYPE", help="The media type that a mail says a document has."
)
@click.option("--normalised", is_flag=True, help="As patterns see it: one kind of digit, hyphen and space.")
@json_option
@pass_session
def extract(session: Session, *, file: Path, kind: str | None, media_type: str, normalised: bool, as_json: bool) -> int:
    """Print the text that is looked at, place by place, and what cannot be read. Needs no running gateway.

    FILE is a mail or a document; it is read by a process that can do nothing else, within the limits of [dlp]. Exit
    status 1: something was not read.
    """
    octets = read_file(file)
    if kind is None:
        kind = kind_of(octets, file.name, media_type)
    found = _read(session.config_without_secrets, octets, file.name, media_type, kind)
    rows = [{"place": one.place, "text": normalise(one.text) if normalised else one.text} for one in found.passages]
    gaps = [gap_row(one) for one in found.gaps]
    if as_json:
        print_json({"read_as": kind, "passages": rows, "gaps": gaps})
    else:
        for row in rows:
            click.secho(plain(row["place"]), bold=True)
            click.echo("\n".join(f"  {plain(line)}" for line in row["text"].splitlines()))
        characters = sum(len(one.text) for one in found.passages)
        click.echo(f"{counted(characters, 'character')} in {counted(len(rows), 'place')}, read as a {kind}", err=True)
        for gap in gaps:
            click.echo(plain(f"not read: {gap['place']}: {gap['status']}, {gap['reason']}: {gap['detail']}"), err=True)
    return int(bool(gaps))


def _read(config: Config, octets: bytes, name: str, media_type: str, kind: str) -> Inspection:
    seconds = float(config.limits.deadline_seconds)
    with OwnSandbox(config) as documents:
        return extracted(octets, documents, seconds, kind=kind, name=name, media_type=media_type)
