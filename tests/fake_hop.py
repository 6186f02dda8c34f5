"""A next hop that says what a test tells it to, for the relay."""

import contextlib
import socket
import threading

from mailseal.config import NextHop, Protocol

HELLO = b"250-fake\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 SIZE 1000\r\n"
BARE = b"250 fake\r\n"
CLOSE = object()
HANG = object()


class Fake:
    """A server that answers commands by a script: verb → answers in turn (the last one stays)."""

    def __init__(self, path, script, *, lmtp=False, hello=HELLO, greeting=b"220 fake\r\n", tcp=False):
        self.script = {verb: list(answers) for verb, answers in script.items()}
        self.hello, self.greeting, self.lmtp = hello, greeting, lmtp
        self.connections, self.commands, self.contents = 0, [], []
        self.listening = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        self.listening.bind(("127.0.0.1", 0) if tcp else str(path))
        self.listening.listen(16)
        protocol = "lmtp" if lmtp else "smtp"
        host, port = self.listening.getsockname() if tcp else ("", 0)
        self.place = NextHop(host, port, None if tcp else path, Protocol(protocol))
        self.open = []
        self.stopped = False
        self.ended = threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            if self.stopped:
                connection.close()
                return
            self.connections += 1
            self.open.append(connection)
            threading.Thread(target=self.session, args=(connection,), daemon=True).start()

    def answer(self, verb, default):
        answers = self.script.get(verb)
        if not answers:
            return default
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def session(self, connection):
        with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rb") as file:
            self.say(connection, self.greeting)
            recipients = 0
            while line := file.readline():
                self.commands.append(line.rstrip().decode())
                verb = line[:4].upper().decode()
                default = self.hello if verb in {"EHLO", "LHLO"} else b"354 go\r\n" if verb == "DATA" else b"250 ok\r\n"
                answer = self.answer(verb, default)
                if verb == "MAIL":
                    recipients = 0
                if verb == "RCPT" and answer is not HANG and answer is not CLOSE:
                    recipients += answer.startswith(b"2")
                self.say(connection, answer)
                if verb == "DATA" and answer.startswith(b"354"):
                    if not self.content(connection, file):
                        return
                    for _ in range(recipients if self.lmtp else 1):
                        self.say(connection, self.answer("DOT", b"250 2.0.0 taken\r\n"))

    def content(self, connection, file):
        limit = self.answer("BODY", None)
        lines, size = [], 0
        while True:
            line = file.readline()
            if line in (b".\r\n", b""):
                self.contents.append(b"".join(lines))
                return line != b""
            lines.append(line)
            size += len(line)
            if limit is not None and size > limit[0]:
                self.say(connection, limit[1])
                self.say(connection, CLOSE)

    def say(self, connection, answer):
        if answer is CLOSE:
            connection.shutdown(socket.SHUT_RDWR)
            raise OSError
        if answer is HANG:
            self.ended.wait(3)
            raise OSError
        connection.sendall(answer)

    def hang_up(self):
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self.stopped = True
        self.ended.set()
        self.hang_up()
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
