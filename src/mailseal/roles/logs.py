"""What the roles say while they run: one line per event, for people or for collectors (docs/logs.md)."""

import logging
import sys
import threading
from pathlib import Path
from types import TracebackType

import structlog
from structlog.typing import Processor

from mailseal.config import Log, LogFormat, LogSink
from mailseal.roles import log_lines
from mailseal.roles.log_handlers import FileHandler, JournaldHandler, OtherHandler, StderrHandler, as_datagram

logger = logging.getLogger(__name__)


def configure(log: Log, role: str) -> None:
    """Send everything logged in this process where, how and as far as the configuration says."""
    form = log_lines.as_json if log.format is LogFormat.JSON else log_lines.as_text
    stderr = StderrHandler()
    stderr.setFormatter(_formatter(log, role, form))
    handler: logging.Handler = stderr
    path = log.destination.path or Path()
    if log.destination.sink is LogSink.FILE:
        handler = FileHandler(path, stderr)
        handler.setFormatter(_formatter(log, role, form))
    elif log.destination.sink is LogSink.JOURNALD:
        handler = JournaldHandler(path, stderr)
        handler.setFormatter(_formatter(log, role, as_datagram))
    root = logging.getLogger()
    for old in root.handlers:
        if isinstance(old, OtherHandler):
            old.close()
    root.handlers[:] = [handler]
    # Libraries know nothing of our rules, so less is heard of them; for ours the level of the configuration holds.
    root.setLevel(max(logging.WARNING, logging.getLevelName(log.level.value.upper())))
    logging.getLogger(log_lines.OURS).setLevel(log.level.value.upper())
    # Nobody asks a line for these, and they cost time (Python's logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    _take_over_uncaught()


def _formatter(log: Log, role: str, render: Processor) -> logging.Formatter:
    before: list[Processor] = [
        log_lines.where_it_failed,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        log_lines.of_role(role),
        structlog.stdlib.ExtraAdder(),
        log_lines.short_when_foreign,
    ]
    after: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        log_lines.cleaned(log.addresses),
        render,
    ]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=after)


def _take_over_uncaught() -> None:
    """Python would print the texts of uncaught exceptions; they may hold anything."""
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    sys.unraisablehook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def _uncaught(_kind: type[BaseException], error: BaseException | None, _trace: TracebackType | None) -> None:
    logger.error("unexpected failure: %s", log_lines.places(error) if error else "unknown")
