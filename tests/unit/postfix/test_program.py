"""What Postfix's programs say, and values that they could not read."""

import pytest

from mailseal.postfix.differences import differences
from mailseal.postfix.owned import NAME, Owned, of, read, text
from mailseal.postfix.parts import Rendering, Service, Setting
from mailseal.postfix.program import PostfixError, said, typed
from mailseal.postfix.staging import _meet, _place

DEFAULTS = {"limit": "10", "life": "5d", "zero": "0", "flag": "no", "text": "", "words": "a, b", "signed": "-1"}


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("limit", "20", ""),
        ("limit", "$other", ""),
        ("limit", "", "limit = : a whole number is needed"),
        ("limit", "2d", "a whole number"),
        ("life", "3h", ""),
        ("life", "90", ""),
        ("life", "soon", "a time such as 5d"),
        ("flag", "yes", ""),
        ("flag", "on", "yes or no"),
        ("text", "anything", ""),
        ("words", "", ""),
        ("signed", "x", ""),
        ("other", "x", "Postfix has no setting other"),
    ],
)
def test_values_by_the_kind_of_their_default(name, value, wrong):
    found = typed({name: value}, DEFAULTS)
    assert bool(found) == bool(wrong)
    assert not wrong or wrong in found[0]


def test_what_a_program_says():
    assert said("postconf: fatal: open /etc/main.cf: No such file\n") == "open /etc/main.cf: No such file"
    assert said("/usr/sbin/postconf: warning: unused\npostfix/postfix-script: fatal: no master.cf\n") == "no master.cf"
    assert said("postconf: warning: only this\n") == "postconf: warning: only this"
    assert len(said("x" * 5000)) == 1000


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("smtp", "0.0.0.0:25", True),
        ("25", "192.0.2.1:25", True),
        ("192.0.2.1:25", "0.0.0.0:25", True),
        ("[::1]:25", "[::]:25", True),
        ("192.0.2.1:25", "192.0.2.2:25", False),
        ("192.0.2.1:smtp", "192.0.2.1:25", True),
        ("submission", "0.0.0.0:25", False),
        ("no-such-service", "0.0.0.0:25", False),
        ("0.0.0.0:99999", "0.0.0.0:25", False),
    ],
)
def test_services_that_listen_at_one_place(one, other, meet):
    assert _meet(_place(one), _place(other)) is meet


def test_what_is_ours_is_remembered(tmp_path):
    assert read(tmp_path) == Owned()
    ours = of(Rendering((Setting("a", "b"),), (Service("s", "unix", "smtp"),), (("pickup/unix", "x", "y"),)))
    assert ours == Owned(frozenset({"a"}), frozenset({"s/unix"}), frozenset({"pickup/unix/x"}))
    (tmp_path / NAME).write_text(text(ours))
    assert read(tmp_path) == ours


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"settings": 1, "services": [], "additions": []}', "\x00"])
def test_a_list_that_cannot_be_read_is_no_empty_one(tmp_path, content):
    (tmp_path / NAME).write_text(content)
    with pytest.raises(PostfixError, match="cannot be read"):
        read(tmp_path)


def test_differences(tmp_path):
    before = {"main.cf": b"a = 1\nb = 2\n", "new": None, "same": b"x"}
    after = {"main.cf": b"a = 1\nb = 3\n", "new": b"c\n", "same": b"x"}
    lines = list(differences(tmp_path, before, after))
    assert [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")] == ["-b = 2", "+b = 3", "+c"]
    assert "--- /dev/null" in lines
