"""What a running node forgets when something in the database changes, and what it keeps."""

from pathlib import Path

import pytest

from mailseal.config import from_values
from mailseal.keys.kek_ring import KekRing
from mailseal.keys.sealing import Kek
from mailseal.store.certificates import StoreCertificates
from mailseal.store.directory import StoreDirectory
from mailseal.store.routes import StoreRoutes
from mailseal.store.stamps import Scope, bump
from mailseal.wiring.gateway import open_node

FORGETS = {
    Scope.SETTINGS: [(StoreDirectory, "clear"), (StoreRoutes, "clear")],
    Scope.KEYS: [(StoreCertificates, "clear")],
    Scope.KEKS: [(KekRing, "forget")],
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
            assert said == FORGETS[scope]
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
