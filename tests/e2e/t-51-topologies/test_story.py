"""Where the gateway may stand, each with real Postfix instances as the other servers.

* after the content scanner: all mail has passed it before it comes here, and goes on by itself;
* redirect and return: the scanner hands mail over and gets it back, opened or protected, and delivers it;
* domain to domain: two gateways, each with a certificate for its whole domain; what is between them is encrypted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import openssl
from harness.bare_postfix import BarePostfix
from harness.client import Port, send
from harness.folder import free_port, short_folder
from harness.gateway import Gateway
from harness.mail import CANARY, entity, envelope_header, mail
from harness.sink import Sink
from harness.site import furnish, people
from harness.waiting import wait_until

ANNA, BERT, OLGA, SARA = "anna@alpha.example", "bert@alpha.example", "olga@out.example", "sara@secret.example"
OUT, IN = "127.0.0.1", "127.0.0.2"
"""Where a scanner calls from, by the direction of the mail: only the first is in postfix.networks."""
SECONDS = 90
QUICK = {"minimal_backoff_time": "2s", "maximal_backoff_time": "3s", "queue_run_delay": "1s"}
UNTOUCHED = {"disable_mime_output_conversion": "yes", "smtp_line_length_limit": "0", "bounce_size_limit": "1"}


@dataclass
class Way:
    """`from_inside`, `from_world`: ports of the other servers where mail is handed in."""

    from_inside: Port
    from_world: Port
    inside: Sink
    world: Sink
    scanner: BarePostfix

    def received(self, sink: Sink, count: int = 1) -> bytes:
        return sink.wait(count, seconds=SECONDS)[-1].octets


def gateway(folder: Path, *, entry: int, inside: int, outside: int, hostname: str = "gate.alpha.example") -> Gateway:
    """With a private Postfix whose onward hops are ports of loopback."""
    reinjection = free_port()
    postfix = {
        "instance": "private",
        "folder": str(folder / "postfix"),
        "listen": [f"127.0.0.1:{entry}"],
        "reinjection": f"127.0.0.1:{reinjection}",
        "networks": [f"{OUT}/32"],
        "inside": [f"smtp://127.0.0.1:{inside}"],
        "outside": [f"smtp://127.0.0.1:{outside}"],
        "verify_recipients": False,
        "settings": QUICK,
    }
    relay = dict.fromkeys(("inside", "outside"), f"smtp://127.0.0.1:{reinjection}")
    top = {"workers": 1, "hostname": hostname}
    return Gateway(folder / "gateway", top=top, postfix=postfix, relay=relay)


def scanner(folder: Path, to: dict[str, tuple[int, int, str]]) -> BarePostfix:
    """A Postfix that writes on each mail that it has seen it. By name: its port, where mail goes on, from where."""
    lines = []
    for name, (port, onward, source) in to.items():
        lines += [
            f"127.0.0.1:{port} inet n - n - - smtpd",
            f"  -o content_filter={name}:[127.0.0.1]:{onward} -o smtpd_client_restrictions=",
            f"  -o cleanup_service_name=clean-{name}",
            f"clean-{name} unix n - n - 0 cleanup -o message_drop_headers=",
            f"  -o header_checks=regexp:{folder}/{name}.checks",
            f"{name} unix - - n - - smtp -o smtp_bind_address={source} -o smtp_helo_name=scanner.test",
        ]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.checks").write_text(f"/^from:/ PREPEND X-Scanned: {name}\n")
    first = next(iter(to.values()))[0]
    return BarePostfix(folder, "scanner.test", UNTOUCHED, "\n".join(lines) + "\n", port=first)


@pytest.fixture(scope="module")
def after_scanner(need_postfix: None) -> Iterator[Way]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(short_folder("after"))
        inside, world = stack.enter_context(Sink()), stack.enter_context(Sink())
        entry, a, b = free_port(), free_port(), free_port()
        gate = stack.enter_context(gateway(folder, entry=entry, inside=inside.port, outside=world.port))
        furnish(gate)
        gate.start(seconds=SECONDS)
        there = {"out": (a, entry, OUT), "in": (b, entry, IN)}
        scans_all = stack.enter_context(scanner(folder / "scanner", there))
        yield Way(a, b, inside, world, scans_all)


@pytest.fixture(scope="module")
def redirected(need_postfix: None) -> Iterator[Way]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(short_folder("redirect"))
        inside, world = stack.enter_context(Sink()), stack.enter_context(Sink())
        entry, a, b, back_in, back_out = (free_port() for _ in range(5))
        gate = stack.enter_context(gateway(folder, entry=entry, inside=back_in, outside=back_out))
        furnish(gate)
        gate.start(seconds=SECONDS)
        there = {
            "out": (a, entry, OUT),
            "in": (b, entry, IN),
            "returned-in": (back_in, inside.port, OUT),
            "returned-out": (back_out, world.port, OUT),
        }
        scans_all = stack.enter_context(scanner(folder / "scanner", there))
        yield Way(a, b, inside, world, scans_all)


@pytest.fixture(params=["after_scanner", "redirected"])
def way(request: pytest.FixtureRequest) -> Way:
    made: Way = request.getfixturevalue(request.param)
    made.inside.clear()
    made.world.clear()
    return made


def scans(octets: bytes) -> list[bytes]:
    """Which sides of the scanner have seen it, sorted."""
    header = octets.partition(b"\r\n\r\n")[0]
    return sorted(line.partition(b": ")[2] for line in header.split(b"\r\n") if line.startswith(b"X-Scanned:"))


def test_out(way: Way, request: pytest.FixtureRequest) -> None:
    """Scanned in clear, then protected; nobody behind the gateway reads it."""
    send(way.from_inside, ANNA, [SARA], mail(ANNA, SARA))

    got = way.received(way.world)
    assert CANARY not in got
    assert CANARY in openssl.verify(openssl.decrypt(got, people().sara), people().root)
    expected = [b"out"] if "after" in request.node.name else [b"out", b"returned-out"]
    assert scans(got) == expected


def test_in(way: Way, request: pytest.FixtureRequest) -> None:
    """It comes encrypted; where the scanner gets it back, it has seen what is in it."""
    wire = envelope_header(OLGA, ANNA) + openssl.encrypt(openssl.sign(entity(), people().olga), [people().anna])
    send(way.from_world, OLGA, [ANNA], wire)

    got = way.received(way.inside)
    assert CANARY in got
    assert b"X-Mailseal-Signed-By-Sender: yes" in got
    expected = [b"in"] if "after" in request.node.name else [b"in", b"returned-in"]
    assert scans(got) == expected


def test_what_must_be_encrypted_and_cannot_be_comes_back(way: Way) -> None:
    send(way.from_inside, ANNA, ["nils@secret.example"], mail(ANNA, "nils@secret.example"))

    bounce = way.received(way.inside)
    assert b"nils@secret.example" in bounce
    assert CANARY not in bounce
    assert not way.world.mails


def test_from_outside_nobody_is_signed_for_or_relayed(way: Way) -> None:
    """A stranger who writes Anna's address: to Bert it goes unsigned and not as opened; to the world it does not go."""
    send(way.from_world, ANNA, [BERT], mail(ANNA, BERT))
    got = way.received(way.inside)
    assert b"multipart/signed" not in got
    assert b"X-Mailseal-Signed-By-Sender: yes" not in got

    send(way.from_world, ANNA, [OLGA], mail(ANNA, OLGA))
    wait_until(lambda: "Relay access denied" in way.scanner.maillog(), lambda: way.scanner.maillog()[-3000:])
    assert not way.world.mails


# ---- domain to domain


@dataclass
class Pair:
    alpha: Gateway
    beta: Gateway
    entries: dict[str, Port]
    inside: dict[str, Sink]


@pytest.fixture(scope="module")
def pair(need_postfix: None) -> Iterator[Pair]:
    who = people()
    domains = {"alpha.example": "gate.alpha.example", "beta.example": "gate.beta.example"}
    certificates = {name: who.issue(f"gateway@{name}", key="p256") for name in domains}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(short_folder("pair"))
        entries = {name: free_port() for name in domains}
        inside = {name: stack.enter_context(Sink()) for name in domains}
        gates = {}
        others = dict(zip(domains, reversed(list(domains)), strict=True))
        copies = {name: free_port() for name in domains}
        for name, hostname in domains.items():
            other = others[name]
            gate = stack.enter_context(
                gateway(
                    folder / name[:1],
                    entry=entries[name],
                    inside=inside[name].port,
                    outside=copies[name],
                    hostname=hostname,
                )
            )
            with gate.at_once():
                gate.init(name)
                gate.import_roots(who.root)
                gate.import_certificates([who.issuing, certificates[other]], own=[certificates[name]])
                gate.do("cert", "use", certificates[other].certificate.fingerprint, other)
                gate.do("cert", "use", certificates[name].certificate.fingerprint, name)
                gate.set("mode", "mandatory", "--domain", other)
            gates[name] = gate
        for gate in gates.values():
            gate.launch()
        for gate in gates.values():
            gate.wait_until_ready(seconds=SECONDS)
        onward = {copies[name]: entries[others[name]] for name in domains}
        stack.enter_context(_between(folder / "between", onward))
        yield Pair(*gates.values(), {name: Port.of(port, OUT) for name, port in entries.items()}, inside)


def _between(folder: Path, onward: dict[int, int]) -> BarePostfix:
    """The world between two gateways: a Postfix that hands on what comes, from an address that nobody knows."""
    lines: list[str] = []
    for number, (port, entry) in enumerate(onward.items()):
        lines += [
            f"127.0.0.1:{port} inet n - n - - smtpd",
            f"  -o content_filter=on{number}:[127.0.0.1]:{entry}",
            f"on{number} unix - - n - - smtp -o smtp_bind_address={IN}",
        ]
    return BarePostfix(folder, "between.test", UNTOUCHED, "\n".join(lines) + "\n", port=next(iter(onward)))


@pytest.mark.parametrize(("sender", "recipient"), [(ANNA, "bea@beta.example"), ("bea@beta.example", ANNA)])
def test_between_two_gateways_all_is_encrypted(pair: Pair, sender: str, recipient: str) -> None:
    here, there = (address.partition("@")[2] for address in (sender, recipient))
    pair.inside[there].clear()
    send(pair.entries[here], sender, [recipient], mail(sender, recipient))

    [got] = pair.inside[there].wait(1, seconds=SECONDS)
    assert CANARY in got.body
    assert got.recipients == (recipient,)
    gates = {"alpha.example": pair.alpha, "beta.example": pair.beta}
    for name, treatment in ((here, "signed+encrypted"), (there, "opened")):
        [row] = gates[name].wait_for_log(1, "--recipient", recipient, seconds=SECONDS)
        assert row["treatment"] == treatment, row
