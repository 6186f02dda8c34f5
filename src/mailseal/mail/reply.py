"""What a peer reads: the closed list of SMTP and LMTP replies (RFC 5321 §4.2, RFC 3463).

The detail of a failure goes to the log; a peer gets one of these constants, or the next hop's own reply.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reply:
    """`code` 200-599, `enhanced` like "2.0.0" (empty for none), `text` one printable ASCII line.

    `without_dsn`: the next hop took the mail but not its NOTIFY=SUCCESS; what it owes the sender is ours (RFC 3461
    §5.2.2). `remote`: the host name or address of the next hop that has said it, "" for our own words.
    """

    code: int
    enhanced: str
    text: str
    without_dsn: bool = field(default=False, compare=False)
    remote: str = field(default="", compare=False)

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
HELD = Reply(250, "2.0.0", "accepted; held until somebody has looked at it")
KEPT = Reply(250, "2.0.0", "accepted; kept here")
DEFERRED = Reply(451, "4.3.0", "cannot process this mail now, try again later")
NEXT_HOP_UNAVAILABLE = Reply(451, "4.4.1", "the next mail server does not answer, try again later")
OUT_OF_TIME = Reply(451, "4.4.7", "processing took too long, try again later")
STORE_UNAVAILABLE = Reply(451, "4.3.5", "the configuration cannot be read now, try again later")
NOT_PROTECTED = Reply(550, "5.7.1", "this mail must be encrypted and cannot be: no usable method for the recipient")
BLOCKED = Reply(550, "5.7.1", "this mail has content that may not be sent to the recipient")
BAD_MESSAGE = Reply(554, "5.6.0", "the message cannot be read")
RELAY_DENIED = Reply(550, "5.7.1", "this gateway does not relay mail from outside to the outside")
JOURNAL_DENIED = Reply(550, "5.7.1", "this address takes journal reports of its own servers only")
FOREIGN_TENANT = Reply(550, "5.7.1", "this gateway takes mail from Exchange Online of its own tenant only")
TOO_MANY_HOPS = Reply(554, "5.4.6", "too many hops, the mail goes round in a loop")

# the receiver
OK = Reply(250, "2.0.0", "OK")
SENDER_OK = Reply(250, "2.1.0", "sender OK")
RECIPIENT_OK = Reply(250, "2.1.5", "recipient OK")
CANNOT_VERIFY = Reply(252, "2.0.0", "send the mail and see")
START_TLS = Reply(220, "2.0.0", "go ahead with TLS")
TLS_REQUIRED = Reply(530, "5.7.0", "STARTTLS comes first here")
NOTHING_AFTER_STARTTLS = Reply(421, "4.7.0", "closing: nothing may follow STARTTLS before the handshake")
CLOSING = Reply(221, "2.0.0", "goodbye")
GO_AHEAD = Reply(354, "", "end with <CR><LF>.<CR><LF>")
IDLE_TOO_LONG = Reply(421, "4.4.2", "closing: nothing came for too long")
SESSION_TOO_LONG = Reply(421, "4.4.2", "closing: this takes too long")
TOO_MANY_CONNECTIONS = Reply(421, "4.3.2", "too many connections, try again later")
TOO_MANY_OF_ONE_CLIENT = Reply(421, "4.7.0", "too many connections from your address, try again later")
MAKES_ROOM = Reply(421, "4.3.2", "closing: this connection is idle and others wait")
TOO_SLOW = Reply(421, "4.4.2", "closing: the mail comes too slowly")
SHUTTING_DOWN = Reply(421, "4.3.2", "going down, try again later")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "closing: too many errors")
NOT_MAIL = Reply(421, "4.7.0", "closing: this is not mail")
TOO_BUSY = Reply(452, "4.3.1", "too much mail at once, try again later")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "too many recipients, send the rest in another mail")
COMMAND_TOO_LONG = Reply(500, "5.5.2", "command line too long")
COMMAND_UNKNOWN = Reply(500, "5.5.1", "command unknown")
COMMAND_BARE_LF = Reply(500, "5.5.2", "command ended by a bare line feed")
COMMAND_NOT_TEXT = Reply(500, "5.5.2", "command has octets that are not text")
BAD_ARGUMENT = Reply(501, "5.5.4", "argument missing or malformed")
BAD_SENDER = Reply(501, "5.1.7", "sender address malformed")
BAD_RECIPIENT = Reply(501, "5.1.3", "recipient address malformed")
COMMAND_NOT_IMPLEMENTED = Reply(502, "5.5.1", "command not implemented")
BAD_SEQUENCE = Reply(503, "5.5.1", "command out of sequence")
NO_RECIPIENTS = Reply(503, "5.5.1", "no valid recipients")
XFORWARD_DENIED = Reply(550, "5.7.0", "XFORWARD is not for this client")
POSTMASTER_WHERE = Reply(550, "5.1.1", "give postmaster with a domain")
BARE_LF = Reply(550, "5.5.2", "the mail has a bare line feed")
TOO_LARGE = Reply(552, "5.3.4", "the mail is larger than the limit")
NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "an address beyond ASCII needs SMTPUTF8")
PARAMETER_UNKNOWN = Reply(555, "5.5.4", "parameter not recognised or not implemented")

# the relay
OUTCOME_UNKNOWN = Reply(451, "4.4.2", "the connection to the next mail server was lost, try again later")
NEXT_HOP_WITHOUT_SMTPUTF8 = Reply(550, "5.6.7", "the next mail server does not take internationalised mail")
