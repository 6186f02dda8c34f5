"""What postcat prints of queue files: the envelope, field names without what stands in them, the filter by itself."""

import json

import pytest

from mailseal.postfix.queue_file import MAX_RECORDS, QueueFileError, from_facts, read_queue_files

FILE = """\
*** ENVELOPE RECORDS deferred/1/{id} ***
message_size:             219             715               1               0             219               0
message_arrival_time: Mon Nov 30 02:40:51 2026
{filter}named_attribute: log_ident={id}
sender: anna@alpha.example
named_attribute: helo_name=client.example
original_recipient: bob@out.example
recipient: bob@out.example
*** MESSAGE CONTENTS deferred/1/{id} ***
Received: from client.example (localhost [127.0.0.1])
\tby postfix.test (Postfix) with ESMTP id {id}
\tcontent_filter: none
Subject: Secret
X-Odd : value
content_filter: by-header
*** HEADER EXTRACTED deferred/1/{id} ***
*** MESSAGE FILE END deferred/1/{id} ***
"""
AUTHORISED = "mailseal:unix:mailseal/lmtp-authorised"


def text(name="4jd7Yb0lkyzPv8t", filter_=f"content_filter: {AUTHORISED}\n"):
    return FILE.format(id=name, filter=filter_)


def read(printed):
    return list(read_queue_files(printed.split("\n")))


def test_a_file():
    (found,) = read(text())
    assert (found.queue, found.id, found.content_filter) == ("deferred", "4jd7Yb0lkyzPv8t", AUTHORISED)
    assert ("sender", "anna@alpha.example") in found.records
    assert ("named_attribute", "helo_name=client.example") in found.records
    assert found.header_names == ["Received", "Subject", "X-Odd", "content_filter"]
    facts = json.dumps(found.facts())
    assert "Secret" not in facts
    assert from_facts(json.loads(facts)) == found


def test_the_last_filter_counts_and_attributes_are_none():
    (found,) = read(text(filter_="content_filter: a:b\nnamed_attribute: content_filter=evil\ncontent_filter: c:d\n"))
    assert found.content_filter == "c:d"
    (without,) = read(text(filter_="named_attribute: content_filter=evil\n"))
    assert without.content_filter == ""


def test_several_files_and_what_is_not_whole():
    torn = text("4third").rpartition("*** MESSAGE FILE END")[0]
    assert [one.id for one in read(text("4first") + text("4second") + torn)] == ["4first", "4second"]
    assert read("") == read("postcat: fatal: no\n*** X ***\n") == []


def test_a_long_envelope_is_cut_and_keeps_its_filter():
    many = "".join(f"recipient: r{n}@out.example\n" for n in range(MAX_RECORDS))
    (found,) = read(text(filter_=many + "content_filter: late:one\n"))
    assert found.cut > 0
    assert found.content_filter == "late:one"


@pytest.mark.parametrize(
    "facts", [{}, {"queue": "x"}, {"queue": "", "id": "", "records": [5], "header_names": [], "cut": 0}]
)
def test_facts_that_are_none(facts):
    with pytest.raises(QueueFileError):
        from_facts(facts)
