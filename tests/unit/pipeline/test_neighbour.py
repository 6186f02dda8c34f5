"""Mail from Exchange Online: whose it is, what it counts as, and that all of it goes back there."""

from dataclasses import replace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from cms_samples import encrypted_entity
from mailseal.errors import TransientError
from mailseal.mail import reply
from mailseal.mail.envelope import Origin, Protocol
from mailseal.mail.message import Message
from mailseal.mail.mime import MimeError, parse
from mailseal.mail.reply import ACCEPTED, DEFERRED
from mailseal.pipeline import process
from mailseal.pipeline.explain import explain
from mailseal.pipeline.neighbour import Arrival, arrival_of
from mailseal.policy.model import Fate, Outcome, Treatment
from mailseal.policy.reason import ReasonCode
from mailseal.policy.settings import Mode, OnFailure, Settings
from mailseal.policy.text import render
from mailseal.ports import Hop, Neighbour
from mailseal.smime.form import EncryptionForm
from stage import PARTNER, READER, SENDER, TENANT, Stage, envelope, mail

OTHER = "99999999-8888-7777-6666-5555ccccdddd"
ID, AS = "X-MS-Exchange-CrossTenant-Id", "X-MS-Exchange-CrossTenant-AuthAs"
OURS = f"{ID}: {TENANT}"
FROM_WITHIN = (OURS, f"{AS}: Internal")
FROM_THE_WORLD = (OURS, f"{AS}: Anonymous")
BOB, DORA = "bob@outside.example", "dora@inside.example"
NEIGHBOUR = Neighbour(frozenset({TENANT}), None)


def arrival(*fields: str, neighbour: Neighbour | None = NEIGHBOUR) -> Arrival:
    return arrival_of(envelope(BOB, origin=Origin.NEIGHBOUR), parse(mail(*fields)).root, neighbour)


def go(stage: Stage, raw: bytes, *to: str, **options: object) -> list[Outcome]:
    return process(envelope(*to, **{"origin": Origin.NEIGHBOUR, **options}), Message(raw), stage.gateway())


def test_our_tenant_from_within_and_from_the_world():
    assert arrival(*FROM_WITHIN) == Arrival(Origin.AUTHORISED, returns=True)
    assert arrival(*FROM_THE_WORLD) == Arrival(Origin.OUTSIDE, returns=True)
    assert arrival(OURS) == Arrival(Origin.OUTSIDE, returns=True)
    assert arrival(f"{ID.upper()}: {TENANT.upper()}", f"{AS.lower()}:Internal").origin is Origin.AUTHORISED


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (f"{ID}:",),
        (f"{ID}: {OTHER}",),
        (f"{ID}: {TENANT} {OTHER}",),
        (f"{ID}: {TENANT[:-1]}",),
        (OURS, OURS),
        (OURS, f"{ID}: {OTHER}"),
        (f"{ID}: {OTHER}", OURS),
        (OURS, f"{ID.lower()} : {OTHER}"),
        (OURS, f"\N{ZERO WIDTH SPACE}{ID}: {OTHER}"),
        (OURS, f"X-Other: a\r{ID}: {OTHER}"),
        (f"X-Other: a\r\n {OURS}",),
        (f"X-Other: a\r{OURS}",),
    ],
)
def test_any_other_tenant_is_refused(fields):
    found = arrival(*fields, f"{AS}: Internal")
    assert found.refused.code is ReasonCode.FOREIGN_TENANT
    assert found.origin is Origin.OUTSIDE
    stage = Stage().beside_exchange_online()
    outcomes = go(stage, mail(*fields, f"{AS}: Internal"), BOB, DORA)
    assert [(one.fate, one.reply) for one in outcomes] == [(Fate.REFUSED, reply.FOREIGN_TENANT)] * 2
    assert not stage.sent


def test_the_reason_names_the_tenant_and_nothing_else_of_the_mail():
    named = arrival(f"{ID}: {OTHER.upper()}").refused
    assert named.parameters == (("detail", f"tenant {OTHER}"),)
    assert render(arrival().refused).endswith("its header does not name exactly one tenant")
    assert "evil" not in str(arrival(f"{ID}: evil").refused)


@pytest.mark.parametrize(
    "fields",
    [
        (f"{AS}: internal",),
        (f"{AS}: Internal (really)",),
        (f"{AS}: Internal", f"{AS}: Internal"),
        (f"{AS}: Internal", f"{AS}: Anonymous"),
        (f"{AS}: Internal", f"{AS} : Anonymous"),
        (f"{AS}: Internal", f"X-Other: a\r{AS}: Anonymous"),
        ("X-MS-Exchange-Organization-AuthAs: Internal",),
        (f"X-{AS}: Internal",),
    ],
)
def test_all_else_is_from_the_world(fields):
    assert arrival(OURS, *fields) == Arrival(Origin.OUTSIDE, returns=True)


def test_other_listeners_do_not_look_at_the_header():
    root = parse(mail(*FROM_WITHIN)).root
    assert arrival_of(envelope(BOB, origin=Origin.OUTSIDE), root, NEIGHBOUR) == Arrival(Origin.OUTSIDE)
    assert arrival_of(envelope(BOB), root, NEIGHBOUR) == Arrival(Origin.AUTHORISED)
    smtp = envelope(BOB, origin=Origin.OUTSIDE, protocol=Protocol.ESMTP)
    assert arrival_of(smtp, root, NEIGHBOUR) == Arrival(Origin.OUTSIDE, stranger=True)


def test_mail_of_a_neighbour_that_is_not_configured_waits():
    with pytest.raises(TransientError, match=r"^mail comes from a neighbour, and \[office365\] names no tenant$"):
        arrival(*FROM_WITHIN, neighbour=None)
    stage = Stage()
    assert {one.fate for one in go(stage, mail(*FROM_WITHIN), BOB, DORA)} == {Fate.DEFERRED}
    assert not stage.sent


def test_other_tenants_as_from_the_world_where_the_mx_points_here():
    takes_others = Neighbour(frozenset({TENANT}), None, takes_others=True)
    assert arrival(f"{ID}: {OTHER}", neighbour=takes_others) == Arrival(Origin.OUTSIDE, stranger=True)
    assert arrival(*FROM_WITHIN, neighbour=takes_others) == Arrival(Origin.AUTHORISED, returns=True)
    stage = Stage().beside_exchange_online(takes_others=True)
    (outcome,) = go(stage, mail(f"{ID}: {OTHER}", f"{AS}: Internal"), DORA, sender=BOB)
    assert outcome.fate is Fate.RELAYED
    assert stage.sent[0].hop is Hop.INSIDE
    assert b"X-Mailseal-Loop" not in stage.octets_sent()
    outcomes = go(stage, mail(f"{ID}: {OTHER}", f"{AS}: Internal"), DORA, "carol@outside.example")
    assert [one.reply for one in outcomes] == [reply.RELAY_DENIED] * 2
    assert len(stage.sent) == 1


# ---- what outside senders can write

STAMPED = [*FROM_THE_WORLD]
_near = st.sampled_from(
    [ID, AS, ID.lower(), AS.upper(), f"{ID} ", f"{AS}\t", f"\N{ZERO WIDTH SPACE}{AS}", "X-A", f"X-{AS}"]
)
_said = st.sampled_from([TENANT, OTHER, "Internal", "Anonymous", "", f"a\r{AS}: Internal", f"a\r\n {AS}: Internal"])
_field = st.builds(lambda name, value: f"{name}: {value}", _near, _said)
_line = _field | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)


@given(before=st.lists(_line, max_size=4), after=st.lists(_line, max_size=4))
@example(before=[f"{AS}: Internal"], after=[])
@example(before=[], after=[f"{AS}: Internal"])
def test_no_header_from_outside_makes_mail_authorised(before, after):
    """Even if Exchange Online took nothing off: what it puts on makes all else one too many."""
    raw = "\r\n".join([*before, *STAMPED, *after]).encode() + b"\r\n\r\nbody\r\n"
    try:
        root = parse(raw).root
    except MimeError:
        return
    found = arrival_of(envelope(BOB, origin=Origin.NEIGHBOUR), root, NEIGHBOUR)
    assert found.origin is Origin.OUTSIDE


@given(before=st.lists(_line, max_size=4), after=st.lists(_line, max_size=4))
@example(before=[OURS], after=[])
@example(before=[], after=[OURS])
def test_no_header_of_another_tenant_gets_in(before, after):
    foreign = [f"{ID}: {OTHER}", f"{AS}: Internal"]
    raw = "\r\n".join([*before, *foreign, *after]).encode() + b"\r\n\r\nbody\r\n"
    try:
        root = parse(raw).root
    except MimeError:
        return
    # Exchange Online writes into the header, so no blank line stands before what it writes.
    assume("\r\n".join(foreign).encode() in bytes(root.header_octets))
    assert arrival_of(envelope(BOB, origin=Origin.NEIGHBOUR), root, NEIGHBOUR).refused is not None


# ---- the way back

STRICT = Settings(mode=Mode.MANDATORY)


def test_both_paths_lead_back_to_the_neighbour():
    stage = Stage(settings={"outside.example": STRICT}).beside_exchange_online()
    stage.know(PARTNER).own(SENDER, READER)
    stage.route_of = lambda address: "" if address.domain == "inside.example" else "smtp://other.example:25"
    outcomes = go(stage, mail(*FROM_WITHIN), BOB, DORA)
    assert [one.fate for one in outcomes] == [Fate.RELAYED] * 2
    assert [one.treatment for one in outcomes] == [Treatment.SIGNED_ENCRYPTED, Treatment.PASSED]
    assert {one.hop for one in stage.sent} == {Hop.NEIGHBOUR}


def test_mail_from_the_world_is_opened_and_goes_back():
    stage = Stage().beside_exchange_online().own(READER)
    head = f"From: {BOB}\r\nTo: {DORA}\r\n" + "\r\n".join(FROM_THE_WORLD) + "\r\nMIME-Version: 1.0\r\n"
    raw = head.encode() + encrypted_entity([b"\r\nCANARY\r\n"], [READER.certificate], EncryptionForm())
    (outcome,) = go(stage, raw, DORA, sender=BOB)
    assert outcome.treatment is Treatment.OPENED
    (sent,) = stage.sent
    assert (sent.hop, sent.ret) == (Hop.NEIGHBOUR, "HDRS")
    assert b"CANARY" in stage.octets_sent()


def test_mail_from_the_world_through_our_tenant_neither_signs_nor_triggers():
    stage = Stage(settings={"": Settings(mode=Mode.NEVER)}).beside_exchange_online().know(PARTNER).own(SENDER)
    (outcome,) = go(stage, mail(*FROM_THE_WORLD, subject="[encrypt] x"), BOB)
    assert outcome.treatment is Treatment.PASSED
    assert ReasonCode.ORIGIN_OUTSIDE in {one.code for one in outcome.reasons}
    (outcome,) = go(stage, mail(*FROM_WITHIN, subject="[encrypt] x"), BOB)
    assert outcome.treatment is Treatment.SIGNED_ENCRYPTED


def test_reports_go_back_too():
    notify = replace(STRICT, on_failure=OnFailure.NOTIFY)
    stage = Stage(settings={"": notify}).beside_exchange_online()
    (outcome,) = go(stage, mail(*FROM_WITHIN), BOB)
    assert outcome.fate is Fate.NOTIFIED
    assert stage.reported_by == [Hop.NEIGHBOUR]
    go(stage, mail(), BOB, origin=Origin.AUTHORISED)
    assert stage.reported_by == [Hop.NEIGHBOUR, None]


def test_explained_as_it_would_be_done():
    stage = Stage().beside_exchange_online()
    (one,) = explain(envelope(BOB, origin=Origin.NEIGHBOUR), Message(mail(*FROM_WITHIN)), stage.gateway())
    assert one.hop is Hop.NEIGHBOUR
    (one,) = explain(envelope(BOB, origin=Origin.NEIGHBOUR), Message(mail()), stage.gateway())
    assert (one.fate, one.reasons[0].code) == (Fate.REFUSED, ReasonCode.FOREIGN_TENANT)


def test_each_copy_is_settled_once_whoever_asks_again():
    """The attempt of a mail does not depend on its origin class, so what is settled stays so."""
    stage = Stage().beside_exchange_online().own(READER)
    stage.answer = lambda transfer: [
        DEFERRED if one.address.local == "bob" else ACCEPTED for one in transfer.recipients
    ]
    raw = mail(*FROM_WITHIN)
    assert [one.fate for one in go(stage, raw, DORA, BOB)] == [Fate.RELAYED, Fate.DEFERRED]
    stage.answer = lambda transfer: [ACCEPTED] * len(transfer.recipients)
    again = go(stage, raw, DORA, BOB)
    assert [one.fate for one in again] == [Fate.RELAYED, Fate.RELAYED]
    assert again[0].reasons[-1].code is ReasonCode.SETTLED_BEFORE
    assert [str(one.address) for transfer in stage.sent for one in transfer.recipients] == [DORA, BOB, BOB]
