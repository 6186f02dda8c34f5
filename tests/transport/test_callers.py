"""Connections that ask: many, long, one question at a time; who drips, reads nothing or talks nonsense is let go."""

import asyncio
import logging
import socket
from contextlib import suppress

import pytest
import uvloop

from harness.waiting import PATIENCE_SECONDS
from mailseal.transport.callers import Callers, Patience
from mailseal.transport.socketmap import Kind, Reply, SocketmapDialogue, netstring


class Told:
    """Answers questions: `slow` waits for `go`, `none` cannot be answered, `broken` fails."""

    def __init__(self):
        self.asked = []
        self.go = asyncio.Event()
        self.value = "yes"

    def __call__(self, question):
        self.asked.append(question.key)
        if question.key in {"slow", "none", "broken"}:
            return self.later(question.key)
        return Reply(Kind.OK, self.value).encode()

    async def later(self, key):
        if key == "broken":
            raise RuntimeError("boom")
        if key == "none":
            return None
        await self.go.wait()
        return Reply(Kind.OK, "at last").encode()


def asked(scene, **patience):
    """Run a scene against a server: `connect()` gives reader and writer."""

    async def run(path):
        told = Told()
        callers = Callers(SocketmapDialogue, told, Patience(**patience))
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(path)
        listening.listen(100)
        callers.listen(listening)
        writers = []

        async def connect():
            reader, writer = await asyncio.open_unix_connection(path)
            writers.append(writer)
            return reader, writer

        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await scene(callers, told, connect)
        finally:
            await callers.drain(0)
            for writer in writers:
                writer.close()

    return run


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def play(request, tmp_path):
    def run(scene, **patience):
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(asked(scene, **patience)(str(tmp_path / "s")))

    return run


def ask(writer, *keys):
    writer.write(b"".join(netstring(f"t {key}".encode()) for key in keys))


async def answer(reader):
    length = await reader.readuntil(b":")
    return (await reader.readexactly(int(length[:-1]) + 1))[:-1].decode()


async def until(condition):
    while not condition():  # noqa: ASYNC110 -- what is waited for tells nobody
        await asyncio.sleep(0.01)


def test_many_questions_on_many_connections(play):
    async def scene(callers, told, connect):
        pairs = [await connect() for _ in range(20)]
        for _ in range(3):
            for _, writer in pairs:
                ask(writer, "a", "b")
            for reader, _ in pairs:
                assert [await answer(reader), await answer(reader)] == ["OK yes", "OK yes"]
        assert len(callers) == 20
        assert len(told.asked) == 120

    play(scene)


def test_a_question_that_takes_long_holds_up_its_connection_alone(play):
    async def scene(callers, told, connect):
        reader, writer = await connect()
        other, other_writer = await connect()
        ask(writer, "slow", "after")
        await until(lambda: told.asked == ["slow"])
        ask(other_writer, "quick")
        assert await answer(other) == "OK yes"
        told.go.set()
        assert [await answer(reader), await answer(reader)] == ["OK at last", "OK yes"]
        assert told.asked == ["slow", "quick", "after"]

    play(scene)


@pytest.mark.parametrize("sent", [netstring(b"t none"), netstring(b"t broken"), b"EHLO x\r\n"])
def test_what_has_no_answer_ends_the_connection(play, caplog, sent):
    async def scene(callers, told, connect):
        reader, writer = await connect()
        writer.write(sent)
        assert await reader.read() == b""
        reader, writer = await connect()
        ask(writer, "a")
        assert await answer(reader) == "OK yes"

    with caplog.at_level(logging.WARNING):
        play(scene)
    assert "boom" not in caplog.text
    assert "EHLO" not in caplog.text


def test_who_drips_is_let_go_and_who_is_silent_between_questions_is_not(play):
    async def scene(callers, told, connect):
        reader, writer = await connect()
        silent, silent_writer = await connect()

        async def drip():
            writer.write(b"9000:")
            for _ in range(1000):
                writer.write(b"k")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        with suppress(ConnectionError):  # of its last drop
            assert await reader.read() == b""
        dripping.cancel()
        ask(silent_writer, "a")
        assert await answer(silent) == "OK yes"

    play(scene, patience_seconds=0.2)


def test_who_asks_nothing_for_too_long_is_let_go(play):
    async def scene(callers, told, connect):
        reader, writer = await connect()
        ask(writer, "a")
        assert await answer(reader) == "OK yes"
        assert await reader.read() == b""

    play(scene, idle_seconds=0.2)


def test_who_reads_no_answers_is_let_go(play):
    async def scene(callers, told, connect):
        told.value = "x" * 90_000
        _, writer = await connect()
        ask(writer, *["a"] * 100)
        await until(lambda: len(callers) == 1)
        await until(lambda: not len(callers))
        assert len(told.asked) < 100, "while answers are not read nothing more is answered"

    play(scene, patience_seconds=0.3)


def test_where_there_are_too_many_the_one_goes_that_asked_longest_ago(play):
    async def scene(callers, told, connect):
        first, first_writer = await connect()
        second, _ = await connect()
        await until(lambda: len(callers) == 2)
        ask(first_writer, "a")
        assert await answer(first) == "OK yes"
        third, third_writer = await connect()
        assert await second.read() == b""
        for reader, writer in ((first, first_writer), (third, third_writer)):
            ask(writer, "a")
            assert await answer(reader) == "OK yes"

    play(scene, max_callers=2)


def test_busy_ones_do_not_go_for_new_ones(play):
    async def scene(callers, told, connect):
        reader, writer = await connect()
        ask(writer, "slow")
        await until(lambda: told.asked == ["slow"])
        new, _ = await connect()
        assert await new.read() == b""
        told.go.set()
        assert await answer(reader) == "OK at last"

    play(scene, max_callers=1)


def test_at_the_end_what_was_asked_is_answered(play):
    async def scene(callers, told, connect):
        reader, writer = await connect()
        idle, _ = await connect()
        ask(writer, "slow")
        await until(lambda: told.asked == ["slow"])
        draining = asyncio.create_task(callers.drain(20))
        assert await idle.read() == b""
        with pytest.raises(OSError):
            await connect()
        assert not draining.done()
        told.go.set()
        assert await answer(reader) == "OK at last"
        assert await reader.read() == b""
        await draining

    play(scene)


def test_the_end_waits_for_nobody_for_long(play, caplog):
    async def scene(callers, told, connect):
        reader, writer = await connect()
        ask(writer, "slow")
        await until(lambda: told.asked == ["slow"])
        await callers.drain(0.1)
        assert await reader.read() == b""

    play(scene)
    assert "1 questions were not answered" in caplog.text
