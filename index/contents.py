"""The table of contents: which segments are the index, and up to which seq it is complete.

    toc-<generation>: checksum in hex, newline, JSON

A generation is never changed; the newest that is whole counts. The one before is kept with
its segments, so a torn newest one falls back instead of losing the index.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from index.durable import Disk

FORMAT = 1
_NAME = re.compile(r"toc-(\d{10})")
_SEGMENT = re.compile(r"segment-(\d{10})\.hpx")
KEPT = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """A segment's file and the numbers of its documents that are gone."""

    name: str
    documents: int
    removed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Contents:
    """One generation of the index."""

    generation: int = 0
    watermark: int = 0
    segments: tuple[Entry, ...] = ()


def toc_name(generation: int) -> str:
    return f"toc-{generation:010d}"


def segment_name(number: int) -> str:
    return f"segment-{number:010d}.hpx"


def number_of(name: str) -> int:
    """The number in a segment's name, 0 if it is none."""
    found = _SEGMENT.fullmatch(name)
    return int(found[1]) if found else 0


def generations(folder: Path) -> list[int]:
    """The generations that have a file, newest first."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted((int(m[1]) for name in names if (m := _NAME.fullmatch(name))), reverse=True)


def read(folder: Path, generation: int) -> Contents | None:
    """That generation, None if its file is gone or not whole."""
    try:
        octets = (folder / toc_name(generation)).read_bytes()
    except FileNotFoundError:
        return None
    checksum, _, body = octets.partition(b"\n")
    if checksum != b"%08x" % zlib.crc32(body):
        return None
    found = json.loads(body)
    if found.get("format") != FORMAT:
        return None
    return Contents(
        found["generation"],
        found["watermark"],
        tuple(Entry(e["name"], e["documents"], tuple(e["removed"])) for e in found["segments"]),
    )


def write(disk: Disk, contents: Contents) -> None:
    """Make it the newest generation, durably."""
    body = json.dumps(
        {
            "format": FORMAT,
            "generation": contents.generation,
            "watermark": contents.watermark,
            "segments": [
                {"name": e.name, "documents": e.documents, "removed": e.removed}
                for e in contents.segments
            ],
        }
    ).encode()
    disk.replace(toc_name(contents.generation), b"%08x\n" % zlib.crc32(body) + body)


def clean(disk: Disk, newest: int) -> None:
    """Take away what neither the newest generation nor the one before needs."""
    kept = [number for number in generations(disk.path) if number <= newest]
    needed = {toc_name(newest)}
    whole = 0
    for number in kept:
        contents = read(disk.path, number)
        if contents is not None and whole < KEPT:
            whole += 1
            needed.add(toc_name(number))
            needed.update(entry.name for entry in contents.segments)
    for entry in list(disk.path.iterdir()):
        ours = _SEGMENT.fullmatch(entry.name) or entry.name.startswith("toc-")
        if ours and entry.name not in needed:
            disk.remove(entry.name)
