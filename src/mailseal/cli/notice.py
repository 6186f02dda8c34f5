"""`mailseal notice`: templates of the mails that Mailseal itself writes, at their levels, and their languages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.level_options import level_options, owner_of
from mailseal.cli.output import json_option, one_of, read_file, show
from mailseal.cli.session import Session, as_caller, pass_session
from mailseal.notices import catalogue
from mailseal.notices.catalogue import Catalogue, Language
from mailseal.notices.choose import CATALOGUE, StoredTemplate, checked, choose
from mailseal.notices.errors import CatalogueError, TemplateError
from mailseal.notices.kinds import KINDS
from mailseal.notices.template import Part
from mailseal.policy.notice_kind import NoticeKind, Role
from mailseal.roles.console_notices import rendered
from mailseal.store import notice_templates

_KIND = click.argument("kind", type=one_of(NoticeKind))
_PART = click.argument("part", type=one_of(Part))


def _language_option(function: Callable[..., Any]) -> Callable[..., Any]:
    text = "The language; `mailseal notice languages` shows all."
    return click.option("--language", "code", default=catalogue.ENGLISH, show_default=True, help=text)(function)


@click.group()
def notice() -> None:
    """Notices: the mails that Mailseal itself writes. docs/notices.md tells what templates can do."""


@notice.command("list")
@level_options
@json_option
@pass_session
def list_(session: Session, *, domain: str | None, address: str | None, as_json: bool) -> None:
    """The templates that were set, anywhere or at one level; all others are those of the catalogue."""
    owner = owner_of(domain, address)
    session.open_store()

    rows = [_row(one) for one in notice_templates.list_templates(owner or None)]
    columns = ("kind", "language", "part", "for", "state")
    show(rows, columns, as_json=as_json, nothing="nothing is set; the shipped notices are sent")


@notice.command("kinds")
@json_option
def kinds(*, as_json: bool) -> None:
    """Every kind of notice, and the variables that its templates may use."""
    rows = [
        {"kind": kind.value, "told": info.help, "readers": [*info.roles], "variables": [*info.known]}
        for kind, info in KINDS.items()
    ]
    show(rows, ("kind", "told", "readers", "variables"), as_json=as_json)


@notice.command("show")
@_KIND
@_PART
@_language_option
@level_options
@pass_session
def show_(session: Session, *, kind: str, part: str, code: str, domain: str | None, address: str | None) -> None:
    """The template that counts there; where it comes from is said on standard error."""
    owner = owner_of(domain, address)
    known = _catalogue(session)
    chosen = choose(NoticeKind(kind), _language(known, code), notice_templates.templates_for(owner), known)[Part(part)]
    click.echo(f"from {chosen.origin or 'everybody'}", err=True)
    click.echo(chosen.text)


@notice.command("set")
@_KIND
@_PART
@click.argument("file", type=click.Path(path_type=Path))
@_language_option
@level_options
@json_option
@pass_session
def set_(
    session: Session,
    *,
    kind: str,
    part: str,
    file: Path,
    code: str,
    domain: str | None,
    address: str | None,
    as_json: bool,
) -> None:
    """Set one part of a notice from a file (- is standard input). A broken template is refused, and says where."""
    owner, text = owner_of(domain, address), _text(file)
    language = _language(_catalogue(session), code)
    try:
        made = notice_templates.set_template(owner, NoticeKind(kind), language.code, Part(part), text)
    except TemplateError as error:
        raise CommandError(str(error), "`mailseal notice kinds` shows what a template may use") from None
    show([_row(made)], ("kind", "language", "part", "for"), as_json=as_json)


@notice.command("unset")
@_KIND
@click.argument("part", type=one_of(Part), required=False)
@_language_option
@level_options
@pass_session
def unset(session: Session, *, kind: str, part: str | None, code: str, domain: str | None, address: str | None) -> None:
    """Let a level inherit a part of a notice again, or all of it."""
    owner = owner_of(domain, address)
    session.open_store()

    if not notice_templates.unset_template(owner, NoticeKind(kind), code.lower(), None if part is None else Part(part)):
        raise CommandError(f"nothing of {kind} is set for {owner or 'everybody'}", "`mailseal notice list` shows all")


@notice.command("preview")
@_KIND
@_language_option
@click.option("--role", type=one_of(Role), default=Role.SENDER.value, show_default=True, help="Who reads it.")
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write the HTML to this file.")
@level_options
@pass_session
def preview(
    session: Session, *, kind: str, code: str, role: str, page: Path | None, domain: str | None, address: str | None
) -> None:
    """A notice about a made-up mail, as its reader there would get it: subject and text."""
    owner, wanted = owner_of(domain, address), NoticeKind(kind)
    if Role(role) not in KINDS[wanted].roles:
        raise click.UsageError(f"{kind} is for {', '.join(KINDS[wanted].roles)} only")
    known = _catalogue(session)
    words = rendered(wanted, Role(role), owner, known, _language(known, code))
    click.echo(f"Subject: {words.subject}\n\n{words.text}", nl=False)
    if page is not None:
        with as_caller():
            page.write_text(words.html, "utf-8")


@notice.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--kind", type=one_of(NoticeKind), help="The file is a template of this kind …")
@click.option("--part", type=one_of(Part), help="… and this part; else it is a language, such as de.toml.")
def check(*, file: Path, kind: str | None, part: str | None) -> None:
    """Check a template, or the file of a language, without saving anything."""
    if (kind is None) != (part is None):
        raise click.UsageError("--kind and --part go together")
    text = _text(file)
    if kind is not None and part is not None:
        checked(StoredTemplate("", NoticeKind(kind), catalogue.ENGLISH, Part(part), text))
        click.echo(f"{file} can be used")
        return
    try:
        language = catalogue.read_language(file.stem.lower(), text)
    except CatalogueError as error:
        raise CommandError(f"{file}: {error}") from None
    missing = language.missing()
    click.echo(f"{file} can be used" + (f"; English stands in for {', '.join(missing)}" if missing else ""))


@notice.command("languages")
@json_option
@pass_session
def languages(session: Session, *, as_json: bool) -> None:
    """The languages that notices can be in: those shipped, and those in the folder of the configuration."""
    known = _catalogue(session)
    rows = [
        {
            "language": one.code,
            "name": one.name,
            "from": str(session.config.notices.folder) if one.code in known.own else "shipped",
            "missing": list(one.missing()),
        }
        for one in known.languages.values()
    ]
    show(rows, ("language", "name", "from", "missing"), as_json=as_json)
    for path, problem in known.broken:
        click.echo(f"note: {path} cannot be used: {problem}", err=True)


def _catalogue(session: Session) -> Catalogue:
    """As the owner of the data folder sees it, who the worker runs as."""
    return catalogue.load(session.open_store().notices.folder)


def _language(known: Catalogue, code: str) -> Language:
    language = known.languages.get(code.lower())
    if language is None:
        raise CommandError(f"there is no language {code!r}", f"there are {', '.join(known.languages)}")
    return language


def _text(file: Path) -> str:
    try:
        return read_file(file).decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise CommandError(f"{file} is no text in UTF-8") from None


def _row(one: StoredTemplate) -> dict[str, object]:
    state = "in use"
    try:
        checked(one)
    except TemplateError as error:
        state = f"broken, {CATALOGUE} stands in: {error}"
    return {
        "kind": one.kind.value,
        "language": one.language,
        "part": one.part.value,
        "for": one.owner or "everybody",
        "state": state,
        "text": one.text,
    }
