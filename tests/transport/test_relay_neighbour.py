"""What came from a neighbour goes back there, whatever routes say."""

from fake_hop import Fake
from mailseal.config import NextHop
from mailseal.mail.address import Address
from mailseal.mail.envelope import Recipient
from mailseal.ports import Hop, Transfer
from mailseal.transport.relay import SmtpRelay

TO = Address.parse("r@y.test")


class Routes:
    def __init__(self, hop: NextHop) -> None:
        self.hop = hop

    def of(self, domain):
        return (self.hop,)

    def hops(self):
        return (self.hop,)


def test_it_knows_no_routes(tmp_path):
    there, special = Fake(tmp_path / "there", {}), Fake(tmp_path / "special", {})
    relay = SmtpRelay({Hop.NEIGHBOUR: [there.place]}, "me.test", routes=Routes(special.place))
    try:
        assert relay.route(Hop.OUTSIDE, TO)
        assert relay.route(Hop.NEIGHBOUR, TO) == ""
        (answer,) = relay.send(Transfer(Hop.NEIGHBOUR, None, (Recipient(TO),), (b"Subject: x\r\n\r\n", b"body\r\n")))
        assert answer.accepted
        assert (len(there.contents), special.connections) == (1, 0)
    finally:
        relay.close()
        there.stop()
        special.stop()
