"""A next hop that says what a test tells it to, for the relay."""

import contextlib
import socket
import threading
from base64 import b64decode, b64encode

from mailseal.config import NextHop, Protocol

HELLO = b"250-fake\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 SIZE 1000\r\n"
BARE = b"250 fake\r\n"
CLOSE = object()
HANG = object()
HANG_SECONDS = 60.0
"""More than any patience that a test gives the relay, and any deadline."""


class Fake:
    """A server that answers commands by a script: verb → answers in turn (the last one stays).

    `tls`: a server's SSLContext for STARTTLS, or from the first octet if `implicit`; `users`: who may log in.
    """

    def __init__(
        self, path, script, *, lmtp=False, hello=HELLO, greeting=b"220 fake\r\n", tcp=False,
        tls=None, implicit=False, hello_tls=HELLO, users=(),
    ):  # fmt: skip
        self.tls, self.implicit, self.hello_tls, self.users = tls, implicit, hello_tls, dict(users)
        self.logins, self.peers = [], []
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
        with contextlib.suppress(OSError, ValueError), contextlib.ExitStack() as stack:
            file = connection.makefile("rb")
            stack.callback(lambda: (file.close(), connection.close()))  # what they are by then
            if self.implicit:
                file.close()
                connection = self.secure(connection)
                file = connection.makefile("rb")
            hello = self.hello_tls if self.implicit else self.hello
            self.say(connection, self.greeting)
            recipients = 0
            while line := file.readline():
                self.commands.append(line.rstrip().decode())
                verb = line[:4].upper().decode()
                if verb == "AUTH":
                    self.authenticate(connection, file, line.split()[1:])
                    continue
                default = hello if verb in {"EHLO", "LHLO"} else b"354 go\r\n" if verb == "DATA" else b"250 ok\r\n"
                answer = self.answer(verb, b"220 go\r\n" if verb == "STAR" else default)
                if verb == "STAR" and answer.startswith(b"220"):
                    self.say(connection, answer)
                    file.close()
                    connection = self.secure(connection)
                    file, hello = connection.makefile("rb"), self.hello_tls
                    continue
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

    def secure(self, connection):
        if self.tls is HANG:
            self.say(connection, HANG)
        connection = self.tls.wrap_socket(connection, server_side=True)
        self.open.append(connection)
        try:
            self.peers.append(connection.getpeercert())
        except OSError:  # the peer has gone meanwhile
            connection.close()
            raise
        return connection

    def authenticate(self, connection, file, words):
        def ask(prompt):
            self.say(connection, b"334 " + b64encode(prompt) + b"\r\n")
            return b64decode(file.readline())

        if words[0] == b"PLAIN":
            _, user, password = (b64decode(words[1]) if len(words) > 1 else ask(b"")).split(b"\0")
        else:
            user, password = ask(b"Username:"), ask(b"Password:")
        self.logins.append((words[0], user, password))
        good = self.users.get(user.decode()) == password.decode()
        self.say(connection, self.answer("AUTH", b"235 2.7.0 in\r\n" if good else b"535 5.7.8 no\r\n"))

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
            self.ended.wait(HANG_SECONDS)
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
