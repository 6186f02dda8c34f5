"""What the processes of a node can open is what each of them can."""

import logging
import os

from mailseal.keys.kek_places import Found, KekFile
from mailseal.keys.kek_ring import KekRing
from mailseal.keys.sealing import Kek, KekFileError
from mailseal.roles.held_keks import FOLDER, LOOK_SECONDS, HeldKeks, KekWatch, held_by_all

OLD, NEW = Kek(b"o" * 32), Kek(b"n" * 32)


class Files:
    def __init__(self, *keks):
        self.found = self.of(*keks)

    @staticmethod
    def of(*keks, problems=()):
        return Found(tuple(KekFile(kek, kek.id) for kek in keks), problems)

    def ring(self):
        return KekRing(lambda: self.found, lambda: OLD.id)


def test_the_node_has_what_all_its_processes_have(tmp_path):
    files = Files(OLD)
    worker = frozenset({OLD.id, NEW.id})
    assert held_by_all(tmp_path, worker) == worker
    mail = HeldKeks(files.ring(), tmp_path)
    mail.say(0.0)
    assert held_by_all(tmp_path, worker) == {OLD.id}
    files.found = files.of(OLD, NEW)
    mail.say(LOOK_SECONDS / 2)
    assert held_by_all(tmp_path, worker) == {OLD.id}
    mail.say(LOOK_SECONDS)
    assert held_by_all(tmp_path, worker) == worker
    assert held_by_all(tmp_path, frozenset({NEW.id})) == {NEW.id}


def test_who_is_dead_says_nothing_any_more(tmp_path):
    mail = HeldKeks(Files(OLD).ring(), tmp_path)
    mail.say(0.0)
    os.close(mail._descriptor)  # as the kernel does
    assert held_by_all(tmp_path, frozenset({NEW.id})) == {NEW.id}
    assert not list((tmp_path / FOLDER).iterdir())


def test_what_is_wrong_with_a_file_is_said_once(caplog):
    files = Files(OLD)
    watch = KekWatch(files.ring())
    files.found = files.of(OLD, problems=(KekFileError("it has mode 0644", "set it to 0400"),))
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert watch.look() == {OLD.id}
    assert [one.message for one in caplog.records] == ["a KEK cannot be used: it has mode 0644; set it to 0400"]
