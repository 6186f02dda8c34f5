"""A name server with a signed zone (knot) and a resolver that validates, or does not (unbound): private instances.

Zones are given as text without SOA and NS; `signed` ones have a trust anchor at the resolver, others none.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from harness.namespace import Namespace
from harness.waiting import PATIENCE_SECONDS, wait_until

AUTHORITY_PORT = 5300
_HEAD = """\
$TTL 60
@ IN SOA ns.{zone} hostmaster.{zone} 1 3600 600 86400 60
@ IN NS ns.{zone}
ns IN A 127.0.0.1
"""


def why_not() -> str | None:
    """Why it cannot run here; None if it can."""
    missing = [name for name in ("knotd", "keymgr", "unbound") if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)} (apt-get install knot unbound)" if missing else None


@dataclass
class Names:
    """`ask` sends one question to the resolver, from within the namespace."""

    net: Namespace
    address: str

    def ask(
        self, name: str, kind: str, *, to: tuple[str, int] | None = None, seconds: float = 10
    ) -> dns.message.Message:
        host, port = to or (self.address, 53)
        question = dns.message.make_query(name, kind, want_dnssec=True)
        question.flags |= dns.flags.AD
        with self.net.inside():
            return dns.query.udp(question, host, port=port, timeout=seconds)

    def wait(
        self, name: str, kind: str, *, to: tuple[str, int] | None = None, seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Until an answer has come that is not a failure."""

        def is_there() -> bool:
            with contextlib.suppress(OSError, dns.exception.Timeout):
                answer = self.ask(name, kind, to=to, seconds=0.5)  # one that comes up has lost the question
                return answer.rcode() == dns.rcode.NOERROR and bool(answer.answer)
            return False

        wait_until(is_there, lambda: f"no answer for {name} {kind}", seconds=seconds, every=0.05)


@contextlib.contextmanager
def names(
    net: Namespace,
    folder: Path,
    zones: Mapping[str, str],
    *,
    signed: Sequence[str],
    bogus: Sequence[str] = (),
    validating: bool = True,
    address: str = "127.0.0.1",
) -> Iterator[Names]:
    """Zones by name with a final dot. `bogus`: signed ones whose trust anchor does not fit."""
    folder.mkdir(exist_ok=True)
    knot = folder / "knot.conf"
    knot.write_text(_knot(folder, zones, signed))
    for zone, text in zones.items():
        (folder / f"{zone}zone").write_text(_HEAD.format(zone=zone) + text)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_running(net.command("knotd", "-c", str(knot)), folder / "knot.log"))
        found = Names(net, address)
        for zone in zones:
            kind = "DNSKEY" if zone in signed else "SOA"
            found.wait(zone, kind, to=("127.0.0.1", AUTHORITY_PORT))
        anchors = [_anchor(knot, zone, spoil=zone in bogus) for zone in signed]
        # A copy has no AppArmor profile: Debian's allows unbound its configuration in /etc alone.
        program = shutil.copy(str(shutil.which("unbound")), folder)
        unbound = folder / "unbound.conf"
        unbound.write_text(_unbound(folder, zones, anchors, address, validating=validating))
        stack.enter_context(_running(net.command(program, "-d", "-c", str(unbound)), folder / "unbound.log"))
        for zone in zones:
            if zone not in bogus or not validating:
                found.wait(zone, "SOA")
        yield found


@contextlib.contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[None]:
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _knot(folder: Path, zones: Mapping[str, str], signed: Sequence[str]) -> str:
    blocks = []
    for zone in zones:
        words = "\n    dnssec-signing: on\n    dnssec-policy: lab" if zone in signed else ""
        blocks.append(f"  - domain: {zone}\n    file: {folder}/{zone}zone\n    zonefile-sync: -1{words}")
    return f"""\
server:
    rundir: {folder}
    user: {_owner(folder)}
    listen: 127.0.0.1@{AUTHORITY_PORT}
log:
  - target: stderr
    any: warning
database:
    storage: {folder}
policy:
  - id: lab
    algorithm: ecdsap256sha256
    single-type-signing: on
zone:
{chr(10).join(blocks)}
"""


def _owner(folder: Path) -> str:
    assert os.geteuid() == folder.stat().st_uid == 0
    return "root"


def _anchor(knot: Path, zone: str, *, spoil: bool) -> str:
    done = subprocess.run(["keymgr", "-c", str(knot), zone, "ds"], capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if " 13 2 " in line)  # ECDSA P-256, SHA-256
    if spoil:
        digest = line.split()[-1]
        line = line.replace(digest, ("1" if digest[0] != "1" else "2") + digest[1:])
    return line


def _unbound(folder: Path, zones: Mapping[str, str], anchors: Sequence[str], address: str, *, validating: bool) -> str:
    lines = [f'    local-zone: "{zone}" nodefault' for zone in zones]
    if validating:
        lines += [f'    trust-anchor: "{anchor}"' for anchor in anchors]
    stubs = "".join(f'stub-zone:\n    name: "{zone}"\n    stub-addr: 127.0.0.1@{AUTHORITY_PORT}\n' for zone in zones)
    modules = "validator iterator" if validating else "iterator"
    return f"""\
server:
    interface: {address}
    access-control: 0.0.0.0/0 allow
    do-ip6: no
    do-daemonize: no
    do-not-query-localhost: no
    chroot: ""
    username: ""
    directory: "{folder}"
    pidfile: "{folder}/unbound.pid"
    use-syslog: no
    logfile: ""
    module-config: "{modules}"
    cache-max-ttl: 1
    cache-max-negative-ttl: 1
{chr(10).join(lines)}
remote-control:
    control-enable: no
{stubs}"""


def tlsa(names_to: Mapping[str, str]) -> str:
    """TLSA records of port 25 for a zone: `{"good": "3 1 1 ab12…"}`."""
    return "".join(f"_25._tcp.{host} IN TLSA {data}\n" for host, data in names_to.items())
