"""What may be asked of the queue role: exactly the verbs of the table, on queue IDs and nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.mail.queue_id import is_queue_id
from mailseal.postfix.queue_request import MAX_IDS, Request, RequestError, Verb, end_line, parse_request

ID = "4dJmVf1Bqmz9sTz"


@pytest.mark.parametrize(
    "request_",
    [
        Request(Verb.LIST),
        Request(Verb.PING),
        Request(Verb.SHOW, (ID,)),
        Request(Verb.DELETE, (ID, "ABCDE")),
        Request(Verb.REQUEUE, (ID,)),
        Request(Verb.TRY, (ID,) * MAX_IDS),
        Request(Verb.HOLD, everything=True),
        Request(Verb.RELEASE, everything=True),
        Request(Verb.FLUSH, everything=True),
    ],
)
def test_what_is_asked_arrives(request_):
    line = request_.line()
    assert line.count(b"\n") == 1
    assert parse_request(line) == request_


@pytest.mark.parametrize(
    "asked",
    [
        {"verb": "delete", "all": True},
        {"verb": "delete", "ids": ["ALL"]},
        {"verb": "delete", "ids": ["-d"]},
        {"verb": "delete", "ids": ["-"]},
        {"verb": "delete", "ids": [f"{ID}\nABCDEF"]},
        {"verb": "delete", "ids": [f"{ID} ABCDEF"]},
        {"verb": "delete", "ids": [f"../{ID}"]},
        {"verb": "delete", "ids": [ID * 10]},
        {"verb": "delete", "ids": [ID] * (MAX_IDS + 1)},
        {"verb": "delete", "ids": [[ID]]},
        {"verb": "delete", "ids": ID},
        {"verb": "delete", "ids": [5]},
        {"verb": "delete", "ids": []},
        {"verb": "delete"},
        {"verb": "requeue", "all": True},
        {"verb": "try", "all": True},
        {"verb": "show", "ids": [ID, ID]},
        {"verb": "hold"},
        {"verb": "hold", "all": False},
        {"verb": "hold", "all": 1},
        {"verb": "hold", "all": True, "ids": [ID]},
        {"verb": "flush"},
        {"verb": "flush", "ids": [ID]},
        {"verb": "list", "ids": [ID]},
        {"verb": "list", "all": True},
        {"verb": "HOLD", "all": True},
        {"verb": "expire", "ids": [ID]},
        {"verb": ["hold"], "all": True},
        {"verb": None},
        {"ids": [ID]},
        {},
        {"verb": "list", "config_dir": "/tmp"},
    ],
)
def test_anything_else_is_refused(asked):
    with pytest.raises(RequestError):
        parse_request(json.dumps(asked).encode())


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"[]", b"5", b"null", b"{", b"\xff", b"list", b"[" * 100_000, b'{"verb": "list"} x', b"NaN"]
)
def test_what_is_no_object_is_refused(line):
    with pytest.raises(RequestError):
        parse_request(line)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([*Verb, "ids", "all", ID]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["verb", "ids", "all", "x"]), inner),
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_line_becomes_more_than_a_request(line):
    try:
        found = parse_request(line)
    except RequestError:
        return
    assert found.verb in Verb
    assert all(is_queue_id(one) for one in found.ids)


def test_an_end_is_one_line_whatever_is_said():
    line = end_line(error="failed", text="two\nlines \x1b[31m")
    assert line.startswith(b'{"end": ')
    assert line.count(b"\n") == 1
    assert json.loads(line)["end"]["text"] == "two\nlines \x1b[31m"
