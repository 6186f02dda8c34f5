"""A restore never mixes with what is there: asked before anything is read or made."""

import pytest

from mailseal.backup.errors import ExistsError
from mailseal.backup.restore import UNFINISHED, Target, require_nothing_there, restore


@pytest.fixture
def target(tmp_path):
    return Target(tmp_path / "data", tmp_path / "etc" / "mailseal.toml")


@pytest.mark.parametrize("empty_folder", [False, True])
def test_a_new_or_empty_folder_will_do(target, empty_folder):
    if empty_folder:
        target.data_dir.mkdir()
    require_nothing_there(target)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("data", "is not a folder"),
        ("data/mailseal.db", "is not empty"),
        ("data/.hidden", "is not empty"),
        (f"data/{UNFINISHED}", "holds a restore that was not finished"),
        ("etc/mailseal.toml", "exists"),
    ],
)
def test_anything_there_is_left_as_it_is(target, tmp_path, name, why):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    with pytest.raises(ExistsError, match=why) as refused:
        restore(None, target, prepare=lambda _: pytest.fail("it begins"))  # the backup is not even looked at
    assert refused.value.what_to_do
    assert path.read_text() == "mine"
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == [path]
