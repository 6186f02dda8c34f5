"""The job that sends a report to whom it may concern."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from mailseal.errors import PermanentError, TransientError
from mailseal.mail import reply
from mailseal.mail.address import Address
from mailseal.mail.mime import parse
from mailseal.pipeline.loop import BeenThrough
from mailseal.ports import Hop
from mailseal.roles import handlers, own_mail
from mailseal.store.reports import Report
from stage import Stage


def sent(monkeypatch, to, content, answer=reply.ACCEPTED, *, stage=None, ours=True, neighbour=None, hop=None):
    monkeypatch.setattr(handlers.jobs, "fence", lambda job: ours)
    stage = stage or Stage(answer=lambda transfer: [answer])
    gateway = SimpleNamespace(directory=stage, relay=stage, neighbour=neighbour, authentication=None)
    reports = SimpleNamespace(open=lambda job: Report(Address.parse(to), content, hop))
    handlers.send_report(SimpleNamespace(reports=reports, gateway=gateway), None)
    return stage.sent[0]


def test_to_an_internationalised_sender(monkeypatch):
    transfer = sent(monkeypatch, "änna@inside.example", "To: änna@inside.example\r\n\r\n".encode())
    assert (transfer.sender, transfer.smtputf8, transfer.eight_bit, transfer.hop) == (None, True, True, "inside")


def test_to_any_other_sender(monkeypatch):
    transfer = sent(monkeypatch, "anna@outside.example", b"To: anna@outside.example\r\n\r\n")
    assert (transfer.sender, transfer.smtputf8, transfer.eight_bit, transfer.hop) == (None, False, False, "outside")


@pytest.mark.parametrize(("answer", "error"), [(reply.NOT_PROTECTED, PermanentError), (reply.DEFERRED, TransientError)])
def test_refused_is_gone_and_deferred_is_tried_again(monkeypatch, answer, error):
    with pytest.raises(error):
        sent(monkeypatch, "anna@inside.example", b"\r\n", answer)


def test_a_job_that_somebody_else_has_taken_over_sends_nothing(monkeypatch):
    stage = Stage()
    with pytest.raises(own_mail.LostJobError):
        sent(monkeypatch, "anna@inside.example", b"\r\n", stage=stage, ours=False)
    assert not stage.sent


def test_back_to_the_neighbour_with_a_loop_header_that_holds(monkeypatch):
    stage = Stage().beside_exchange_online()
    neighbour = stage.gateway_settings["neighbour"]
    content = b"Message-ID: <r@gw.inside.example>\r\n\r\nReport\r\n"
    more = {"stage": stage, "neighbour": neighbour, "hop": Hop.NEIGHBOUR}
    transfer = sent(monkeypatch, "anna@inside.example", content, **more)
    assert (transfer.hop, transfer.route) == (Hop.NEIGHBOUR, "")
    root = parse(b"".join(transfer.chunks)).root
    assert BeenThrough(root, None, datetime.now(UTC)).holds_for(transfer.recipients[0].address, stage.loop)


def test_by_the_domain_where_the_neighbour_is_gone(monkeypatch):
    transfer = sent(monkeypatch, "anna@inside.example", b"\r\n", hop=Hop.NEIGHBOUR)
    assert (transfer.hop, transfer.chunks) == (Hop.INSIDE, (b"\r\n",))
