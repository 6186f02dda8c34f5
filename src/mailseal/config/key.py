"""How a configuration key is declared: once, as a field of its section, with reader, default, help and example."""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """How one key is written. `example` is a TOML value. `default_text` stands for a default that is worked out."""

    read: Callable[[object], object]
    help: str
    example: str
    default_text: str
    secret: bool = False
    below_data_dir: Callable[[Path], object] | None = None
    among_sockets: Callable[[Path], object] | None = None
    computed: Callable[[], object] | None = None


def key(
    read: Callable[[object], object],
    help_text: str,
    *,
    example: str,
    default: Any = MISSING,
    default_text: str = "",
    below: Callable[[Path], object] | None = None,
    among_sockets: Callable[[Path], object] | None = None,
    computed: Callable[[], object] | None = None,
    secret: bool = False,
) -> Any:
    """A field that is a key; without `default` its value is worked out: `below` the data folder, `computed`, or where
    the sockets for Postfix are.
    """
    declared = Key(
        read=read,
        help=help_text,
        example=example,
        default_text=default_text,
        secret=secret,
        below_data_dir=below,
        among_sockets=among_sockets,
        computed=computed,
    )
    if default is MISSING:
        return field(metadata={"key": declared}, repr=not secret)
    return field(default=default, metadata={"key": declared}, repr=not secret)
