"""A receiver on a free port, an archive that remembers, a family of two."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.config import Config
from appliance.mail.types import Delivery, Receipt, Seq, digest_of
from appliance.smtp.receive import Receiver

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
LIMIT = 4 << 20


@dataclass
class FakeArchive:
    """Keeps what it is given; ``failure`` is raised instead when set."""

    kept: list[tuple[Delivery, bytes]] = field(default_factory=list)
    views: int = 0
    failure: Exception | None = None
    before: Callable[[], None] = lambda: None

    def admit(self, deliveries: Iterable[Delivery]) -> list[Receipt]:
        self.before()
        if self.failure is not None:
            raise self.failure
        receipts = []
        for delivery in deliveries:
            self.views += isinstance(delivery.octets, memoryview)
            octets = bytes(delivery.octets)
            self.kept.append((delivery, octets))
            receipts.append(Receipt(Seq(len(self.kept)), digest_of(octets), None, False))
        return receipts


class FakeHousehold:
    """anna and ben at hauspost.local; anna also at example.org."""

    def owner_of(self, address: str, domain: str) -> str | None:
        known = {f"anna@{domain}": "anna", "anna.b@example.org": "anna", f"ben@{domain}": "ben"}
        return {**known, f"jürgen@{domain}": "juergen"}.get(address.lower())


@pytest.fixture
def archive() -> FakeArchive:
    return FakeArchive()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data=tmp_path, smtp_port=0, message_limit_octets=LIMIT)


@pytest.fixture
def receiver(archive: FakeArchive, config: Config) -> Iterator[Receiver]:
    with Receiver(archive, FakeHousehold(), config, config.spool, clock=lambda: NOW) as started:
        yield started


class Client:
    """The octets of a client, line by line."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.socket = socket.create_connection(address, timeout=20)
        self._file = self.socket.makefile("rb")

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def reply(self) -> str:
        """A whole reply; "" when the connection is closed."""
        lines = []
        with contextlib.suppress(ConnectionResetError):
            while line := self._file.readline().decode():
                lines.append(line.rstrip("\r\n"))
                if line[3:4] == " ":
                    break
        return "\n".join(lines)

    def say(self, line: str) -> str:
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def begin(self, *recipients: str, sender: str = "<carl@example.net>") -> None:
        """Up to 354."""
        assert self.say(f"MAIL FROM:{sender}").startswith("250 ")
        for recipient in recipients or ("anna@hauspost.local",):
            assert self.say(f"RCPT TO:<{recipient}>").startswith("250 ")
        assert self.say("DATA").startswith("354 ")

    def close(self) -> None:
        self._file.close()
        self.socket.close()


@pytest.fixture
def client(receiver: Receiver) -> Iterator[Client]:
    """A client that has said EHLO."""
    connected = Client(receiver.address)
    assert connected.reply() == "220 hauspost.local Hauspost"
    assert connected.say("EHLO laptop.lan").startswith("250-hauspost.local")
    yield connected
    connected.close()


_TRACE = re.compile(rb"Return-Path: <[^>]*>\r\nReceived: from [^;]*;\r\n\t[^\r]*\r\n")


def content(octets: bytes) -> bytes:
    """A message without the trace fields we put on top."""
    trace = _TRACE.match(octets)
    assert trace, octets[:300]
    return octets[trace.end() :]
