"""Which texts of other layers pages show: errors, and what `mailseal check` finds; those with values as templates.

`f"no mail {held} is or was held"` is `no mail {held} is or was held`; a value that has no name is called `value`, one
that stands in quotes keeps its `!r`.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from mailseal.postfix.queue_request import Verb
from mailseal.store.quarantine_events import Action
from mailseal.web.console.audit_words import words

SOURCE = Path(__file__).resolve().parents[1] / "src" / "mailseal"
ALL_SENTENCES = (
    "cli/checks/*.py", "policy/values.py", "policy/lists.py", "policy/pattern.py", "store/accounts/links.py",
    "store/audit_verify.py",
)  # fmt: skip
"""Where what is said stands in tables, variables and arguments."""
ERRORS = (
    "mail/address.py", "policy/levels.py", "roles/console_arguments.py", "roles/console_audit.py",
    "roles/console_checks.py", "roles/console_explain.py", "roles/console_quarantine.py", "roles/console_work.py",
    "roles/quarantine_house.py", "store/accounts/*.py", "store/addresses.py", "store/audit*.py",
    "store/console_jobs.py", "store/domains.py", "store/log_filter.py", "store/log_search.py", "store/overrides.py",
    "store/owners.py", "store/quarantine*.py", "store/transaction.py", "store/trouble.py",
)  # fmt: skip
"""Where it is the first argument of an exception."""
_WORDS = re.compile(r"[A-Za-z]{2,}")
_PART = re.compile(r"[ ;]|.*\(\?")
"""What is put behind another text, and patterns."""
_RECORDING = {"record": 1, "_record_trust": 1, "_Said": 0, "_insert": 9}
"""Functions that are given the name of an action, and where."""
_ACTION = re.compile(r"[a-z]+(-[a-z]+)*")


def told_texts() -> Iterator[tuple[str, str]]:
    """(text or template, file) of each."""
    for patterns, texts in ((ALL_SENTENCES, _sentences), (ERRORS, _errors)):
        for path in sorted(path for pattern in patterns for path in SOURCE.glob(pattern)):
            for text in texts(ast.parse(path.read_text(encoding="utf-8"))):
                yield text, f"src/mailseal/{path.relative_to(SOURCE).as_posix()}"


def _errors(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and _name(node.func).endswith(("Error", "Failed", "Unavailable")):
            first = node.args[0]
            yield from (_template(one) for one in _branches(first) if _is_text(one) and " " in _literal(one))


def _sentences(tree: ast.AST) -> Iterator[str]:
    """Texts of two words and more, which are no docstrings and not of what is well."""
    left_out: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            left_out.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            left_out.update(node.values)
        elif isinstance(node, ast.Call) and _name(node.func) == "Finding" and ast.unparse(node.args[1]) == "Status.OK":
            left_out.update(ast.walk(node))
    for node in ast.walk(tree):
        if node not in left_out and _is_text(node):
            literal, template = _literal(node), _template(node)
            if len(_WORDS.findall(literal)) > 1 and " " in literal.strip() and not _PART.match(template):
                yield template


def _branches(node: ast.expr) -> list[ast.expr]:
    return [*_branches(node.body), *_branches(node.orelse)] if isinstance(node, ast.IfExp) else [node]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _literal(node: ast.AST) -> str:
    pieces = node.values if isinstance(node, ast.JoinedStr) else [node]
    return " ".join(str(one.value) for one in pieces if isinstance(one, ast.Constant))


def _template(node: ast.AST) -> str:
    if not isinstance(node, ast.JoinedStr):
        assert isinstance(node, ast.Constant)
        return str(node.value)
    taken: list[str] = []
    pieces = []
    for one in node.values:
        if isinstance(one, ast.FormattedValue):
            name = _named(one.value)
            taken.append(name)
            number = taken.count(name)
            quoted = "!r" if one.conversion == ord("r") else ""
            pieces.append(f"{{{name}{number if number > 1 else ''}{quoted}}}")
        elif isinstance(one, ast.Constant):
            pieces.append(str(one.value).replace("{", "{{").replace("}", "}}"))
    return "".join(pieces)


def _named(node: ast.expr) -> str:
    """The name of a value: that of a variable or attribute, also in a call or with an index."""
    while isinstance(node, ast.Call | ast.Subscript):
        if isinstance(node, ast.Subscript):
            node = node.value
        elif isinstance(node.func, ast.Attribute) and node.func.attr != "join":
            node = node.func.value
        else:
            node = node.args[0] if node.args else node.func
    return _name(node).strip("_").lower() or "value"


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def audit_actions() -> Iterator[tuple[str, str]]:
    """(words, file) of what the audit records: `record("logins", "set-password", …)` is "Set password"."""
    for path in sorted(
        path for folder in ("backup", "cli", "roles", "store") for path in SOURCE.glob(f"{folder}/**/*.py")
    ):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)) if "record" in source else ():
            if isinstance(node, ast.Call) and (place := _RECORDING.get(_name(node.func))):
                given = [node.args[place]] if len(node.args) > place else []
                given += [one.value for one in node.keywords if one.arg in {"action", "note"}]
                for one in (branch for first in given for branch in _branches(first)):
                    if isinstance(one, ast.Constant) and _ACTION.fullmatch(str(one.value)):
                        yield words(str(one.value)), f"src/mailseal/{path.relative_to(SOURCE).as_posix()}"
    for action in Action:
        yield words(action.value), "src/mailseal/store/quarantine_events.py"
    for verb in Verb:
        yield words(verb.value), "src/mailseal/roles/queue_commands.py"
