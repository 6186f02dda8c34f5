"""A notice of ours that comes back: what of it DLP still looks at."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from mailseal.errors import TransientError
from mailseal.extract.mail import inspect
from mailseal.mail.envelope import Origin
from mailseal.mail.message import Message
from mailseal.mail.mime import parse
from mailseal.pipeline import process
from mailseal.pipeline.own_notice import is_own_notice, not_ours
from mailseal.policy.inspection import Gap, GapReason, GapStatus, Inspection
from stage import Stage, envelope

NOW = datetime(2026, 3, 2, 9, 31, tzinfo=UTC)
NOTICE = (Path(__file__).parents[2] / "vectors" / "notice" / "dlp-quarantine.en.eml").read_bytes()
KEYS = SimpleNamespace(known=lambda: [b"n" * 32, b"k" * 32])


def test_it_is_known_by_its_mark():
    assert is_own_notice(parse(NOTICE).root, KEYS, NOW)
    assert not is_own_notice(parse(NOTICE).root, None, NOW)
    assert not is_own_notice(parse(NOTICE).root, KEYS, NOW + timedelta(days=2))
    assert not is_own_notice(parse(b"Subject: x\r\n\r\n" + NOTICE).root, KEYS, NOW)


def test_no_key_at_hand_defers_a_notice_only():
    def none():
        raise TransientError("no key")

    keys = SimpleNamespace(known=none)
    assert not is_own_notice(parse(b"Subject: x\r\n\r\n").root, keys, NOW)
    with pytest.raises(TransientError):
        is_own_notice(parse(NOTICE).root, keys, NOW)


def test_its_own_words_are_left_out_and_nothing_else():
    mail = parse(b"Comments: 4111 1111 1111 1111\r\nX-Note: =?utf-8?q?secret?=\r\n" + NOTICE)
    assert is_own_notice(mail.root, KEYS, NOW)
    inspection = inspect(mail, None, time.monotonic() + 60)
    before = {one.place for one in inspection.passages}
    left = {one.place for one in not_ours(inspection).passages}
    covered = {"header from", "header to", "subject", "header date", "header message-id"}
    bodies = {"body (text/plain)", "body (text/html)", "body (text/html): not shown"}
    assert before - left == covered | bodies
    assert {"header comments", "header x-note", "header in-reply-to", "header content-type", "part header"} <= left
    assert not any("Credit card" in one.text for one in not_ours(inspection).passages)
    assert inspection.gaps == ()


def test_the_mark_stays_on_it_and_is_taken_off_any_other_mail():
    def delivered(octets: bytes) -> bytes:
        stage = Stage()
        stage.gateway_settings["notice_keys"] = KEYS
        gateway = replace(stage.gateway(), clock=SimpleNamespace(now=lambda: NOW, monotonic=lambda: 0.0))
        process(envelope("dora@inside.example", origin=Origin.OUTSIDE), Message(octets), gateway)
        return stage.octets_sent()

    assert is_own_notice(parse(delivered(NOTICE)).root, KEYS, NOW)
    assert b"X-Mailseal-Notice" not in delivered(NOTICE + b"more\r\n")


def test_its_signature_is_its_own_too_and_what_is_ambiguous_is_not():
    signature = Gap("part (application/pkcs7-signature)", GapStatus.UNINSPECTABLE, GapReason.UNKNOWN_FORMAT)
    ambiguous = Gap("message", GapStatus.PARTIAL, GapReason.AMBIGUOUS)
    assert not_ours(Inspection((), (signature, ambiguous))).gaps == (ambiguous,)
