"""Where the stories of OpenPGP happen: alpha.example behind LMTP and SMTP of a real Mailseal; partners have gpg.

| address | what it has |
|---|---|
| anna@alpha.example | OpenPGP key (Ed25519), S/MIME certificate |
| bert@alpha.example | OpenPGP key that gpg made and locked (RSA), an older one that has expired |
| carl@alpha.example | nothing |
| dora@alpha.example | OpenPGP key (P-256); inline is opened, attached keys are taken out |
| gina@alpha.example | nothing; signing keys are made for her, and sent along by Autocrypt |
| pia, paul, pair1, pair2@partner.example | OpenPGP keys; for what goes to Paul there is an additional key |
| ina@partner.example | OpenPGP key; mail goes inline |
| lena@partner.example | no key; mail goes inline |
| nora@partner.example | nothing |
| sven@partner.example | OpenPGP key made by sqop |
| olga@out.example | S/MIME certificate and OpenPGP key |
| omar@out.example | S/MIME certificate that has expired, OpenPGP key |
| *@secret.example | mail must be encrypted; sara has a key, nils has none, eva's has expired, rosa's is revoked |
| kim@out.example | OpenPGP key that nobody trusts |
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path

from harness.client import Client, Sent
from harness.folder import free_port, short_folder
from harness.gateway import P12_PASSWORD, Gateway
from harness.gpg import Gpg
from harness.pgp_people import new_person
from harness.sink import Sink
from harness.sqop import sqop
from mailseal.openpgp import edit
from mailseal.openpgp.armor import PUBLIC_KEY, read_armor, write_armor
from mailseal.openpgp.component import RevocationCode
from pgp_keys import pgp_key
from pki import Authority

DAY = timedelta(days=1)
PASSWORD = "correct horse"
OUTSIDE = "127.0.0.9"
ANNA, BERT, CARL, DORA, GINA = (f"{one}@alpha.example" for one in ("anna", "bert", "carl", "dora", "gina"))
PIA, PAUL, INA, LENA, NORA, SVEN = (f"{one}@partner.example" for one in ("pia", "paul", "ina", "lena", "nora", "sven"))
PAIR = ("pair1@partner.example", "pair2@partner.example")
OLGA, OMAR, KIM = (f"{one}@out.example" for one in ("olga", "omar", "kim"))
SARA, NILS, EVA, ROSA = (f"{one}@secret.example" for one in ("sara", "nils", "eva", "rosa"))
ESCROW = "escrow@alpha.example"


class PgpPeople:
    """Keys that are valid now: the stories run with the real clock."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        past = {"at": self.now - 100 * DAY}
        self.anna = pgp_key(f"Anna Ä <{ANNA}>", **past)
        self.dora = new_person("p256", text=f"Dora <{DORA}>", at=self.now - 50 * DAY)
        self.bert_before = pgp_key(f"Bert <{BERT}>", expires_after=95 * DAY, **past)
        self.outside = {one: pgp_key(f"<{one}>", **past) for one in (PIA, PAUL, INA, OLGA, OMAR, KIM, SARA, ESCROW)}
        self.outside |= {ROSA: pgp_key(ROSA, **past), EVA: pgp_key(EVA, expires_after=95 * DAY, **past)}
        self.outside |= dict.fromkeys(PAIR, pgp_key(*PAIR, **past))
        self.stranger = pgp_key("Stranger <stranger@elsewhere.example>", **past)

    @cached_property
    def revoked(self) -> bytes:
        """Rosa's certificate, as it is since yesterday."""
        rosa = self.outside[ROSA]
        return edit.revoke(rosa.certificate, rosa.primary, RevocationCode.COMPROMISED, at=self.now - DAY)

    @cached_property
    def sven(self) -> bytes:
        """A secret key that sqop has made."""
        return sqop("generate-key", f"Sven <{SVEN}>")

    def published(self) -> bytes:
        """What the gateway gets of its partners, all of it trusted but Kim's."""
        given = {one.fingerprint: one.octets for name, one in self.outside.items() if name not in (ROSA, KIM)}
        sven = read_armor(sqop("extract-cert", given=self.sven)).octets
        return b"".join((*given.values(), self.revoked, sven))

    def smime(self) -> tuple[Authority, object, object, object]:
        """The root, and certificates with keys of Anna, Olga and Omar."""
        span = {"not_before": self.now - 30 * DAY, "not_after": self.now + 300 * DAY}
        root = Authority("Story Root", **span)
        omar = root.issue(OMAR, key="p256", **{**span, "not_after": self.now - DAY})
        return root, root.issue(ANNA, key="p256", **span), root.issue(OLGA, key="p256", **span), omar


@cache
def pgp_people() -> PgpPeople:
    return PgpPeople()


@dataclass
class PgpSite:
    """A gateway and what is around it. `partner` is gpg with the secret keys of all who are outside."""

    gateway: Gateway
    lmtp: Path
    lmtp_outside: Path
    port: int
    inside: Sink
    outside: Sink
    partner: Gpg
    bert: str
    smime: tuple[Authority, object, object, object]

    def send(self, sender: str, recipients: Sequence[str], octets: bytes) -> Sent:
        """From an authorised sender."""
        with Client(path=self.lmtp, lmtp=True) as client:
            return client.send(sender, recipients, octets)

    def arrive(self, sender: str, recipients: Sequence[str], octets: bytes) -> Sent:
        """From outside."""
        with Client(path=self.lmtp_outside, lmtp=True) as client:
            return client.send(sender, recipients, octets)

    def clear(self) -> None:
        for sink in (self.inside, self.outside):
            sink.up()
            sink.clear()


@contextlib.contextmanager
def pgp_site(name: str, **tables: object) -> Iterator[PgpSite]:
    who, port = pgp_people(), free_port()
    with (
        short_folder(name) as folder, Sink() as inside, Sink() as outside, Gpg(at=None) as partner,
    ):  # fmt: skip
        lmtp, lmtp_outside = folder / "in", folder / "out"
        listen = {
            "lmtp_authorised": str(lmtp),
            "lmtp_outside": str(lmtp_outside),
            "smtp": f"127.0.0.1:{port}",
            "smtp_authorised_networks": ["127.0.0.1/32"],
        }
        relay = {"inside": f"smtp://127.0.0.1:{inside.port}", "outside": f"smtp://127.0.0.1:{outside.port}"}
        bert = _partners_keys(partner)
        with Gateway(folder / "mailseal", listen=listen, relay=relay, **tables) as gateway:
            smime = who.smime()
            _furnish(gateway, smime, partner.run("--export-secret-keys", "--armor", bert, password=PASSWORD))
            gateway.start()
            yield PgpSite(gateway, lmtp, lmtp_outside, port, inside, outside, partner, bert, smime)


def _partners_keys(partner: Gpg) -> str:
    """The fingerprint of the key that gpg made for Bert; his partners hold it, too."""
    who = pgp_people()
    secrets = [one.secret for one in {id(one): one for one in who.outside.values()}.values()]
    partner.run("--import", given=b"".join((*secrets, who.stranger.secret, who.anna.octets, who.dora.octets)))
    partner.run("--import", given=who.sven)
    partner.run("--quick-gen-key", f"Bert <{BERT}>", "rsa2048", "sign,cert", "1y", password=PASSWORD)
    bert = next(line[9].lower() for line in partner.listed(BERT) if line[0] == "fpr")
    partner.run("--quick-add-key", bert, "rsa2048", "encr", "1y", password=PASSWORD)
    return bert


def _furnish(gateway: Gateway, smime: tuple[Authority, object, object, object], bert: bytes) -> None:
    """What an administrator of alpha.example types on the first day."""
    who, (root, anna, olga, omar) = pgp_people(), smime
    file = gateway.file
    ring = b"".join(write_armor(PUBLIC_KEY, [who.published()]))
    own = b"".join(one.locked(PASSWORD) for one in (who.anna, who.dora, who.bert_before))
    password = file("password", PASSWORD.encode())
    assert PASSWORD.encode() == P12_PASSWORD
    gateway.type(
        "init --internal-domain alpha.example",
        f"root import {file('root.pem', root.pem)}",
        f"cert import {file('certs.pem', olga.pem + omar.pem)} {file('anna.p12', anna.p12(P12_PASSWORD))}"
        f" --password-file {password}",
        f"pgp import --trust {file('partners.asc', ring)}",
        f"pgp import {file('kim.pgp', who.outside[KIM].octets)}",
        f"pgp import {file('own.pgp', own)} {file('bert.asc', bert)} --password-file {password}",
        "settings set mode mandatory --domain secret.example",
        f"settings set pgp_format inline --address {INA}",
        f"settings set pgp_format inline --address {LENA}",
        f"settings set pgp_compression zlib --address {PIA}",
        f"settings set pgp_additional_keys {who.outside[ESCROW].fingerprint} --address {PAUL}",
        f"settings set pgp_open_inline true --address {DORA}",
        f"settings set pgp_remove_key_attachments true --address {DORA}",
        f"settings set subject_tags true --address {DORA}",
        f"settings set pgp_generate_signing_key true --address {GINA}",
        f"settings set pgp_autocrypt true --address {GINA}",
        f"settings set smime_max_bytes 200000 --address {OLGA}",
    )
