"""The text inside attachments, found once for each file however often it was sent.

Finding it means a child process with limits, which costs more than all else
together; so it is remembered by the digest of the file, beside the index and
as disposable. Rebuilding the index does not do it again.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Final

import zstandard

from appliance.database import Database, Migration
from appliance.errors import StoreError
from appliance.mail.attachment import Extractor
from appliance.mail.types import Part, digest_of

_LOG = logging.getLogger("hauspost.search")

NAME: Final = "extracted.sqlite3"
_READER: Final = 1
"""Raised when files are read better than before: what was found earlier is forgotten."""
_LONGEST: Final = 2_000_000


def _first(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE extracted (digest BLOB PRIMARY KEY, text BLOB NOT NULL) WITHOUT ROWID"
    )


_MIGRATIONS: Final[tuple[Migration, ...]] = (_first,)


class Extracted:
    """A memory in front of the extractor; what is new is written when it is closed."""

    def __init__(self, folder: Path, extractor: Extractor) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / NAME
        self._extractor = extractor
        self._db = self._opened()
        self._fresh: dict[bytes, str] = {}

    def close(self) -> None:
        """Remember what was found, in one commit, and close the file."""
        rows = [
            (name, zstandard.compress(text.encode("utf-8")) if text else b"")
            for name, text in self._fresh.items()
        ]
        try:
            if rows:
                with self._db.write() as tx:
                    tx.executemany("INSERT OR REPLACE INTO extracted VALUES (?, ?)", rows)
        finally:
            self._db.close()

    def text(self, octets: bytes, part: Part) -> str:
        """The text inside the file; empty if there is none."""
        kind, given = f"{part.media_type}/{part.subtype}", part.filename
        # What a file claims to be decides how it is read, so it belongs to its name here.
        claims = f"{_READER}:{kind}:{(given or '').lower()[-8:]}:".encode("utf-8", "replace")
        name = digest_of(claims + digest_of(octets))
        known = self._fresh.get(name)
        if known is None:
            known = self._remembered(name)
        if known is None:
            found = self._extractor.text(kind, given, octets)
            if found.failure is not None:
                _LOG.info("no text in a file (%s): %s", kind, found.failure)
            # What has no UTF-8 (half a surrogate) is no word.
            known = found.text[:_LONGEST].encode("utf-8", "replace").decode("utf-8")
            # A failure is remembered too: a file that hung once would hang every time.
            self._fresh[name] = known
        return known

    def _remembered(self, name: bytes) -> str | None:
        # What cannot be read is found again: a damaged memory costs time, never words.
        try:
            (row,) = self._db.read().execute(
                "SELECT max(text) FROM extracted WHERE digest=?", (name,)
            )
            if row[0] is None:
                return None
            return zstandard.decompress(row[0]).decode("utf-8") if row[0] else ""
        except (sqlite3.DatabaseError, zstandard.ZstdError, UnicodeDecodeError):
            return None

    def _opened(self) -> Database:
        try:
            return Database(self._path, _MIGRATIONS)
        except StoreError:
            # A cache that cannot be read is no cache: begin again.
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return Database(self._path, _MIGRATIONS)
