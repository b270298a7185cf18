"""Reads the arguments of a framed command from left to right (RFC 9051 §9, formal syntax).

Each method takes one thing off the front or raises BadCommand, whose reason is
fit to be shown to the person who looks at the client's log. Clients that put two spaces,
or one before a parenthesis, are understood.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Final, TypeVar

from appliance.mail.types import SYSTEM_FLAGS, Flag
from appliance.wire import imap_utf7
from appliance.wire.imap_commands import BadCommand, Literal
from appliance.wire.imap_dates import parse_date, parse_date_time
from appliance.wire.imap_sets import HIGHEST_NUMBER, STAR, SequenceSet
from appliance.wire.imap_syntax import Pieces

T = TypeVar("T")

HIGHEST_MODSEQ: Final = 2**63 - 1
"""mod-sequence-value is an unsigned 63-bit integer (RFC 7162 §7)."""

_SPACES: Final = re.compile(rb" *")
_ATOM: Final = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
# ASTRING-CHAR; 8-bit octets too, for clients that write UTF-8 without quotes.
_ASTRING: Final = re.compile(rb"[^\x00-\x20\x7f(){%*\"\\]+")
_LIST_ATOM: Final = re.compile(rb"[^\x00-\x20\x7f(){\"\\]+")
_QUOTED: Final = re.compile(rb'"([^"\\\r\n]*(?:\\[^\r\n][^"\\\r\n]*)*)"')
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_DIGITS: Final = re.compile(rb"[0-9]{1,20}")
_SET: Final = re.compile(rb"\$|[0-9*:,]+")
_FLAG: Final = re.compile(rb"\\?[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
_SYSTEM_FLAG: Final = {flag.lower(): flag for flag in SYSTEM_FLAGS}


class Scanner:
    """The arguments of one command, and how far they are read.

    ``utf8``: the client enabled UTF8=ACCEPT, so mailbox names are UTF-8 (RFC 6855 §3).
    """

    def __init__(self, tag: str, pieces: Pieces, *, utf8: bool = False) -> None:
        self.tag = tag
        self.utf8 = utf8
        self._pieces = pieces
        self._piece = 0
        self._at = 0

    def bad(self, reason: str) -> BadCommand:
        """The error to raise."""
        return BadCommand(self.tag, reason)

    # Where we are

    def next_is(self, octets: bytes) -> bool:
        """The next octets are these."""
        return self._text().startswith(octets, self._at)

    def at_end(self) -> bool:
        """Nothing is left but spaces."""
        self.skip_spaces()
        last = self._piece == len(self._pieces) - 1 or not self._pieces
        return last and self._at >= len(self._text())

    def end(self) -> None:
        """Nothing may be left."""
        if not self.at_end():
            raise self.bad("more arguments than the command has")

    def skip_spaces(self) -> None:
        """Any number of spaces, also none."""
        self.take(_SPACES)

    def space(self) -> None:
        """One space; more are understood."""
        if not self.next_is(b" "):
            raise self.bad("a space is missing" if not self.at_end() else "an argument is missing")
        self.skip_spaces()

    def take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """What the pattern matches here, or None."""
        found = pattern.match(self._text(), self._at)
        if found:
            self._at = found.end()
        return found

    def has(self, octets: bytes) -> bool:
        """Takes these octets if they are next."""
        if not self.next_is(octets):
            return False
        self._at += len(octets)
        return True

    def expect(self, octets: bytes) -> None:
        """Takes these octets."""
        if not self.has(octets):
            raise self.bad(f"{octets.decode('ascii')} is missing")

    def _text(self) -> bytes:
        piece = self._pieces[self._piece] if self._piece < len(self._pieces) else b""
        return piece if isinstance(piece, bytes) else b""

    # Numbers and words

    def number(self, highest: int = HIGHEST_NUMBER) -> int:
        """A decimal number up to ``highest``."""
        found = self.take(_DIGITS)
        if found is None or int(found[0]) > highest:
            raise self.bad("a number is missing or too large")
        return int(found[0])

    def nz_number(self, highest: int = HIGHEST_NUMBER) -> int:
        """A decimal number, not 0."""
        value = self.number(highest)
        if not value:
            raise self.bad("0 where numbers count from 1")
        return value

    def modseq(self) -> int:
        """A modification sequence, 0 too."""
        return self.number(HIGHEST_MODSEQ)

    def atom(self, what: str) -> str:
        """An atom in upper case: a keyword of the protocol; ``what`` names it in the error."""
        found = self.take(_ATOM)
        if found is None:
            raise self.bad(f"{what} is missing")
        return found[0].decode("ascii").upper()

    def literal_is_next(self) -> bool:
        """What comes is a literal."""
        here = self._piece + 1
        return self._at >= len(self._text()) and here < len(self._pieces)

    def literal(self) -> Literal:
        """A literal, held or streamed."""
        if not self.literal_is_next():
            raise self.bad("a literal is missing")
        found = self._pieces[self._piece + 1]
        assert isinstance(found, Literal)  # text and literals take turns (imap_syntax)
        self._piece, self._at = self._piece + 2, 0
        return found

    def string(self, what: str) -> bytes:
        """A quoted string or a literal."""
        if self.literal_is_next():
            octets = self.literal().octets
            if octets is None or b"\0" in octets:
                raise self.bad(f"{what} holds NUL")
            return octets
        found = self.take(_QUOTED)
        if found is None:
            raise self.bad(f"{what} is missing or its quotes are not closed")
        return _ESCAPED.sub(rb"\1", found[1]) if b"\\" in found[1] else found[1]

    def astring(self, what: str) -> bytes:
        """An atom or a string."""
        found = self.take(_ASTRING)
        return found[0] if found else self.string(what)

    def text(self, what: str) -> str:
        """An astring as text: UTF-8, or one character an octet where it is not."""
        return as_text(self.astring(what))

    # Things with a meaning of their own

    def mailbox(self) -> str:
        """A mailbox name, decoded; INBOX in upper case (RFC 9051 §5.1).

        A delimiter at its end is taken off: Thunderbird has been seen to add one.
        """
        name = self.mailbox_as_written()
        return name.rstrip("/") or name

    def mailbox_as_written(self) -> str:
        """A mailbox name, decoded, with the delimiter that a reference may end in."""
        return self._name(self.astring("a mailbox name"))

    def list_mailbox(self) -> str:
        """A mailbox name with wildcards."""
        found = self.take(_LIST_ATOM)
        return self._name(found[0] if found else self.string("a mailbox pattern"))

    def _name(self, octets: bytes) -> str:
        name = imap_utf7.decode_utf8(octets) if self.utf8 else imap_utf7.decode(octets)
        if not imap_utf7.is_text(name):
            # Kept, it could not be stored, nor shown; refused, nothing is lost.
            raise self.bad("a mailbox name is neither modified UTF-7 nor UTF-8")
        first, slash, rest = name.partition("/")
        return "INBOX" + slash + rest if first.upper() == "INBOX" else name

    def numbers(self) -> SequenceSet:
        """A sequence set."""
        found = self.take(_SET)
        if found is None:
            raise self.bad("a sequence set is missing")
        if found[0] == b"$":
            return SequenceSet((), saved=True)
        return SequenceSet(tuple(self._span(span) for span in found[0].split(b",")))

    def _span(self, span: bytes) -> tuple[int, int]:
        first, colon, last = span.partition(b":")
        one = self._set_number(first)
        return one, self._set_number(last) if colon else one

    def _set_number(self, octets: bytes) -> int:
        if octets == b"*":
            return STAR
        # Digits are counted first: int() of a long line of them takes quadratic time.
        if not octets.isdigit() or len(octets) > 10 or not 0 < int(octets) <= HIGHEST_NUMBER:
            raise self.bad("a sequence set holds something that is no number")
        return int(octets)

    def flags(self) -> tuple[Flag, ...]:
        """A list of flags in parentheses; each once, ``\\Recent`` left out (RFC 9051 §2.3.2)."""
        return self._distinct(self.listed(self._flag))

    def bare_flags(self) -> tuple[Flag, ...]:
        """Flags without parentheses, at least one, to the end."""
        found = [self._flag()]
        while not self.at_end():
            found.append(self._flag())
        return self._distinct(found)

    def _distinct(self, flags: list[Flag]) -> tuple[Flag, ...]:
        return tuple(flag for flag in dict.fromkeys(flags) if flag.lower() != "\\recent")

    def _flag(self) -> Flag:
        found = self.take(_FLAG)
        if found is None:
            raise self.bad("a flag is missing")
        return flag_of(found[0])

    def listed(self, item: Callable[[], T], least: int = 0) -> list[T]:
        """Items in parentheses with spaces between them."""
        self.expect(b"(")
        self.skip_spaces()
        items: list[T] = []
        while not self.has(b")"):
            if items and not self.next_is(b" "):
                raise self.bad(") is missing")
            self.skip_spaces()
            if not self.has(b")"):
                items.append(item())
                continue
            break
        if len(items) < least:
            raise self.bad("a list is empty")
        return items

    def day(self) -> date:
        """A date, with quotes or without."""
        day = parse_date(self.astring("a date"))
        if day is None:
            raise self.bad("a date is no day of the calendar")
        return day

    def date_time(self) -> datetime:
        """A date with time and zone, in quotes."""
        moment = parse_date_time(self.string("a date and time"))
        if moment is None:
            raise self.bad("a date and time are none")
        return moment


def as_text(octets: bytes) -> str:
    """UTF-8, or one character an octet where it is not: what a user typed is never refused."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def flag_of(octets: bytes) -> Flag:
    """A flag; system flags in their standard spelling, keywords as written."""
    text = octets.decode("ascii")
    return _SYSTEM_FLAG.get(text.lower(), Flag(text))
