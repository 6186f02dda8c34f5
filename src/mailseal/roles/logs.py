"""What the roles say while they run: one line per event, for people or for collectors (docs/logs.md)."""

import logging
import sys
import threading
from pathlib import Path
from types import TracebackType

from mailseal.config import Log, LogFormat, LogSink
from mailseal.roles.log_handlers import FileHandler, JournaldHandler, OtherHandler, StderrHandler, as_datagram
from mailseal.roles.log_lines import OURS, LineFormatter, as_json, as_text, places

logger = logging.getLogger(__name__)


def configure(log: Log, role: str) -> None:
    """Send everything logged in this process where, how and as far as the configuration says."""
    form = as_json if log.format is LogFormat.JSON else as_text
    stderr = StderrHandler()
    stderr.setFormatter(LineFormatter(role, log.addresses, form))
    handler: logging.Handler = stderr
    path = log.destination.path or Path()
    if log.destination.sink is LogSink.FILE:
        handler = FileHandler(path, stderr)
        handler.setFormatter(LineFormatter(role, log.addresses, form))
    elif log.destination.sink is LogSink.JOURNALD:
        handler = JournaldHandler(path, stderr)
        handler.setFormatter(LineFormatter(role, log.addresses, as_datagram))
    root = logging.getLogger()
    for old in root.handlers:
        if isinstance(old, OtherHandler):
            old.close()
    root.handlers[:] = [handler]
    # Libraries know nothing of our rules, so less is heard of them; for ours the level of the configuration holds.
    root.setLevel(max(logging.WARNING, logging.getLevelName(log.level.value.upper())))
    logging.getLogger(OURS).setLevel(log.level.value.upper())
    # Nobody asks a line for these, and they cost time (Python's logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 -- the HOWTO's way not to look for the line of code that says it
    _take_over_uncaught()


def _take_over_uncaught() -> None:
    """Python would print the texts of uncaught exceptions; they may hold anything."""
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    sys.unraisablehook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def _uncaught(_kind: type[BaseException], error: BaseException | None, _trace: TracebackType | None) -> None:
    logger.error("unexpected failure: %s", places(error) if error else "unknown")
