from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.policy.reason import Reason, ReasonCode, because
from mailseal.policy.text import TEXTS, render


def test_every_code_has_one_text_and_no_two_share_one():
    assert set(TEXTS) == set(ReasonCode)
    assert len(set(TEXTS.values())) == len(TEXTS)


@pytest.mark.parametrize("code", ReasonCode)
def test_texts_are_one_plain_line(code):
    text = render(because(code))
    assert text == text.strip()
    assert text.isprintable()
    assert not text.endswith(".")
    for _, name, form, conversion in Formatter().parse(TEXTS[code]):
        assert name is None or name.isidentifier()
        assert not form
        assert not conversion


def test_parameters_stand_in_the_text():
    assert (
        render(because(ReasonCode.METHOD_TOO_LARGE, method="smime", limit_bytes=7))
        == "the mail is too large for smime: the limit is 7 octets"
    )


def test_parameters_that_the_text_does_not_name_follow():
    reason = because(ReasonCode.NO_CERTIFICATE, address="b@example.net", method="smime")
    assert render(reason) == "there is no certificate for the recipient (address b@example.net, method smime)"


def test_a_missing_parameter_is_a_question_mark():
    assert render(because(ReasonCode.METHOD_OFF)) == "? is turned off"


def test_line_ends_and_braces_in_parameters_are_harmless():
    assert render(because(ReasonCode.METHOD_OFF, method="a\r\n{x}{")) == "a  {x}{ is turned off"
    assert render(because(ReasonCode.OPENED, more="a\nb")) == "the protection of the mail was opened (more a b)"


@given(st.sampled_from(ReasonCode), st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=4))
def test_render_never_raises(code, parameters):
    assert render(Reason(code, tuple(parameters))).isprintable() or parameters
