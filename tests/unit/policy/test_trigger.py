import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.policy.model import Already, Asked
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import Settings
from mailseal.policy.trigger import asked_by_triggers, strip_triggers

OFF = {"encrypt_subject_trigger": "", "encrypt_header_trigger": "", "sign_header_trigger": ""}


def _headers(**fields):
    named = {name.replace("_", "-").lower(): values for name, values in fields.items()}
    return lambda name: named.get(name.lower(), [])


NO_HEADERS = _headers()


def _settings(**values):
    return Settings(**(OFF | values))


def _fires(trigger, subject, *, is_pattern=False):
    settings = _settings(encrypt_subject_trigger=trigger, subject_trigger_is_pattern=is_pattern)
    fired = asked_by_triggers(subject, NO_HEADERS, settings).encrypt is not None
    assert fired == (strip_triggers(subject, settings) != subject)
    return fired


@pytest.mark.parametrize(
    ("keyword", "subject", "fires"),
    [
        ("[encrypt]", "[encrypt] plan", True),
        ("[encrypt]", "Re: [ENCRYPT] plan", True),
        ("[encrypt]", "plan[encrypt]", True),
        ("[encrypt]", "plan encrypt", False),
        ("secret", "a secret plan", True),
        ("secret", "Secret", True),
        ("secret", "(secret)", True),
        ("secret", "secretary", False),
        ("secret", "a topsecret plan", False),
        ("secret", "über_secret", False),
        ("secret", "topsecret secret", True),
        ("geheim", "übergeheim", False),
        ("geheim", "geheimü", False),
        ("vertraülich", "VERTRAÜLICH!", True),
        ("строго", "СТРОГО секретно", True),
        ("строго", "настрого", False),
        ("秘密", "【秘密】計画", True),
        ("top secret", "a TOP\r\n  secret plan", True),
        ("top  secret", "top secret", True),
        ("top secret", "topsecret", False),
        ("a.c", "abc", False),
        ("a.c", "a.c", True),
        ("vertraülich", unicodedata.normalize("NFD", "ganz vertraülich"), True),
        (unicodedata.normalize("NFD", "vertraülich"), "ganz vertraülich", True),
        ("secret", "", False),
        ("#s", "#s", True),
        ("s#", "xs#", False),
        ("#s", "#sx", False),
        ("s#", "s#x", True),
    ],
)
def test_a_keyword_fires_on_whole_words_in_any_case(keyword, subject, fires):
    assert _fires(keyword, subject) is fires


@pytest.mark.parametrize(
    ("pattern", "subject", "fires"),
    [
        ("(?i)secret|geheim", "das ist GEHEIM", True),
        ("secret|geheim", "das ist GEHEIM", False),
        (r"^\[s\]", "[s] x", True),
        (r"^\[s\]", "Re: [s] x", False),
        (r"\bs\b", "a s b", True),
        ("sch(ö|oe)n", unicodedata.normalize("NFD", "schön"), True),
        ("(no pattern", "(No Pattern at all", True),  # read as the keyword that it is
        ("x*", "see x* there", True),
        ("x*", "see there", False),
    ],
)
def test_a_pattern_is_found_anywhere(pattern, subject, fires):
    assert _fires(pattern, subject, is_pattern=True) is fires


@pytest.mark.parametrize("trigger", ["", " ", "\t "])
@pytest.mark.parametrize("is_pattern", [False, True])
def test_an_empty_trigger_is_off(trigger, is_pattern):
    assert not _fires(trigger, "any  subject", is_pattern=is_pattern)
    assert not _fires(trigger, "", is_pattern=is_pattern)


@pytest.mark.parametrize(
    ("trigger", "values", "fires"),
    [
        ("X-Secure", ["anything"], True),
        ("X-Secure", [""], True),
        ("X-Secure", [], False),
        ("x-secure", ["no"], True),
        ("X-Secure: yes", ["yes"], True),
        ("X-Secure: yes", ["oh yes!"], True),
        ("X-Secure: yes", ["no"], False),
        ("X-Secure: yes", ["no", "yes"], True),
        ("X-Secure: yes", [], False),
        ("X-Secure: ^(?i)yes$", ["YES"], True),
        ("X-Secure: ^yes$", ["yes no"], False),
        ("X-Secure: (", ["no"], True),  # cannot be read: rather encrypt
        ("X-Secure: (", [], False),
        ("", ["x"], False),
        ("X-Other", ["x"], False),
    ],
)
def test_header_triggers(trigger, values, fires):
    headers = _headers(X_Secure=values)
    encrypt = asked_by_triggers("", headers, _settings(encrypt_header_trigger=trigger))
    expected = because(ReasonCode.TRIGGER_ENCRYPT_HEADER, trigger=trigger) if fires else None
    assert encrypt == Asked(encrypt=expected)
    sign = asked_by_triggers("", headers, _settings(sign_header_trigger=trigger))
    expected = because(ReasonCode.TRIGGER_SIGN_HEADER, trigger=trigger) if fires else None
    assert sign == Asked(sign=expected)


def test_an_empty_header_trigger_asks_for_no_field():
    def headers(name):
        raise AssertionError(name)

    assert asked_by_triggers("x", headers, _settings()) == Asked()


def test_reasons_name_the_trigger():
    settings = _settings(encrypt_subject_trigger="enc", sign_subject_trigger="sig")
    asked = asked_by_triggers("enc x", NO_HEADERS, settings)
    assert asked == Asked(encrypt=because(ReasonCode.TRIGGER_ENCRYPT_SUBJECT, trigger="enc"), subject="x")
    asked = asked_by_triggers("sig x", NO_HEADERS, settings)
    assert asked == Asked(sign=because(ReasonCode.TRIGGER_SIGN_SUBJECT, trigger="sig"), subject="x")
    asked = asked_by_triggers("sig x enc", NO_HEADERS, settings)
    assert (asked.encrypt is None, asked.sign is None, asked.subject) == (False, False, "x")


def test_patterns_count_for_signing_too():
    settings = _settings(sign_subject_trigger="s.g", subject_trigger_is_pattern=True)
    assert asked_by_triggers("a sXg", NO_HEADERS, settings) == Asked(
        sign=because(ReasonCode.TRIGGER_SIGN_SUBJECT, trigger="s.g"), subject="a"
    )


def test_the_subject_comes_before_the_header():
    settings = _settings(
        encrypt_subject_trigger="a", encrypt_header_trigger="X-A", sign_subject_trigger="b", sign_header_trigger="X-A"
    )
    asked = asked_by_triggers("a b", _headers(X_A=["1"]), settings)
    assert asked.encrypt.code is ReasonCode.TRIGGER_ENCRYPT_SUBJECT
    assert asked.sign.code is ReasonCode.TRIGGER_SIGN_SUBJECT


def test_the_form_is_left_to_others():
    asked = asked_by_triggers("x", NO_HEADERS, Settings())
    assert asked == Asked(already=Already.NOTHING, calendar=False, size_bytes=0)


def test_the_triggers_of_both_senders_count():
    one = _settings(encrypt_subject_trigger="one")
    other = _settings(encrypt_subject_trigger="other", sign_header_trigger="X-S")
    asked = asked_by_triggers("Re: other", _headers(X_S=["1"]), one, other)
    assert asked == Asked(
        encrypt=because(ReasonCode.TRIGGER_ENCRYPT_SUBJECT, trigger="other"),
        sign=because(ReasonCode.TRIGGER_SIGN_HEADER, trigger="X-S"),
        subject="Re:",
    )
    assert asked_by_triggers("one other", NO_HEADERS, one, other).subject == ""
    assert asked_by_triggers("one", NO_HEADERS).encrypt is None


def test_a_trigger_may_stay_in_the_subject():
    settings = _settings(encrypt_subject_trigger="enc", remove_subject_trigger=False)
    asked = asked_by_triggers("enc x", NO_HEADERS, settings)
    assert asked.encrypt is not None
    assert asked.subject is None
    assert strip_triggers("enc x", settings) == "x"


@pytest.mark.parametrize(
    ("subject", "result"),
    [
        ("[encrypt] plan", "plan"),
        ("Re: [encrypt] plan", "Re: plan"),
        ("plan [Encrypt]", "plan"),
        ("a[encrypt]b", "a b"),
        ("[encrypt][encrypt]  [ENCRYPT]", ""),
        ("a  b", "a  b"),
        ("a  b [sign] c\tc", "a b c c"),
        ("[encrypt] x [sign]", "x"),
        ("[encrypt[sign]]", "[encrypt ]"),
        ("", ""),
    ],
)
def test_strip_takes_triggers_out_and_tidies(subject, result):
    settings = _settings(encrypt_subject_trigger="[encrypt]", sign_subject_trigger="[sign]")
    assert strip_triggers(subject, settings) == result


def test_a_subject_without_a_trigger_is_the_very_same():
    decomposed = unicodedata.normalize("NFD", "schön  hier")
    assert strip_triggers(decomposed, Settings()) is decomposed


def test_what_is_left_does_not_fire_either():
    settings = _settings(encrypt_subject_trigger="top secret")
    assert strip_triggers("top top secret secret plan", settings) == "plan"
    deep = "top " * 10 + "secret " * 10 + "plan"
    assert strip_triggers(deep, settings) == "plan"


def test_nesting_has_a_bound():
    settings = _settings(encrypt_subject_trigger="top secret")
    assert strip_triggers("top " * 20 + "secret " * 20 + "plan", settings) == "plan"
    assert strip_triggers("top " * 21 + "secret " * 21 + "plan", settings) == ""


def test_a_pattern_of_no_width_empties_the_subject():
    settings = _settings(encrypt_subject_trigger=r"\b", subject_trigger_is_pattern=True)
    assert strip_triggers("any words", settings) == ""


@given(
    st.text(st.sampled_from("ab []xX\u0308ö"), max_size=30),
    st.text(st.sampled_from("ab []xX\u0308ö"), max_size=5),
    st.text(st.sampled_from("ab []xX"), max_size=5),
    st.booleans(),
)
def test_nothing_fires_after_stripping(subject, encrypt, sign, is_pattern):
    settings = _settings(
        encrypt_subject_trigger=encrypt, sign_subject_trigger=sign, subject_trigger_is_pattern=is_pattern
    )
    stripped = strip_triggers(subject, settings)
    asked = asked_by_triggers(stripped, NO_HEADERS, settings)
    assert asked == Asked()
    assert strip_triggers(stripped, settings) == stripped
