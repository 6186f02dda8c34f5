"""Watches one process until told to end, then says the most octets of memory it had: its own, and with mapped files."""

import signal
import sys
import threading

from instance import memory_bytes

ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
print("watching", flush=True)
own = both = 0
while not ended.wait(0.005):
    found = memory_bytes(int(sys.argv[1]))
    own, both = max(own, found["RssAnon"]), max(both, found["VmRSS"])
print(own, both)
