"""What a peer reads: the closed list of SMTP and LMTP replies (RFC 5321 §4.2, RFC 3463).

The detail of a failure goes to the log; a peer gets one of these constants, or the next hop's own reply.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """`code` 200-599, `enhanced` like "2.0.0" (empty for none), `text` one printable ASCII line."""

    code: int
    enhanced: str
    text: str

    @property
    def accepted(self) -> bool:
        """2xx: responsibility has passed on."""
        return 200 <= self.code < 300

    @property
    def deferred(self) -> bool:
        """4xx: the client tries again."""
        return 400 <= self.code < 500

    @property
    def refused(self) -> bool:
        """5xx: the client gives up."""
        return 500 <= self.code < 600

    def line(self) -> bytes:
        """The reply on the wire, with CRLF."""
        return f"{self.code} {self.enhanced}{' ' if self.enhanced else ''}{self.text}\r\n".encode("ascii", "replace")


ACCEPTED = Reply(250, "2.0.0", "accepted")
NOTIFIED = Reply(250, "2.0.0", "accepted; not sent on, the sender is told why")
DEFERRED = Reply(451, "4.3.0", "cannot process this mail now, try again later")
NEXT_HOP_UNAVAILABLE = Reply(451, "4.4.1", "the next mail server does not answer, try again later")
OUT_OF_TIME = Reply(451, "4.4.7", "processing took too long, try again later")
STORE_UNAVAILABLE = Reply(451, "4.3.5", "the configuration cannot be read now, try again later")
NOT_PROTECTED = Reply(550, "5.7.1", "this mail must be encrypted and cannot be: no usable method for the recipient")
BAD_MESSAGE = Reply(554, "5.6.0", "the message cannot be read")
TOO_MANY_HOPS = Reply(554, "5.4.6", "too many hops, the mail goes round in a loop")
