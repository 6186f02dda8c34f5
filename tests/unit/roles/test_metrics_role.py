"""The metrics role answers two questions, briefly; who asks slowly, much or nonsense stops nobody."""

import asyncio

import pytest

from mailseal.config import ConfigError, from_values
from mailseal.roles import metrics_role
from mailseal.roles.metrics_role import MAX_CONNECTIONS, MAX_REQUEST_BYTES, MetricsRole


class Page:
    word = "ok"
    numbers = b"# numbers\n"

    def render(self) -> bytes:
        return self.numbers

    def health(self) -> str:
        return self.word


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"GET /metrics?name=x HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", b"200"),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"POST /healthz HTTP/1.1\r\n\r\n", b"405"),
        (b"GET /../kek HTTP/1.1\r\n\r\n", b"404"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /metrics HTTP/2\r\n\r\n", b"400"),
        (b"EHLO x\r\n\r\n", b"400"),
        (b"\r\n\r\n", b"400"),
        (b"\xff\x00 \xfe \xfd\r\n\r\n", b"400"),
    ],
)
def test_answers(request_, status):
    answer = MetricsRole(Page()).answer(request_)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == status
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Connection: close" in head


def test_what_is_not_well_is_503():
    page = Page()
    page.word = "database"
    answer = MetricsRole(page).answer(b"GET /healthz HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert answer.endswith(b"\r\n\r\ndatabase\n")


def asked(scene, page=None):
    """Run a scene against a listening role: `connect()` gives reader and writer."""

    async def run():
        role = MetricsRole(page or Page())
        server = await asyncio.start_server(role._ask, "127.0.0.1", 0, limit=MAX_REQUEST_BYTES)
        port = server.sockets[0].getsockname()[1]
        opened = []

        async def connect():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            opened.append(writer)
            return reader, writer

        try:
            async with asyncio.timeout(60):
                return await scene(connect)
        finally:
            for writer in opened:
                writer.close()
            server.close()

    return asyncio.run(run())


def test_a_slow_client_is_left_and_others_are_answered_meanwhile(monkeypatch):
    async def scene(connect):
        monkeypatch.setattr(metrics_role, "PATIENCE_SECONDS", 0.3)
        slow, slow_writer = await connect()
        slow_writer.write(b"GET /metr")
        assert await slow.read() == b""
        monkeypatch.setattr(metrics_role, "PATIENCE_SECONDS", 60)
        _, slow_writer = await connect()
        slow_writer.write(b"GET /metr")
        reader, writer = await connect()
        writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
        return await reader.read()

    assert asked(scene).endswith(b"# numbers\n")


def test_a_request_without_end_is_cut():
    async def scene(connect):
        reader, writer = await connect()
        writer.write(b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * MAX_REQUEST_BYTES)
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""

    assert asked(scene) == b""


def test_who_has_been_there_for_longest_makes_room():
    async def scene(connect):
        held = [await connect() for _ in range(MAX_CONNECTIONS)]
        answers = []
        for _ in range(3):
            reader, writer = await connect()
            writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")
            answers.append(await reader.read())
        cut = [await held[0][0].read()]
        held[-1][1].write(b"GET /healthz HTTP/1.1\r\n\r\n")
        return answers, cut, await held[-1][0].read()

    answers, cut, late = asked(scene)
    assert all(answer.endswith(b"\r\n\r\nok\n") for answer in [*answers, late])
    assert cut == [b""]


def test_nothing_is_kept_for_who_does_not_read(monkeypatch):
    patience, real = [], asyncio.timeout
    monkeypatch.setattr(metrics_role.asyncio, "timeout", lambda seconds: patience.append(real(seconds)) or patience[-1])
    page = Page()
    page.numbers = b"x" * 20_000_000  # more than the system takes of what nobody reads

    async def scene(connect):
        before, answering = asyncio.all_tasks(), set()
        for _ in range(3):
            reader, writer = await connect()
            writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
            await reader.readexactly(1)
            answering |= asyncio.all_tasks() - before
        assert len(answering) == 3
        for one in patience[-3:]:
            one.reschedule(0.0)  # that is over
        await asyncio.wait(answering)

    asked(scene, page)


@pytest.mark.parametrize("place", ["0.0.0.0:9464", "192.0.2.1:9464", "[::]:9464"])
def test_an_address_that_others_reach_must_be_meant(place):
    with pytest.raises(ConfigError, match="not a loopback address"):
        from_values({"metrics": {"listen": place}})
    assert str(from_values({"metrics": {"listen": place, "remote": True}}).metrics.listen) == place


@pytest.mark.parametrize("place", ["127.0.0.1:9464", "127.8.8.8:1", "[::1]:9464"])
def test_loopback_needs_no_word(place):
    assert str(from_values({"metrics": {"listen": place}}).metrics.listen) == place


@pytest.mark.parametrize("place", ["/run/x", "9464", "localhost:9464"])
def test_only_host_and_port(place):
    with pytest.raises(ConfigError):
        from_values({"metrics": {"listen": place}})
