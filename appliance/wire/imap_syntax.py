"""Frames what an IMAP client sends: lines and literals into commands, before anybody parses them.

    reader = CommandReader(BEFORE_LOGIN)
    reader.feed(octets)
    while (event := reader.next_event()) is not None: …

    Command         a whole command: tag, name, and its arguments as text and literals
    LiteralWanted   a literal is announced: answer ``accept()`` (and, if ``sync``, send ``+``)
                    or ``refuse()`` (and send NO or BAD), before the next event
    LiteralChunk, LiteralEnd    octets of a literal too large to hold: APPEND's message
    Line            the line that ``expect_line()`` asked for: DONE, a SASL response
    BadLine         no command: answer BAD (NO [TOOBIG], BYE); what belonged to it is thrown away

``next_event`` answers None when it needs more octets. One event at a time: what
a client pipelined behind IDLE or AUTHENTICATE stays octets until the server
has said what they are.

Framing never depends on whether a line makes sense: a literal announced on a line that
is refused is thrown away with the rest of its command, so its octets are
never taken for a command (RFC 7888 §4, RFC 9051 §4.3). Lines end in LF, with CR before
it or not. Nothing here knows mailboxes, states or flags.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from appliance.wire.buffer import LineTooLong, LocalProtocolError, ReceiveBuffer
from appliance.wire.imap_commands import Literal

Pieces = tuple[bytes | Literal, ...]
"""Arguments: text and literals in their order, text first; the announcements are taken off."""

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB


@dataclass(frozen=True, slots=True)
class ImapLimits:
    """How much a client may make us hold, in octets.

    A message that is larger than ``held_message_octets`` is streamed; the
    others are in their ``Literal``. A client that announces a non-synchronising literal
    of more than ``skip_octets`` which we refuse is not worth listening to.
    """

    line_octets: int
    literal_octets: int
    nonsync_octets: int
    command_octets: int
    message_octets: int
    held_message_octets: int
    skip_octets: int
    tag_octets: int = 128


BEFORE_LOGIN: Final = ImapLimits(
    line_octets=8 * _KIB,
    literal_octets=4 * _KIB,
    nonsync_octets=4 * _KIB,
    command_octets=16 * _KIB,
    message_octets=0,
    held_message_octets=0,
    skip_octets=64 * _KIB,
)
AFTER_LOGIN: Final = ImapLimits(
    line_octets=64 * _KIB,
    literal_octets=256 * _KIB,
    nonsync_octets=512 * _MIB,
    command_octets=4 * _MIB,
    message_octets=512 * _MIB,
    held_message_octets=_MIB,
    skip_octets=1024 * _MIB,
)


@dataclass(frozen=True, slots=True)
class Command:
    """A whole command. ``name`` is in upper case, with UID in front where it was: ``UID FETCH``."""

    tag: str
    name: str
    pieces: Pieces = field(repr=False)


@dataclass(frozen=True, slots=True)
class LiteralWanted:
    """A literal of ``size`` octets is announced, within the limits.

    ``sync``: the client waits for ``+``. ``streamed``: it will come as
    LiteralChunk … LiteralEnd. ``pieces`` are the arguments before it.
    """

    tag: str
    name: str
    size: int
    sync: bool
    binary: bool
    streamed: bool
    pieces: Pieces = field(repr=False)


@dataclass(frozen=True, slots=True)
class LiteralChunk:
    """Octets of a streamed literal, at least one."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LiteralEnd:
    """The streamed literal is complete; the rest of its command is to come."""

    size: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is no command, without its line end."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BadLine:
    """What came is no command: ``tag`` BAD (``*`` BAD without one).

    ``too_big``: a literal over its limit, which deserves NO [TOOBIG] (RFC 7889 §3). ``fatal``:
    say BYE and close.
    """

    tag: str | None
    reason: str
    name: str | None = None
    too_big: bool = False
    fatal: bool = False


Event = Command | LiteralWanted | LiteralChunk | LiteralEnd | Line | BadLine

# ASTRING-CHAR without "+" (RFC 9051 §9, tag).
_TAG: Final = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\+]+")
_NAME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9-]*")
_LITERAL: Final = re.compile(rb"(~?)\{([0-9]{1,20})([+-]?)\}\Z")
_LITERAL_OCTETS: Final = 32
"""No announcement that matches is longer, with its line end."""
_PIECE_OCTETS: Final = 128
"""What a piece costs to hold besides its octets: a million empty literals are not free."""


class CommandReader:
    """The client's side of one connection; ``limits`` may be changed between commands."""

    def __init__(self, limits: ImapLimits = BEFORE_LOGIN) -> None:
        self.limits = limits
        self._buffer = ReceiveBuffer()
        self._read: Callable[[], Event | None] = self._read_line
        self._tag: str | None = None
        self._name: str | None = None
        self._pieces: list[bytes | Literal] = []
        self._held = 0
        self._left = 0
        self._wanted: LiteralWanted | None = None
        self._literal_read = Literal(0, None)
        self._line_limit = 0

    def feed(self, octets: bytes | bytearray | memoryview) -> None:
        """Take in what was received."""
        self._buffer.feed(octets)

    def next_event(self) -> Event | None:
        """The next event, or None: more octets are needed."""
        if self._wanted is not None:
            raise LocalProtocolError("a literal is neither accepted nor refused")
        return self._read()

    @property
    def between_commands(self) -> bool:
        """Nothing of a command was read, nor is being thrown away."""
        return self._read == self._read_line and not self._pieces

    def accept(self) -> None:
        """Take the literal that was announced."""
        wanted = self._decided()
        self._left = wanted.size
        self._literal_read = Literal(wanted.size, None, wanted.binary)
        self._read = self._read_streamed if wanted.streamed else self._read_held

    def refuse(self) -> None:
        """Throw the command away.

        A client that waits for ``+`` sends nothing more of it; of one that does
        not, the literal and the rest of the command are skipped (RFC 7888 §4).
        """
        wanted = self._decided()
        self._begin()
        if not wanted.sync:
            self._left, self._read = wanted.size, self._skip

    def expect_line(self, limit_octets: int | None = None) -> None:
        """The next line is no command: it comes as Line, or as BadLine if it is too long.

        Without a limit of its own, the limit is that of all lines.
        """
        if not self.between_commands:
            raise LocalProtocolError("a line is expected inside a command")
        limit = self.limits.line_octets if limit_octets is None else limit_octets
        self._line_limit, self._read = limit, self._read_expected

    def unread(self) -> bytes:
        """Takes out what was received and not yet looked at.

        Around STARTTLS there must be none (RFC 9051 §6.2.1: it came outside TLS);
        after COMPRESS it is compressed.
        """
        return self._buffer.take_all()

    def _decided(self) -> LiteralWanted:
        wanted, self._wanted = self._wanted, None
        if wanted is None:
            raise LocalProtocolError("no literal was announced")
        return wanted

    def _begin(self) -> None:
        self._tag, self._name, self._pieces, self._held = None, None, [], 0
        self._read = self._read_line

    # Lines

    def _read_line(self) -> Event | None:
        while True:
            try:
                line = self._buffer.line(self.limits.line_octets)
            except LineTooLong as error:
                return self._line_too_long(error)
            if line is None:
                return None
            if line.strip(b"\r\n") or self._pieces:
                return self._line(_without_end(line))
            # An empty line is no command; clients have sent one after a literal.

    def _line(self, line: bytes) -> Event | None:
        found = _LITERAL.search(line, max(0, len(line) - _LITERAL_OCTETS))
        text = line[: found.start()] if found else line
        self._held += len(line) + _PIECE_OCTETS
        if not self._pieces:
            self._tag, self._name, arguments = _split(text, self.limits.tag_octets)
            if self._tag is None or self._name is None:
                reason = "no command" if self._tag else "no tag"
                return self._refuse_line(found, BadLine(self._tag, reason))
            self._pieces.append(arguments)
        else:
            self._pieces.append(text)
        if b"\0" in line:
            # NUL is in no string but a literal8 (RFC 9051 §9).
            return self._refuse_line(found, BadLine(self._tag, "NUL in a line", self._name))
        if self._held > self.limits.command_octets:
            return self._refuse_line(found, self._too_big("the command is too long"))
        if found:
            return self._literal(found)
        return self._complete()

    def _complete(self) -> Command:
        assert self._tag is not None  # _line saw to it
        assert self._name is not None
        command = Command(self._tag, self._name, tuple(self._pieces))
        self._begin()
        return command

    def _literal(self, found: re.Match[bytes]) -> Event | None:
        assert self._tag is not None  # _line saw to it
        assert self._name is not None
        size, sync = int(found[2]), not found[3]
        # A literal before any other argument is the mailbox, not the message.
        message = self._name == "APPEND" and (len(self._pieces) > 1 or bool(self._pieces[0]))
        fits = self._held + size <= self.limits.command_octets
        streamed = message and not (fits and size <= self.limits.held_message_octets)
        limit = self.limits.message_octets if message else self.limits.literal_octets
        if not sync:
            limit = min(limit, self.limits.nonsync_octets)
        if size > limit:
            return self._refuse_line(found, self._too_big(f"more than {limit} octets in a literal"))
        if not fits and not streamed:
            return self._refuse_line(found, self._too_big("the command is too long"))
        binary, pieces = bool(found[1]), tuple(self._pieces)
        self._wanted = LiteralWanted(self._tag, self._name, size, sync, binary, streamed, pieces)
        self._held += 0 if streamed else size
        return self._wanted

    def _too_big(self, reason: str) -> BadLine:
        return BadLine(self._tag, reason, self._name, too_big=True)

    def _refuse_line(self, found: re.Match[bytes] | None, bad: BadLine) -> BadLine:
        """The command is over; what it still sends unasked is skipped."""
        self._begin()
        if found and found[3]:
            self._left, self._read = int(found[2]), self._skip
            if self._left > self.limits.skip_octets:
                return BadLine(bad.tag, bad.reason, bad.name, bad.too_big, fatal=True)
        return bad

    def _line_too_long(self, error: LineTooLong) -> BadLine:
        tag, name = self._tag, self._name
        if not self._pieces:
            start = self._buffer.peek(self.limits.tag_octets + 32)
            tag, name, _ = _split(start, self.limits.tag_octets)
        self._begin()
        self._left, self._read = 0, self._skip
        return BadLine(tag, str(error), name)

    def _read_expected(self) -> Event | None:
        try:
            line = self._buffer.line(self._line_limit)
        except LineTooLong as error:
            self._left, self._read = 0, self._skip
            return BadLine(None, str(error))
        if line is None:
            return None
        self._begin()
        return Line(_without_end(line))

    # Literals

    def _read_held(self) -> Event | None:
        if len(self._buffer) < self._left:
            return None
        octets = self._buffer.take(self._left)
        self._pieces.append(replace(self._literal_read, octets=octets))
        self._read = self._read_line
        return self._read()

    def _read_streamed(self) -> Event | None:
        octets = self._buffer.take(self._left)
        if octets:
            self._left -= len(octets)
            return LiteralChunk(octets)
        if self._left:
            return None
        self._pieces.append(self._literal_read)
        self._read = self._read_line
        return LiteralEnd(self._literal_read.size)

    def _skip(self) -> Event | None:
        """Throws away a literal, the line after it, the literal that line announces …"""
        while True:
            self._left -= len(self._buffer.take(self._left))
            end = self._buffer.skip_line(_LITERAL_OCTETS) if not self._left else None
            if end is None:
                return None
            found = _LITERAL.search(_without_end(end))
            if not found or not found[3]:
                break
            self._left = int(found[2])
        self._begin()
        return self._read()


def _split(text: bytes, tag_octets: int) -> tuple[str | None, str | None, bytes]:
    """(tag, name, arguments) of the first line of a command; None for what is not there."""
    first, _, rest = text.partition(b" ")
    if len(first) > tag_octets or not _TAG.fullmatch(first):
        return None, None, b""
    tag = first.decode("ascii")
    name, _, rest = rest.lstrip(b" ").partition(b" ")
    if name.upper() == b"UID":
        name, _, rest = rest.lstrip(b" ").partition(b" ")
        if not _NAME.fullmatch(name):
            return tag, None, b""
        return tag, "UID " + name.decode("ascii").upper(), rest.lstrip(b" ")
    if not _NAME.fullmatch(name):
        return tag, None, b""
    return tag, name.decode("ascii").upper(), rest.lstrip(b" ")


def _without_end(line: bytes) -> bytes:
    return line[:-2] if line.endswith(b"\r\n") else line.removesuffix(b"\n")
