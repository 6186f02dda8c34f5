"""The domain name system of the demo: TXT records that were published there, and nothing else (RFC 1035)."""

import socketserver
import threading

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from demo.peer import LOOPBACK


class _Question(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server: NameServer = self.server  # type: ignore[assignment]  # socketserver knows only its base class
        octets, reply_to = self.request
        try:
            question = dns.message.from_wire(octets)
        except dns.exception.DNSException:
            return
        reply_to.sendto(server.answer(question).to_wire(), self.client_address)


class NameServer(socketserver.ThreadingUDPServer):
    """On a free port of loopback, over UDP."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), _Question)
        self._texts: dict[str, str] = {}
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    @property
    def place(self) -> str:
        """Where it listens."""
        return f"{LOOPBACK}:{self.server_address[1]}"

    def publish(self, name: str, text: str) -> None:
        """A TXT record."""
        self._texts[f"{name.lower()}."] = text

    def answer(self, question: dns.message.Message) -> dns.message.Message:
        """The record, or that there is no such name."""
        answer = dns.message.make_response(question, recursion_available=True)
        asked = question.question[0]
        text = self._texts.get(asked.name.to_text().lower())
        if text is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif asked.rdtype == dns.rdatatype.TXT:
            pieces = " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))
            answer.answer.append(dns.rrset.from_text(asked.name, 300, "IN", "TXT", pieces))
        return answer

    def close(self) -> None:
        """Stop listening."""
        self.shutdown()
        self.server_close()
