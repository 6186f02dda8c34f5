"""Settings that are lists of addresses or of kinds of notice, and those that are one address or a language."""

import pytest

from mailseal.policy.settings import SettingError, parse_value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("dlp_managers", "", ()),
        ("dlp_managers", 'dlp@EXAMPLE.com, "d e, f"@example.org\nDLP@x.example', None),
        ("notify_sender", "Released dlp-warn,released", ("released", "dlp-warn")),
        ("notify_recipient", "expired", ("expired",)),
        ("notice_from", " Post@EXAMPLE.com ", "Post@example.com"),
        ("notice_from", "", ""),
        ("notice_language", "PT-BR", "pt-br"),
    ],
)
def test_read(name, text, value):
    wanted = ("dlp@example.com", '"d e, f"@example.org', "DLP@x.example") if value is None else value
    assert parse_value(name, text) == wanted


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("dlp_managers", "dlp", "'dlp' is not an address; for example: dlp@example.com"),
        ("dlp_managers", "a@b.example\r\nBcc:", "'Bcc:' is not an address"),
        ("dlp_managers", " ".join(f"a{n}@b.example" for n in range(101)), "more than 100 addresses"),
        ("notify_sender", "summary", "'summary' is not one of encrypted, not-encrypted"),
        ("notify_recipient", "dlp-warn", "is not one of released, deleted, expired"),
        ("notice_from", "postmaster", "for example: postmaster@example.com"),
        ("notice_envelope_from", "<>", "for example: postmaster@example.com"),
        ("notice_language", "../../etc", "is not the name of a language"),
        ("notice_language", "", "is not the name of a language"),
    ],
)
def test_refused(name, text, problem):
    with pytest.raises(SettingError, match=name) as caught:
        parse_value(name, text)
    assert problem in str(caught.value)
