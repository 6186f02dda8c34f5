"""Lists come in pages: each row once, in order, whatever the list is ordered by."""

from datetime import UTC, datetime

import pytest

from mailseal.notices.template import Part
from mailseal.policy.dlp.model import Kind, Pattern
from mailseal.policy.model import Action
from mailseal.policy.notice_kind import NoticeKind
from mailseal.postfix.tls_choice import TlsRule
from mailseal.postfix.tls_destination import read_destination
from mailseal.postfix.tls_policy import Level, TlsPolicy
from mailseal.smime.certificate import CtlEntry
from mailseal.store import dlp_assignments, dlp_groups, dlp_patterns, notice_templates, tls_policies, trust
from mailseal.store.crls import CrlRow
from mailseal.store.dkim_models import DkimKeyRow

COUNT = 5
NOW = datetime.now(UTC)


def templates():
    for owner, part in (("", Part.SUBJECT), ("", Part.TEXT), ("a.example", Part.TEXT), ("b.example", Part.SUBJECT)):
        notice_templates.set_template(owner, NoticeKind.RELEASED, "en", part, "Text")
    notice_templates.set_template("a.example", NoticeKind.RELEASED, "de", Part.TEXT, "Text")


def dkim():
    for domain, selector in (
        ("a.example", "1"),
        ("a.example", "2"),
        ("b.example", "1"),
        ("b.example", "0"),
        ("c.x", "1"),
    ):
        DkimKeyRow.objects.create(
            domain=domain, selector=selector, algorithm="ed25519", spki_sha256="", record="v=DKIM1"
        )


def ctl():
    for number in range(COUNT):
        trust.set_ctl(f"{number:064x}", CtlEntry.DENY)


def policies():
    for number in range(COUNT):
        tls_policies.set_rule(TlsRule(read_destination(f"d{number}.example"), TlsPolicy(Level.ENCRYPT)))


def patterns():
    for number in range(COUNT):
        dlp_patterns.add(Pattern("", 0, f"Pattern {number}", Kind.KEYWORDS, "word", Action.WARN))


def groups():
    for number in range(COUNT):
        dlp_groups.add(f"Group {number}")


def assignments():
    patterns()
    for number in range(COUNT):
        dlp_assignments.assign("a.example", [f"Pattern {number}"])


def crls():
    for number in range(COUNT):
        issuer = f"CN=CA {number % 2}"
        CrlRow.objects.create(
            fingerprint=f"{number:064x}", issuer=issuer, issuer_sha256="", signer_spki="", this_update=NOW, active=True
        )


LISTS = {
    "/notices/templates": (templates, ("owner", "kind", "language", "part")),
    "/dkim": (dkim, ("domain", "selector")),
    "/ctl": (ctl, ("fingerprint",)),
    "/tls-policies": (policies, ("destination",)),
    "/dlp/patterns": (patterns, ("name",)),
    "/dlp/groups": (groups, ("name",)),
    "/dlp/assignments": (assignments, ("id",)),
    "/crls": (crls, ("fingerprint",)),
}


@pytest.mark.parametrize("path", LISTS)
def test_each_row_comes_once(api, path):
    fill, names = LISTS[path]
    fill()
    caller = api()
    whole = caller("GET", path).json()
    assert whole["next"] is None
    assert len({tuple(one[name] for name in names) for one in whole["items"]}) == COUNT
    for limit in (1, 2, COUNT):
        found, after, pages = [], "", 0
        while after is not None:
            page = caller("GET", f"{path}?limit={limit}&after={after}").json()
            found += page["items"]
            after, pages = page["next"], pages + 1
        assert found == whole["items"]
        assert pages == -(-COUNT // limit)
