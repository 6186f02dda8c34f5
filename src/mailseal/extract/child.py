"""The program that reads documents: started by exec in the sandbox, one document at a time, many in its life.

`python -m mailseal.extract.child CONTROL MEMORY_BYTES`: CONTROL is a UNIX socket that keeps messages apart
(SOCK_SEQPACKET, unix(7)). There come questions (`sandbox_lines`), each with two descriptors: the document, and where
the answer goes. There it says once that it is ready, with what it could not give up, and DONE after each document. It
ends when nobody is there any more, after so many documents, and when it has grown.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Sequence

from mailseal.extract import confinement, nested
from mailseal.extract.budget import Budget
from mailseal.extract.sandbox_lines import (
    MAX_DOCUMENTS,
    MAX_REQUEST_BYTES,
    Request,
    Spent,
    answer_lines,
    parse_request,
)
from mailseal.extract.walk import shown

GROWN_FRACTION = 0.5
"""Of the memory it may have; held beyond that after a document, it is used up."""
DONE = b"done"
LAST = b"last"
"""The same, from one that ends now."""


def main(arguments: Sequence[str]) -> None:
    """Read documents until told to end. Raises OSError when it cannot be confined."""
    number, memory_bytes = int(arguments[0]), int(arguments[1])
    control = socket.socket(fileno=number)
    nothing, memory = os.open(os.devnull, os.O_RDWR), os.open("/proc/self/statm", os.O_RDONLY)
    lacking = confinement.confine(memory_bytes)
    os.dup2(nothing, sys.stderr.fileno())  # so far, it could say why it does not start
    control.send(json.dumps({"ready": True, "lacking": lacking}).encode())
    for count in range(1, MAX_DOCUMENTS + 1):
        line, descriptors, _, _ = socket.recv_fds(control, MAX_REQUEST_BYTES, 2)
        if not line:
            return
        document, there = descriptors
        with os.fdopen(document, "rb", buffering=0) as file, socket.socket(fileno=there) as answer:
            answer.settimeout(None)
            file.seek(0)
            _serve(parse_request(line), file.readall(), answer)
        used_up = count == MAX_DOCUMENTS or _resident_bytes(memory) > GROWN_FRACTION * memory_bytes
        control.send(LAST if used_up else DONE)
        if used_up:
            return


def _serve(request: Request, octets: bytes, answer: socket.socket) -> None:
    confinement.limit_time(request.seconds)
    budget = Budget(
        request.characters, request.octets, request.files, request.depth, time.monotonic() + request.seconds
    )
    found = nested.read_document(octets, request.name, request.media_type, budget)
    spent = Spent(max(0, request.octets - budget.octets), max(0, request.files - budget.files))
    try:
        for line in answer_lines(found, spent, shown(request.name)):
            answer.sendall(line)
    except OSError:
        pass  # who asked is gone
    confinement.no_time_limit()


def _resident_bytes(statm: int) -> int:
    return int(os.pread(statm, 200, 0).split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main(sys.argv[1:])
