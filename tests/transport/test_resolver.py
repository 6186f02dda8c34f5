"""Names of next hops."""

import socket
import threading
import time
from unittest import mock

import pytest

from mailseal.transport.resolver import Resolver


def test_no_thread_for_one_look_up_does_not_stop_the_next(monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 25))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    resolver = Resolver()
    with monkeypatch.context() as crowded:
        crowded.setattr(threading.Thread, "start", mock.Mock(side_effect=RuntimeError("can't start new thread")))
        with pytest.raises(OSError, match="no thread"):
            resolver.look_up("hop.test", 25, time.monotonic() + 5)
    assert resolver.look_up("hop.test", 25, time.monotonic() + 5) == (("127.0.0.1", 25),)
