"""A POP3 server for the sample household: one maildrop, on loopback, to be fetched from.

RFC 1939 as far as a fetcher needs it, and no further: it deletes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

_LINE_LIMIT: Final = 1024
_IDLE_S: Final = 60.0


class Pop3Server:
    """Serves ``messages`` to one user; ``await start()`` answers the port."""

    def __init__(self, user: str, password: str, messages: Sequence[bytes]) -> None:
        self._user, self._password = user, password
        self._messages = list(messages)
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> int:
        """Listen on 127.0.0.1; port 0 is any that is free."""
        self._server = await asyncio.start_server(
            self._session, "127.0.0.1", port, limit=_LINE_LIMIT
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"+OK sample maildrop ready\r\n")
            user, signed_in = "", False
            while True:
                line = await asyncio.wait_for(reader.readline(), _IDLE_S)
                if not line:
                    return
                word, _, argument = line.decode("utf-8", "replace").strip().partition(" ")
                match word.upper():
                    case "QUIT":
                        writer.write(b"+OK bye\r\n")
                        await writer.drain()
                        return
                    case "CAPA":
                        writer.write(b"+OK\r\nUSER\r\nUIDL\r\nTOP\r\nPIPELINING\r\n.\r\n")
                    case "USER":
                        user = argument
                        writer.write(b"+OK\r\n")
                    case "PASS":
                        signed_in = user == self._user and hmac.compare_digest(
                            argument.encode(), self._password.encode()
                        )
                        writer.write(b"+OK\r\n" if signed_in else b"-ERR [AUTH] wrong password\r\n")
                    case _:
                        writer.write(
                            self._answer(word.upper(), argument)
                            if signed_in
                            else b"-ERR sign in first\r\n"
                        )
                await writer.drain()
        except (ConnectionError, TimeoutError, ValueError):
            pass  # the client went away, or sent a line that is none
        finally:
            writer.close()

    def _answer(self, word: str, argument: str) -> bytes:
        total = sum(map(len, self._messages))
        if word in ("NOOP", "RSET"):
            return b"+OK\r\n"
        if word == "STAT":
            return b"+OK %d %d\r\n" % (len(self._messages), total)
        if word in ("LIST", "UIDL") and not argument:
            lines = [self._line(word, n) for n in range(1, len(self._messages) + 1)]
            return b"+OK\r\n" + b"".join(lines) + b".\r\n"
        number, _, lines_wanted = argument.partition(" ")
        if not number.isdecimal() or not 1 <= int(number) <= len(self._messages):
            return b"-ERR there is no such message\r\n"
        n = int(number)
        if word in ("LIST", "UIDL"):
            return b"+OK " + self._line(word, n)
        if word == "RETR":
            return b"+OK\r\n" + _stuffed(self._messages[n - 1])
        if word == "TOP" and lines_wanted.isdecimal():
            head, blank, body = self._messages[n - 1].partition(b"\r\n\r\n")
            some = b"".join(body.splitlines(keepends=True)[: int(lines_wanted)])
            return b"+OK\r\n" + _stuffed(head + blank + some)
        return b"-ERR not understood\r\n"

    def _line(self, word: str, n: int) -> bytes:
        octets = self._messages[n - 1]
        told = str(len(octets)) if word == "LIST" else hashlib.sha256(octets).hexdigest()[:24]
        return f"{n} {told}\r\n".encode()


def _stuffed(octets: bytes) -> bytes:
    """RFC 1939 §3: a line that begins with a dot gets another one before it."""
    stuffed = re.sub(rb"(?m)^\.", b"..", octets)
    return stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n")
