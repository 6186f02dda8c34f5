"""`mailseal check`: a line for each thing that must be right, and what to do about those that are not."""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import click

from mailseal.cli import output
from mailseal.cli.checks import (
    accounts,
    audit,
    dkim,
    dlp,
    environment,
    journaling,
    journals,
    listener_tls,
    listening,
    next_hops,
    notices,
    office365,
    postfix,
    quarantine,
    queue,
    server_certificates,
    stored,
    submission,
    tls_policies,
    tls_reports,
    web,
)
from mailseal.cli.checks.finding import Finding, Status
from mailseal.cli.session import Session, become_owner, pass_session
from mailseal.config import Config, ConfigError, find
from mailseal.errors import MailsealError

CHECKS: tuple[tuple[str, Callable[[Config], Iterable[Finding]]], ...] = (
    ("listeners", listening.listeners),
    ("listener TLS", listener_tls.listener_tls),
    ("next hops", next_hops.next_hops),
    ("users", environment.users),
    ("clock", environment.clock),
    ("embedded", environment.embedded),
    ("Postfix", postfix.postfix),
    ("Postfix", postfix.unfiltered),
    ("Office 365", office365.office365),
    ("console", web.answers),
)
STORED: tuple[tuple[str, Callable[[Config], Iterable[Finding]]], ...] = (
    ("KEK", stored.keks),
    ("database", stored.database),
    ("keys", stored.keys),
    ("console", web.kept),
    ("console", accounts.administrators),
    ("audit", audit.signed),
    ("server certificate", server_certificates.kept),
    ("domains", stored.domains),
    ("Postfix", postfix.domains),
    ("certificates", stored.certificates),
    ("OpenPGP", stored.pgp),
    ("journals", journals.journals),
    ("journaling", journaling.journal_addresses),
    ("DLP", dlp.dlp),
    ("quarantine", quarantine.quarantine),
    ("notices", notices.notices),
    ("queue", queue.queue),
    ("Office 365", office365.domains),
    ("routes", next_hops.routes),
    ("AUTH", next_hops.passwords),
    ("submission", submission.submission),
    ("TLS policies", tls_policies.policies),
    ("DNSSEC", tls_policies.dnssec),
    ("MTA-STS", tls_policies.mta_sts),
    ("TLS reports", tls_reports.reporting),
    ("DKIM", dkim.dkim),
)
"""Asked for as the owner of the data folder, which root becomes here; each needs those above it to be right."""

_COLOURS = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "red"}


@click.command()
@output.json_option
@pass_session
def check(session: Session, *, as_json: bool) -> int:
    """Check configuration, listeners, next hops, database, keys and certificates. Exit status 1 if anything fails."""
    findings = list(_findings(session))
    if as_json:
        output.print_json([finding.as_row() for finding in findings])
    else:
        for finding in findings:
            print_finding(finding)
    return int(any(finding.status is Status.FAIL for finding in findings))


def _findings(session: Session) -> Iterator[Finding]:
    try:
        config = session.config
    except ConfigError as error:
        for problem in error.problems:
            example = f"write, for example, {problem.example}" if problem.example else f"mend {error.source}"
            yield Finding("configuration", Status.FAIL, f"{problem.key}: {problem.what}", example)
        return
    config, as_it_runs = _as_it_runs(session, config)
    source = find(session.config_path, os.environ)
    yield Finding("configuration", Status.OK, str(source or "no mailseal.toml; environment and defaults"))
    yield from as_it_runs
    if source is not None:
        yield from environment.configuration_file(source, config)
    for name, look in CHECKS:
        yield from _guarded(name, look, config)
    as_owner: Callable[[Config], Iterable[Finding]] = partial(_become_owner, source)
    for name, look in (("data folder", as_owner), *STORED):
        found = list(_guarded(name, look, config))
        yield from found
        if any(finding.status is Status.FAIL for finding in found):
            break


def _as_it_runs(session: Session, config: Config) -> tuple[Config, Iterable[Finding]]:
    """The configuration with what `serve` was told beside it, which decides where the sockets are."""
    running = session.config_as_it_runs
    if running is config:
        return config, ()
    given = running.postfix.instance
    text = f"`serve` was started with --postfix {given}, postfix.instance is {config.postfix.instance}"
    return running, [Finding("configuration", Status.OK, text)]


def _become_owner(source: Path | None, config: Config) -> Iterator[Finding]:
    """As whom the roles run too: what root could read they may not."""
    become_owner(config.data_dir)
    if source is not None and not os.access(source, os.R_OK):
        yield Finding(
            "configuration",
            Status.FAIL,
            f"the owner of the data folder, who the roles run as, cannot read {source}",
            f"chmod 0644 {source}, with secrets in files of their own; folders above it need 0711 at least",
        )


def _guarded(name: str, look: Callable[[Config], Iterable[Finding]], config: Config) -> Iterator[Finding]:
    try:
        yield from look(config)
    except MailsealError as error:
        yield Finding(name, Status.FAIL, str(error), getattr(error, "what_to_do", ""))


def print_finding(finding: Finding) -> None:
    """One line, and what to do below it."""
    status = click.style(f"{finding.status.value:<4}", fg=_COLOURS[finding.status])
    click.echo(f"{status}  {finding.subject:<15} {output.plain(finding.text)}")
    if finding.what_to_do:
        click.echo(f"{'':<22} -> {output.plain(finding.what_to_do)}")
