"""A POP3 server that does as it is told (RFC 1939, RFC 2449, RFC 2595)."""

from __future__ import annotations

import base64

from tests.servers.maildrop import Held
from tests.servers.server import Connection, Cut, ScriptedServer

CAPABILITIES = ["TOP", "UIDL", "USER", "PIPELINING", "RESP-CODES", "STLS"]


class ScriptedPop3(ScriptedServer):
    """``capabilities`` None: a server older than CAPA."""

    capabilities: list[str] | None = CAPABILITIES
    quits = 0
    pipelined = 0
    """How often a command was there before the one before it was answered."""

    def converse(self, connection: Connection) -> None:
        connection.send(self.faults.greeting or b"+OK scripted\r\n")
        user = ""
        drop: list[Held] | None = None
        while True:
            line = connection.line().decode("utf-8", "replace")
            self.seen.commands.append(line)
            self.pipelined += connection.more_is_here()
            word, _, rest = line.partition(" ")
            match word.upper():
                case "CAPA" if self.capabilities is None:
                    connection.send(b"-ERR what\r\n")
                case "CAPA":
                    listed = "".join(f"{one}\r\n" for one in self.capabilities or [])
                    connection.send(f"+OK\r\n{listed}.\r\n".encode())
                case "STLS" if self.tls is None or self.faults.refuse_tls:
                    connection.send(b"-ERR no TLS here\r\n")
                case "STLS":
                    connection.send(b"+OK begin\r\n" + self.faults.inject_after_tls)
                    assert self.tls is not None
                    connection.start_tls(self.tls)
                case "USER":
                    user = rest
                    connection.send(b"+OK\r\n")
                case "PASS":
                    drop = self._sign_in(connection, user, rest)
                case "AUTH":
                    connection.send(b"+ \r\n")
                    _, user, password = base64.b64decode(connection.line()).decode().split("\0")
                    drop = self._sign_in(connection, user, password)
                case "QUIT":
                    self.quits += 1
                    connection.send(b"+OK bye\r\n")
                    return
                case _ if drop is None:
                    connection.send(b"-ERR sign in first\r\n")
                case _:
                    self._transaction(connection, word.upper(), rest, drop)

    def _sign_in(self, connection: Connection, user: str, password: str) -> list[Held] | None:
        if self.faults.busy is not None and self.busy_now():
            connection.send(f"-ERR {self.faults.busy}\r\n".encode())
            return None
        right = (user, password) == (self.maildrop.user, self.maildrop.password)
        if not right or self.faults.refuse_sign_in is not None:
            reason = self.faults.refuse_sign_in or "[AUTH] wrong password"
            connection.send(f"-ERR {reason}\r\n".encode())
            return None
        connection.send(b"+OK\r\n")
        return list(self.maildrop.inbox.held)

    def _transaction(self, connection: Connection, word: str, rest: str, drop: list[Held]) -> None:
        match word:
            case "LIST":
                lines = "".join(f"{n} {self._size(one)}\r\n" for n, one in enumerate(drop, 1))
                connection.send(f"+OK\r\n{lines}.\r\n".encode())
            case "UIDL" if not self.faults.no_uidl:
                lines = "".join(f"{n} {one.unique_id}\r\n" for n, one in enumerate(drop, 1))
                connection.send(f"+OK\r\n{lines}.\r\n".encode())
            case "TOP" if not self.faults.no_top:
                octets = drop[int(rest.split()[0]) - 1].octets
                head = octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                connection.send(b"+OK\r\n" + _stuffed(head) + b".\r\n")
            case "RETR":
                self._retrieve(connection, drop[int(rest) - 1])
            case _:
                connection.send(b"-ERR unknown\r\n")

    def _size(self, one: Held) -> int:
        return self.faults.size_lies.get(one.uid, len(one.octets))

    def _retrieve(self, connection: Connection, one: Held) -> None:
        if one.uid in self.faults.refuse_message:
            connection.send(b"-ERR [SYS/TEMP] cannot read it\r\n")
            return
        connection.send(b"+OK\r\n")
        if one.uid in self.faults.endless:
            while not self.stopping.is_set():
                connection.send(b"for ever and ever\r\n" * 1000)
            raise Cut
        if one.uid not in self.faults.empty:
            connection.send_message(one.uid, _stuffed(one.octets))
        connection.send(b".\r\n")


def _stuffed(octets: bytes) -> bytes:
    """RFC 1939 §3; a message must end in a line end here."""
    stuffed = octets.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"
