"""Several next hops and routes by domain: one is down, one is a black hole, one gets only what is its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from fake_hop import HANG, HANG_SECONDS, Fake
from harness.client import Client, Sent
from harness.folder import free_port, short_folder
from harness.gateway import Gateway
from harness.mail import mail
from harness.routes import set_routes
from harness.sink import Sink
from harness.waiting import wait_until

ANNA = "anna@alpha.example"
DEADLINE_SECONDS = 4


@dataclass
class Scene:
    gateway: Gateway
    first: Sink
    second: Sink
    partner: Sink
    hole: Fake

    def send(self, *recipients: str, octets: bytes | None = None) -> Sent:
        with Client(path=self.gateway.data / "run" / "lmtp-authorised", lmtp=True) as client:
            return client.send(ANNA, recipients, octets or mail(ANNA, ", ".join(recipients)))


@pytest.fixture(scope="module")
def _shared() -> Iterator[Scene]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(short_folder("routes"))
        first, second, partner = (stack.enter_context(Sink()) for _ in range(3))
        hole = Fake(folder / "hole", {"BODY": [(100, HANG)]}, tcp=True)
        stack.callback(hole.stop)
        both = [f"smtp://127.0.0.1:{one.port}" for one in (first, second)]
        gateway = Gateway(
            folder / "mailseal",
            relay={"inside": both[0], "outside": both},
            limits={"deadline_seconds": DEADLINE_SECONDS},
        )
        stack.enter_context(gateway)
        gateway.init("alpha.example")
        ways = [f"smtp://127.0.0.1:{port}" for port in (free_port(), partner.port)]
        set_routes(gateway, {"*.partner.example": ways, "hole.example": [str(hole.place)]})
        gateway.start()
        yield Scene(gateway, first, second, partner, hole)


@pytest.fixture
def scene(_shared: Scene) -> Scene:
    for sink in (_shared.first, _shared.second, _shared.partner):
        sink.up()
        sink.clear()
    return _shared


def test_each_domain_goes_its_way_and_the_second_hop_of_a_route_takes_over(scene: Scene) -> None:
    sent = scene.send("a@out.example", "b@x.partner.example", "c@partner.example", "d@y.partner.example")

    assert [one[:3] for one in sent.end] == ["250"] * 4
    assert {one.recipients for one in scene.first.wait(1)} == {("a@out.example", "c@partner.example")}
    assert [one.recipients for one in scene.partner.wait(1)] == [("b@x.partner.example", "d@y.partner.example")]
    [copy], [other] = scene.first.mails, scene.partner.mails
    assert copy.body == other.body


def test_while_the_first_is_down_the_second_takes_the_mail(scene: Scene) -> None:
    scene.first.down()

    for _ in range(3):
        assert scene.send("a@out.example").end[0].startswith("250")

    assert len(scene.second.wait(3)) == 3
    assert not scene.first.mails
    assert "works again" not in scene.gateway.said()


def test_a_black_hole_is_451_by_the_deadline_and_holds_up_nobody(scene: Scene) -> None:
    big = mail(ANNA, "x@hole.example") + b"filling the socket's buffers is what makes it hang\r\n" * 200_000
    began = time.monotonic()
    with Client(path=scene.gateway.data / "run" / "lmtp-authorised", lmtp=True) as client:
        for command in (f"MAIL FROM:<{ANNA}>", "RCPT TO:<x@hole.example>", "DATA"):
            client.command(command)
        client.socket.sendall(big + b".\r\n")

        assert scene.send("b@x.partner.example").end[0].startswith("250"), "others go on meanwhile"

        assert client.reply().startswith("451")
    assert time.monotonic() - began < HANG_SECONDS
    assert not any(scene.hole.contents)
    scene.hole.script["BODY"] = [None]
    for _ in range(4):
        assert scene.send("x@hole.example").end[0].startswith("250"), "what hung is not used again"


def test_a_refusal_by_the_first_is_the_answer(scene: Scene) -> None:
    for sink in (scene.first, scene.second):
        sink.rcpt_replies["nobody@out.example"] = "550 5.1.1 not here"

    assert scene.send("nobody@out.example").end[0].startswith("550 5.1.1")
    assert not scene.first.mails + scene.second.mails


def test_a_route_that_is_taken_back_counts_no_more_after_a_second(scene: Scene) -> None:
    scene.gateway.cli("route", "unset", "*.partner.example", "--yes")

    def goes_elsewhere() -> bool:
        assert scene.send("b@x.partner.example").end[0].startswith("250")
        return bool(scene.first.mails + scene.second.mails)

    wait_until(goes_elsewhere)
