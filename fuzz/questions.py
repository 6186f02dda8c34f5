"""Fuzz what Postfix asks: the socketmap protocol and Dovecot's authentication protocol, cut at random points.

    PYTHONPATH=src python fuzz/questions.py --seconds 600 [--seed N]

What must hold: nothing is raised but the one error that ends a connection; whatever the cut points, the same questions
and the same answers; what is kept of a connection stays small. Prints counts; exit 1 and the seed on a failure.
"""

import argparse
import base64
import random
import sys
import time

from mailseal.transport.callers import BadCallError
from mailseal.transport.dovecot_auth import MAX_LINE_BYTES, AuthDialogue
from mailseal.transport.socketmap import MAX_REQUEST_BYTES, SocketmapDialogue, netstring

HELLO = b"VERSION\t1\t0\nCPID\t1\n"
WORDS = [
    *(
        b"AUTH\t",
        b"CONT\t",
        b"CANCEL\t",
        b"VERSION\t1\t1\n",
        b"CPID\t2\n",
        b"\t",
        b"\n",
        b"\r\n",
        b"\0",
        b"\xff",
        b"\x01t",
    ),
    *(b"1", b"2", b"4294967295", b"-1", b"PLAIN", b"login", b"CRAM-MD5", b"\tservice=smtp", b"\tsecured", b"\trip=::1"),
    *(b"\tresp=", b"=", b"==", base64.b64encode(b"\0anna\0secret"), base64.b64encode(b"anna"), b"A" * 100),
]
NUMBERS = [b"0", b"5", b"12", b"00", b"99999", b"123456", b"-1", b" 1"]
PIECES = [b":", b",", b" ", b"tls example.org", b"transport a@b", b"\xc3", b"\0", b"x" * 300]


def auth_octets(generator: random.Random) -> bytes:
    lines = [b"AUTH\t%d\tPLAIN\tresp=%s\n" % (generator.randrange(9), generator.choice(WORDS[-3:])) for _ in range(3)]
    return b"".join(
        [HELLO if generator.random() < 0.9 else b"", *generator.choices(WORDS + lines, k=generator.randrange(30))]
    )


def map_octets(generator: random.Random) -> bytes:
    whole = [netstring(b"tls " + generator.randbytes(generator.randrange(40))) for _ in range(4)]
    return b"".join(generator.choices(whole * 4 + NUMBERS + PIECES, k=generator.randrange(20)))


def cuts(octets: bytes, generator: random.Random) -> list[bytes]:
    longest, position, found = generator.choice([1, 3, 7, 50]), 0, []
    while position < len(octets):
        length = generator.randint(1, longest)
        found.append(octets[position : position + length])
        position += length
    return found


def talk(dialogue: AuthDialogue | SocketmapDialogue, pieces: list[bytes]) -> tuple[list[object], bool]:
    """The turns, and whether the connection was ended."""
    turns: list[object] = []
    try:
        for piece in pieces:
            dialogue.feed(piece)
            while (turn := dialogue.turn()) is not None:
                turns.append(turn)
            kept = len(dialogue._octets)  # noqa: SLF001 -- nobody else asks
            assert kept <= max(MAX_LINE_BYTES, MAX_REQUEST_BYTES) + len(piece), "input piles up"
    except BadCallError:
        return turns, True
    return turns, False


def check(generator: random.Random) -> int:
    count = 0
    for make, octets in ((AuthDialogue, auth_octets(generator)), (SocketmapDialogue, map_octets(generator))):
        one, two = talk(make(), [octets]), talk(make(), cuts(octets, generator))
        assert one == two, "the cut points change the outcome"
        count += len(one[0])
    return count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000_000)
    arguments = parser.parse_args()
    end = time.monotonic() + arguments.seconds
    seed, connections, turns = arguments.seed, 0, 0
    while time.monotonic() < end:
        try:
            turns += check(random.Random(seed))
        except Exception as error:
            print(f"failed with --seed {seed}: {error!r}")
            raise
        connections += 2
        seed += 1
    print(f"questions: {connections} connections, {turns} turns, 0 failures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
