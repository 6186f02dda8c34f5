"""Keys from and to the network: mail that waits for a search, a key server that is slow or gone, what we publish."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest

from harness.client import Sent, send
from harness.folder import short_folder
from harness.gateway import Gateway
from harness.gpg import Gpg, why_not
from harness.mail import CANARY, mail
from harness.sink import Sink
from harness.site import smtp_site
from harness.waiting import wait_until
from harness.web import HOLD_SECONDS, Web
from mailseal.openpgp.generate import generate

ANNA = "anna@alpha.example"
NOW = datetime.now(UTC).replace(microsecond=0)

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@dataclass
class Place:
    gateway: Gateway
    port: int
    outside: Sink
    web: Web

    def send(self, to: str) -> Sent:
        return send(self.port, ANNA, [to], mail(ANNA, to))

    def send_until_decided(self, to: str) -> str:
        """As an MTA would: again while it is deferred."""
        replies = [""]

        def is_decided() -> bool:
            replies.append(self.send(to).end[0])
            return not replies[-1].startswith("451")

        wait_until(is_decided, lambda: replies[-1], every=0.5)
        return replies[-1]

    def publish(self, address: str) -> str:
        made = generate([address], at=NOW - timedelta(days=1))
        self.web.answers[f"GET /vks/v1/by-email/{address.replace('@', '%40')}"] = (200, made.octets)
        return made.keys[0][0].fingerprint

    def asked_for(self, address: str) -> int:
        return sum(unquote(one).endswith(address) for one in self.web.asked)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with short_folder("keys") as folder, Web(folder, name="127.0.0.1") as web:
        discover = {
            "wkd": False,  # the domains of the story do not exist
            "key_servers": [f"https://127.0.0.1:{web.port}"],
            "allow_private": True,
            "ca": str(web.ca),
            "total_seconds": 5,
            "wait_seconds": 1,
        }
        with smtp_site("search", discover=discover) as (gateway, port, _, outside):
            gateway.set("pgp_lookup", "wait", "--domain", "secret.example")
            gateway.set("pgp_lookup", "background", "--domain", "out.example")
            yield Place(gateway, port, outside, web)


@pytest.fixture(autouse=True)
def _clean(place: Place) -> None:
    place.outside.clear()


def test_mail_waits_for_the_search_and_what_is_found_needs_trust(place: Place) -> None:
    fingerprint = place.publish("piet@secret.example")
    assert place.send_until_decided("piet@secret.example").startswith("550 5.7.1")
    assert not place.outside.mails
    (row,) = place.gateway.rows("pgp", "list", "--candidates")
    assert row["fingerprint"] == fingerprint
    [logged] = place.gateway.wait_for_log(1, "--recipient", "piet@secret.example", "--fate", "refused")
    assert "trust" in json.dumps(logged["reasons"])

    place.gateway.cli("pgp", "trust", fingerprint)
    # Workers look for changes each second.
    wait_until(lambda: place.send("piet@secret.example").end[0].startswith("250"), every=0.3)
    [got] = place.outside.wait(1)
    assert CANARY not in got.octets
    assert "multipart/encrypted" in got.fields("Content-Type")[0]
    assert place.asked_for("piet@secret.example") == 1


def test_that_there_is_none_is_asked_once(place: Place) -> None:
    for _ in range(2):
        assert place.send_until_decided("nobody@secret.example").startswith("550 5.7.1")
    assert place.asked_for("nobody@secret.example") == 1
    assert not place.outside.mails


def test_a_server_that_does_not_answer_defers_and_never_sends_in_clear(place: Place) -> None:
    place.web.hold.clear()
    try:
        for _ in range(2):
            began = time.monotonic()
            assert place.send("slow@secret.example").end[0].startswith("451")
            assert time.monotonic() - began < HOLD_SECONDS
        # Other jobs and other mail do not wait for it.
        assert place.send("olga@out.example").end[0].startswith("250")
    finally:
        place.web.hold.set()
    assert [CANARY in one.octets for one in place.outside.wait(1)] == [False]


def test_in_the_background_mail_goes_on_at_once(place: Place) -> None:
    place.publish("pia@out.example")
    assert place.send("pia@out.example").end[0].startswith("250")
    wait_until(lambda: place.gateway.rows("pgp", "list", "--address", "pia@out.example"), every=0.2)


def test_what_we_publish_opens_in_gpg(place: Place, tmp_path: Path) -> None:
    made = place.gateway.rows("pgp", "generate", f"Anna <{ANNA}>")
    fingerprint = made["fingerprint"]
    (row,) = place.gateway.rows("pgp", "wkd", "export", str(tmp_path / "wkd"))
    assert row["address"] == ANNA
    file = Path(row["file"])
    assert file.relative_to(tmp_path).parts[:3] == ("wkd", "alpha.example", "hu")
    assert (tmp_path / "wkd" / "alpha.example" / "policy").read_bytes() == b""
    with Gpg() as gpg:
        gpg.run("--import", str(file), at=datetime.now(UTC))
        assert any(
            fields[9].lower() == fingerprint
            for fields in gpg.listed(fingerprint, at=datetime.now(UTC))
            if fields[0] == "fpr"
        )

    stale = file.with_name("y" * 32)
    stale.write_bytes(b"of somebody else, or old")
    place.gateway.cli("pgp", "wkd", "export", str(tmp_path / "wkd"))
    assert stale.exists()
    place.gateway.cli("pgp", "wkd", "export", str(tmp_path / "wkd"), "--prune")
    assert not stale.exists()

    place.web.answers["POST /vks/v1/upload"] = (
        200,
        json.dumps({"token": "t", "status": {ANNA: "unpublished"}}).encode(),
    )
    place.web.answers["POST /vks/v1/request-verify"] = (200, json.dumps({"token": "t", "status": {}}).encode())
    assert ANNA in place.gateway.cli("pgp", "upload", fingerprint, "--yes")
    (sent,) = [
        body for line, body in zip(place.web.asked, place.web.bodies, strict=True) if line == "POST /vks/v1/upload"
    ]
    with Gpg() as gpg:
        gpg.run("--import", given=json.loads(sent)["keytext"].encode(), at=datetime.now(UTC))


def test_lookup_by_hand(place: Place) -> None:
    fingerprint = place.publish("paul@elsewhere.example")
    rows = place.gateway.rows("pgp", "lookup", "paul@elsewhere.example", "none@elsewhere.example")
    assert [(one["address"], one["fingerprint"]) for one in rows] == [
        ("paul@elsewhere.example", fingerprint),
        ("none@elsewhere.example", ""),
    ]
