r"""POP3, the client's side: commands out, octets in, events out; no socket.

    machine = Pop3Machine()
    for event in machine.receive(octets): …    # Greeting, then one response a command
    send(machine.send_retr(7))                 # MessageChunk … MessageEnd, or Err

``send_…`` answers the octets to send and remembers which response is expected,
so several commands may be under way (RFC 2449 §6.6); responses come in
their order. Before the greeting, around STLS and inside AUTH the machine takes
no further command. Anything the server says unasked is a RemoteProtocolError.

Octets are sacred. A message is the octets between the line ``+OK`` and the line
``.``, with one leading "." taken off lines that have one (RFC 1939 §3), and
nothing else: NUL, 8-bit octets, bare CR, bare LF and lines of any length stay.
Only CR LF ends a line. So LF "." LF is content, as is CR LF "." LF, and a
message cannot be ended by octets inside it. The CR LF before the last "." belongs
to the message. A message is never gathered here: its chunks are as large as
the pieces in which it is received.

A server that ends its lines with LF alone breaks RFC 1939 §3, and the end of its
messages cannot be told from an LF-only message inside a sound one: it
is refused at the first such line, with a reason, instead of guessed at.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from appliance.errors import RemoteProtocolError, TryLater, UsageError
from appliance.wire.buffer import LineTooLong, LocalProtocolError, ReceiveBuffer
from appliance.wire.pop3_events import (
    Capabilities,
    Challenge,
    Err,
    Event,
    Greeting,
    Listing,
    MaildropStatus,
    MessageChunk,
    MessageEnd,
    Ok,
    UniqueIds,
    refusal,
)
from appliance.wire.pop3_lists import (
    CapabilityReader,
    ListingReader,
    ListReader,
    UniqueIdReader,
    number,
)
from appliance.wire.pop3_message import Unstuffer

__all__ = [
    "Capabilities",
    "Challenge",
    "Err",
    "Event",
    "Greeting",
    "Listing",
    "MaildropStatus",
    "MessageChunk",
    "MessageEnd",
    "Ok",
    "Pop3Limits",
    "Pop3Machine",
    "UniqueIds",
    "refusal",
    "sasl_plain",
    "sasl_xoauth2",
]

_CODE: Final = re.compile(r"\[([A-Za-z][A-Za-z0-9/_.-]*)\] ?")
_TIMESTAMP: Final = re.compile(rb"<[^<>\s]+>")


@dataclass(frozen=True, slots=True)
class Pop3Limits:
    """How much of a server's lines we hold. Messages have no limit here: the caller counts.

    A status line may have 512 octets (RFC 2449 §4) and a unique-id 70; servers
    have been seen to say more.
    """

    status_octets: int = 8192
    line_octets: int = 512
    entries: int = 1_000_000


@dataclass(frozen=True, slots=True)
class _Expected:
    """A command under way, and what its response brings."""

    command: str
    msn: int | None = None
    list_reader: ListReader | None = None
    secret: bytes = field(default=b"", repr=False)

    def said(self, text: str) -> str:
        """What the server said, for people; some servers repeat the command with its password."""
        return text.replace(_shown(self.secret), "…") if self.secret else text


class Pop3Machine:
    """One connection. ``receive`` and ``send_…`` as in the module's docstring."""

    def __init__(self, limits: Pop3Limits | None = None) -> None:
        self._limits = limits or Pop3Limits()
        self._buffer = ReceiveBuffer()
        self._expected: deque[_Expected] = deque([_Expected("")])
        self._read: Callable[[], Event | None] = self._read_status
        self._unstuffer = Unstuffer()
        self._lines_read = 0
        self._switching = False
        self._challenged = False
        self._broken: str | None = None

    # What we say

    def send_capa(self) -> bytes:
        """Answered by Capabilities, or by Err from a server older than RFC 2449."""
        return self._send(_Expected("CAPA", list_reader=CapabilityReader()), b"CAPA")

    def send_stls(self) -> bytes:
        """Answered by Ok: then switch to TLS and call ``tls_started``; nothing else till then."""
        if self._expected:
            raise LocalProtocolError("STLS while other commands are under way")
        sent = self._send(_Expected("STLS"), b"STLS")
        self._switching = True
        return sent

    def tls_started(self) -> None:
        """The connection is now inside TLS; ask for the capabilities again (RFC 2595 §4)."""
        if not self._switching or self._expected:
            raise LocalProtocolError("TLS was started without an answered STLS")
        if len(self._buffer) or self._broken is not None:
            raise self._error("the server sent octets between STLS and TLS")
        self._switching = False

    def send_user(self, name: str) -> bytes:
        """Answered by Ok, or Err."""
        return self._send(_Expected("USER"), b"USER", _argument("user name", name))

    def send_pass(self, password: str) -> bytes:
        """Answered by Ok, or Err; RFC 1939 §7 lets a password hold spaces."""
        secret = _argument("password", password)
        return self._send(_Expected("PASS", secret=secret), b"PASS", secret)

    def send_auth(self, mechanism: str, initial: bytes | None = None) -> bytes:
        """Answered by Challenge (see ``send_response``), Ok or Err (RFC 5034).

        ``initial`` is the initial response, sent with the command; a server
        that does not take one wants None and then asks by a Challenge.
        """
        words = [_argument("mechanism", mechanism)]
        secret = base64.b64encode(initial or b"")
        if initial is not None:
            words.append(secret or b"=")
        return self._send(_Expected("AUTH", secret=secret), b"AUTH", *words)

    def send_response(self, octets: bytes | None) -> bytes:
        """The answer to a Challenge; None gives the exchange up (RFC 5034 §4)."""
        if not self._challenged:
            raise LocalProtocolError("a response without a challenge")
        self._challenged = False
        return b"*\r\n" if octets is None else base64.b64encode(octets) + b"\r\n"

    def send_stat(self) -> bytes:
        """Answered by MaildropStatus, or Err."""
        return self._send(_Expected("STAT"), b"STAT")

    def send_list(self, msn: int | None = None) -> bytes:
        """Answered by Listing, of one entry if a message number was given, or Err."""
        return self._send(_Expected("LIST", msn, ListingReader()), b"LIST", *_numbers(msn))

    def send_uidl(self, msn: int | None = None) -> bytes:
        """Answered by UniqueIds, of one entry if a message number was given, or Err."""
        return self._send(_Expected("UIDL", msn, UniqueIdReader()), b"UIDL", *_numbers(msn))

    def send_retr(self, msn: int) -> bytes:
        """Answered by MessageChunk … MessageEnd, or Err."""
        return self._send(_Expected("RETR", msn), b"RETR", *_numbers(msn))

    def send_top(self, msn: int, lines: int) -> bytes:
        """Header section and so many lines: MessageChunk … MessageEnd, or Err."""
        if lines < 0:
            raise LocalProtocolError("TOP of fewer than 0 lines")
        return self._send(_Expected("TOP", msn), b"TOP", *_numbers(msn), b"%d" % lines)

    def send_dele(self, msn: int) -> bytes:
        """Answered by Ok, or Err; nothing is deleted before QUIT is answered (RFC 1939 §6)."""
        return self._send(_Expected("DELE", msn), b"DELE", *_numbers(msn))

    def send_noop(self) -> bytes:
        """Answered by Ok."""
        return self._send(_Expected("NOOP"), b"NOOP")

    def send_rset(self) -> bytes:
        """Takes back every DELE. Answered by Ok."""
        return self._send(_Expected("RSET"), b"RSET")

    def send_quit(self) -> bytes:
        """Answered by Ok once the server has deleted what DELE marked, or by Err."""
        return self._send(_Expected("QUIT"), b"QUIT")

    # What we hear

    @property
    def outstanding(self) -> int:
        """How many responses are to come, the greeting included."""
        return len(self._expected)

    def receive(self, octets: bytes) -> Iterator[Event]:
        """The events that these octets complete, in order.

        The octets are taken in at the call; take the events before sending
        more. Raises RemoteProtocolError where the server breaks the protocol,
        after the events before it; the connection is then of no more use.
        """
        self._buffer.feed(octets)
        return self._events()

    def receive_eof(self) -> None:
        """The connection ended. Raises TryLater if a response, or part of one, was to come."""
        if self._expected and self._broken is None:
            command = self._expected[0].command
            what = f"the response to {command}" if command else "its greeting"
            self._broken = f"the server closed the connection before the end of {what}"
            raise TryLater(self._broken)

    def _events(self) -> Iterator[Event]:
        if self._broken is not None:
            raise RemoteProtocolError(self._broken)
        # A message's last chunk may be given out when its end is known and nothing is left.
        while len(self._buffer) or self._unstuffer.ended:
            if not self._expected:
                # Whatever comes unasked could be taken for the next answer (RFC 2595 §4).
                if self._switching:
                    raise self._error("the server sent octets between STLS and TLS")
                raise self._error("the server sent octets that nobody asked for")
            if self._challenged:
                raise self._error("the server went on without our response to its challenge")
            event = self._read()
            if event is None:
                return
            yield event

    def _send(self, expected: _Expected, *words: bytes) -> bytes:
        if self._expected and self._expected[0].command == "":
            raise LocalProtocolError("a command before the greeting")
        if self._switching:
            raise LocalProtocolError("a command between STLS and TLS")
        if self._expected and self._expected[-1].command in ("AUTH", "QUIT"):
            raise LocalProtocolError(f"a command before {self._expected[-1].command} is answered")
        self._expected.append(expected)
        return b" ".join(words) + b"\r\n"

    def _read_status(self) -> Event | None:
        line = self._line(self._limits.status_octets)
        if line is None:
            return None
        expected = self._expected[0]
        word, text = line[:4].upper(), line[4:]
        if word == b"-ERR":
            return self._refused(expected, text)
        if word[:3] == b"+OK":
            return self._accepted(expected, line[3:])
        if expected.command == "AUTH" and word[:1] == b"+":
            self._challenged = True
            return Challenge(self._unbase64(line[1:].strip(b" ")))
        raise self._error(f"neither +OK nor -ERR: {_shown(line[:80])}")

    def _refused(self, expected: _Expected, octets: bytes) -> Err:
        self._expected.popleft()
        if expected.command == "STLS":
            self._switching = False
        text = _shown(octets.strip(b" "))
        found = _CODE.match(text)
        if found is None:
            return Err(expected.command, expected.said(text), None, expected.msn)
        code, text = found[1].upper(), text[found.end() :]
        return Err(expected.command, expected.said(text), code, expected.msn)

    def _accepted(self, expected: _Expected, octets: bytes) -> Event | None:
        if expected.command in ("RETR", "TOP"):
            self._read = self._read_message
            return self._read()
        if expected.list_reader is not None and expected.msn is None:
            self._lines_read = 0
            self._read = self._read_list
            return self._read()
        self._expected.popleft()
        text = octets.strip(b" ")
        if expected.list_reader is not None:
            expected.list_reader.add(text)
            return expected.list_reader.event()
        match expected.command:
            case "":
                found = _TIMESTAMP.search(text)
                return Greeting(_shown(text), found[0] if found else None)
            case "STAT":
                return self._maildrop_status(text)
            case "STLS" if len(self._buffer):
                # It came outside TLS and would be read as if from inside (RFC 2595 §4).
                raise self._error("the server sent octets between STLS and TLS")
        return Ok(expected.command, expected.said(_shown(text)))

    def _maildrop_status(self, text: bytes) -> MaildropStatus:
        numbers = [number(word) for word in text.split()[:2]]
        if len(numbers) < 2 or numbers[0] is None or numbers[1] is None:
            raise self._error(f"no drop listing: {_shown(text[:80])}")
        return MaildropStatus(numbers[0], numbers[1])

    def _read_list(self) -> Event | None:
        expected = self._expected[0]
        reader = expected.list_reader
        assert reader is not None  # _accepted chose this function for it
        while (line := self._line(self._limits.line_octets)) is not None:
            if line == b".":
                self._expected.popleft()
                self._read = self._read_status
                return reader.event()
            self._lines_read += 1
            if self._lines_read > self._limits.entries:
                limit = self._limits.entries
                raise self._error(f"more than {limit} lines in answer to {expected.command}")
            reader.add(line.removeprefix(b"."))
        return None

    def _read_message(self) -> Event | None:
        msn = self._expected[0].msn
        assert msn is not None  # RETR and TOP always have one
        if not self._unstuffer.ended:
            octets = self._unstuffer.take(self._buffer)
            if octets:
                return MessageChunk(msn, octets)
        if not self._unstuffer.ended:
            return None
        total, self._unstuffer = self._unstuffer.total, Unstuffer()
        self._expected.popleft()
        self._read = self._read_status
        return MessageEnd(msn, total)

    def _line(self, limit_octets: int) -> bytes | None:
        """The next line without its line end."""
        try:
            line = self._buffer.line(limit_octets)
        except LineTooLong as error:
            raise self._error(str(error)) from error
        if line is None:
            return None
        if not line.endswith(b"\r\n"):
            raise self._error("a line ends in LF without CR (RFC 1939 §3)")
        return line[:-2]

    def _unbase64(self, octets: bytes) -> bytes:
        try:
            return base64.b64decode(octets, validate=True)
        except binascii.Error as error:
            raise self._error("a challenge that is not base64") from error

    def _error(self, reason: str) -> RemoteProtocolError:
        command = self._expected[0].command if self._expected else ""
        self._broken = f"POP3: {reason}" + (f", in answer to {command}" if command else "")
        return RemoteProtocolError(self._broken)


def sasl_plain(user: str, password: str) -> bytes:
    """The response of PLAIN (RFC 4616). Raises UsageError for a NUL, which PLAIN cannot carry."""
    if "\0" in user + password:
        raise UsageError("a user name or password with NUL cannot be sent")
    return b"\0" + user.encode() + b"\0" + password.encode()


def sasl_xoauth2(user: str, token: str) -> bytes:
    """The response of XOAUTH2. Answer its error challenge with ``send_response(b"")``."""
    if "\x01" in user + token:
        raise UsageError("a user name or token with a control character cannot be sent")
    return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()


def _argument(name: str, value: str) -> bytes:
    # A line end inside would be a second command. The value is in no message: it may be a password.
    if not value or any(octet in value for octet in "\r\n\0"):
        raise UsageError(f"the {name} is empty or holds a line end or NUL: it cannot be sent")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(f"the {name} cannot be written in UTF-8") from None


def _numbers(msn: int | None) -> list[bytes]:
    if msn is not None and msn < 1:
        raise LocalProtocolError("message numbers count from 1")
    return [] if msn is None else [b"%d" % msn]


def _shown(octets: bytes) -> str:
    """For people: no control character reaches a terminal or a page."""
    text = octets.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
