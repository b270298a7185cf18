"""Header sections in folded text, packed, so that a substring is looked for in all of them.

The index holds the fields people ask for; IMAP's ``SEARCH TEXT`` asks for any
field of any message (RFC 9051 §6.4.4), down to half a word of a Received line.
Headers of one mailbox resemble each other so much that hundreds of them pack
to a tenth of their size and are read through in a millisecond. A cache like the
index beside it: it may be lost, and is built again with it.
"""

from __future__ import annotations

import sqlite3
import threading
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import zstandard

from appliance.database import Database, Migration
from index.seqset import SeqSet

NAME: Final = "headers.sqlite3"
_BLOCK_MESSAGES: Final = 256
_LOOSE: Final = 16
"""So many blocks that are not full stay as they are."""
_END: Final = "\0"


def _first(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE block (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, "
        "seqs BLOB NOT NULL, texts BLOB NOT NULL)"
    )


_MIGRATIONS: Final[tuple[Migration, ...]] = (_first,)


class Headers:
    """The packed headers in a folder.

    Every call may raise StoreError, sqlite3.DatabaseError or ZstdError when the
    file is damaged: then it is read by nobody and built again.
    """

    def __init__(self, folder: Path) -> None:
        self._db = Database(folder / NAME, _MIGRATIONS)
        self._local = threading.local()

    @staticmethod
    def destroy(folder: Path) -> None:
        """Delete the file, whatever is in it."""
        for suffix in ("", "-wal", "-shm"):
            (folder / (NAME + suffix)).unlink(missing_ok=True)

    def check(self) -> None:
        """Raises sqlite3.DatabaseError if the file is damaged."""
        ((answer,),) = self._db.read().execute("PRAGMA quick_check(1)").fetchall()
        if answer != "ok":
            raise sqlite3.DatabaseError(f"{self._db.path}: {answer}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, texts: Sequence[tuple[int, str]]) -> None:
        """Take in (seq, folded header) in ascending seq; one durable commit.

        What is inside already stays: a header never changes.
        """
        with self._db.write() as tx:
            newest = tx.execute(
                "SELECT first, last, seqs, texts FROM block ORDER BY first DESC LIMIT ?", (_LOOSE,)
            ).fetchall()
            fresh = [(seq, text) for seq, text in texts if not newest or seq > newest[0][1]]
            if not fresh:
                return
            if len(newest) == _LOOSE and all(_is_loose(seqs) for _, _, seqs, _ in newest):
                # Messages that came one by one are joined now and then, not each time.
                for first, _, seqs, packed in newest:
                    fresh[:0] = zip(*self._unpacked(seqs, packed), strict=True)
                    tx.execute("DELETE FROM block WHERE first=?", (first,))
            for at in range(0, len(fresh), _BLOCK_MESSAGES):
                tx.execute(
                    "INSERT INTO block VALUES (?, ?, ?, ?)",
                    _packed(fresh[at : at + _BLOCK_MESSAGES]),
                )

    def watermark(self) -> int:
        """The highest seq inside; 0 when empty."""
        (last,) = self._db.read().execute("SELECT coalesce(max(last), 0) FROM block").fetchone()
        return int(last)

    def containing(self, needle: str, among: SeqSet) -> set[int]:
        """Those among the seqs whose folded header contains the folded needle."""
        found: set[int] = set()
        if not among or _END in needle:
            return found
        rows = self._db.read().execute(
            "SELECT first, last, seqs, texts FROM block WHERE last >= ? AND first <= ?",
            (among[0], among[len(among) - 1]),
        )
        for first, last, seqs, texts in rows:
            wanted = among.between(first, last + 1)
            if wanted:
                found.update(_hits(_numbers(seqs), self._text(texts), needle, frozenset(wanted)))
        return found

    def _unpacked(self, seqs: bytes, texts: bytes) -> tuple[array[int], list[str]]:
        return _numbers(seqs), self._text(texts).split(_END)[:-1]

    def _text(self, packed: bytes) -> str:
        # A decompressor is for one thread at a time.
        if not hasattr(self._local, "reader"):
            self._local.reader = zstandard.ZstdDecompressor()
        plain: bytes = self._local.reader.decompress(packed)
        return plain.decode("utf-8")


def _is_loose(seqs: bytes) -> bool:
    return len(seqs) < 8 * _BLOCK_MESSAGES


def _packed(texts: Iterable[tuple[int, str]]) -> tuple[int, int, bytes, bytes]:
    seqs, bodies = zip(*texts, strict=True)
    joined = "".join(text.replace(_END, " ") + _END for text in bodies)
    packed = zstandard.ZstdCompressor(level=3).compress(joined.encode("utf-8", "replace"))
    return seqs[0], seqs[-1], array("q", seqs).tobytes(), packed


def _numbers(octets: bytes) -> array[int]:
    numbers = array("q")
    numbers.frombytes(octets)
    return numbers


def _hits(seqs: Sequence[int], text: str, needle: str, wanted: frozenset[int]) -> Iterator[int]:
    at = text.find(needle)
    if at < 0:
        return
    ends = _ends(text)
    while at >= 0:
        number = bisect_right(ends, at)
        if number >= len(seqs):
            return
        if seqs[number] in wanted:
            yield seqs[number]
        at = text.find(needle, ends[number])


def _ends(text: str) -> list[int]:
    """The offset after each message's header."""
    ends = []
    at = text.find(_END)
    while at >= 0:
        ends.append(at + 1)
        at = text.find(_END, at + 1)
    return ends
