"""Keys set in a mailseal.toml that somebody has written: all else stays, or nothing is changed."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.config import commented_file, from_values
from mailseal.config.edit import EditError, with_keys

TENANT = '["11111111-2222-3333-4444-555555555555"]'
KEYS = {"tenants": TENANT, "return_to": '"smtp://tenant.example:25"'}


def test_in_the_file_that_init_writes_each_below_its_explanation():
    before = commented_file({"hostname": '"gw.example.com"'})
    after = with_keys(before, "office365", KEYS)
    assert set(after.splitlines()) - set(before.splitlines()) == {
        f"tenants = {TENANT}",
        'return_to = "smtp://tenant.example:25"',
    }
    lines = after.splitlines()
    assert lines[lines.index(f"tenants = {TENANT}") - 1] == "# tenants = []"
    assert from_values(tomllib.loads(after)).office365.on


def test_a_section_that_is_not_there_is_put_at_the_end():
    assert with_keys('hostname = "a.example"', "office365", KEYS) == (
        f'hostname = "a.example"\n\n[office365]\ntenants = {TENANT}\nreturn_to = "smtp://tenant.example:25"\n'
    )
    assert with_keys("", "office365", {"a": "1"}) == "\n[office365]\na = 1\n"


def test_what_is_set_is_set_anew_in_its_place():
    before = (
        "[office365] # ours\nreturn_to = 'x' # there\n# kept\n"
        "tenants = [\n  'a', # one\n  'b',\n]\nother = 1\n\n[relay]\n"
    )
    assert with_keys(before, "office365", KEYS) == (
        '[office365] # ours\nreturn_to = "smtp://tenant.example:25"\n# kept\n'
        f"tenants = {TENANT}\nother = 1\n\n[relay]\n"
    )


def test_the_same_key_of_another_section_is_left_alone():
    before = "[other]\ntenants = 1\n[office365]\n[office365.more]\ntenants = 2\n"
    after = tomllib.loads(with_keys(before, "office365", {"tenants": "3"}))
    assert after == {"other": {"tenants": 1}, "office365": {"tenants": 3, "more": {"tenants": 2}}}


@pytest.mark.parametrize(
    "text",
    [
        "office365.tenants = []\n",
        "office365 = { tenants = [] }\n",
        '["office365"]\ntenants = []\n',
        'a = """\n[office365]\n"""\n',
        "[office365]\ntenants = [\n",
        "not toml",
    ],
)
def test_nothing_is_changed_where_lines_do_not_show_what_is_written(text):
    with pytest.raises(EditError):
        with_keys(text, "office365", KEYS)


_lines = st.lists(
    st.sampled_from(
        [
            "[office365]",
            " [ office365 ]",
            "[relay]",
            "tenants = ['a']",
            "tenants = [",
            "]",
            "# tenants = []",
            '"""',
            'x = """',
            "[[office365]]",
            "office365.x = 1",
            "",
        ]
    ),
    max_size=8,
)


@given(_lines)
def test_any_text_is_edited_rightly_or_refused(lines):
    text = "\n".join(lines)
    try:
        after = with_keys(text, "office365", KEYS)
    except EditError:
        return
    before, found = tomllib.loads(text), tomllib.loads(after)
    assert found["office365"] == before.get("office365", {}) | {
        name: tomllib.loads(f"v = {value}")["v"] for name, value in KEYS.items()
    }
    assert {k: v for k, v in found.items() if k != "office365"} == {k: v for k, v in before.items() if k != "office365"}
