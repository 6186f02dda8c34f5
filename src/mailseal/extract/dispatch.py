"""Which handler reads a file: every format that fits is read, and a handler that fails leaves a gap."""

from collections.abc import Callable, Mapping

from mailseal.errors import TransientError
from mailseal.extract.budget import OverBudgetError
from mailseal.extract.sniff import Format, formats
from mailseal.extract.walk import Handler, Walk
from mailseal.policy.inspection import GapReason, GapStatus


def by_table(handlers: Callable[[], Mapping[Format, Handler]]) -> Handler:
    """A handler that reads each format with the row of a table; a format without a row is a gap."""

    def handle(octets: bytes, walk: Walk) -> None:
        table = handlers()
        for one in formats(octets, walk.name, walk.media_type):
            handler = table.get(one)
            if handler is None:
                walk.gap(GapStatus.UNINSPECTABLE, GapReason.UNSUPPORTED, f"nothing reads {one}")
            else:
                attempt(handler, octets, walk)

    return handle


def attempt(handler: Handler, octets: bytes, walk: Walk) -> None:
    """Read by one handler. Raises OverBudgetError, TransientError; all else is a gap, since the file may be hostile."""
    said = len(walk.told.passages)
    try:
        handler(octets, walk)
    except (OverBudgetError, TransientError):
        raise
    except (MemoryError, RecursionError):
        walk.gap(GapStatus.PARTIAL, GapReason.TOO_LARGE, "reading it takes more room than there is")
    except Exception as error:  # noqa: BLE001  whatever a reader makes of hostile octets, the mail is still to be judged
        status = GapStatus.PARTIAL if len(walk.told.passages) > said else GapStatus.UNINSPECTABLE
        walk.gap(status, GapReason.BROKEN, type(error).__name__)
