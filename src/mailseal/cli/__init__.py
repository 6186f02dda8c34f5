"""The `mailseal` command.

Exit status: 0 done, 1 refused or wrong, 2 wrong usage, 75 not possible now (EX_TEMPFAIL), 78 not before an
administrator has done something (EX_CONFIG; roles only).
"""

import importlib
import os
import resource
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import click

from mailseal import __version__
from mailseal.cli.errors import report
from mailseal.cli.session import Session
from mailseal.errors import MailsealError

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "init": ("mailseal.cli.init:init", "Make configuration, data folder, key and database."),
        "check": ("mailseal.cli.check:check", "Say what is right and what is not, a line each."),
        "serve": ("mailseal.cli.serve:serve", "Run the gateway: all its processes."),
        "mail": ("mailseal.cli.serve:mail", "Run one mail worker (started by serve)."),
        "worker": ("mailseal.cli.serve:worker", "Run the job worker (started by serve)."),
        "metrics": ("mailseal.cli.serve:metrics", "Answer Prometheus and health checks (started by serve)."),
        "maps": ("mailseal.cli.serve:maps", "Answer what Postfix asks (started by serve)."),
        "web": ("mailseal.cli.serve:web", "Answer browsers: console and API (started by serve)."),
        "sandbox": ("mailseal.cli.serve:sandbox", "Have documents read for DLP (started by serve)."),
        "queue-role": ("mailseal.cli.serve:queue_role", "Look after Postfix's queue, as root (started by serve)."),
        "domain": ("mailseal.cli.domain:domain", "Domains that are ours."),
        "address": ("mailseal.cli.address:address", "Addresses that something was set up for."),
        "route": ("mailseal.cli.route:route", "Next hops of single domains, and passwords for next hops."),
        "postfix": ("mailseal.cli.postfix:postfix", "Postfix's configuration, made from ours."),
        "profile": ("mailseal.cli.profile:profile", "Set up what stands beside this gateway: Office 365."),
        "tls-certificate": (
            "mailseal.cli.tls_certificate:tls_certificate",
            "Certificates of our own servers: the console's, and that of mail.",
        ),
        "submission": ("mailseal.cli.submission:submission", "Logins of users who hand in mail, and their addresses."),
        "tls-policy": ("mailseal.cli.tls_policy:tls_policy", "TLS with other servers: per domain or next hop."),
        "tls-report": ("mailseal.cli.tls_report:tls_report", "How TLS went: counted, reported, and reported about us."),
        "settings": ("mailseal.cli.settings:settings", "Policy: show, set and unset."),
        "cert": ("mailseal.cli.cert:cert", "Certificates and private keys."),
        "pgp": ("mailseal.cli.pgp:pgp", "OpenPGP keys."),
        "dkim": ("mailseal.cli.dkim:dkim", "Keys that sign mail of our domains."),
        "key": ("mailseal.cli.key:key", "The keys that seal everything else (KEKs)."),
        "root": ("mailseal.cli.root:root", "Trusted root certificates."),
        "crl": ("mailseal.cli.crl:crl", "Certificate revocation lists."),
        "ctl": ("mailseal.cli.ctl:ctl", "Certificates trusted or refused by thumbprint."),
        "journal": ("mailseal.cli.journal:journal", "Exchange journaling: reports opened for an archive."),
        "dlp": ("mailseal.cli.dlp:dlp", "What is looked for in outgoing mail, and in whose."),
        "quarantine": ("mailseal.cli.quarantine:quarantine", "Mails that are held: look, release, delete."),
        "notice": ("mailseal.cli.notice:notice", "The mails that Mailseal itself writes: templates, languages."),
        "log": ("mailseal.cli.log:log", "What became of each mail."),
        "audit": ("mailseal.cli.audit:audit", "Who changed what, when and from where."),
        "queue": ("mailseal.cli.queue:queue", "Mail that waits in Postfix: why, and what to do with it."),
        "backup": ("mailseal.cli.backup:backup", "Write a whole node to one file under a passphrase."),
        "restore": ("mailseal.cli.restore:restore", "Make a node out of a backup."),
        "store": ("mailseal.cli.store:store", "Bring the database up to date, or copy it to another."),
        "admin": ("mailseal.cli.admin:admin", "Who may use the console and the API."),
        "message": ("mailseal.cli.message:message", "Open, protect and explain single mails."),
    }
)
"""Every command: where it is and what it does. A module is loaded when its command is used."""


class LazyGroup(click.Group):
    """A group whose commands are loaded when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - same
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        found: click.Command = getattr(importlib.import_module(module), name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - same
        """The list in --help, without loading anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The configuration; else MAILSEAL_CONFIG, ./mailseal.toml, /etc/mailseal/mailseal.toml.",
)
@click.version_option(__version__, prog_name="mailseal")
@click.pass_context
def cli(ctx: click.Context, config_path: Path | None) -> None:
    """Mailseal, an email encryption gateway."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # keys, passwords and passphrases are in a command's memory too
    ctx.obj = Session(config_path)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The entry point: runs a command and exits with its status."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status; expected errors are one or two lines, without a traceback."""
    try:
        result: Any = cli.main(args=arguments, prog_name="mailseal", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except MailsealError as error:
        return report(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # no second complaint when Python closes it
        return 0
    except KeyboardInterrupt:
        return 130
    return result if isinstance(result, int) else 0
