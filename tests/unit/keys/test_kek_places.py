"""Where KEKs are found, and what is said about those that cannot be used."""

import pytest

from mailseal.config.kek_place import KekPlace, kek_places, own_places
from mailseal.keys.kek_places import MAX_KEKS, folder_for_new, new_kek, read_keks
from mailseal.keys.sealing import Kek, KekExistsError, KekFileError


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "keks"
    made.mkdir(mode=0o700)
    return made


def ids(found):
    return [file.kek.id for file in found.files]


def test_the_folder_and_the_file_of_an_older_node(tmp_path, folder):
    old = Kek.generate(tmp_path / "kek")
    new, path = new_kek(folder)
    (folder / "notes.txt").write_text("of no interest")
    (folder / ".hidden.kek").write_text("not whole yet")
    found = read_keks(own_places(tmp_path))
    assert ids(found) == [new.id, old.id]
    assert [file.place for file in found.files] == [str(path), str(tmp_path / "kek")]
    assert not found.problems
    assert found.of(old.id)[0].kek.id == old.id
    assert folder_for_new(own_places(tmp_path)) == folder


def test_what_is_missing_by_default_is_no_problem_and_what_is_named_is_one(tmp_path):
    assert read_keks(own_places(tmp_path)).problems == ()
    (problem,) = read_keks(kek_places([f"{tmp_path}/none"])).problems
    assert "there is no" in str(problem)
    assert "keys.kek" in problem.what_to_do


def test_one_bad_file_hides_no_other(folder):
    good, _ = new_kek(folder)
    bad, path = new_kek(folder)
    path.chmod(0o440)
    (folder / "junk.kek").write_text("junk")
    (folder / "junk.kek").chmod(0o400)
    found = read_keks([KekPlace(path=folder)])
    assert ids(found) == [good.id]
    assert len(found.problems) == 2
    assert any("set it to 0400" in str(one) for one in found.problems)
    assert all(isinstance(one, KekFileError) for one in found.problems)
    assert not any(secret in str(found) for secret in (path.read_text(), "junk\n"))
    assert bad.id not in str(found.files)


def test_a_folder_that_others_may_write_to_counts_for_nothing(folder):
    new_kek(folder)
    folder.chmod(0o770)
    found = read_keks([KekPlace(path=folder)])
    assert not found.files
    assert "set it to 0700" in str(found.problems[0])


def test_no_more_than_so_many(folder):
    for _ in range(MAX_KEKS + 2):
        new_kek(folder)
    found = read_keks([KekPlace(path=folder)])
    assert len(found.files) == MAX_KEKS
    assert "more than 64" in str(found.problems[0])


@pytest.mark.parametrize(("mode", "good"), [(0o400, True), (0o440, True), (0o444, False), (0o460, False)])
def test_a_credential(tmp_path, mode, good):
    kek = Kek.generate(tmp_path / "first")
    (tmp_path / "first").chmod(mode)
    found = read_keks(kek_places(["credential:first"]), {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert ids(found) == [kek.id] * good
    assert bool(found.problems) is not good
    if good:
        assert found.files[0].place == "credential:first"
    else:
        assert "others may read it" in str(found.problems[0])


def test_a_credential_that_the_service_manager_did_not_hand_in(tmp_path):
    places = kek_places(["credential:first"])
    (problem,) = read_keks(places, {}).problems
    assert "CREDENTIALS_DIRECTORY is not set" in str(problem)
    assert "LoadCredential=first:" in problem.what_to_do
    (problem,) = read_keks(places, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).problems
    assert "cannot be opened" in str(problem)
    assert folder_for_new(places) is None


def test_a_folder_that_is_a_file(tmp_path):
    Kek.generate(tmp_path / "x")
    (problem,) = read_keks(kek_places([f"{tmp_path}/x/"])).problems
    assert "is to be a folder" in str(problem)
    with pytest.raises(KekFileError, match="cannot be made"):
        new_kek(tmp_path / "x" / "y")
    with pytest.raises(KekExistsError):
        Kek.generate(tmp_path / "x")
