"""Every function of the store that changes something records it, or is in a list here with the reason why not."""

import ast
from collections.abc import Iterator
from pathlib import Path

import mailseal.store

STORE = Path(mailseal.store.__file__).parent
RECORDING = {"record", "audit.record", "_record", "quarantine_events.add", "keks.activate"}
NOT_RECORDED: dict[str, tuple[str, ...]] = {
    "what others call, who record it": (
        "accounts.factors.remove_all", "audit.record", "purge.delete_all", "stored_messages", "transaction.writes",
    ),
    "signing in: delays and last use, which are no change of an account": (
        "accounts.lockout", "accounts.sessions.seen", "accounts.tokens.note_use",
    ),
    "what is asked of the worker: it records what it does": ("console_jobs", "console_parcels", "jobs"),
    "the working of the gateway itself": (
        "findings", "lookup_waits", "lookups", "nodes", "revalidate", "rewrap", "schema_changes", "stamps",
        "sts_policies", "dkim_keys.note_published",
    ),
    "what becomes of mail: the message log has it": (
        "journal_failures", "ledger", "notice_requests", "pgp_candidates", "quarantine", "quarantine_work", "reports",
    ),
    "reports of TLS, counted and sent by themselves": ("tls_received", "tls_reports", "tls_sessions"),
    "the steps of a renewal, whose beginning and end are recorded; reading": (
        "tls_identities.account", "tls_identities.account_is", "tls_identities.failed", "tls_identities.private_pem",
        "tls_identities.publish",
    ),
}  # fmt: skip
"""Functions, or all that do not record of a module."""


class _Module:
    """What the functions and methods of a module call, by their names in it."""

    def __init__(self, path: Path) -> None:
        self.name = ".".join(path.relative_to(STORE).with_suffix("").parts)
        self.calls: dict[str, set[str]] = {}
        self.decorated: set[str] = set()
        for prefix, one in _functions(ast.parse(path.read_text(encoding="utf-8"))):
            name = prefix + one.name
            self.calls[name] = {_called(call) for call in ast.walk(one) if isinstance(call, ast.Call)}
            if any(isinstance(mark, ast.Name) and mark.id == "writes" for mark in one.decorator_list):
                self.decorated.add(name)

    def writing(self) -> list[str]:
        """Its public functions that are, or have, a transaction of their own."""
        return [
            name
            for name, calls in self.calls.items()
            if not any(part.startswith("_") for part in name.split(".")) and (name in self.decorated or "run" in calls)
        ]

    def records(self, name: str, known: frozenset[str] = frozenset()) -> bool:
        """Whether it calls what records, itself or by others of the module."""
        calls = self.calls.get(name, set())
        if calls & RECORDING:
            return True
        prefix = name.rpartition(".")[0]
        near = {call.removeprefix("self.") for call in calls} - known - {name}
        return any(
            self.records(found, known | {name})
            for call in near
            for found in (call, f"{prefix}.{call}")
            if found in self.calls
        )


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield "", node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.", one) for one in node.body if isinstance(one, ast.FunctionDef))


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func)


def test_what_changes_something_is_in_the_audit():
    modules = [_Module(path) for path in sorted(STORE.rglob("*.py")) if "migrations" not in path.parts]
    silent = {f"{one.name}.{name}" for one in modules for name in one.writing() if not one.records(name)}
    listed = [name for names in NOT_RECORDED.values() for name in names]
    covers = {name: {one for one in silent if one == name or one.startswith(f"{name}.")} for name in listed}
    assert [name for name, found in covers.items() if not found] == []
    assert silent - set().union(*covers.values()) == set()
