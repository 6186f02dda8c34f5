import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.policy.settings import (
    SETTINGS,
    CipherChoice,
    Mode,
    SettingError,
    Settings,
    check,
    parse_value,
    setting,
    show_value,
)
from mailseal.policy.values import split_header_trigger
from unit.policy.strategies import value_of

A = "a1" * 32
B = "b2" * 32


@pytest.mark.parametrize("info", SETTINGS, ids=lambda info: info.name)
@given(data=st.data())
def test_a_shown_value_reads_back_as_itself(info, data):
    value = data.draw(value_of(info))
    assert parse_value(info.name, show_value(info.name, value)) == value


@pytest.mark.parametrize("info", SETTINGS, ids=lambda info: info.name)
def test_factory_values_are_valid(info):
    assert parse_value(info.name, show_value(info.name, info.default)) == info.default


@pytest.mark.parametrize("info", SETTINGS, ids=lambda info: info.name)
@given(text=st.text(max_size=300))
def test_any_text_gives_a_value_or_a_setting_error(info, text):
    with contextlib.suppress(SettingError):
        assert type(parse_value(info.name, text)) is info.type


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("mode", " Mandatory ", Mode.MANDATORY),
        ("smime_cipher", "AES128-GCM", CipherChoice.AES128_GCM),
        ("smime", "yes", True),
        ("smime", "TRUE", True),
        ("smime", "on", True),
        ("smime", "1", True),
        ("smime", "no", False),
        ("smime", "False", False),
        ("smime", "off", False),
        ("smime", "0", False),
        ("smime_max_bytes", "1024", 1024),
        ("smime_max_bytes", "2K", 2048),
        ("smime_max_bytes", "50M", 52_428_800),
        ("smime_max_bytes", "3 MiB", 3 * 1024 * 1024),
        ("smime_max_bytes", "1gb", 1024**3),
        ("smime_max_bytes", str(2**31 - 1), 2**31 - 1),
        ("additional_certificates", "", ()),
        ("additional_certificates", f"{A}, {B}", (A, B)),
        ("additional_certificates", f"{B}\n{A} {B}", (B, A)),
        ("additional_certificates", ":".join(["AB"] * 32), ("ab" * 32,)),
        ("encrypt_subject_trigger", "  [secure] ", "[secure]"),
        ("encrypt_subject_trigger", "(no pattern", "(no pattern"),
        ("encrypt_subject_trigger", "x" * 256, "x" * 256),
        ("encrypt_header_trigger", "", ""),
        ("encrypt_header_trigger", "X-Secure", "X-Secure"),
        ("encrypt_header_trigger", "X-Secure:", "X-Secure"),
        ("encrypt_header_trigger", " X-Secure :  yes|no ", "X-Secure: yes|no"),
        ("sign_header_trigger", "X-Time: 1[0-9]:30", "X-Time: 1[0-9]:30"),
        ("tag_signed_by", "✓ {signer}", "✓ {signer}"),
        ("tag_signed_mismatch", "{signer}!", "{signer}!"),
        ("tag_decrypted", "", ""),
        ("tag_invalid", "[ungültig]", "[ungültig]"),
    ],
)
def test_values_as_people_write_them(name, text, value):
    read = parse_value(name, text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("mode", "maybe", "mode: 'maybe' is none of never, allow, force, mandatory; for example: allow"),
        ("mode", "x" * 90, f"mode: '{'x' * 80}' is none of never, allow, force, mandatory; for example: allow"),
        ("smime", "perhaps", "smime: 'perhaps' is neither yes nor no; for example: yes"),
        ("smime", "x" * 90, f"smime: '{'x' * 80}' is neither yes nor no; for example: yes"),
        ("skip_calendar", "", "skip_calendar: '' is neither yes nor no; for example: no"),
        (
            "smime_max_bytes",
            "many",
            "smime_max_bytes: 'many' is not a number, with K, M or G behind it if you like; for example: 52428800",
        ),
        (
            "smime_max_bytes",
            "y" * 90,
            (
                f"smime_max_bytes: '{'y' * 80}' is not a number, with K, M or G behind it if you like;"
                " for example: 52428800"
            ),
        ),
        (
            "smime_max_bytes",
            "1023",
            "smime_max_bytes: 1023 is not between 1024 and 2147483647; for example: 52428800",
        ),
        (
            "smime_max_bytes",
            "2147483648",
            "smime_max_bytes: 2147483648 is not between 1024 and 2147483647; for example: 52428800",
        ),
        (
            "additional_certificates",
            "abc",
            (
                "additional_certificates: 'abc' is not a SHA-256 fingerprint (64 hexadecimal digits);"
                f" for example: {'0' * 64}"
            ),
        ),
        (
            "additional_certificates",
            "a" * 81,
            (
                f"additional_certificates: '{'a' * 80}' is not a SHA-256 fingerprint (64 hexadecimal digits);"
                f" for example: {'0' * 64}"
            ),
        ),
        (
            "additional_certificates",
            " ".join(f"{one:064x}" for one in range(101)),
            f"additional_certificates: more than 100 certificates; for example: {'0' * 64}",
        ),
        (
            "encrypt_subject_trigger",
            "x" * 257,
            "encrypt_subject_trigger: the text is longer than 256 characters; for example: [encrypt]",
        ),
        (
            "tag_invalid",
            "a\r\nBcc: b",
            (
                "tag_invalid: the text has a character that cannot be printed, such as a line end;"
                " for example: [invalid signature]"
            ),
        ),
        (
            "encrypt_header_trigger",
            "X Secure: yes",
            "encrypt_header_trigger: 'X Secure' is not the name of a header field; for example: X-Secure: (?i)^yes$",
        ),
        (
            "encrypt_header_trigger",
            "é" * 90,
            f"encrypt_header_trigger: '{'é' * 80}' is not the name of a header field; for example: X-Secure: (?i)^yes$",
        ),
        (
            "sign_header_trigger",
            "X-Secure: (",
            "sign_header_trigger: not an RE2 pattern: missing ): (; for example: (?i)\\bsecure\\b",
        ),
        (
            "sign_header_trigger",
            "X-Secure: x*",
            (
                "sign_header_trigger: the pattern matches the empty text, so it would match every mail;"
                " for example: (?i)\\bsecure\\b"
            ),
        ),
        (
            "tag_decrypted",
            "{signer}",
            "tag_decrypted: a tag has braces only in {signer}, where a signer is known; for example: [decrypted]",
        ),
        (
            "tag_decrypted",
            "{",
            "tag_decrypted: a tag has braces only in {signer}, where a signer is known; for example: [decrypted]",
        ),
        (
            "tag_invalid",
            "}",
            "tag_invalid: a tag has braces only in {signer}, where a signer is known; for example: [invalid signature]",
        ),
        (
            "tag_signed_by",
            "{name}",
            (
                "tag_signed_by: a tag has braces only in {signer}, where a signer is known;"
                " for example: [signed by {signer}]"
            ),
        ),
        (
            "tag_signed_mismatch",
            "{signer.key}",
            (
                "tag_signed_mismatch: a tag has braces only in {signer}, where a signer is known;"
                " for example: [signed by {signer}, not by the sender]"
            ),
        ),
    ],
)
def test_errors_say_what_is_wrong_and_what_is_right(name, text, message):
    with pytest.raises(SettingError) as caught:
        parse_value(name, text)
    assert str(caught.value) == message


def test_a_hundred_certificates_are_allowed():
    many = " ".join(f"{one:064x}" for one in range(100))
    assert len(parse_value("additional_certificates", many)) == 100


@pytest.mark.parametrize("name", ["encrypt_subject_trigger", "sign_subject_trigger"])
def test_a_subject_trigger_that_is_a_pattern_is_checked(name):
    assert parse_value(name, r"(?i)\bsecure\b", is_pattern=True) == r"(?i)\bsecure\b"
    assert parse_value(name, "", is_pattern=True) == ""
    with pytest.raises(SettingError, match=r"not an RE2 pattern: missing \]: \[secure"):
        parse_value(name, "[secure", is_pattern=True)
    with pytest.raises(SettingError, match="longer than 256"):
        parse_value(name, "x" * 257, is_pattern=True)


def test_other_settings_do_not_mind_is_pattern():
    assert parse_value("tag_invalid", "(", is_pattern=True) == "("
    assert parse_value("smime", "no", is_pattern=True) is False


def test_check_finds_a_keyword_that_is_to_be_a_pattern():
    check(Settings(encrypt_subject_trigger="(secret"))
    check(Settings(subject_trigger_is_pattern=True, encrypt_subject_trigger="", sign_subject_trigger="a|b"))
    with pytest.raises(SettingError, match=r"^encrypt_subject_trigger: not an RE2 pattern"):
        check(Settings(subject_trigger_is_pattern=True, encrypt_subject_trigger="(secret"))
    with pytest.raises(SettingError, match=r"^sign_subject_trigger: the pattern matches the empty"):
        check(Settings(subject_trigger_is_pattern=True, encrypt_subject_trigger="x", sign_subject_trigger="a*"))


def test_check_finds_the_factory_keyword_read_as_a_set_of_letters():
    check(Settings())
    with pytest.raises(SettingError) as caught:
        check(Settings(subject_trigger_is_pattern=True))
    assert str(caught.value) == (
        "encrypt_subject_trigger: as a pattern, [encrypt] would match nearly every subject;"
        " set a pattern before subject_trigger_is_pattern; for example: (?i)\\bsecure\\b"
    )


def test_an_unknown_name_is_refused_with_the_nearest_one():
    with pytest.raises(SettingError, match=r"^there is no setting 'modes'; did you mean mode\?$"):
        parse_value("modes", "never")
    with pytest.raises(SettingError, match=r"^there is no setting 'zzzz'$"):
        show_value("zzzz", 1)
    with pytest.raises(SettingError):
        setting("")
    assert setting("smime").name == "smime"


def test_values_are_shown_as_they_are_written():
    assert show_value("smime", True) == "yes"
    assert show_value("smime", False) == "no"
    assert show_value("smime_max_bytes", 1024) == "1024"
    assert show_value("mode", Mode.FORCE) == "force"
    assert show_value("additional_certificates", (A, B)) == f"{A}, {B}"
    assert show_value("tag_invalid", "x") == "x"


def test_a_header_trigger_splits_at_its_first_colon():
    assert split_header_trigger("X-A") == ("X-A", "")
    assert split_header_trigger("X-A : b:c ") == ("X-A", "b:c")
    assert split_header_trigger("") == ("", "")
