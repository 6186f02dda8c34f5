"""Several KEKs used like one: the one that is named seals, and no other ever in its place."""

import pytest

from mailseal.keys.kek_places import Found, KekFile
from mailseal.keys.kek_ring import ACTIVE_SECONDS, REREAD_SECONDS, KekRing
from mailseal.keys.sealing import BrokenSealError, Kek, KekFileError, KekMissingError, WrongKekError, sealed_by

OLD, NEW, LATER = (Kek(bytes([number]) * 32) for number in range(3))
ROW = b"row"


class Node:
    """Files, the database's answer and the time of a ring."""

    def __init__(self, *keks: Kek, active: Kek | None = OLD) -> None:
        self.keks = list(keks)
        self.active = active
        self.reads = self.asked = 0
        self.now = 100.0
        self.ring = KekRing(self.read, self.ask, clock=lambda: self.now)

    def read(self) -> Found:
        self.reads += 1
        return Found(tuple(KekFile(kek, f"/keks/{kek.id}.kek") for kek in self.keks), ())

    def ask(self) -> str | None:
        self.asked += 1
        return None if self.active is None else self.active.id


def test_the_named_one_seals_and_each_opens():
    node = Node(OLD, NEW, active=NEW)
    sealed = node.ring.seal(b"secret", identity=ROW)
    assert sealed_by(sealed) == NEW.id == node.ring.id
    for kek in (OLD, NEW):
        assert node.ring.open(kek.seal(b"secret", identity=ROW), identity=ROW) == b"secret"
    with pytest.raises(BrokenSealError):
        node.ring.open(sealed, identity=b"another row")
    assert node.reads == 1


def test_sealing_without_the_named_one_is_an_error_and_no_other_takes_its_place():
    node = Node(OLD, active=NEW)
    with pytest.raises(KekMissingError, match=f"{NEW.id} is to seal"):
        node.ring.seal(b"secret", identity=ROW)
    node.active = None
    node.ring.forget()
    with pytest.raises(KekMissingError, match="names no KEK") as caught:
        node.ring.seal(b"secret", identity=ROW)
    assert "mailseal init" in caught.value.what_to_do


def test_which_one_seals_is_asked_again_in_time_and_when_told_to():
    node = Node(OLD, NEW)
    assert {node.ring.id for _ in range(3)} == {OLD.id}
    assert node.asked == 1
    node.active = NEW
    node.now += ACTIVE_SECONDS - 1
    assert node.ring.id == OLD.id
    node.now += 1
    assert node.ring.id == NEW.id
    node.active = OLD
    node.ring.forget()
    assert node.ring.id == OLD.id


def test_an_answer_that_is_older_than_forgetting_is_not_kept():
    node = Node(OLD, NEW)

    def ask() -> str:
        node.ring.forget()  # the stamp comes while the answer is on its way
        return OLD.id

    node.ring._ask_active = ask
    assert node.ring.id == OLD.id
    node.ring._ask_active = lambda: NEW.id
    assert node.ring.id == NEW.id


def test_a_new_file_needs_no_restart_and_junk_does_not_have_the_files_read_all_the_time():
    node = Node(OLD)
    sealed = NEW.seal(b"secret", identity=ROW)
    node.keks.append(NEW)
    node.now += REREAD_SECONDS
    assert node.ring.open(sealed, identity=ROW) == b"secret"
    reads = node.reads
    for _ in range(10):
        with pytest.raises(WrongKekError, match=f"{LATER.id}, which is not at hand"):
            node.ring.open(LATER.seal(b"x", identity=ROW), identity=ROW)
    assert node.reads == reads
    node.now += REREAD_SECONDS
    with pytest.raises(WrongKekError):
        node.ring.open(LATER.seal(b"x", identity=ROW), identity=ROW)
    assert node.reads == reads + 1


def test_a_file_that_is_gone_still_opens_here_but_is_not_said_to_be_at_hand():
    node = Node(OLD, NEW)
    node.keks.remove(OLD)
    assert node.ring.refresh() == {NEW.id}
    assert node.ring.open(OLD.seal(b"secret", identity=ROW), identity=ROW) == b"secret"


def test_no_kek_at_all():
    with pytest.raises(KekFileError, match="there is no KEK"):
        Node()
    with pytest.raises(KekFileError, match="mode"):
        KekRing(lambda: Found((), (KekFileError("it has mode 0644"),)), lambda: None)


def test_the_keys_are_not_shown():
    assert repr(Node(OLD).ring) == f"KekRing(ids=['{OLD.id}'])"
