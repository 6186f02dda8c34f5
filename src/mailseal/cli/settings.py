"""`mailseal settings`: policy at its levels, with where each value comes from."""

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.level_options import level_options, owner_of
from mailseal.cli.output import json_option, show
from mailseal.cli.session import Session, pass_session
from mailseal.policy import settings as policy
from mailseal.store import overrides


@click.group()
def settings() -> None:
    """Policy: show, set and unset. docs/policy.md tells what each setting does."""


@settings.command("show")
@click.argument("name", required=False)
@level_options
@click.option("--help-text", is_flag=True, help="Also what each setting does.")
@json_option
@pass_session
def show_(
    session: Session, *, name: str | None, domain: str | None, address: str | None, help_text: bool, as_json: bool
) -> None:
    """Every setting as it counts there, and the level it comes from."""
    owner = owner_of(domain, address)
    session.open_store()

    if name is not None:
        policy.setting(name)
    found = overrides.shown(owner)
    rows = [
        {
            "setting": info.name,
            "value": policy.show_value(info.name, found[info.name][0]),
            "from": _origin(found[info.name][1]),
            "locked": _is_locked(found[info.name][1]),
            "default": policy.show_value(info.name, info.default),
            "unit": info.unit,
            "help": info.help,
        }
        for info in policy.SETTINGS
        if name in (None, info.name)
    ]
    columns = ["setting", "value", "from", "locked"]
    show(rows, [*columns, "help"] if help_text else columns, as_json=as_json)


@settings.command("set")
@click.argument("name")
@click.argument("value")
@level_options
@click.option("--lock", is_flag=True, help="Levels below may only make it stricter.")
@json_option
@pass_session
def set_(
    session: Session, *, name: str, value: str, domain: str | None, address: str | None, lock: bool, as_json: bool
) -> None:
    """Set a setting for everybody, a domain or an address."""
    owner = owner_of(domain, address)
    session.open_store()

    made = overrides.set_override(owner, name, value, locked=lock)
    effective, origin = overrides.shown(owner)[name]
    row = _override_row(made)
    if effective != made.value:
        click.echo(f"note: {_origin(origin)} has locked {name}; the value set here does not count", err=True)
    show([row], ("setting", "value", "for", "locked"), as_json=as_json)


@settings.command("unset")
@click.argument("name")
@level_options
@pass_session
def unset(session: Session, *, name: str, domain: str | None, address: str | None) -> None:
    """Let a level inherit the setting again."""
    owner = owner_of(domain, address)
    session.open_store()

    policy.setting(name)
    if not overrides.unset_override(owner, name):
        raise CommandError(
            f"{name} is not set for {owner or 'everybody'}", "`mailseal settings list` shows what is set"
        )


@settings.command("list")
@level_options
@json_option
@pass_session
def list_(session: Session, *, domain: str | None, address: str | None, as_json: bool) -> None:
    """What is set anywhere, or at one level."""
    owner = owner_of(domain, address)
    session.open_store()

    rows = [_override_row(one) for one in overrides.list_overrides(owner or None)]
    show(rows, ("setting", "value", "for", "locked"), as_json=as_json, nothing="nothing is set; the defaults hold")


def _override_row(one: policy.Override) -> dict[str, object]:

    return {
        "setting": one.name,
        "value": policy.show_value(one.name, one.value),
        "for": one.owner or "everybody",
        "level": one.level.value,
        "locked": one.locked,
    }


def _is_locked(override: policy.Override | None) -> bool:
    return override is not None and override.locked


def _origin(override: policy.Override | None) -> str:
    if override is None:
        return "default"
    return override.owner or "everybody"
