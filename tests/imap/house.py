"""A house with an IMAP server for tests: real archive, real household, real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from appliance.bell import Bell
from appliance.config import Config
from appliance.household import Household, Scrypt
from appliance.imap import Doors, ImapServer
from appliance.mail.types import Delivery, Flag, Origin, Placing, Receipt
from appliance.store import Archive

SIMPLE = (
    b"From: Anna Berg <anna@example.org>\r\n"
    b"To: maria@home.example\r\n"
    b"Subject: Garden party\r\n"
    b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n"
    b"Message-ID: <garden@example.org>\r\n"
    b"X-Mailer: pigeon\r\n"
    b"\r\n"
    b"Bring a chair.\r\n"
)
MIXED = (
    b"From: =?utf-8?Q?J=C3=BCrgen?= <juergen@example.net>\r\n"
    b"To: maria@home.example, Otto <otto@home.example>\r\n"
    b"Cc: lisa@home.example\r\n"
    b"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= and a file\r\n"
    b"Date: Tue, 1 Mar 2022 10:00:00 +0100\r\n"
    b"Message-ID: <mixed@example.net>\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b1"\r\n'
    b"\r\n"
    b"preamble\r\n"
    b"--b1\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n"
    b"\r\n"
    b"Sch=C3=B6ne Gr=C3=BC=C3=9Fe\r\n"
    b"--b1\r\n"
    b"Content-Type: message/rfc822\r\n"
    b"\r\n"
    b"Subject: inner\r\n"
    b"From: inner@example.org\r\n"
    b"\r\n"
    b"inside\r\n"
    b"--b1\r\n"
    b'Content-Type: application/octet-stream; name="x.bin"\r\n'
    b"Content-Transfer-Encoding: base64\r\n"
    b"Content-Disposition: attachment\r\n"
    b"\r\n"
    b"AAECAwQ=\r\n"
    b"--b1--\r\n"
)
BARE = b"Subject: bare line feeds\nFrom: unix@example.org\n\nno CR here\n"
NAKED = b"\r\nno header at all\r\n"
ODD = (
    b"Subject: odd\r\nContent-Type: text/plain\r\n"
    b"Content-Transfer-Encoding: x-rot13\r\n\r\nUryyb\r\n"
)
SAMPLES = {"naked": NAKED, "odd": ODD, "simple": SIMPLE, "mixed": MIXED, "bare": BARE}


class House:
    """One running server. ``port`` is the plain door, ``tls_port`` the other."""

    def __init__(self, data: Path, **settings: int) -> None:
        self.config = Config(data=data, message_limit_octets=settings.get("limit", 8 << 20))
        self.config.prepare()
        self.bell = Bell(self.config.run)
        self.archive = Archive(self.config.archive, self.bell)
        self.household = Household(data, cost=Scrypt(log_n=4))
        self.passwords: dict[str, str] = {}
        for name in ("maria", "otto"):
            self.household.add_person(name, "a long enough password of the web")
            self.passwords[name] = self.household.add_device(name, "test").password
            self.archive.provision(name)
        self._delivered = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="imap server")
        self._thread.start()
        self.server = ImapServer(
            self.archive, self.household, None, self.config, self.bell, self.config.spool
        )
        self._do(self.server.start(Doors(0, 0)))
        assert self.server.addresses.plain is not None
        assert self.server.addresses.tls is not None
        self.port = self.server.addresses.plain[1]
        self.tls_port = self.server.addresses.tls[1]

    def stop_server(self) -> None:
        """Stop serving; the archive stays open."""
        if self._thread.is_alive():
            self._do(self.server.stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    def close(self) -> None:
        self.stop_server()
        self.archive.close()
        self.household.close()
        self.bell.close()

    def deliver(
        self,
        octets: bytes = SIMPLE,
        mailbox: str = "INBOX",
        *flags: str,
        owner: str = "maria",
        date: datetime = datetime(2022, 3, 1, 9, 0, 5, tzinfo=UTC),
    ) -> Receipt:
        """Put a message into a mailbox as fetching would."""
        self._delivered += 1
        [receipt] = self.archive.admit(
            [
                Delivery(
                    octets=octets,
                    origin=Origin("test", "INBOX", 1, str(self._delivered)),
                    owner=owner,
                    mailbox=mailbox,
                    internal_date=date,
                    flags=frozenset(map(Flag, flags)),
                    placing=Placing.ALWAYS,
                )
            ]
        )
        return receipt

    def connect(self) -> Wire:
        """A connection that has read the greeting."""
        wire = Wire(self.port)
        assert wire.line().startswith(b"* OK ")
        return wire

    def signed_in(self, person: str = "maria") -> Wire:
        """A connection of a person."""
        wire = self.connect()
        wire.ok(f"LOGIN {person} {self.passwords[person]}".encode())
        return wire

    def _do(self, coroutine: Coroutine[object, object, None]) -> None:
        future: Future[None] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        future.result(20)


class Wire:
    """A client that speaks octets."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._file = self._socket.makefile("rb")
        self._count = 0

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def send(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def line(self) -> bytes:
        """A line with its literals, without the last CR LF; b"" at the end."""
        line = self._file.readline()
        while line.endswith(b"}\r\n"):
            size = int(line[line.rindex(b"{") + 1 : -3])
            line += self._file.read(size) + self._file.readline()
        return line.removesuffix(b"\r\n")

    def until(self, tag: bytes) -> list[bytes]:
        """The lines up to the tagged one, which is the last."""
        lines: list[bytes] = []
        while True:
            line = self.line()
            assert line, f"the connection ended; so far {lines[-5:]}"
            lines.append(line)
            if line.startswith(tag + b" "):
                return lines

    def command(self, command: bytes) -> list[bytes]:
        """Send a command; all its lines, the tagged one last and without its tag."""
        self._count += 1
        tag = b"t%d" % self._count
        self.send(tag + b" " + command + b"\r\n")
        *untagged, tagged = self.until(tag)
        return [*untagged, tagged.removeprefix(tag + b" ")]

    def ok(self, command: bytes) -> list[bytes]:
        """Send a command that must succeed; its untagged lines."""
        *untagged, tagged = self.command(command)
        assert tagged.startswith(b"OK"), (command, tagged)
        return untagged

    def append(self, mailbox: bytes, octets: bytes, more: bytes = b"") -> bytes:
        """APPEND without waiting for "+"; the tagged line without its tag."""
        return self.command(b"APPEND %b %b{%d+}\r\n%b" % (mailbox, more, len(octets), octets))[-1]


@contextmanager
def house(data: Path, **settings: int) -> Iterator[House]:
    """A house that is closed at the end."""
    made = House(data, **settings)
    try:
        yield made
    finally:
        made.close()
