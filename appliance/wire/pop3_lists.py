"""POP3's lists, line by line: LIST, UIDL and CAPA.

A line that is not what it should be does not spoil the others: it is kept in
``malformed`` and the rest of the maildrop can be fetched. Numbers are read as
decimal digits only; ``int`` would take signs, spaces and underscores too.
"""

from __future__ import annotations

from typing import Final, Protocol

from appliance.wire.pop3_events import Capabilities, Listing, UniqueIds

_DIGITS: Final = 18


class ListReader(Protocol):
    """Takes the lines of one response, without line ends, and answers its event."""

    def add(self, line: bytes) -> None: ...

    def event(self) -> Listing | UniqueIds | Capabilities: ...


class ListingReader:
    """Scan listings: number, size, and whatever else a server adds (RFC 1939 §5, LIST)."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, int]] = []
        self._malformed: list[bytes] = []

    def add(self, line: bytes) -> None:
        words = line.split(None, 2)
        msn = number(words[0]) if words else None
        size = number(words[1]) if len(words) > 1 else None
        if not msn or size is None:
            self._malformed.append(line)
        else:
            self._entries.append((msn, size))

    def event(self) -> Listing:
        return Listing(tuple(self._entries), tuple(self._malformed))


class UniqueIdReader:
    """Unique-id listings: number, and the rest of the line (RFC 1939 §7, UIDL)."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, str]] = []
        self._malformed: list[bytes] = []

    def add(self, line: bytes) -> None:
        words = line.split(b" ", 1)
        msn = number(words[0])
        unique_id = words[1].strip(b" \t") if len(words) > 1 else b""
        if not msn or not unique_id:
            self._malformed.append(line)
        else:
            self._entries.append((msn, unique_id.decode("latin-1")))

    def event(self) -> UniqueIds:
        return UniqueIds(tuple(self._entries), tuple(self._malformed))


class CapabilityReader:
    """Capabilities; a name that comes twice keeps the arguments of both (RFC 2449 §5)."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[str, ...]] = {}

    def add(self, line: bytes) -> None:
        name, *arguments = line.decode("utf-8", "backslashreplace").split() or [""]
        if name:
            known = self._entries.get(name.upper(), ())
            self._entries[name.upper()] = (*known, *arguments)

    def event(self) -> Capabilities:
        return Capabilities(self._entries)


def number(word: bytes) -> int | None:
    """The decimal number, or None if the word is anything else or absurdly long."""
    return int(word) if word.isdigit() and len(word) <= _DIGITS else None
