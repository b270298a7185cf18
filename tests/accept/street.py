"""A street: a provider with three accounts that overlap, and a house that fetches them."""

from __future__ import annotations

import imaplib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedRWPair
from pathlib import Path

from appliance.fetch.link import EXTRA_CA
from tests.accept.dovecot import DovecotOrigin
from tests.accept.house import RunningHouse, Seen, digest, look, mailboxes


@dataclass(frozen=True, slots=True)
class Holding:
    """An account at the provider, whose it is, and what is to be put into its mailboxes."""

    account: str
    person: str
    protocol: str
    mailboxes: dict[str, list[bytes]]


def holdings(every: list[bytes]) -> list[Holding]:
    """Three accounts: anna has two of them, ben the third.

    Each message is in one account at least. Every fifth is in two of anna's mailboxes or in
    hers and ben's, every seventh in her POP3 account too; some are twice in one mailbox.
    """
    anna: dict[str, list[bytes]] = {"INBOX": [], "Listen/Über uns": [], "Sent": []}
    ben: dict[str, list[bytes]] = {"INBOX": [], "Werbung": []}
    pop: list[bytes] = []
    for n, octets in enumerate(every):
        (anna["INBOX"] if n % 3 == 0 else ben["INBOX"] if n % 3 == 1 else pop).append(octets)
        if n % 5 == 0:
            anna["Listen/Über uns"].append(octets)
        if n % 20 == 0:
            anna["Sent"].append(octets)
        if n % 7 == 0 and n % 3 != 2:
            pop.append(octets)
        if n % 9 == 0:
            ben["Werbung"].append(octets)
        if n % 99 == 0:
            anna["INBOX"].append(octets)
        if n % 101 == 2:
            pop.append(octets)
    return [
        Holding("anna-imap", "anna", "imap", anna),
        Holding("ben-imap", "ben", "imap", ben),
        Holding("anna-pop", "anna", "pop3", {"INBOX": pop}),
    ]


class Street:
    """A provider with three accounts, and a house whose people have them."""

    def __init__(self, tmp_path: Path, every: list[bytes]) -> None:
        self.holdings = holdings(every)
        self.passwords = {one.account: f"secret of {one.account}" for one in self.holdings}
        self.origin = DovecotOrigin(tmp_path, self.passwords)

    def __enter__(self) -> Street:
        for one in self.holdings:
            for mailbox, octets in one.mailboxes.items():
                self.origin.load(one.account, mailbox, octets)
        self.origin.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.origin.stop()

    def new_house(self, directory: Path, only: str | None = None) -> RunningHouse:
        """An empty house whose people and accounts are entered; not running yet."""
        directory.mkdir(exist_ok=True)
        house = RunningHouse(directory, environ={EXTRA_CA: str(self.origin.ca)}, only=only)
        for person in sorted({one.person for one in self.holdings}):
            house.person(person)
        for one in self.holdings:
            port = self.origin.imaps_port if one.protocol == "imap" else self.origin.pop3s_port
            password = self.passwords[one.account]
            house.account(one.account, one.person, one.protocol, port, password)
        return house

    def served(self) -> dict[str, set[str]]:
        """Person → the digests of what the provider itself hands out."""
        found: dict[str, set[str]] = {one.person: set() for one in self.holdings}
        for one in self.holdings:
            take = self._by_imap if one.protocol == "imap" else self._by_pop3
            found[one.person] |= take(one)
        return found

    def _by_imap(self, holding: Holding) -> set[str]:
        context = ssl.create_default_context(cafile=str(self.origin.ca))
        with imaplib.IMAP4_SSL("localhost", self.origin.imaps_port, ssl_context=context) as witness:
            witness.login(holding.account, self.passwords[holding.account])
            boxes = mailboxes(witness)
            assert len(boxes) == len(holding.mailboxes)
            return {one for box in boxes for one in look(witness, box).digests.values()}

    def _by_pop3(self, holding: Holding) -> set[str]:
        """RETR as RFC 1939 §3 has it; poplib itself loses bare LF and refuses long lines."""
        with socket.create_connection(("127.0.0.1", self.origin.pop3_port), timeout=60) as door:
            file = door.makefile("rwb")

            def ask(line: str) -> bytes:
                file.write(line.encode() + b"\r\n")
                file.flush()
                return _ok(file.readline())

            _ok(file.readline())
            ask(f"USER {holding.account}")
            ask(f"PASS {self.passwords[holding.account]}")
            count = int(ask("STAT").split()[0])
            assert count == len(holding.mailboxes["INBOX"])
            found = set()
            for number in range(1, count + 1):
                ask(f"RETR {number}")
                found.add(digest(b"".join(_multi_line(file))))
            ask("QUIT")
            return found


def held(house: RunningHouse, person: str) -> dict[str, Seen]:
    """Mailbox → what a person's mail program is handed out."""
    with house.imap(person) as witness:
        return {name: look(witness, name) for name in mailboxes(witness)}


def _ok(line: bytes) -> bytes:
    assert line.startswith(b"+OK"), line
    return line[3:]


def _multi_line(file: BufferedRWPair) -> Iterator[bytes]:
    while (line := file.readline()) != b".\r\n":
        assert line, "the provider hung up"
        yield line.removeprefix(b".")
