"""What templates can do, what they cannot, and how much of it."""

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailseal.notices.check import check
from mailseal.notices.errors import TemplateError
from mailseal.notices.kinds import KINDS
from mailseal.notices.template import MAX_MARKS, MAX_TEMPLATE_CHARS, Part, Template
from mailseal.policy.notice_kind import NoticeKind

KNOWN = KINDS[NoticeKind.DLP_QUARANTINE].known
VALUES = {
    "sender": "a@example.com",
    "recipients": ["b@example.com", "c@example.com"],
    "found": [{"name": "IBAN", "count": 2, "action": "held"}],
    "subject": None,
}


def checked(source: str, part: Part = Part.TEXT) -> Template:
    template = Template(part, source)
    check(template, KNOWN)
    return template


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("from {{ sender }}", "from a@example.com"),
        ("{{ recipients | join: ', ' }}", "b@example.com, c@example.com"),
        ("{{ recipients.size }} {{ recipients | size }}", "2 2"),
        ("{% for one in found %}{{ one.name }}:{{ one.count }}{% endfor %}", "IBAN:2"),
        ("{% for r in recipients %}{{ r }}{% unless forloop.last %}; {% endunless %}{% endfor %}", None),
        ("{% if subject %}s{% elsif sender == 'x' or found.size > 3 %}e{% else %}n{% endif %}", "n"),
        ("{{ subject | default: 'none' }}|{{ subject }}|{{ subject | upcase }}", "none||"),
        ("{% comment %} {{ nothing | like }} {% endcomment %}x", "x"),
    ],
)
def test_what_a_template_can_do(source, text):
    rendered = checked(source).render(VALUES)
    assert rendered == ("b@example.com; c@example.com" if text is None else text)


@pytest.mark.parametrize(
    ("source", "line", "problem"),
    [
        ("a\n{{ sendr }}", 2, "no variable 'sendr'"),
        ("{{ found }}", 1, "go through it with `for`"),
        ("{% for f in found %}\n{{ f.excerpt }}{% endfor %}", 2, "there is no 'excerpt'"),
        ("{% for f in found %}{{ f }}{% endfor %}", 1, "take one of name, count, action"),
        ("{% if found %}a{% else %}\n\n{{ gone }}{% endif %}", 3, "no variable 'gone'"),
        ("{% if sender == 'x' %}{% elsif nothing %}{% endif %}", 1, "no variable 'nothing'"),
        ("{{ sender | default: nothing }}", 1, "no variable 'nothing'"),
        ("{% for a in (1..9) %}{% endfor %}", 1, "a variable that is a list"),
        ("{% for a in sender %}{% endfor %}", 1, "sender is no list"),
        ("{{ (1..9) }}", 1, "such an expression"),
        ("{{ recipients[0] }}", 1, "dots only"),
        ("{{ recipients[sender] }}", 1, "dots only"),
        ("{{ sender.__class__ }}", 1, "there is no '__class__'"),
        ("{{ forloop.index }}", 1, "no variable 'forloop'"),
        ("{{ now }}", 1, "no variable 'now'"),
        ("{{ sender | safe }}", 1, "no filter 'safe'"),
        ("{{ found | join }}", 1, "list of records"),
        ("\n{% include 'etc/passwd' %}", 2, "unexpected tag 'include'"),
        ("{% render 'x' %}", 1, "unexpected tag 'render'"),
        ("{% assign a = sender %}", 1, "unexpected tag 'assign'"),
        ("{% capture a %}x{% endcapture %}", 1, "unexpected tag 'capture'"),
        ("{% liquid echo sender %}", 1, "unexpected tag 'liquid'"),
        ("{% tablerow a in found %}{% endtablerow %}", 1, "unexpected tag 'tablerow'"),
        ("{{ sender", 1, "not closed within 300"),
        ("{{ sender }}\n{% if " + "x" * 300 + " %}", 2, "not closed within 300"),
        ("{{" + " " * 20 + "sender }}", 1, "that many blanks"),
        ("{% if sender %}x", 0, "endif"),
        ("{% raw %}{{ x }}{% endraw %", 1, "not closed"),
        ("{% if %}x{% endif %}", 1, "missing expression"),
        ("\0", 0, "characters"),
        ("\ud800", 0, "characters"),
        ("x" * (MAX_TEMPLATE_CHARS + 1), 0, "longer than"),
        ("{{sender}}" * (MAX_MARKS + 1), 0, "more than"),
        ("{% if sender %}" * 20 + "{% endif %}" * 20, 1, "nesting"),
    ],
)
def test_what_it_cannot_is_said_with_its_line(source, line, problem):
    with pytest.raises(TemplateError, match=problem) as caught:
        checked(source)
    assert (caught.value.part, caught.value.line) == (Part.TEXT, line)


@pytest.mark.parametrize("part", Part)
def test_markup_in_a_value_stays_text_in_html(part):
    values = {**VALUES, "sender": "<b>&\"'", "recipients": ["<i>", "{{ gateway }}"]}
    text = checked("{{ sender }}{{ recipients | join: '+' }}{% for r in recipients %}{{ r }}{% endfor %}", part).render(
        values
    )
    assert ("<" in text) == (part is not Part.HTML)
    assert "{{ gateway }}" in text.replace("&#123;", "{")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{% for a in recipients %}{% for b in recipients %}{{ b }}{% endfor %}{% endfor %}", "loop iteration limit"),
        ("{% for a in recipients %}{{ a }}{% endfor %}" * 3, "output stream limit"),
        ("{{ sender }}", "'sender' is undefined"),
    ],
)
def test_limits_while_it_is_rendered(source, problem):
    with pytest.raises(TemplateError, match=problem):
        checked(source).render({"recipients": ["x" * 1000] * 200})


WORDS = (
    "{{ }} {% %} {%- if for in else elsif endif endfor unless comment endcomment raw endraw sender found recipients one"
    " one.name . | size join : , ' \" == and contains (1..9) [ ] 9 1.5 nil true limit: offset: reversed forloop.last"
    " empty blank # < ä"
)
PIECES = st.sampled_from([*WORDS.split(), "\n", "\0"])


@given(st.lists(PIECES, max_size=30).map(" ".join) | st.text(max_size=60), st.sampled_from(Part))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_template_or_a_typed_error(source, part):
    with contextlib.suppress(TemplateError):
        checked(source, part).render(VALUES)


HOSTILE = [
    "{{ sender | upcase " * (MAX_MARKS - 1),
    "{% raw %}" * MAX_MARKS,
    "{{ '" + "x" * (MAX_TEMPLATE_CHARS - 10),
    "{{ sender" + ".a" * 8000 + " }}",
    "{{ sender" + "[a" * 8000 + " }}",
    "{% if " + "sender == " * 1600 + " %}{% endif %}",
    "{% if " + "sender and " * 1400 + "sender %}x{% endif %}",
    "{{ sender " + "| upcase " * 1800 + "}}",
    "{% comment %}" * MAX_MARKS,
    "{%-" * MAX_MARKS + " " * 10_000,
    "{{" + " " * (MAX_TEMPLATE_CHARS - 4) + "}}",
    ("{{" + " " * 19 + "x" * 10 + " " * 5) * 400,
    ("{{" + " " * 19 + "}}") * 400,
    ("{% if" + " x" * 140 + " %}") * 50,
    "}}%}" * 4000,
]


@pytest.mark.parametrize("source", HOSTILE)
def test_hostile_sources_are_read_in_bounded_time(source):
    began = time.process_time()
    with contextlib.suppress(TemplateError):
        checked(source).render(VALUES)
    assert time.process_time() - began < 2
