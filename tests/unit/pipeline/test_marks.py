"""Marks on opened mail: the exact fields and tags that layers earn, and what reads like one of ours."""

from dataclasses import replace

import pytest

from mailseal.mail.mime import parse
from mailseal.methods.layer import Layer, SignerReport
from mailseal.pipeline import marks
from mailseal.pipeline.marks import (
    MAX_SIGNER_FIELDS,
    forged_fields,
    result_headers,
    sender_signed,
    tags_for,
    without_tags,
)
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import Settings

TAGS = Settings(subject_tags=True)
GOOD = SignerReport(("bob@outside.example",), "CN=Bob", "f1", verified=True, trusted=True, matches_from=True)
STRANGER = replace(GOOD, addresses=("eve@outside.example",), matches_from=False)
SIGNED = Layer("smime-signed", 0, "", ok=True, signers=(GOOD,))
SHUT = Layer("smime-encrypted", 0, "", ok=False)
BROKEN = Layer("smime-signed", 0, "", ok=False, reason=because(ReasonCode.MALFORMED))
INVALID = ["[invalid signature]"]
MISMATCH = ["[signed by eve@outside.example, not by the sender]"]


@pytest.fixture(autouse=True)
def _no_pattern_kept() -> None:
    marks._tags_pattern.cache_clear()  # else a test would see what an earlier one has built


@pytest.mark.parametrize(
    ("layers", "tags"),
    [
        ([], []),
        ([replace(SHUT, ok=True, key="k")], ["[decrypted]"]),
        ([replace(SHUT, ok=True)], []),
        ([replace(SHUT, key="k")], []),
        ([SHUT, replace(SHUT, ok=True, key="k")], ["[decrypted]"]),
        ([replace(SHUT, ok=True, key="k"), SIGNED], ["[decrypted]", "[signed by bob@outside.example]"]),
        ([SHUT, SIGNED], ["[signed by bob@outside.example]"]),
        ([BROKEN, SIGNED], ["[signed by bob@outside.example]"]),
        ([replace(SIGNED, signers=(GOOD, replace(GOOD, addresses=("b2@x",))))], ["[signed by bob@outside.example]"]),
        ([replace(SIGNED, signers=(STRANGER,))], MISMATCH),
        ([replace(SIGNED, signers=(STRANGER, GOOD))], MISMATCH),
        ([replace(SIGNED, signers=(replace(STRANGER, verified=False),))], INVALID),
        ([replace(SIGNED, signers=(replace(STRANGER, trusted=False),))], INVALID),
        ([replace(SIGNED, signers=(STRANGER, replace(GOOD, trusted=False)))], INVALID),
        ([replace(SIGNED, covers=False)], INVALID),
        ([BROKEN, replace(SIGNED, signers=(STRANGER,))], INVALID),
        ([BROKEN], INVALID),
        ([replace(BROKEN, reason=None)], INVALID),
        ([replace(BROKEN, reason=because(ReasonCode.NO_SIGNERS))], []),
        ([replace(BROKEN, ok=True)], []),
        ([replace(BROKEN, kind="smime-compressed")], []),
    ],
)
def test_tags_that_layers_earn(layers, tags):
    assert tags_for(layers, TAGS) == tags
    assert tags_for(layers, Settings()) == []


def test_a_tag_set_to_nothing_is_none():
    both = [replace(SHUT, ok=True, key="k"), SIGNED]
    assert tags_for(both, replace(TAGS, tag_decrypted="")) == ["[signed by bob@outside.example]"]


@pytest.mark.parametrize(
    ("signer", "name"),
    [
        (replace(GOOD, addresses=()), "CN=Bob"),
        (replace(GOOD, addresses=("b[ob]@\x1f\x00outside\x7f.example", "x@y")), "bob@outside.example"),
        (replace(GOOD, addresses=("b" * 200,)), "b" * 120),
    ],
)
def test_the_name_in_a_tag_is_plain_and_short(signer, name):
    assert tags_for([replace(SIGNED, signers=(signer,))], TAGS) == [f"[signed by {name}]"]


@pytest.mark.parametrize(
    ("layer", "by_sender"),
    [
        (SIGNED, True),
        (replace(SIGNED, ok=False), False),
        (replace(SIGNED, covers=False), False),
        (replace(SIGNED, signers=()), False),
        (replace(SIGNED, signers=(GOOD, STRANGER)), False),
    ],
)
def test_signed_by_the_sender(layer, by_sender):
    assert sender_signed(layer) is by_sender


def test_result_headers():
    opened = replace(SHUT, ok=True, algorithm="aes256 cbc", integrity="none", key="ab" * 32)
    doubtful = replace(STRANGER, verified=False, trusted=False, reason=because(ReasonCode.SIGNATURE_INVALID))
    doubtful = replace(doubtful, addresses=("eve@x.example",))
    reported = replace(
        SIGNED, ok=False, part="1", covers=False, reason=because(ReasonCode.NOT_WHOLE_MESSAGE), signers=(GOOD, doubtful)
    )
    assert result_headers([opened, reported]) == [
        ("X-Mailseal-Decrypted", "yes"),
        ("X-Mailseal-Signed-By-Sender", "no"),
        (
            "X-Mailseal-Layer-1",
            f"kind=smime-encrypted; ok=yes; algorithm=aes256-cbc; integrity=none; key={'ab' * 20}; whole-message=yes",
        ),
        ("X-Mailseal-Layer-2", "kind=smime-signed; ok=no; part=1; whole-message=no; reason=not-whole-message"),
        (
            "X-Mailseal-Layer-2-Signer-1",
            "verified=yes; trusted=yes; matches-from=yes; fingerprint=f1; address=bob@outside.example",
        ),
        (
            "X-Mailseal-Layer-2-Signer-2",
            "verified=no; trusted=no; matches-from=no; fingerprint=f1; reason=signature-invalid; address=eve@x.example",
        ),
    ]
    assert result_headers([SHUT, SIGNED])[:2] == [
        ("X-Mailseal-Decrypted", "no"),
        ("X-Mailseal-Signed-By-Sender", "yes"),
    ]
    assert result_headers([replace(SHUT, key="k")])[0] == ("X-Mailseal-Decrypted", "no")
    assert result_headers([replace(SHUT, ok=True)])[0] == ("X-Mailseal-Decrypted", "no")
    assert result_headers([]) == []


def test_a_value_cannot_write_a_part_of_its_own_nor_grow_without_bound():
    odd = replace(GOOD, addresses=("a;b ü\x7f~!:<", "c,d", "3", "4", "5", "6"))
    assert result_headers([replace(SIGNED, signers=(odd,))])[3][1].endswith("; address=a?b???~!:<,c?d,3,4,5")
    long = replace(GOOD, addresses=("a" * 900,))
    assert len(result_headers([replace(SIGNED, signers=(long,))])[3][1]) == 500


@pytest.mark.parametrize(
    ("subject", "rest"),
    [
        ("no  tag ", "no  tag "),
        ("[other]  tag", "[other]  tag"),
        ("[Decrypted]  a  b ", "a b"),
        ("a [invalid" + " " * 8 + "signature] b", "a b"),
        ("a [invalidsignature] b", "a b"),
        ("a [signed by x] b", "a b"),
        ("a [SIGNED BY x y, not by the sender] b", "a b"),
        ("[signed by " + "x" * 320 + "]", ""),
        ("[signed by " + "x" * 322 + "]", "[signed by " + "x" * 322 + "]"),
        ("[signed by [x] ]", "[signed by [x] ]"),
        ("[decr[invalid signature]ypted] a", "a"),
        ("[decr" * 19 + "ypted]" * 19 + " a", "a"),
        ("[decr" * 25 + "ypted]" * 25 + " a", ""),
    ],
)
def test_what_reads_like_a_tag_is_taken_out(subject, rest):
    assert without_tags(subject, Settings()) == rest


def test_tags_are_taken_out_in_the_words_that_are_set():
    plain = Settings(tag_decrypted="(opened)", tag_signed_mismatch="by {signer}, really?", tag_invalid="")
    assert without_tags("(opened) by x, really? [signed by y] a", plain) == "a"
    assert without_tags("(OPENED) a", plain) == "a"
    assert without_tags("[invalid signature] a", plain) == "[invalid signature] a"
    bare = Settings(tag_decrypted="opened:", tag_signed_by="", tag_signed_mismatch="", tag_invalid="")
    assert without_tags("opened: a", bare) == "a"
    none = Settings(tag_decrypted="", tag_signed_by=" ", tag_signed_mismatch="", tag_invalid="")
    assert without_tags("[decrypted]  a", none) == "[decrypted]  a"


def test_fields_that_only_we_may_write():
    raw = (
        b"X-Mailseal-Layer-9: yes\r\nX-Mailsea: l\r\nAX-Mailseal-B: c\r\nA: b\rx-mailseal-c: d\r\n"
        b"A: b\r\xef\xbb\xbfX-Mailseal-C: d\r\nA: b\r\n X-Mailseal-C: d\r\n\r\nX-Mailseal-D: e\r\n"
    )
    root = parse(raw).root
    assert [field.raw(raw) for field in forged_fields(root)] == [
        b"X-Mailseal-Layer-9: yes\r\n",
        b"A: b\rx-mailseal-c: d\r\n",
        b"A: b\r\xef\xbb\xbfX-Mailseal-C: d\r\n",
    ]


def test_headers_of_very_many_signers_stay_short():
    signer = SignerReport(("a" * 600,), "", "f" * 64, verified=True, trusted=True, matches_from=False)
    layers = [Layer("smime-signed", 0, "", ok=True, signers=(signer,) * 32) for _ in range(30)]
    headers = result_headers(layers)
    assert sum("-Signer-" in name for name, _ in headers) == MAX_SIGNER_FIELDS
    assert sum(name.startswith("X-Mailseal-Layer-") and "Signer" not in name for name, _ in headers) == 30
    assert sum(len(name) + len(value) for name, value in headers) < 50_000


def test_a_weak_cipher_is_told_and_is_no_failure():
    weak = because(ReasonCode.ENCRYPTION_WEAK, algorithm="rc2-40-cbc")
    layer = Layer("smime-encrypted", 0, "", ok=True, reason=weak, algorithm="rc2-40-cbc", key="ff")
    settings = Settings(subject_tags=True)
    assert tags_for([layer], settings) == [settings.tag_decrypted]
    headers = dict(result_headers([layer]))
    assert headers["X-Mailseal-Decrypted"] == "yes"
    assert "ok=yes; algorithm=rc2-40-cbc; key=ff; " in headers["X-Mailseal-Layer-1"]
    assert headers["X-Mailseal-Layer-1"].endswith("reason=encryption-weak")
