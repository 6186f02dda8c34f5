"""The safe view: what a mail says, without what acts, misleads or was found in it."""

import unicodedata
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.mail.address import Address
from mailseal.mail.envelope import Envelope, Origin, Recipient
from mailseal.mail.mime import parse
from mailseal.pipeline.safe_view import MAX_TEXT_CHARS, NOT_SHOWN, SafeView, clean, safe_view, view_of
from mailseal.policy.dlp.model import Kind, Pattern
from mailseal.policy.dlp.scanner import ScanError, Scanner
from mailseal.policy.inspection import Gap, GapReason, GapStatus, Inspection, Passage
from mailseal.policy.model import Action

CARD = "4111 1111 1111 1111"
CARDS = Scanner([Pattern("1", 1, "cards", Kind.EXPRESSION, r"\b(?:\d ?){16}\b", Action.QUARANTINE)])


def mail(**headers: str) -> EmailMessage:
    made = EmailMessage()
    for name, value in headers.items():
        made[name] = value
    made.set_content("read me")
    return made


def viewed(made: EmailMessage | bytes, *texts: str, scanner: Scanner = CARDS, gaps: tuple[Gap, ...] = ()) -> SafeView:
    octets = made if isinstance(made, bytes) else made.as_bytes()
    passages = tuple(Passage("body (text/plain)", text) for text in texts)
    return safe_view(parse(octets), Inspection(passages, gaps), scanner)


def test_headers_are_decoded():
    view = viewed(mail(Subject="Grüße aus Köln", From="Ännchen <a@alpha.example>"))
    assert ("subject", "Grüße aus Köln") in view.headers
    assert ("from", "Ännchen <a@alpha.example>") in view.headers


def test_nothing_in_it_acts_or_misleads():
    view = viewed(
        b"Subject: =?utf-8?q?invoice=E2=80=AEfdp=2Eexe=1B=5B2J?=\r\nTo: x\x1b]0;y\x07@x.example\r\n\r\nhi\r\n",
        "pay\u202e001\u202c\x1b[2J\u200b now\r\nsecond line\ttab",
    )
    assert dict(view.headers)["subject"].startswith("invoice\ufffdfdp.exe")
    [text] = view.texts
    assert text.text == "pay\ufffd001\ufffd\ufffd[2J\ufffd now\nsecond line\ttab"
    for shown in (text.text, *(value for _, value in view.headers)):
        assert not {"\x1b", "\u202e", "\u202c", "\u200b", "\x07"} & set(shown)


@given(st.text())
def test_clean_leaves_what_can_be_read(text: str) -> None:
    shown = clean(text)
    assert all(one in "\n\t" or unicodedata.category(one)[0] != "C" for one in shown)
    assert [one for one in shown if one.isalnum()] == [one for one in text if one.isalnum()]


def test_what_was_found_is_masked_wherever_it_is_shown():
    made = mail(Subject=f"card {CARD}")
    made.add_attachment(b"x" * 10, maintype="application", subtype="pdf", filename=f"{CARD}.pdf")
    view = viewed(made, f"card:\n{CARD}\nthanks", "nothing\nhere")
    assert "4111" not in repr(view)
    assert dict(view.headers)["subject"].startswith("card █")
    assert view.texts[1].text == "nothing\nhere", "as it stands where nothing is found"
    assert view.attachments[0].name.startswith("█")


def test_split_over_lines_and_by_invisible_characters_it_is_masked_too():
    view = viewed(mail(), "4111 1111\n1111 1111", "4111\u200b111111111111")
    assert not any("1111" in one.text for one in view.texts)


def test_what_cannot_be_masked_is_not_shown():
    class Fails(Scanner):
        def masked(self, text: str) -> str:
            raise ScanError("out of memory")

    view = viewed(mail(Subject=CARD), CARD, scanner=Fails([]))
    assert view.texts[0].text == NOT_SHOWN
    assert CARD not in repr(view)


def test_attachments_by_name_and_size_only():
    made = mail()
    made.add_alternative("<p>read me</p>", subtype="html")
    made.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="räport\u202efdp.exe")
    made.add_attachment("a text", filename="notes.txt")
    view = viewed(made, "read me")
    assert [(one.name, one.media_type) for one in view.attachments] == [
        ("räport\ufffdfdp.exe", "application/pdf"),
        ("notes.txt", "text/plain"),
    ]
    assert view.attachments[0].size_bytes == 8
    assert "%PDF" not in repr(view)


def test_an_attachment_that_cannot_be_decoded_has_no_size():
    header = b'Content-Type: application/zip; name="a.zip"\r\nContent-Transfer-Encoding: base64\r\n'
    raw = header + b"MIME-Version: 1.0\r\n\r\nA\r\n"
    [one] = viewed(raw).attachments
    assert (one.name, one.size_bytes) == ("a.zip", None)


def test_only_the_body_is_shown():
    passages = (Passage("body (text/plain)", "shown"), Passage("a.zip > a.txt", "not shown"), Passage("subject", "s"))
    gaps = tuple(Gap(place, GapStatus.PARTIAL, GapReason.TOO_LARGE) for place in ("body (text/html)", "a.zip"))
    view = safe_view(parse(mail().as_bytes()), Inspection(passages, gaps), CARDS)
    assert [one.text for one in view.texts] == ["shown"]
    assert [one.place for one in view.gaps] == ["body (text/html)"]


def test_an_ambiguous_structure_is_said():
    raw = b"Content-Type: text/plain\r\nContent-Type: text/html\r\nMIME-Version: 1.0\r\n\r\nhi\r\n"
    view = viewed(raw, "hi")
    assert "more than one Content-Type" in view.fault
    assert view.attachments == ()


class Known:
    """Implements `ports.Patterns`; `asked` are those whose patterns were wanted."""

    def __init__(self) -> None:
        self.asked: tuple[Address | None, ...] = ()

    def of(self, *addresses: Address | None) -> Scanner:
        self.asked = addresses
        return CARDS


def test_of_a_mail_as_it_is_stored():
    made = mail(Subject="Grüße", From="anna@alpha.example")
    made.add_alternative(f"<p>Hallo <b>K&ouml;ln</b></p><!-- {CARD} --><p hidden>secret", subtype="html")
    made.add_attachment(f"{CARD} note".encode(), maintype="application", subtype="zip", filename="a.zip")
    made.add_attachment("a note", filename="n.txt")
    sender, to = Address.parse("sender@alpha.example"), Address.parse("x@out.example")
    patterns = Known()
    view = view_of(Envelope(sender, (Recipient(to),), Origin.AUTHORISED), made.as_bytes(), patterns)

    assert [str(one) for one in patterns.asked] == ["sender@alpha.example", "anna@alpha.example", "x@out.example"]
    texts = "\n".join(one.text for one in view.texts)
    assert "Hallo Köln" in texts
    assert "secret" in texts, "what a reader does not see is shown, too"
    assert "<b>" not in texts
    assert "4111" not in repr(view)
    assert "note" not in texts
    assert [one.name for one in view.attachments] == ["a.zip", "n.txt"]


@pytest.mark.parametrize("texts", [("x" * (MAX_TEXT_CHARS + 1),), ("x" * MAX_TEXT_CHARS, "y")])
def test_bounded(texts):
    view = viewed(mail(), *texts)
    assert sum(len(one.text) for one in view.texts) == MAX_TEXT_CHARS
    assert view.cut
    many = b"".join(b"X-%d: y\r\n" % number for number in range(900)) + b"\r\nhi\r\n"
    assert len(viewed(many).headers) == 200
