"""Fuzz the receiver's dialogue and the relay's reply reader: random sessions, cut at random points.

    PYTHONPATH=src python fuzz/receiver.py --seconds 600 [--seed N]

What must hold: no exception; whatever the cut points, the same replies and the same mails; content as a plain reading
of RFC 5321 §4.5.2 gives it; nothing left in flight. Prints counts; exit 1 and the seed on a failure.
"""

import argparse
import logging
import random
import re
import sys
import time

from mailseal.mail import reply
from mailseal.mail.envelope import Origin, Protocol, Tls
from mailseal.transport.caps import Caps, Load, Peer
from mailseal.transport.content import ContentDecoder
from mailseal.transport.dialogue import SECURING, Dialogue
from mailseal.transport.replies import MAX_LINE_BYTES, GarbageError, ReplyReader, passed_on
from mailseal.transport.stuffing import stuffed
from mailseal.transport.transaction import House

WORDS = [
    *(
        b"LHLO x\r\n",
        b"EHLO y\r\n",
        b"MAIL FROM:<a@b.test>\r\n",
        b"MAIL FROM:<> SIZE=%d\r\n",
        b"RCPT TO:<c@d.test>\r\n",
    ),
    *(b"RCPT TO:<", b"MAIL FROM:<", b">\r\n", b"DATA\r\n", b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n", b"VRFY a\r\n"),
    *(b"XFORWARD NAME=a ADDR=1.2.3.4 IDENT=", b" NOTIFY=SUCCESS", b" ORCPT=rfc822;a+2B", b" ENVID=+", b" RET=HDRS"),
    *(
        b"\r\n.\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b".",
        b"..",
        b"\n.\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\0",
        b"\xff",
        b"\xc3\xb6",
        b" ",
    ),
    *(
        b"x" * 100,
        b'"',
        b"\\",
        b"@",
        b"<",
        b">",
        b"+2B",
        b"=",
        b"a@b.test",
        b"\r\n..\r\n",
        b"Subject: x\r\n\r\nbody\r\n",
    ),
    *(b"STARTTLS\r\n", b"starttls\r\n", b"STARTTLS x\r\n"),
]
TRANSACTION = b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nRCPT TO:<e@d.test>\r\nDATA\r\n"
CAPS = Caps(
    max_recipients=5,
    max_message_bytes=5000,
    max_bytes_in_flight=8000,
    spool_threshold_bytes=2000,
    max_command_bytes=300,
    max_errors=50,
)


def stream(hello: bytes, generator: random.Random) -> bytes:
    parts = [hello if generator.random() < 0.9 else b""]
    for _ in range(generator.randint(1, 5)):
        if generator.random() < 0.7:
            parts.append(TRANSACTION)
        parts += generator.choices(WORDS, k=generator.choice([0, 2, 8, 25]))
        if generator.random() < 0.6:
            parts.append(b"\r\n.\r\n")
    octets = bytearray(b"".join(parts))
    for _ in range(generator.choice([0, 0, 0, 1, 5]) if octets else 0):
        octets[generator.randrange(len(octets))] = generator.randrange(256)
    return bytes(octets)


def cuts(octets: bytes, generator: random.Random) -> list[bytes]:
    pieces = []
    longest = generator.choice([1, 3, 7, 20, 100, 500])
    position = 0
    while position < len(octets):
        length = generator.randint(1, longest)
        pieces.append(octets[position : position + length])
        position += length
    return pieces


def session(pieces: list[bytes], protocol: Protocol, *, required: bool) -> tuple[bytes, list[object], bytes]:
    """Replies, mails, and the octets it has taken in until it closed."""
    load = Load()
    # The dialogue only looks whether there is TLS; here "the handshake" changes nothing on the wire.
    house = House(
        "mx.test", protocol, CAPS, load, features=lambda: frozenset({"DSN"}), tls=object(), tls_required=required
    )
    peer = Peer("unknown", Origin.OUTSIDE, may_xforward=True)
    dialogue = Dialogue(house, peer)
    out: list[bytes] = []
    mails: list[object] = []

    def settle() -> None:
        nonlocal dialogue
        while True:
            stalled = dialogue.stalled
            out.extend(dialogue.output)
            dialogue.output.clear()
            if dialogue.delivery is not None:
                envelope, message = dialogue.delivery.envelope, dialogue.delivery.message
                mails.append((envelope, bytes(message.raw)))
                dialogue.answer([reply.ACCEPTED] * (len(envelope.recipients) if protocol is Protocol.LMTP else 1))
                dialogue.receive(b"")
            elif stalled:
                dialogue.receive(b"")
            elif dialogue.phase is SECURING:
                assert load.bytes_in_flight == 0, "bytes kept over STARTTLS"
                dialogue = Dialogue(house, peer, Tls("TLSv1.3", "X", 256))
            else:
                return

    for piece in pieces:
        dialogue.receive(piece)
        settle()
        assert dialogue.waiting_bytes <= CAPS.max_command_bytes + len(piece), "input piles up"
    assert 0 <= load.bytes_in_flight <= CAPS.max_bytes_in_flight, "bytes in flight out of bounds"
    dialogue.abandon()
    assert load.bytes_in_flight == 0, "bytes left in flight"
    return b"".join(out), mails, b"".join(pieces)


def check_session(generator: random.Random) -> int:
    protocol = generator.choice([Protocol.LMTP, Protocol.ESMTP])
    octets = stream(b"LHLO c\r\n" if protocol is Protocol.LMTP else b"EHLO c\r\n", generator)
    # A refused DATA with content right behind it ends a session, and what is "right behind" depends on the cuts: so
    # each stream is compared between two cuttings that have every DATA line end at a cut. STARTTLS likewise.
    lines = re.sub(rb"((?:DATA|STARTTLS|starttls)\r\n)", rb"\1\0\0CUT", octets).split(b"\0\0CUT")
    required = generator.random() < 0.2
    one = session([piece for line in lines for piece in cuts(line, generator)], protocol, required=required)
    two = session([line for line in lines if line], protocol, required=required)
    if not (b"closing: this is not mail" in one[0] + two[0] or b"closing: nothing may follow" in one[0] + two[0]):
        assert one == two, "the cut points change the outcome"
    for line in one[0].split(b"\r\n")[:-1]:
        assert line[:3].isdigit(), "a reply line without a code"
        assert b"\n" not in line, "a bare line feed in a reply"
    return len(one[1])


def check_content(generator: random.Random) -> None:
    body = b"".join(
        generator.choices([b"\r\n", b".", b"\r", b"a", b"\n", b"\r\n.", b"xyz"], k=generator.randint(0, 60))
    )
    decoder = ContentDecoder()
    got, end = b"", None
    for piece in cuts(body + b"\r\n.\r\n", generator):
        content, end = decoder.feed(piece)
        got += content
        if end is not None:
            break
    whole = b"\r\n" + body + b"\r\n.\r\n"
    lines = whole[: whole.find(b"\r\n.\r\n") + 2].split(b"\r\n")
    assert got == b"\r\n".join(line[1:] if line[:1] == b"." else line for line in lines)[2:], "decoded wrongly"
    clean = body.replace(b"\r", b"").replace(b"\n", b"\r\n") + b"\r\n"
    wire = b"".join(stuffed(cuts(clean, generator)))
    assert ContentDecoder().feed(wire) == (clean, b""), "what is stuffed does not decode"


def check_replies(generator: random.Random) -> None:
    words = [b"250", b"421", b"5", b"-", b" ", b"\r\n", b"\n", b"\r", b"2.1.0 ", b"text", b"\xff", b"\0", b"x" * 3000]
    reader = ReplyReader()
    for piece in cuts(b"".join(generator.choices(words, k=30)), generator):
        reader.feed(piece)
        try:
            while (found := reader.next()) is not None:
                line = passed_on(*found).line()
                assert line.isascii(), "a reply beyond ASCII"
                assert line.count(b"\n") == line.count(b"\r") == 1, "a reply of many lines"
                assert len(line) < MAX_LINE_BYTES, "a reply too long"
        except GarbageError:
            return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000_000)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    end = time.monotonic() + arguments.seconds
    seed, sessions, mails = arguments.seed, 0, 0
    while time.monotonic() < end:
        generator = random.Random(seed)
        try:
            mails += check_session(generator)
            check_content(generator)
            check_replies(generator)
        except Exception as error:
            print(f"failed with --seed {seed}: {error!r}")
            raise
        sessions += 1
        seed += 1
    print(f"receiver: {sessions} sessions, {sessions} contents, {sessions} reply streams, {mails} mails, 0 failures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
