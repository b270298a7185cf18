"""What stands beyond the catalog's end in the last volume, and whether it may be cut off.

A writer that did not come to commit leaves whole records, and perhaps a torn one
at the very end; nothing was acknowledged for any of them. But a catalog may also
be older than its volumes, or not theirs at all. Then what looks like a crash is
mail: it is refused, or set aside, and never cut off unseen.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from appliance.errors import StoreError
from appliance.store.volume import (
    FILE_HEADER,
    FILE_MAGIC,
    RECORD_HEADER,
    RECORD_MAGIC,
    Header,
    Kind,
    Location,
    Volumes,
    sync_directory,
    volume_numbers,
    volume_path,
    writing,
)

_PIECE_OCTETS: Final = 1 << 20
_log = logging.getLogger("hauspost.store")


def left_behind(
    volumes: Volumes, number: int, end: int, archive_id: bytes
) -> list[tuple[Location, Header]]:
    """Whole records of volume ``number`` beyond ``end``, where the catalog's knowledge ends.

    What comes after the first that is not whole may be cut off when this returns:
    where there is a whole record in it, it has been set aside. Raises StoreError
    when volumes and catalog do not belong together; nothing has changed then.
    """
    there = volume_numbers(volumes.directory)
    ahead = [n for n in there if n > number]
    if ahead:
        raise StoreError(
            f"volume {ahead[0]} is newer than the catalog, which is from an older backup; "
            "bring the newer catalog back from a backup"
        )
    if number not in there:
        if end > 0:
            raise StoreError(f"volume {number} is gone; bring it back from a backup")
        return []
    size = volumes.size(number)
    if size < end:
        raise StoreError(
            f"volume {number} ends at {size}, before the {end} octets the catalog knows; "
            "run hauspost verify, then bring the volume back from a backup"
        )
    if size >= FILE_HEADER.size:
        magic, _, _, _, of_archive = volumes.head(number)
        if magic == FILE_MAGIC and of_archive != archive_id:
            raise StoreError(
                f"volume {number} is of another archive than the catalog; "
                "bring the catalog that belongs to it back from a backup"
            )
    end = max(end, FILE_HEADER.size)
    tail = list(volumes.records(number, end, size))
    whole_to = tail[-1][0].at + tail[-1][0].length if tail else end
    if _holds_a_record(volumes, number, whole_to + 1, size):
        _set_aside(volumes.directory, number, whole_to, size)
    while tail and tail[-1][1].kind is Kind.SEAL:
        tail.pop()
    return tail


def _holds_a_record(volumes: Volumes, number: int, start: int, end: int) -> bool:
    """Whether a whole record begins anywhere between two offsets."""
    at = start
    while at + RECORD_HEADER.size <= end:
        piece = volumes.octets(number, at, min(_PIECE_OCTETS, end - at))
        found = piece.find(RECORD_MAGIC)
        while found >= 0:
            if next(volumes.records(number, at + found, end), None) is not None:
                return True
            found = piece.find(RECORD_MAGIC, found + 1)
        if at + len(piece) >= end:
            return False
        at += len(piece) - len(RECORD_MAGIC) + 1
    return False


def _set_aside(directory: Path, number: int, start: int, end: int) -> None:
    """Copy a stretch of a volume to a file beside it, durable; once."""
    path = directory / f"{number:08d}-from-{start}.aside"
    _log.warning("volume %d is damaged at %d; what follows is kept in %s", number, start, path.name)
    with writing(path), volume_path(directory, number).open("rb") as volume, path.open("wb") as to:
        os.fchmod(to.fileno(), 0o600)
        volume.seek(start)
        while start < end and (piece := volume.read(min(_PIECE_OCTETS, end - start))):
            to.write(piece)
            start += len(piece)
        to.flush()
        os.fsync(to.fileno())
    sync_directory(directory)
