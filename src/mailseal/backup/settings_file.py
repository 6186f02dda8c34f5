"""mailseal.toml for another place: the same settings, with the paths of the new folder."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mailseal.backup.manifest import Manifest

_PATH_SAFE = "/:@+*"
_DELETE = "\x7f"


def moved(document: Mapping[str, Any], manifest: Manifest, data_dir: Path, files: Mapping[str, Path]) -> dict[str, Any]:
    """The document for `data_dir`: each file of the backup at its new path, paths in the old folder in the new one.

    The database, the KEKs and the web key are those of the new folder.
    """
    found: dict[str, Any] = {
        name: _value(value, forms(manifest, files), manifest.data_dir, str(data_dir))
        for name, value in document.items()
    }
    found["data_dir"] = str(data_dir)
    found["node"] = manifest.node
    found.pop("database", None)
    if isinstance(found.get("keys"), dict):
        found["keys"].pop("kek", None)
        found["keys"].pop("web_key", None)
    if isinstance(found.get("web"), dict):
        for name in ("database_url", "database_password", "database_password_file"):
            found["web"].pop(name, None)
    return found


def forms(manifest: Manifest, files: Mapping[str, Path]) -> dict[str, str]:
    """Every way in which a file of the backup may be written, with its new path."""
    found: dict[str, str] = {}
    for entry in manifest.files:
        if (new := files.get(entry.member)) is None:
            continue
        found[entry.path] = str(new)
        relative = entry.path.removeprefix(manifest.folder.rstrip("/") + "/")
        if relative != entry.path:
            found[relative] = found[f"./{relative}"] = str(new)
    return found


def with_new_paths(text: str, names: Mapping[str, str]) -> str:
    """A path, or the URL of a next hop with paths in its parameters, with the new ones."""
    if text in names:
        return names[text]
    quoted = {**names, **{quote(old, safe=_PATH_SAFE): new for old, new in names.items()}}

    def one(found: re.Match[str]) -> str:
        new = quoted.get(found[2])
        return found[0] if new is None else f"{found[1]}{quote(new, safe=_PATH_SAFE)}"

    return re.sub(r"([?&][a-z]+=)([^&]+)", one, text)


def to_toml(document: Mapping[str, Any], comment: str) -> bytes:
    """A document as TOML 1.0: values first, then the tables."""
    lines = [f"# {line}" for line in comment.splitlines()]
    lines += [f"{_key(name)} = {_toml(value)}" for name, value in document.items() if not isinstance(value, dict)]
    for table, values in document.items():
        if isinstance(values, dict) and values:
            lines += ["", f"[{_key(table)}]", *(f"{_key(name)} = {_toml(value)}" for name, value in values.items())]
    return ("\n".join(lines) + "\n").encode()


def _value(value: Any, names: Mapping[str, str], old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {name: _value(item, names, old, new) for name, item in value.items()}
    if isinstance(value, list):
        return [_value(item, names, old, new) for item in value]
    if not isinstance(value, str):
        return value
    text = with_new_paths(value, names)
    return new + text[len(old) :] if text == old or text.startswith(f"{old}/") else text


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {_toml(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str | bool | int | float):
        return json.dumps(value, ensure_ascii=False).replace(_DELETE, "\\u007f")
    return str(value)  # a date: ISO 8601 in TOML as in Python


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
