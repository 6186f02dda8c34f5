"""One mail, many readers: each copy gets its own treatment and its own answer."""

from harness import openssl
from harness.client import Client, send
from harness.mail import CANARY, mail
from harness.site import Site, people

ANNA = "anna@alpha.example"
BERT, OLGA, OTTO, NORA = "bert@alpha.example", "olga@out.example", "otto@out.example", "nora@out.example"
ULLA, UDO = "ulla@out.example", "udo@out.example"
SARA, NILS = "sara@secret.example", "nils@secret.example"


def test_each_recipient_gets_an_answer_of_their_own(alpha: Site, authorised: Client) -> None:
    sent = mail(ANNA, f"{BERT}, {OLGA}, {SARA}, {NILS}, {NORA}")

    reply = authorised.send(ANNA, [BERT, OLGA, SARA, NILS, NORA], sent)

    answers = dict(zip([BERT, OLGA, SARA, NILS, NORA], reply.end, strict=True))
    assert answers.pop(NILS).startswith("550 5.7.1")
    assert all(one.startswith("250") for one in answers.values()), answers
    [to_bert] = alpha.inside.wait(1)
    assert to_bert.recipients == (BERT,)
    assert to_bert.octets.endswith(sent)
    arrived = {one: copy for copy in alpha.outside.mails for one in copy.recipients}
    assert set(arrived) == {OLGA, SARA, NORA}
    assert CANARY not in arrived[OLGA].octets + arrived[SARA].octets
    assert CANARY in openssl.verify(arrived[NORA].octets, people().root)


def test_who_is_visible_to_each_other_and_reads_with_the_same_key_shares_a_ciphertext(
    alpha: Site, authorised: Client
) -> None:
    reply = authorised.send(ANNA, [ULLA, UDO, OLGA], mail(ANNA, f"{ULLA}, {OLGA}", fields=f"Cc: {UDO}\r\n"))

    assert all(one.startswith("250") for one in reply.end), reply
    copies = {copy.recipients: copy for copy in alpha.outside.wait(2)}
    assert set(copies) == {(ULLA, UDO), (OLGA,)}
    assert openssl.can_decrypt(copies[ULLA, UDO].octets, people().pair)
    assert not openssl.can_decrypt(copies[ULLA, UDO].octets, people().olga)


def test_a_bcc_reader_gets_a_ciphertext_of_their_own_and_nobody_learns_of_them(alpha: Site, authorised: Client) -> None:
    """Even with the same key: one ciphertext for both would show Ulla that Udo has it."""
    reply = authorised.send(ANNA, [ULLA, UDO, SARA], mail(ANNA, ULLA, fields=f"Bcc: {UDO}, {SARA}\r\n"))

    assert all(one.startswith("250") for one in reply.end), reply
    copies = {copy.recipients: copy for copy in alpha.outside.wait(3)}
    assert set(copies) == {(ULLA,), (UDO,), (SARA,)}
    assert len({copy.body for copy in copies.values()}) == 3
    for copy in copies.values():
        assert not copy.fields("Bcc")
        assert UDO.encode() not in copy.octets
        assert SARA.encode() not in copy.octets
        assert CANARY not in copy.octets
    assert openssl.can_decrypt(copies[SARA,].octets, people().sara)
    assert not openssl.can_decrypt(copies[ULLA,].octets, people().sara)
    assert b"sara" not in openssl.decrypt(copies[ULLA,].octets, people().pair).lower()


def test_postfix_bounces_only_the_refused_recipient_and_quotes_no_body(alpha: Site) -> None:
    sent = mail(ANNA, f"{SARA}, {NILS}")

    send(alpha.postfix.submission, ANNA, [SARA, NILS], sent)

    [copy] = alpha.outside.wait(1)
    assert copy.recipients == (SARA,)
    [bounce] = alpha.inside.wait(1)
    assert bounce.sender == ""
    assert bounce.recipients == (ANNA,)
    assert NILS.encode() in bounce.body
    assert b"must be encrypted" in bounce.body.replace(b"\r\n    ", b" ")
    assert SARA.encode() not in bounce.body.partition(b"text/rfc822-headers")[0]
    assert CANARY not in bounce.octets


def test_the_same_recipient_twice_gets_one_copy_and_two_answers(alpha: Site, authorised: Client) -> None:
    reply = authorised.send(ANNA, [OLGA, OLGA], mail(ANNA, OLGA))

    assert len(reply.end) == 2
    assert all(one.startswith("250") for one in reply.end)
    assert [copy.recipients for copy in alpha.outside.wait(1)] == [(OLGA,)]
