"""The PowerShell for Exchange Online: every value is one string, and what keeps mail from going round stands in it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailseal.cli.exchange_script import Gateway, ScriptError, quoted, setup, undo
from mailseal.pipeline.loop import loop_field
from stage import Interrupter, LoopStage
from unit.pipeline.test_loop import ANNA, BOB, NOW

TENANT = "11111111-2222-3333-4444-555555555555"
GATEWAY = Gateway("gw.example.com", ("198.51.100.7", "198.51.100.8"), by_certificate=True)
QUOTES = "'\u2018\u2019\u201a\u201b"


def read_back(text: str) -> str:
    """A string as PowerShell reads it (about_Quoting_Rules): it ends at the first single quote that stands alone."""
    assert text[0] in QUOTES
    out, at = "", 1
    while at < len(text):
        if text[at] in QUOTES:
            if at + 1 < len(text) and text[at + 1] in QUOTES:
                out, at = out + text[at], at + 2
                continue
            assert at == len(text) - 1, "something stands behind the string"
            return out
        out, at = out + text[at], at + 1
    raise AssertionError("the string does not end")


@given(
    st.text(st.characters(exclude_categories=("Cc", "Cs")))
    | st.text(st.sampled_from([*QUOTES, "$", "`", '"', ";", "a"]))
)
def test_every_text_is_one_string(text):
    try:
        made = quoted(text)
    except ScriptError:
        assert not text.isprintable()
        return
    assert read_back(made) == text


@pytest.mark.parametrize("text", ["a\nb", "a\r", "\0", "a\u2028b"])
def test_no_line_can_be_broken(text):
    with pytest.raises(ScriptError):
        quoted(text)


def commands(script: str) -> dict[str, str]:
    """Each command on one line, by what it makes."""
    joined = script.replace("`\n", "")
    lines = [re.sub(r" +", " ", line) for line in joined.splitlines() if line.startswith(("New-", "Enable-"))]
    return {re.search(r"-(?:Name|Identity) '([^']*)'", line)[1]: line for line in lines if line.startswith("New-")} | {
        "enabled": "\n".join(line for line in lines if line.startswith("Enable-"))
    }


def test_two_connectors_and_four_rules():
    made = commands(setup(GATEWAY, [TENANT], ["example.com", "example.org"]))
    to, back = made["Mailseal: to the gateway"], made["Mailseal: from the gateway"]
    assert "-SmartHosts 'gw.example.com' -TlsSettings DomainValidation -TlsDomain 'gw.example.com'" in to
    assert "-IsTransportRuleScoped $true -RouteAllMessagesViaOnPremises $false" in to
    assert "-RequireTls $true -TlsSenderCertificateName 'gw.example.com'" in back
    for one in (to, back):
        assert "-CloudServicesMailEnabled $false" in one, "else its own headers would be believed from here"
    outgoing, incoming = made["Mailseal 3: outgoing, to the gateway"], made["Mailseal 4: incoming, to the gateway"]
    assert (
        "-FromScope InOrganization -SentToScope NotInOrganization -SenderDomainIs 'example.com', 'example.org'"
        in outgoing
    )
    assert "-FromScope NotInOrganization -SentToScope InOrganization -RecipientDomainIs 'example.com'" in incoming
    for one in (outgoing, incoming):
        assert "-RouteMessageOutboundConnector 'Mailseal: to the gateway'" in one
    assert all("-Enabled $false" in line for name, line in made.items() if name[9:10].isdecimal())
    assert made["enabled"].count("Enable-TransportRule") == 4


def test_only_the_gateway_address_and_the_loop_header_together_keep_mail_from_coming_here():
    made = commands(setup(GATEWAY, [TENANT], ["example.com"]))
    pattern = None
    for name in ("Mailseal 1: incoming, opened", "Mailseal 2: outgoing, protected"):
        rule = made[name]
        assert "-SenderIpRanges '198.51.100.7', '198.51.100.8'" in rule
        assert "-StopRuleProcessing $true" in rule
        assert "ExceptIf" not in rule
        header, pattern = re.search(
            r"-HeaderMatchesMessageHeader '(.*?)' -HeaderMatchesPatterns '(.*?)'", rule
        ).groups()
        assert header == "X-Mailseal-Loop"
    name, _, value = loop_field(LoopStage(Interrupter()), [b"\r\n"], "", ANNA, [BOB], NOW).decode().partition(": ")
    assert (name, bool(re.search(pattern, value))) == ("X-Mailseal-Loop", True)
    for rule in (made["Mailseal 3: outgoing, to the gateway"], made["Mailseal 4: incoming, to the gateway"]):
        assert "Sender" not in rule.partition("ExceptIf")[2]
        assert "ExceptIfHeader" not in rule


def test_another_tenant_is_left_alone():
    script = setup(GATEWAY, [TENANT], ["example.com"])
    assert script.index("throw") < script.index("New-OutboundConnector")
    assert f"-in @('{TENANT}')" in script


def test_known_by_address_where_there_is_no_certificate():
    script = setup(Gateway("gw.example.com", ("198.51.100.7",), by_certificate=False), [TENANT], ["example.com"])
    assert "-SenderIPAddresses '198.51.100.7'" in script
    assert "TlsSenderCertificateName" not in script
    assert "5.7.64" in script


def test_all_that_is_made_is_taken_away_rules_first():
    made = set(re.findall(r"-Name '([^']*)'", setup(GATEWAY, [TENANT], ["example.com"])))
    gone = re.findall(r"^Remove-(\w+) -Identity '([^']*)' -Confirm:\$false$", undo(), re.MULTILINE)
    assert {name for _, name in gone} == made
    kinds = [kind for kind, _ in gone]
    assert kinds == ["TransportRule"] * 4 + ["OutboundConnector", "InboundConnector"]
    commented = [
        line[2:] for line in setup(GATEWAY, [TENANT], ["example.com"]).splitlines() if line.startswith("# Remove-")
    ]
    assert commented == [line for line in undo().splitlines() if line.startswith("Remove-")]
