"""Where most stories happen: alpha.example behind a private Postfix and a real Mailseal; the rest is outside.

| address | what it has |
|---|---|
| anna@alpha.example | certificate and key (RSA): signs, decrypts |
| bert@alpha.example | certificate and key (P-256): signs, decrypts |
| carl@alpha.example | nothing |
| olga@out.example | certificate (RSA); we hold its key as referee |
| otto@out.example | certificate (P-256) |
| ulla@out.example, udo@out.example | one certificate for both |
| nora@out.example | no certificate |
| *@secret.example | mail must be encrypted; sara has a certificate, nils has none, UNUSABLE have one of no use |
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from harness.folder import free_port, short_folder
from harness.gateway import Gateway
from harness.postfix import Postfix
from harness.private_postfix import PrivatePostfix
from harness.sink import Sink
from pki import Authority

INSIDE = "alpha.example"
UNUSABLE = ("expired", "early", "revoked", "usage", "untrusted")
"""Local parts at secret.example, by what is wrong with their certificates."""


class People:
    """A PKI that is valid now: stories run with the real clock."""

    def __init__(self) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        self.span = {"not_before": now - timedelta(days=30), "not_after": now + timedelta(days=300)}
        self.root = Authority("Story Root", not_before=now - timedelta(days=300), not_after=now + timedelta(days=900))
        self.issuing = self.root.subordinate("Story Issuing CA", **self.span)
        self.anna = self.issue(f"anna@{INSIDE}", key="rsa2048")
        self.bert = self.issue(f"bert@{INSIDE}", key="p256")
        self.olga = self.issue("olga@out.example", key="rsa2048")
        self.otto = self.issue("otto@out.example", key="p256")
        self.pair = self.issue(["ulla@out.example", "udo@out.example"], key="rsa2048")
        self.sara = self.issue("sara@secret.example", key="rsa2048")
        usual = {"key": "p256", **self.span}
        past, to_come = {"not_after": now - timedelta(days=1)}, {"not_before": now + timedelta(days=1)}
        self.unusable = {
            "expired": self.issuing.issue("expired@secret.example", **usual | past),
            "early": self.issuing.issue("early@secret.example", **usual | to_come),
            "revoked": self.issuing.issue("revoked@secret.example", **usual),
            "usage": self.issuing.issue("usage@secret.example", usage=("digital_signature",), **usual),
            "untrusted": Authority("Unknown Root", **self.span).issue("untrusted@secret.example", **usual),
        }
        self.crl = self.issuing.crl(
            [self.unusable["revoked"]], this_update=now - timedelta(hours=1), next_update=now + timedelta(days=6)
        )
        self.stranger = self.issue("stranger@out.example", key="rsa2048")

    def issue(self, email: str | list[str], key: str) -> object:
        return self.issuing.issue(email, key=key, **self.span)

    @property
    def outsiders(self) -> tuple[object, ...]:
        return (self.olga, self.otto, self.pair, self.sara, *self.unusable.values())


@cache
def people() -> People:
    return People()


def furnish(gateway: Gateway) -> None:
    """What an administrator of alpha.example types on the first day."""
    who = people()
    with gateway.at_once():
        gateway.init(INSIDE)
        gateway.import_roots(who.root)
        gateway.import_certificates([who.issuing, *who.outsiders], own=[who.anna, who.bert])
        gateway.import_crl(who.crl)
        gateway.set("mode", "mandatory", "--domain", "secret.example")


@dataclass
class Site:
    """Everything of one site, running."""

    folder: Path
    postfix: Postfix | PrivatePostfix
    gateway: Gateway
    inside: Sink
    outside: Sink

    def clear(self) -> None:
        for sink in (self.inside, self.outside):
            sink.up()
            sink.clear()


@contextlib.contextmanager
def site(
    name: str, *, start: bool = True, through_postfix: bool = False, **tables: Mapping[str, object]
) -> Iterator[Site]:
    """Postfix in front and Mailseal behind it; its next hops are the sinks, or Postfix again and then the sinks.

    This Postfix lives on its own; for the one that `mailseal serve` runs: `private_site`.
    """
    with short_folder(name) as folder, Sink() as inside, Sink() as outside:
        postfix = Postfix(folder / "postfix", inside_domains=[INSIDE], inside=inside.port, outside=outside.port)
        listen = {"lmtp_authorised": str(postfix.lmtp_authorised), "lmtp_outside": str(postfix.lmtp_outside)}
        ports = (postfix.reinjection, postfix.reinjection) if through_postfix else (inside.port, outside.port)
        relay = dict(zip(("inside", "outside"), (f"smtp://127.0.0.1:{port}" for port in ports), strict=True))
        given = {"listen": listen, "relay": relay, **tables}
        with Gateway(folder / "mailseal", **given) as gateway:
            furnish(gateway)
            if start:
                gateway.start()
            with postfix:
                yield Site(folder, postfix, gateway, inside, outside)


@contextlib.contextmanager
def private_site(
    name: str, *, more: Mapping[str, object] | None = None, **tables: Mapping[str, object]
) -> Iterator[Site]:
    """As it is run by `mailseal serve` alone: its private Postfix before and behind it. `more` is for [postfix]."""
    with short_folder(name) as folder, Sink() as inside, Sink() as outside:
        postfix = PrivatePostfix(folder / "postfix", inside=inside.port, outside=outside.port, **more or {})
        with Gateway(folder / "mailseal", **postfix.tables, **tables) as gateway:
            furnish(gateway)
            gateway.start()
            yield Site(folder, postfix, gateway, inside, outside)


@contextlib.contextmanager
def smtp_site(name: str, **tables: Mapping[str, object]) -> Iterator[tuple[Gateway, int, Sink, Sink]]:
    """Mailseal alone, by SMTP: 127.0.0.1 is authorised, any other address of loopback is outside."""
    port = free_port()
    with short_folder(name) as folder, Sink() as inside, Sink() as outside:
        given = {
            "listen": {"smtp": f"127.0.0.1:{port}", "smtp_authorised_networks": ["127.0.0.1/32"]},
            "relay": {"inside": f"smtp://127.0.0.1:{inside.port}", "outside": f"smtp://127.0.0.1:{outside.port}"},
            **tables,
        }
        with Gateway(folder / "mailseal", **given) as gateway:
            furnish(gateway)
            gateway.start()
            yield gateway, port, inside, outside
