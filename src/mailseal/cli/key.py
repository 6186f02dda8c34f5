"""`mailseal key`: the keys that seal everything else, and the change from one to the next. See docs/keys.md."""

import time
from collections.abc import Sequence

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.output import json_option, print_json, show, show_one
from mailseal.cli.progress import LINE_SECONDS
from mailseal.cli.session import Session, pass_session
from mailseal.config import Config
from mailseal.keys.kek_places import Found, folder_for_new, new_kek, read_keks
from mailseal.store import console_keys, keks, nodes, rewrap, rotation
from mailseal.store.keks import KekInfo
from mailseal.store.rewrap import Pass

COLUMNS = ("kek", "state", "sealed", "places", "nodes")
NOTHING = "no KEK yet; `mailseal init` makes one"


@click.group()
def key() -> None:
    """Key encryption keys (KEKs): what private keys and passwords are sealed with."""


@key.command("list")
@json_option
@pass_session
def list_(session: Session, *, as_json: bool) -> None:
    """All KEKs: where each is on this node, whether it seals, how much it sealed, which live nodes have it."""
    config = session.open_store()
    found = read_keks(config.keys.kek)
    show(_rows(found), COLUMNS, as_json=as_json, nothing=NOTHING)
    for problem in found.problems:
        click.echo(f"warning: {problem}", err=True)


def _rows(found: Found) -> list[dict[str, object]]:
    active, counts = keks.active(), rewrap.count_by_kek()
    known = {info.kek_id: info for info in keks.list_keks()}
    alive = [node for node in nodes.list_nodes() if node.alive()]
    rows: list[dict[str, object]] = []
    for kek_id in dict.fromkeys((*known, *(file.kek.id for file in found.files), *sorted(counts.keys() - {""}))):
        info, files = known.get(kek_id), found.of(kek_id)
        rows.append(
            {
                "kek": kek_id,
                "state": "active" if kek_id == active else _state(info, is_at_hand=bool(files)),
                "activated": info.activated if info else None,
                "sealed": counts.get(kek_id, 0),
                "places": [file.place for file in files],
                "nodes": [node.name for node in alive if kek_id in node.keks],
            }
        )
    return rows


def _state(info: KekInfo | None, *, is_at_hand: bool) -> str:
    if info is not None and info.retired is not None:
        return "retired"
    if info is not None and info.activated is not None:
        return "replaced"
    return "new" if is_at_hand else "unknown"


@key.command("new")
@json_option
@pass_session
def new(session: Session, *, as_json: bool) -> None:
    """Make a KEK in the folder of this node. It seals nothing until `mailseal key rotate`."""
    config = session.open_store()
    folder = folder_for_new(config.keys.kek)
    if folder is None:
        raise CommandError(
            "keys.kek names no folder to make it in", "add one to keys.kek, such as /var/lib/mailseal/keks/"
        )
    kek, path = new_kek(folder)
    show_one({"kek": kek.id, "place": str(path)}, as_json=as_json)
    others = [node.name for node in nodes.list_nodes() if node.name != config.node]
    if others:
        click.echo(f"Copy the file to {', '.join(others)}: same folder, mode 0400, same owner; no restart.", err=True)
    click.echo("Keep a copy apart from the database. Then: mailseal key rotate", err=True)


@key.command("rotate")
@click.option("--to", "kek_id", metavar="ID", help="The KEK that shall seal; else the new one, if there is just one.")
@click.option(
    "--without-node", "without", multiple=True, metavar="NAME", help="A dead node that need not have it; repeatable."
)
@json_option
@pass_session
def rotate(session: Session, *, kek_id: str | None, without: Sequence[str], as_json: bool) -> int:
    """Have a new KEK seal from now on, and seal everything anew with it while mail flows.

    Refuses until every node has the KEK. Stopped at any instant it is simply given again. Exit status 1 if there are
    values that do not open: they stay as they are, and so must the KEK that they are sealed with.
    """
    config = session.open_store()
    ring = keks.open_ring(config.keys.kek)
    chosen = kek_id or _choose(ring.found)
    ring.kek(chosen)  # before anything is changed
    rotation.begin(chosen, without=without)
    click.echo(f"KEK {chosen} seals. Sealing anew what others sealed:", err=True)
    line = _Progress(rewrap.count())
    done = rotation.finish(ring, chosen, line.at, after_pass=line.end_of_pass)
    _tell(chosen, line.moved, done, as_json=as_json)
    return int(done.broken.count > 0)


class _Progress:
    """A line every few seconds; how much was moved in all passes."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._shown = time.monotonic()
        self.moved = 0

    def at(self, done: Pass) -> None:
        if time.monotonic() - self._shown >= LINE_SECONDS:
            self._shown = time.monotonic()
            click.echo(f"{done.seen:,} of {self._total:,} looked at, {done.moved:,} sealed anew", err=True)

    def end_of_pass(self, done: Pass) -> None:
        self.moved += done.moved
        if done.moved:
            click.echo(f"{done.moved:,} sealed anew; looking again for late ones", err=True)


def _choose(found: Found) -> str:
    """The one new KEK at hand; without any, the one that seals, whose rotation may have been cut off."""
    known = {info.kek_id for info in keks.list_keks() if info.activated or info.retired}
    fresh = list(dict.fromkeys(file.kek.id for file in found.files if file.kek.id not in known))
    if len(fresh) > 1:
        raise CommandError(f"there are several new KEKs: {', '.join(fresh)}", "name one with --to")
    if fresh:
        return fresh[0]
    active = keks.active()
    if active is None or not rewrap.count_by_kek().keys() - {active, ""}:
        raise CommandError("there is no new KEK", "`mailseal key new` makes one")
    return active


def _tell(kek_id: str, moved: int, done: Pass, *, as_json: bool) -> None:
    broken = done.broken
    if as_json:
        print_json(
            {"kek": kek_id, "moved": moved, "sealed": done.seen - broken.count, "broken": broken.count,
             "named": [{"what": str(row), "why": str(error)} for row, error in broken.named]}
        )  # fmt: skip
    else:
        click.echo(f"done: {moved} values sealed anew, {done.seen - broken.count} are sealed with KEK {kek_id}")
    for row, error in broken.named:
        click.echo(f"does not open: {row}: {error}\n  -> {row.column.mend}", err=True)
    if broken.count > len(broken.named):
        click.echo(f"{broken.count - len(broken.named)} more do not open", err=True)
    if not broken.count:
        click.echo(f"After {rotation.GRACE_SECONDS} s: `mailseal key retire` with the ID of the one before.", err=True)


@key.command("retire")
@click.argument("kek_id", metavar="ID")
@json_option
@pass_session
def retire(session: Session, *, kek_id: str, as_json: bool) -> None:
    """Mark a KEK that seals nothing any more, and say which file may be destroyed. Deletes nothing."""
    config = session.open_store()
    places = _places(config, kek_id)
    if not places and kek_id not in {info.kek_id for info in keks.list_keks()}:
        raise CommandError(f"there is no KEK {kek_id}", "`mailseal key list` shows all")
    rotation.retire(kek_id)
    show_one({"kek": kek_id, "state": "retired", "may be destroyed": places}, as_json=as_json)
    click.echo(
        "On every node. Backups of the database from before the rotation need it: keep a copy with them.", err=True
    )


def _places(config: Config, kek_id: str) -> list[str]:
    return [file.place for file in read_keks(config.keys.kek).of(kek_id)]


@key.command("forget-web")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def forget_web(session: Session, *, yes: bool) -> None:
    """Have the next web key count: this one is lost, or in wrong hands. Second factors have to be set up anew."""
    config = session.open_store()
    if not yes:
        click.confirm("Everybody is signed out, and every second factor is lost. Go on?", abort=True)
    if not console_keys.forget_web():
        raise CommandError("the database knows no web key", "nothing has to be done")
    click.echo(
        f"Next:\n  remove {config.keys.web_key} on every node, `mailseal init` on one, copy its file to the others, "
        "and restart the web roles"
    )
