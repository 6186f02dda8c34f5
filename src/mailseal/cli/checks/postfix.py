"""Checks of the Postfix around the gateway: which, whether it can do what it is told, and whether it is told that."""

import os
from collections.abc import Iterator

from mailseal.cli.checks.finding import Finding, Status
from mailseal.config import Config, Endpoint, Instance, NextHop
from mailseal.errors import MailsealError
from mailseal.postfix import bypass, owned
from mailseal.postfix.drift import drift
from mailseal.postfix.installation import greets
from mailseal.postfix.master import left_over
from mailseal.postfix.program import OLDEST, Program, is_installed, surroundings
from mailseal.postfix.render import render
from mailseal.roles.listening import is_held
from mailseal.store import domains as store_domains

SUBJECT = "Postfix"
SHOWN = 5
"""So many differences are named."""
_LOCAL = ("mydestination", "virtual_alias_domains", "virtual_mailbox_domains")
_DAY_SECONDS = {"s": 1 / 86400, "m": 1 / 1440, "h": 1 / 24, "d": 1.0, "w": 7.0}


def postfix(config: Config) -> Iterator[Finding]:
    """One line where all is well."""
    instance = config.postfix.instance
    if instance is Instance.OFF:
        if config.listen.smtp is None:  # else `embedded` says it
            text = "not set up by Mailseal; a queue, TLS policies of single domains, and DANE need one"
            yield Finding(SUBJECT, Status.WARN, text, "set postfix.instance to private or system (docs/postfix.md)")
        return
    if not is_installed():
        yield Finding(SUBJECT, Status.FAIL, "it is not installed", "install it (Debian: apt-get install postfix)")
        return
    program = Program(config.postfix.active_dir)
    version = program.version()
    shown = f"Postfix {'.'.join(map(str, version))}, {instance} ({config.postfix.active_dir})"
    if version < OLDEST:
        yield Finding(SUBJECT, Status.FAIL, f"{shown} is too old", f"install {OLDEST[0]}.{OLDEST[1]} or newer")
        return
    found = [*_state(config, shown), *_drift(config), *_ways_back(config), *_life(config)]
    if not found and instance is Instance.PRIVATE and not _runs(config):
        found = [Finding(SUBJECT, Status.OK, f"{shown} starts with `mailseal serve`, which does not run")]
    yield from found or [Finding(SUBJECT, Status.OK, f"{shown} runs and is as it shall be")]


def domains(config: Config) -> Iterator[Finding]:
    """Whether Postfix takes a domain of ours for its own: mail for it would end there."""
    if config.postfix.instance is not Instance.SYSTEM or not is_installed():
        return
    program = Program(config.postfix.config_dir)
    ours = {one.name for one in store_domains.list_domains() if one.internal}
    for name in _LOCAL:
        taken = sorted(ours & set(program.value(name).lower().replace(",", " ").split()))
        if taken:
            text = f"{name} of Postfix holds {', '.join(taken)}: mail for it never goes to an inner server"
            yield Finding(SUBJECT, Status.FAIL, text, f"take it out of {name} in {program.config_dir}/main.cf")


def unfiltered(config: Config) -> Iterator[Finding]:
    """Whether mail from other machines passes Mailseal by."""
    if config.postfix.instance is not Instance.SYSTEM or not is_installed():
        return
    program = Program(config.postfix.config_dir)
    ours = owned.read(config.postfix.config_dir).services
    for key in bypass.unfiltered(program.services(), ours, program.value("content_filter")):
        text = f"{key} in master.cf hands its mail to no content filter: it leaves as it came, whatever it should be"
        what_to_do = "close it, or give it -o content_filter=… as docs/postfix.md says"
        yield Finding(SUBJECT, Status.WARN, text, what_to_do)


def _state(config: Config, shown: str) -> Iterator[Finding]:
    if config.postfix.instance is Instance.PRIVATE and os.geteuid() != 0:
        yield Finding(SUBJECT, Status.FAIL, f"{shown} needs root", "start `mailseal serve` as root")
        return
    if config.postfix.instance is Instance.PRIVATE:
        if not _runs(config) and is_held(config.run_dir / "supervisor.lock"):
            yield Finding(SUBJECT, Status.FAIL, f"{shown} does not run", "read what `mailseal serve` says, and its log")
    elif not greets(config.postfix.reinjection, ""):
        text = f"{shown} does not answer on {config.postfix.reinjection}"
        yield Finding(SUBJECT, Status.WARN, text, "start it, or run `mailseal postfix check`")


def _runs(config: Config) -> bool:
    return left_over(config.postfix.queue_dir) is not None


def _drift(config: Config) -> Iterator[Finding]:
    private = config.postfix.instance is Instance.PRIVATE
    if private and not (config.postfix.active_dir / "main.cf").exists():
        return  # `serve` makes it
    try:
        found = drift(config, render(config, surroundings(config)))
    except MailsealError as error:
        yield Finding(SUBJECT, Status.FAIL, str(error), getattr(error, "what_to_do", ""))
        return
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        what_to_do = "reload `mailseal serve` (SIGHUP)" if private else "`mailseal postfix diff`, then `… install`"
        yield Finding(SUBJECT, Status.FAIL, "; ".join(found[:SHOWN]) + more, what_to_do)


def _ways_back(config: Config) -> Iterator[Finding]:
    back = config.postfix.reinjection
    for key in ("inside", "outside"):
        hops: tuple[NextHop, ...] = getattr(config.relay, key)
        if any(Endpoint(hop.path, hop.host, hop.port) != back for hop in hops):
            text = f"relay.{key} leads past Postfix: no queue, and no TLS policy of a domain, for that mail"
            yield Finding(SUBJECT, Status.WARN, text, f'set relay.{key} = ["smtp://{back}"]')


def _life(config: Config) -> Iterator[Finding]:
    for name in ("maximal_queue_lifetime", "bounce_queue_lifetime"):
        value = dict(config.postfix.settings).get(name, "")
        number, unit = (value[:-1], value[-1:]) if value[-1:].isalpha() else (value, "d")
        if number.isdecimal() and int(number) * _DAY_SECONDS.get(unit, 0.0) >= config.ledger.retention_days:
            text = f"{name} = {value}, but what was done is forgotten after {config.ledger.retention_days} days"
            yield Finding(SUBJECT, Status.WARN, text, "set ledger.retention_days higher, or the lifetime lower")
