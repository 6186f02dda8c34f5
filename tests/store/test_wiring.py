"""What a running node forgets when something in the database changes, and what it keeps."""

from pathlib import Path

import pytest

from mailseal.config import from_values
from mailseal.keys.kek_ring import KekRing
from mailseal.keys.sealing import Kek
from mailseal.ports import Hop
from mailseal.store.certificates import StoreCertificates
from mailseal.store.directory import StoreDirectory
from mailseal.store.dlp_scanners import StorePatterns
from mailseal.store.journaling import StoreJournals
from mailseal.store.keks import activate, open_ring
from mailseal.store.routes import StoreRoutes
from mailseal.store.stamps import Scope, bump
from mailseal.wiring.gateway import open_node, without_effects
from mailseal.wiring.loop_keys import KekLoopKeys

FORGETS = {
    Scope.SETTINGS: [(StoreDirectory, "clear"), (StoreRoutes, "clear"), (StoreJournals, "clear")],
    Scope.KEYS: [(StoreCertificates, "clear")],
    Scope.KEKS: [(KekRing, "forget")],
    Scope.PATTERNS: [(StorePatterns, "clear")],
}


def test_a_change_is_forgotten_where_it_was_kept_and_nowhere_else(store, tmp_path, monkeypatch):
    said: list[tuple[type, str]] = []

    def note(kind: type, name: str) -> None:
        real = getattr(kind, name)
        monkeypatch.setattr(kind, name, lambda self: (said.append((kind, name)), real(self)))

    for kind, name in (one for several in FORGETS.values() for one in several):
        note(kind, name)
    Kek.generate(tmp_path / "kek")
    # The database is that of the fixture: `setup` would open another one.
    monkeypatch.setattr("mailseal.wiring.gateway.setup", lambda _: None)
    node = open_node(from_values({"data_dir": str(tmp_path), "keys": {"kek": [str(tmp_path / "kek")]}}))
    try:
        node.stamps.poll(0.0)
        assert set(said) == {one for several in FORGETS.values() for one in several}, "at first nothing is known"
        for scope in Scope:
            said.clear()
            bump(scope)
            node.stamps.poll(0.0)
            assert said == FORGETS.get(scope, [])
            said.clear()
            node.stamps.poll(0.0)
            assert not said
    finally:
        node.relay.close()


@pytest.mark.parametrize("seconds", [17, 240])
def test_the_deadline_and_the_next_hops_are_those_of_the_configuration(store, tmp_path, monkeypatch, seconds):
    Kek.generate(tmp_path / "kek")
    monkeypatch.setattr("mailseal.wiring.gateway.setup", lambda _: None)
    hops = {name: f"lmtp://{Path('/nowhere') / name}" for name in ("inside", "outside")}
    values = {"data_dir": str(tmp_path), "keys": {"kek": [str(tmp_path / "kek")]}, "hostname": "gw.test"}
    node = open_node(from_values(values | {"limits": {"deadline_seconds": seconds}, "relay": hops}))
    assert (node.gateway.deadline_seconds, node.gateway.hostname) == (seconds, "gw.test")
    assert {hop: [one.path.name for one in several] for hop, several in node.relay._hops.items()} == {
        "inside": ["inside"],
        "outside": ["outside"],
    }


def test_mail_of_the_neighbour_goes_back_by_postfix_or_to_the_tenant_itself(store, tmp_path, monkeypatch):
    Kek.generate(tmp_path / "kek")
    monkeypatch.setattr("mailseal.wiring.gateway.setup", lambda _: None)
    values = {"data_dir": str(tmp_path), "keys": {"kek": [str(tmp_path / "kek")]}}
    office365 = {"tenants": ["11111111-2222-3333-4444-55555555555A"], "return_to": "smtp://tenant.example:25"}
    for instance, place in (("off", "smtp://tenant.example:25"), ("system", "smtp://127.0.0.1:10027")):
        node = open_node(from_values(values | {"postfix": {"instance": instance}, "office365": office365}))
        assert [one.place for one in node.relay._hops[Hop.NEIGHBOUR]] == [place]
        assert node.gateway.neighbour.tenants == {"11111111-2222-3333-4444-55555555555a"}
        assert not node.gateway.neighbour.takes_others
        assert without_effects(node.gateway).neighbour is node.gateway.neighbour
    node = open_node(from_values(values | {"office365": office365 | {"other_tenants": "outside"}}))
    assert node.gateway.neighbour.takes_others
    assert open_node(from_values(values)).gateway.neighbour is None


def test_the_loop_header_has_a_key_of_each_kek_and_that_of_the_one_that_seals_writes(store, tmp_path):
    folder = tmp_path / "keks"
    folder.mkdir()
    (first, _), (second, _) = Kek.generate_in(folder), Kek.generate_in(folder)
    ring = open_ring(from_values({"keys": {"kek": [f"{folder}/"]}}).keys.kek)
    keys = KekLoopKeys(ring)
    activate(first.id)
    before = keys.known()
    assert len({*before}) == 2
    activate(second.id)
    ring.forget()
    assert list(keys.known()) == list(reversed(before))
    assert all(len(one) == 32 and one not in (folder / f"{first.id}.kek").read_bytes() for one in before)
