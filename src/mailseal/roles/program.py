"""The program of a role that is started without the command line: standard library and configuration only."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mailseal.config import Config, load
from mailseal.errors import MailsealError
from mailseal.roles.confinement import confine


def run_program(name: str, purpose: str, run: Callable[[Config], None], arguments: Sequence[str] | None) -> int:
    """The exit status of `run` with the configuration of `[--config FILE]`, without its secrets."""
    parser = argparse.ArgumentParser(prog=f"mailseal {name}", description=purpose)
    parser.add_argument("--config", type=Path, default=None)
    path: Path | None = parser.parse_args(arguments).config
    confine()
    try:
        run(load(path, os.environ, with_secrets=False))
    except MailsealError as error:
        sys.stderr.write(f"error: {error}\n")
        return int(getattr(error, "exit_status", 1))
    return 0
