"""HTML as a reader sees it, and what he does not see; whatever it is, it is read in linear time."""

import time

import pytest

from mailseal.extract.html import text_of


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("41<b>11</b>", "4111"),
        ("<p>a</p><p>b</p>", "\na\n\nb\n"),
        ("<td>41</td><td>11</td>", "\n41\n\n11\n"),
        ("41<!-- x -->11", "4111"),
        ("41<!-->11", "4111"),
        ("41<!--->11", "4111"),
        ("41<!-- x --!>11", "4111"),
        ("4&#49;&#x31;1", "4111"),
        ("4&#0000049;11", "4111"),
        ("4&#49 11", "41 11"),
        ("&eacute;cole &#99999999999999999999;", "école \ufffd"),
        ('41<a title="x>y">11', "4111"),
        ("41<a title='x>y'>11", "4111"),
        ('41<a "x>11', "4111"),
        ("41<wbr>11", "4111"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("<![CDATA[x]]>", "x"),
        ("41<![CDATA[11]]>", "4111"),
        ("<![CDATA[x>y]]>", "x>y]]>"),
        ("without an end <!-- x", "without an end <!-- x"),
        ("without an end <a x", "without an end <a x"),
        ("a<script>var</script>b", "a\n\nb"),
        ("a<script>var", "a\nvar"),
    ],
)
def test_the_text_between_tags(html: str, text: str) -> None:
    assert text_of(html).all == text


@pytest.mark.parametrize(
    "html",
    [
        "<!-- secret -->",
        "<!--[if mso]><p>sec<b>ret</b></p><![endif]-->",
        '<img alt="secret">',
        "<a href=secret>",
        "<div secret>",
        "<secret>",
        "<script>secret</script>",
        "<style>secret</style>",
        '<p data-x="&#115;ecret">',
        "<?secret?>",
        "<!secret>",
        "</ secret>",
        "<iframe srcdoc='&lt;p>sec<b>ret</b>'></iframe>",
    ],
)
def test_what_no_reader_shows_is_read(html: str) -> None:
    assert "secret" in text_of(f"<p>a</p>{html}<p>b</p>").unseen


def test_hidden_text_does_not_take_what_is_shown_apart() -> None:
    found = text_of('41<span style="display: none">x<span>y</span></span>11')
    assert found.all == "41xy11"
    assert found.seen == "4111"
    assert text_of("<p>all is shown</p>").seen == ""


@pytest.mark.parametrize(
    "between",
    [
        "<foo>",
        "</foo>",
        "<tspan x=1></tspan>",
        "<script>x</script>",
        "<style>x</style>",
        "<img src=x>",
        "<template>x</template>",
        "<svg></svg>",
        "<input type=hidden value=x>",
        "<![CDATA[x]]>",
        "<i style='opacity: 0.0'>x</i>",
        "<i style='font-size:1px'>x</i>",
        "<i style='display:inline-block;max-height:0;overflow:hidden'>x</i>",
        "<i style='position:absolute;left:-999px'>x</i>",
        "<i style='display:&#110;one'>x</i>",
        "<i style='d\\69 splay:/**/none'>x</i>",
    ],
)
def test_what_a_browser_runs_together_is_read_so(between: str) -> None:
    found = text_of(f"<p>41{between}11</p>")
    assert "4111" in found.all + found.seen


@pytest.mark.parametrize("shown", ["opacity:0.5", "font-size:10px", "width:05%", "line-height:0", "opacity:.9"])
def test_what_is_shown(shown: str) -> None:
    assert text_of(f"<p style='{shown}'>x</p>").seen == ""


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 300 + "needle" + "</div>" * 300,
        "<div>" * 100_000 + "needle" + "</div>" * 100_000,
        "x" * 200_000 + " needle",
        "<!--" * 500_000 + "needle",
        "<!---->" * 60_000 + "needle --!>",
        "<a " * 200_000 + "needle",
        '<a b="' * 100_001 + "needle",
        "<a " + "='" * 500_001 + "needle",
        "<" * 2_000_000 + "needle",
        "&#" * 500_000 + "1" * 100_000 + "needle",
        "<script>" * 60_000 + "needle",
        "<!x" * 150_000 + "needle",
        "<![CDATA[" * 60_000 + "needle",
        "<p hidden>" * 50_000 + "needle",
        "<iframe>" * 50_000 + "</iframe" + "<style>" * 50_000 + "needle",
    ],
    ids=lambda html: html[:12],
)
def test_nothing_is_slow_and_nothing_is_lost(html: str) -> None:
    start = time.process_time()
    found = text_of(html)
    assert "needle" in found.all + found.unseen
    assert time.process_time() - start < 20  # of what is quadratic, minutes
