"""--domain and --address: the level that a command sets or shows something for."""

from collections.abc import Callable
from typing import Any

import click


def level_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The two options; without either it is for everybody."""
    domain = click.option("--domain", help="For a domain, or a wildcard such as *.example.com.")
    address = click.option("--address", help="For one address.")
    return domain(address(function))


def owner_of(domain: str | None, address: str | None) -> str:
    """The owner (`store.owners`) that they name, as a person writes it."""
    if domain and address:
        raise click.UsageError("--domain and --address exclude each other")
    if address and "@" not in address:
        raise click.UsageError(f"--address wants local-part@domain, not {address}")
    if domain and "@" in domain:
        raise click.UsageError(f"--domain wants a domain; for {domain} use --address")
    return domain or address or ""
