"""Names of next hops looked up within a time limit: getaddrinfo(3) knows none, and may take half a minute."""

import ipaddress
import socket
import threading
import time
from dataclasses import dataclass, field

KEPT_SECONDS = 60.0
MAX_KEPT = 1000

Place = tuple[str, int]


@dataclass(slots=True)
class _Question:
    """A look-up under way; whoever asks the same meanwhile waits for it too."""

    answered: threading.Event = field(default_factory=threading.Event)
    places: tuple[Place, ...] = ()
    error: OSError | None = None


class Resolver:
    """Thread-safe. A look-up that nobody waits for any more goes on in its own daemon thread, one for each name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Place, tuple[float, tuple[Place, ...]]] = {}
        self._asked: dict[Place, _Question] = {}

    def look_up(self, host: str, port: int, deadline: float) -> tuple[Place, ...]:
        """Addresses with the port, in the system's order; raises OSError, a TimeoutError at the deadline."""
        if _is_address(host):
            return ((host, port),)
        if host == "localhost":  # never a question to anybody (RFC 6761 §6.3): `NextHop.local` relies on it
            return (("::1", port), ("127.0.0.1", port))
        with self._lock:
            known = self._known.get((host, port))
            if known is not None and known[0] > time.monotonic():
                return known[1]
            question = self._asked.get((host, port))
            if question is None:
                question = self._asked[host, port] = _Question()
                self._start(host, port, question)
        if not question.answered.wait(max(0.0, deadline - time.monotonic())):
            raise TimeoutError("the name look-up takes too long")
        if question.error is not None:
            raise question.error
        return question.places

    def _start(self, host: str, port: int, question: _Question) -> None:
        asking = threading.Thread(target=self._ask, args=(host, port, question), daemon=True, name="resolver")
        try:
            asking.start()
        except RuntimeError:  # the system has no thread to spare now; who asks later must not wait for this one
            del self._asked[host, port]
            raise OSError("no thread can be started for the name look-up") from None

    def _ask(self, host: str, port: int, question: _Question) -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            question.places = tuple(dict.fromkeys((str(address[0]), port) for *_, address in found))
        except OSError as error:
            question.error = error
        except UnicodeError:  # a label that no DNS name can have
            question.error = OSError("this is not a name that can be looked up")
        with self._lock:
            del self._asked[host, port]
            if question.error is None:
                if len(self._known) >= MAX_KEPT:
                    self._known.clear()
                self._known[host, port] = (time.monotonic() + KEPT_SECONDS, question.places)
        question.answered.set()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
