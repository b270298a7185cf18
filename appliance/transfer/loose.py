"""A message outside the archive, as a reader finds it, and a place that cannot be read."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from appliance.mail.types import Flag, Octets

LARGE_OCTETS = 8 << 20
"""From here on a message is a view of its file, not a copy in memory."""


@dataclass(frozen=True, slots=True)
class Loose:
    """A message in a file.

    ``uid`` names it within its source for as long as the file does not change.
    ``below`` is the mailbox it belongs in, relative to the one that is imported
    into; () is that one itself. ``arrived`` None: the source does not say.
    ``octets`` may be a view that is good until the next message is asked for.
    """

    where: str
    uid: str
    octets: Octets
    below: tuple[str, ...] = ()
    arrived: datetime | None = None
    flags: frozenset[Flag] = frozenset()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file, or a stretch of one, that gave no message, and why."""

    where: str
    reason: str


def octets_of(path: Path) -> Octets:
    """The whole file: bytes, or a view of the mapped file when it is large. Raises OSError."""
    with path.open("rb") as file:
        if path.stat().st_size < LARGE_OCTETS:
            return file.read()
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def believable(when: datetime) -> datetime | None:
    """``when``, or None if no mail can have arrived then: before 1970 or after tomorrow."""
    earliest = datetime(1970, 1, 2, tzinfo=UTC)
    return when if earliest <= when <= datetime.now(UTC) + timedelta(days=1) else None


def changed(path: Path) -> datetime | None:
    """When the file was last written, if that is believable. Raises OSError."""
    return believable(datetime.fromtimestamp(path.stat().st_mtime, UTC))
