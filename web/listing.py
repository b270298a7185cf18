"""A page of a mailbox: its lines, and the links to the next newer and older ones.

A link names a line (``b`` before it, ``a`` after it), never a page number: a
letter that comes in meanwhile shifts nothing, and page 2000 costs what page 1 does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.store.listing import Spot
from appliance.store.values import Listed

if TYPE_CHECKING:
    from appliance.store import Archive

_LONGEST = 48
_BOUND = 1 << 62


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins: before a spot, after one, or at the newest line."""

    before: Spot | None = None
    after: Spot | None = None

    @classmethod
    def parse(cls, text: str) -> Position:
        """The position of a link; anything else is the newest page."""
        spot = Spot.of(text[1:]) if 1 < len(text) <= _LONGEST and text.isascii() else None
        if spot is None or abs(spot.date) >= _BOUND or abs(spot.uid) >= _BOUND:
            return cls()
        if text[0] == "b":
            return cls(before=spot)
        return cls(after=spot) if text[0] == "a" else cls()

    def __str__(self) -> str:
        if self.before:
            return f"b{self.before}"
        return f"a{self.after}" if self.after else ""


@dataclass(frozen=True, slots=True)
class Window:
    """A page of lines. ``newer`` and ``older`` are positions for links, None where nothing is."""

    lines: list[Listed]
    here: str
    newer: str | None
    older: str | None


def window(
    archive: Archive, mailbox: int, position: Position, limit: int, unread: bool = False
) -> Window:
    """The page at a position; one query."""
    lines = archive.page(
        mailbox, limit + 1, before=position.before, after=position.after, unread=unread
    )
    more = len(lines) > limit
    if position.after:
        if len(lines) < limit:
            # The newest page shows itself whole, not only what is newer than the link.
            return window(archive, mailbox, Position(), limit, unread)
        lines = lines[-limit:]
        newer = more
        older = True
    else:
        lines = lines[:limit]
        newer = position.before is not None
        older = more
    if not lines:
        return Window([], str(position), "" if newer else None, None)
    return Window(
        lines,
        str(position),
        f"a{archive.spot(lines[0])}" if newer else None,
        f"b{archive.spot(lines[-1])}" if older else None,
    )
