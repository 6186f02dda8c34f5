"""ESMTP parameters go through: SMTPUTF8, 8BITMIME, DSN. What the next hop cannot do is said, not dropped."""

from harness.client import Client, send
from harness.mail import mail
from harness.sink import FEATURES
from harness.site import Site

OLGA, CARL, ANNA, NORA = "olga@out.example", "carl@alpha.example", "anna@alpha.example", "nora@out.example"


def test_what_is_announced(authorised: Client) -> None:
    said = {line[4:].split(" ", 1)[0] for line in authorised.features}
    assert said >= {"8BITMIME", "SMTPUTF8", "DSN", "XFORWARD", "SIZE", "PIPELINING", "ENHANCEDSTATUSCODES"}


def test_dsn_parameters_reach_the_next_hop(alpha: Site) -> None:
    with Client(alpha.postfix.mx) as client:
        client.send(
            OLGA, [CARL], mail(OLGA, CARL), parameters="RET=FULL ENVID=QQ314159",
            recipient_parameters="NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Carl@Old.example",
        )  # fmt: skip

    [got] = alpha.inside.wait(1)
    assert "RET=FULL" in got.parameters
    assert "ENVID=QQ314159" in got.parameters
    assert got.recipient_parameters == (("NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;Carl@Old.example"),)


def test_protected_mail_asks_for_headers_only(alpha: Site, authorised: Client) -> None:
    authorised.send(ANNA, [OLGA], mail(ANNA, OLGA), parameters="RET=FULL ENVID=1")

    [got] = alpha.outside.wait(1)
    assert "RET=HDRS" in got.parameters
    assert "RET=FULL" not in got.parameters


def test_eight_bit_goes_through(alpha: Site) -> None:
    octets = mail(OLGA, CARL, body="Grüße\r\n".encode())

    send(alpha.postfix.mx, OLGA, [CARL], octets, parameters="BODY=8BITMIME")

    [got] = alpha.inside.wait(1)
    assert "BODY=8BITMIME" in got.parameters
    assert got.octets.endswith(octets)


def test_international_addresses_go_through(alpha: Site) -> None:
    sender, recipient = "jürgen@out.example", "käthe@alpha.example"
    octets = mail(sender, recipient, subject="Grüße")

    send(alpha.postfix.mx, sender, [recipient], octets, parameters="SMTPUTF8 BODY=8BITMIME")

    [got] = alpha.inside.wait(1)
    assert got.sender == sender
    assert got.recipients == (recipient,)
    assert "SMTPUTF8" in got.parameters
    assert got.octets.endswith(octets)


def test_international_addresses_need_a_next_hop_that_takes_them(alpha: Site, outsider: Client) -> None:
    alpha.inside.down()
    alpha.inside.features = tuple(one for one in FEATURES if one != "SMTPUTF8")
    alpha.inside.up()
    try:
        reply = outsider.send(OLGA, ["käthe@alpha.example"], mail(OLGA, "käthe@alpha.example"), parameters="SMTPUTF8")
    finally:
        alpha.inside.down()
        alpha.inside.features = FEATURES
        alpha.inside.up()

    assert reply.end[0].startswith("550 5.6.7"), reply
    assert not alpha.inside.mails


def test_the_null_sender(alpha: Site, outsider: Client) -> None:
    octets = mail("mailer-daemon@out.example", CARL)

    reply = outsider.send("", [CARL], octets)

    assert reply.end[0].startswith("250")
    [got] = alpha.inside.wait(1)
    assert got.sender == ""
    assert got.octets.endswith(octets)


def test_the_received_field_names_the_client_of_postfix(alpha: Site) -> None:
    send(alpha.postfix.mx, OLGA, [CARL], mail(OLGA, CARL))

    [got] = alpha.inside.wait(1)
    first = got.fields("Received")[0]
    assert "with LMTP" in first
    assert "gate.alpha.example" in first
    assert "127.0.0.2" in first
