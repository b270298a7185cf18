"""What a scripted server holds, and how it misbehaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Event


@dataclass
class Held:
    """A message on the server. ``unique_id`` is POP3's name for it."""

    uid: int
    octets: bytes
    flags: tuple[str, ...] = ()
    internal_date: str = "17-Jul-2020 02:44:25 +0200"
    unique_id: str = ""


@dataclass
class Box:
    """A mailbox; uids ascend and are never used twice within a uidvalidity."""

    name: str
    attributes: tuple[str, ...] = ()
    uidvalidity: int = 1
    uidnext: int = 1
    held: list[Held] = field(default_factory=list)

    def arrive(self, octets: bytes, flags: tuple[str, ...] = (), unique_id: str = "") -> Held:
        """A new message."""
        # Never given to two messages, also not after ``renumber`` (RFC 1939 §7).
        unique_id = unique_id or f"v{self.uidvalidity}-{self.uidnext}"
        fresh = Held(self.uidnext, octets, flags, unique_id=unique_id)
        self.uidnext += 1
        self.held.append(fresh)
        return fresh

    def vanish(self, uid: int) -> None:
        """Somebody deleted it."""
        self.held = [one for one in self.held if one.uid != uid]

    def renumber(self) -> None:
        """A new UIDVALIDITY: all uids begin again (POP3: new unique-ids)."""
        self.uidvalidity += 1
        for number, one in enumerate(self.held, 1):
            one.uid = number
            one.unique_id = f"v{self.uidvalidity}-{number}"
        self.uidnext = len(self.held) + 1


@dataclass
class Maildrop:
    """One account's mail; POP3 shows INBOX."""

    user: str = "anna"
    password: str = "secret"
    boxes: dict[str, Box] = field(default_factory=lambda: {"INBOX": Box("INBOX")})

    @property
    def inbox(self) -> Box:
        """INBOX."""
        return self.boxes["INBOX"]

    def box(self, name: str, *attributes: str) -> Box:
        """A mailbox, made if it is not there."""
        return self.boxes.setdefault(name, Box(name, attributes))

    def everything(self) -> Iterator[bytes]:
        """The octets of every message in every mailbox."""
        for box in self.boxes.values():
            yield from (one.octets for one in box.held)


@dataclass
class Faults:
    """Switches; by uid where it is about one message. Changed while the server runs."""

    # signing in
    refuse_sign_in: str | None = None
    busy: str | None = None
    busy_on: frozenset[int] = frozenset()
    """Busy on these connections only, counted from 1; empty: on every one."""
    greeting: bytes | None = None
    refuse_tls: bool = False
    inject_after_tls: bytes = b""
    # listing
    truncate_search: int | None = None
    omit_uidvalidity: bool = False
    no_uidl: bool = False
    no_top: bool = False
    refuse_mailbox: set[str] = field(default_factory=set)
    size_lies: dict[int, int] = field(default_factory=dict)
    # messages
    cut: dict[int, int] = field(default_factory=dict)
    """uid → how often the connection is cut in the middle of it."""
    cut_after_octets: int | None = None
    """Cut every connection once so many message octets went over it."""
    empty: set[int] = field(default_factory=set)
    hide: set[int] = field(default_factory=set)
    """Listed, but FETCH answers nothing about it."""
    refuse_message: set[int] = field(default_factory=set)
    announce_literal: dict[int, int] = field(default_factory=dict)
    whole_instead_of_piece: bool = False
    piece_octets: int | None = None
    """The server's own limit of a piece, however many octets are asked for."""
    unsolicited: bool = False
    endless: set[int] = field(default_factory=set)
    stall: Event | None = None
    """Before each message, wait until this is set (or the server stops)."""


@dataclass
class Seen:
    """What the server saw: every command line, and how many message octets it handed out."""

    commands: list[str] = field(default_factory=list)
    message_octets: int = 0

    def count(self, word: str) -> int:
        """How many commands begin with the word (IMAP: after the tag)."""
        return sum(1 for line in self.commands if line.upper().startswith(word.upper()))
