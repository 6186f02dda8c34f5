"""Tries a TLS policy on the servers themselves, by posttls-finger(1): it is Postfix's own client, and sends no mail."""

import os
import re
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from mailseal.config import Config
from mailseal.discover.dane import has_dane, host_has_dane
from mailseal.discover.dns import Dns, DnsUnavailableError
from mailseal.postfix.tls_choice import StsFacts
from mailseal.postfix.tls_destination import Destination, read_destination
from mailseal.postfix.tls_policy import Level, TlsPolicy, rendered, with_colons
from mailseal.roles.sts_look import StsLook
from mailseal.roles.tls_journey import Leg, TlsQuestionError, journey_of
from mailseal.store import sts_policies

PROGRAM = "posttls-finger"
SECONDS = 60.0
STEP_SECONDS = 10
MAX_OUTPUT_CHARS = 100_000
_ESTABLISHED = re.compile(r"(?P<trust>\w+) TLS connection established to (?P<server>\S+): (?P<version>\S+) with cipher")
_FAILED = re.compile(r"(?:Failed to establish session to \S+|Destination address lookup failed)[^:]*: (?P<why>.*)")
_UNVERIFIED = re.compile(r"verification failed for \S+ (?:num=\d+:)?(?P<why>.*)")
_KEY = re.compile(r"pkey_fingerprint=(?P<digest>[0-9A-F:]{95})")
_SERVER = re.compile(r"Connected to (?P<server>\S+)")

Row = dict[str, object]


def tried(destination: Destination, config: Config) -> list[Row]:
    """A row for each connection that Postfix might make; raises TlsQuestionError, MailsealError."""
    program = shutil.which(PROGRAM, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise TlsQuestionError(f"{PROGRAM} is not here", "install Postfix, whose own client it is")
    journey = journey_of(destination, config, _published(destination.domain, config))
    if journey.problem:
        return [{"asked_for": "", "policy": "", "mail": "waits", "detail": journey.problem}]
    return [_tried(leg, program, config) for leg in journey.legs]


def _published(domain: str, config: Config) -> StsFacts | None:
    """What a domain's MTA-STS policy says now; None: what is stored counts, as it would for a mail."""
    if not domain or not config.tls.mta_sts:
        return None
    now = datetime.now(UTC)
    known = sts_policies.info_of(domain, now)
    found = StsLook.by(config).at(domain, known, now)
    if found.policy is None:
        return None
    dane = bool(found.dane if found.dane is not None else known is not None and known.facts.dane)
    return StsFacts(found.policy.mode, found.policy.names, dane=dane)


def _tried(leg: Leg, program: str, config: Config) -> Row:
    if leg.choice is None:
        return {"asked_for": leg.key, "policy": "", "mail": "waits", "detail": leg.problem}
    row: Row = {"asked_for": leg.key, "policy": rendered(leg.choice.policy), "server": "", "tls": ""}
    if leg.key.startswith("/"):
        return row | {"mail": "is sent in clear", "detail": "a socket of this machine is not connected to"}
    policy = leg.choice.policy
    if policy.level is Level.DANE and not _has_dane(leg.key, Dns(config.dns.servers, config.dns.timeout_seconds)):
        # Without records posttls-finger would verify names; Postfix takes any certificate.
        policy = TlsPolicy(Level.MAY, least_tls=policy.least_tls)
    return row | _outcome(policy.level, _run(program, leg.key, policy))


def _has_dane(key: str, dns: Dns) -> bool:
    place = read_destination(key).place
    try:
        if place is None:
            return has_dane(dns, key)
        return not place.is_address and host_has_dane(dns, place.host, place.port)
    except DnsUnavailableError:
        return True


def _run(program: str, key: str, policy: TlsPolicy) -> str:
    match policy.level:
        case Level.FINGERPRINT:
            match = [with_colons(one) for one in policy.fingerprints]
        case Level.VERIFY | Level.SECURE:
            match = [one.removeprefix("*") for one in policy.names]
        case _:
            match = []
    trusted = ["-A", str(policy.trust_anchors)] if policy.trust_anchors else _system_roots()
    options = ["-l", policy.level, "-d", "sha256", "-p", f">=TLSv{policy.least_tls or '1.2'}", *trusted]
    if policy.server_name:
        options += ["-s", policy.server_name]
    with tempfile.TemporaryDirectory() as folder:
        main_cf = Path(folder) / "main.cf"
        main_cf.write_text("compatibility_level = 3.6\n")
        os.utime(main_cf, (0, 0))  # a file that has just changed Postfix reads again, until it is two seconds old
        command = [program, "-t", str(STEP_SECONDS), "-T", str(STEP_SECONDS), *options, key, *match]
        environment = {"PATH": os.environ.get("PATH", ""), "MAIL_CONFIG": folder, "LC_ALL": "C"}
        try:
            done = subprocess.run(  # noqa: S603 -- a program of the system, with words that were checked
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False, env=environment
            )
        except subprocess.TimeoutExpired:
            return "Failed to establish session to it: no answer in time"
    return (done.stdout + done.stderr)[:MAX_OUTPUT_CHARS].decode(errors="replace")


def _system_roots() -> Sequence[str]:
    paths = ssl.get_default_verify_paths()
    return [*(["-F", paths.cafile] if paths.cafile else []), *(["-P", paths.capath] if paths.capath else [])]


def _outcome(level: Level, said: str) -> Row:
    """What would become of a mail, from what posttls-finger has said."""
    failed, established = _FAILED.search(said), _ESTABLISHED.search(said)
    connected = _SERVER.search(said)
    server = established["server"] if established else connected["server"] if connected else ""
    if failed is not None and established is None:
        return {"mail": "waits", "server": server, "detail": failed["why"]}
    if level is Level.NONE:
        return {"mail": "is sent in clear", "server": server, "detail": ""}
    if established is None:
        fate = "waits" if level is not Level.MAY else "is sent in clear"
        return {"mail": fate, "server": server, "detail": "the server does not offer TLS, or no version in common"}
    row: Row = {"server": server, "tls": f"{established['trust']}, {established['version']}", "detail": ""}
    key = _KEY.search(said)
    if key is not None:
        row["key_fingerprint"] = key["digest"]
    if level in {Level.MAY, Level.ENCRYPT} or established["trust"] == "Verified":
        return row | {"mail": "is sent"}
    why = _UNVERIFIED.search(said)
    detail = why["why"] if why else "the server has not proved who it is"
    return row | {"mail": "waits", "detail": detail}
