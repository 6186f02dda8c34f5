"""main.cf and master.cf of a private instance: made anew from our configuration, never edited."""

import tempfile
from pathlib import Path

from mailseal.config import Config
from mailseal.postfix import files
from mailseal.postfix.installation import check, check_in_place
from mailseal.postfix.parts import Rendering
from mailseal.postfix.program import Program

_HEAD = "# Made from mailseal.toml by `mailseal serve`: what is changed here is undone by its next start or reload.\n\n"


def contents(rendering: Rendering) -> dict[str, bytes]:
    """The files as they shall be, by name."""
    texts = {"main.cf": rendering.main_cf(), "master.cf": rendering.master_cf()}
    return {name: (_HEAD + text).encode() for name, text in texts.items()}


def current(etc: Path, names: dict[str, bytes]) -> dict[str, bytes | None]:
    """The files as they are; raises PostfixError."""
    return {name: files.octets(etc / name) for name in names}


def write(config: Config, rendering: Rendering) -> None:
    """For an instance that does not run; raises PostfixError if Postfix would not work with them."""
    for name, content in contents(rendering).items():
        files.put(config.postfix.active_dir / name, content)
    program = Program(config.postfix.active_dir)
    check(program, rendering, config)
    check_in_place(program)


def exchange(config: Config, rendering: Rendering) -> bool:
    """For one that runs: whether anything changed. Raises PostfixError, and then nothing did."""
    shall = contents(rendering)
    was = current(config.postfix.active_dir, shall)
    if was == shall:
        return False
    with tempfile.TemporaryDirectory(prefix="mailseal-postfix-") as name:
        for file, content in shall.items():
            files.put(Path(name) / file, content)
        check(Program(Path(name)), rendering, config)
    for file, content in shall.items():
        files.put(config.postfix.active_dir / file, content)
    return True
