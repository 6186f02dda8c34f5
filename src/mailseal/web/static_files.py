"""Style sheets, drawings and scripts: our own files and htmx, under a path that changes with what they say.

So a browser may keep them for ever, and an upgrade shows at once.
"""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any
from wsgiref.headers import Headers

from whitenoise import WhiteNoise

from mailseal.web.headers import HEADERS

HERE = Path(__file__).resolve().parent / "static"
SCRIPTS = ("htmx-2.min.js",)
"""Which files of django_htmx are served."""
KEPT_SECONDS = 365 * 24 * 3600


@cache
def prefix() -> str:
    """The path under which they are, ends with a slash."""
    digest = sha256()
    for name, path in _all():
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return f"/static/{digest.hexdigest()[:16]}/"


def serving(application: Any) -> WhiteNoise:
    """A WSGI application that answers for static files itself and hands on everything else."""
    white = WhiteNoise(application, add_headers_function=_add_headers)
    for name, path in _all():
        white.add_file_to_dictionary(prefix() + name, str(path))
    return white


def _all() -> Iterator[tuple[str, Path]]:
    for path in sorted(HERE.rglob("*")):
        if path.is_file():
            yield path.relative_to(HERE).as_posix(), path
    scripts = files("django_htmx") / "static" / "django_htmx"
    for name in SCRIPTS:
        yield name, Path(str(scripts / name))


def _add_headers(headers: Headers, _path: str, _url: str) -> None:
    for name, value in HEADERS.items():
        headers[name] = value
    headers["Cache-Control"] = f"public, max-age={KEPT_SECONDS}, immutable"
