"""Rule 1 over what DLP finds: no copy leaves, or leaves in clear, that a finding keeps back, whatever fails."""

from hypothesis import given
from hypothesis import strategies as st

from dlp_stage import with_dlp, word
from mailseal.errors import PermanentError, TransientError
from mailseal.mail.envelope import Origin, Protocol
from mailseal.mail.message import Message
from mailseal.pipeline import process
from mailseal.policy.model import Action, Fate, Waiver
from mailseal.policy.settings import Mode, OnFailure, OnGap, Settings
from stage import PARTNER, SENDER, Interrupter, Stage, envelope, mail

CANARY = "CANARY-4c1e"
BOB, X, Y = "bob@outside.example", "x@elsewhere.example", "y@elsewhere.example"
GAP = "uninspectable:crashed"


class PanicException(BaseException):
    """What a panic of Rust code comes as."""


ERRORS = [
    lambda: RuntimeError("boom"),
    lambda: TransientError("later"),
    lambda: PermanentError("never"),
    PanicException,
]
MAIL = mail(
    "MIME-Version: 1.0",
    "Content-Type: multipart/mixed; boundary=b",
    body=f"--b\r\n\r\n{CANARY} one two\r\n--b\r\nContent-Type: application/pdf\r\n\r\n%PDF-\r\n--b--\r\n".encode(),
)
PATTERNS = [
    word(text, action, delayed=delayed) for text in ("one", "two", "three") for action in Action for delayed in (0, 1)
]
one_of_each = st.lists(st.sampled_from(PATTERNS), max_size=3, unique_by=lambda one: one.text)
waivers = st.none() | st.builds(
    Waiver,
    st.frozensets(st.sampled_from([one.key for one in PATTERNS])),
    must_encrypt=st.booleans(),
)


def counting(patterns, policy: Settings, waiver: Waiver | None) -> list[tuple[Action, bool]]:
    """By the rules, without the code that is tested: (action, delayed) of what counts."""
    found = [(one.action, one.delayed, one.key) for one in patterns if one.text != "three"]
    if patterns and policy.dlp_uninspectable is not OnGap.IGNORE:
        found.append((Action(policy.dlp_uninspectable), False, GAP))
    if not policy.dlp:
        return []
    approved = waiver.approved if waiver else frozenset()
    return [(action, late) for action, late, key in found if action is not Action.QUARANTINE or key not in approved]


@given(
    assigned=st.fixed_dictionaries(dict.fromkeys((BOB, X, Y), one_of_each)),
    recipients=st.lists(st.sampled_from([BOB, X, Y, "dora@inside.example"]), min_size=1, max_size=4),
    policy=st.builds(
        Settings,
        mode=st.sampled_from(Mode),
        on_failure=st.sampled_from(OnFailure),
        dlp=st.sampled_from([True, True, True, False]),
        dlp_uninspectable=st.sampled_from(OnGap),
    ),
    waiver=waivers,
    k=st.none() | st.integers(1, 60),
    error=st.sampled_from(ERRORS),
    origin=st.sampled_from([Origin.AUTHORISED, Origin.OUTSIDE]),
    protocol=st.sampled_from(Protocol),
    sender=st.sampled_from([None, "anna@inside.example", "eve@elsewhere.example"]),
)
def test_property(assigned, recipients, policy, waiver, k, error, origin, protocol, sender):
    stage = Stage(settings={"": policy}, interrupt=Interrupter(k, error)).know(PARTNER).own(SENDER)
    dlp = with_dlp(stage, assigned)
    dlp.documents.crashes = True
    given_ = envelope(*recipients, origin=origin, protocol=protocol, sender=sender)
    outcomes = process(given_, Message(MAIL), stage.gateway(), waiver)
    assert [str(one.recipient) for one in outcomes] == recipients
    must = policy.mode is Mode.MANDATORY or (waiver is not None and waiver.must_encrypt)
    held = {str(one.recipient.address) for one in dlp.quarantine.held}
    for one in outcomes:
        to = str(one.recipient)
        octets = [b"".join(sent.chunks) for sent in stage.sent if to in map(str, (r.address for r in sent.recipients))]
        assert one.fate is not Fate.RELAYED or octets
        assert one.fate is not Fate.HELD or to in held
        if to == "dora@inside.example":
            continue
        counts = counting(assigned[to], policy, waiver)
        if any(action in (Action.QUARANTINE, Action.BLOCK) and not late for action, late in counts):
            assert not octets
        if must or any(action is not Action.WARN for action, _ in counts):
            assert not any(CANARY.encode() in sent for sent in octets)
        assert not (octets and to in held)
    for notice in dlp.notices.asked:
        assert CANARY not in repr(notice.facts)
        assert sender == str(notice.reader) == "anna@inside.example"
        assert origin is Origin.AUTHORISED
