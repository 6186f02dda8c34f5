"""The passphrase of a backup: asked for, or out of a file; never an argument, which other users could see."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mailseal.cli.errors import CommandError
from mailseal.cli.output import read_file

passphrase_option: Callable[[Any], Any] = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The passphrase is the one line of this file, which may be /dev/fd/N; `-` is standard input.",
)


def read_passphrase(file: Path | None, *, new: bool) -> str:
    """The passphrase; a `new` one is asked for twice. Raises CommandError."""
    if file is not None:
        octets = read_file(file)
        if file.is_file() and file.stat().st_mode & 0o004:
            click.echo(f"warning: everybody can read {file}, and so what is under its passphrase", err=True)
    elif sys.stdin.isatty():
        asked = click.prompt("Passphrase of the backup", hide_input=True, confirmation_prompt=new, err=True)
        octets = str(asked).encode()
    else:
        raise CommandError("a passphrase is needed", "name a file that holds it with --passphrase-file")
    try:
        text = octets.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise CommandError("the passphrase is not UTF-8") from None
    if not text or "\n" in text or "\r" in text or "\0" in text:
        raise CommandError("the passphrase has to be one line of text")
    return text
