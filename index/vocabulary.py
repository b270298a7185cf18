"""The dictionary: every distinct word with its documents, stems and pieces, in SQLite.

It answers what a sorted list cannot: words with the same skeleton or stem, words that
contain a piece, words a slip of the pen away. It is committed before the table of
contents that needs it, so it never knows less than the index; words are never removed.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from whoosh.lang.snowball.english import EnglishStemmer
from whoosh.lang.snowball.german import GermanStemmer

from index.analysis import skeleton
from index.building import Counts
from index.document import Word
from index.durable import Fuse, no_fuse
from index.errors import IndexDamaged, IndexDiskFull

NAME = "words.sqlite"
_VERSION = 1
_LAST = "\U0010ffff"
_STEMMED = range(3, 31)
_GRAM = 3

_SCHEMA = """
CREATE TABLE IF NOT EXISTS words (
    id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE, documents INTEGER NOT NULL,
    fields INTEGER NOT NULL, skeleton TEXT, german TEXT, english TEXT);
CREATE INDEX IF NOT EXISTS by_skeleton ON words (skeleton) WHERE skeleton IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_german ON words (german) WHERE german IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_english ON words (english) WHERE english IS NOT NULL;
CREATE VIRTUAL TABLE IF NOT EXISTS pieces
    USING fts5 (word, tokenize='trigram', content='', detail=none, columnsize=0);
CREATE TABLE IF NOT EXISTS segments (name TEXT PRIMARY KEY);
"""

_german, _english = GermanStemmer(), EnglishStemmer()


def stems(word: str) -> tuple[str, str]:
    """The German and the English stem of a folded word; words that are none stay as they are."""
    if len(word) in _STEMMED and word.isalpha() and word < "\u0250":
        return _german.stem(word), _english.stem(word)
    return word, word


class Vocabulary:
    """The dictionary of an index; ``writable`` creates it. Usable from several threads."""

    def __init__(self, folder: Path | None, *, writable: bool, fuse: Fuse = no_fuse) -> None:
        """The dictionary in that folder; without a folder an empty one in memory."""
        self.path = Path(NAME) if folder is None else folder / NAME
        self._fuse = fuse
        self._lock = threading.Lock()
        mode = "rw" if writable else "ro"
        if writable and folder is not None:
            # Private from its first moment: the files beside it take their mode from it.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with self._translated():
            self._db = sqlite3.connect(
                ":memory:" if folder is None else f"{self.path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=30.0,
                isolation_level=None,
                check_same_thread=False,
            )
            self._db.execute("PRAGMA cache_size=-4096")
            if writable:
                self._create()
        if folder is not None:
            self._file = self.path.stat().st_ino

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def is_still(self, path: Path) -> bool:
        """Whether that file is the one open here."""
        try:
            return path.stat().st_ino == self._file
        except FileNotFoundError:
            return False

    # -- writing -----------------------------------------------------------

    def knows(self, segment: str) -> bool:
        """Whether the words of that segment are inside."""
        return bool(self._rows("SELECT 1 FROM segments WHERE name = ?", (segment,)))

    def learn(self, segments: Iterable[str], counts: Iterable[Counts]) -> None:
        """Take in the words of segments; one durable transaction."""
        with self._lock, self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for found in counts:
                    self._take(found)
                self._db.executemany(
                    "INSERT OR IGNORE INTO segments VALUES (?)", [(name,) for name in segments]
                )
                self._fuse("commit words")
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _take(self, counts: Counts) -> None:
        ((last,),) = self._db.execute("SELECT coalesce(max(id), 0) FROM words")
        self._db.executemany(
            "INSERT INTO words (word, documents, fields) VALUES (?, ?, ?) ON CONFLICT (word) DO "
            "UPDATE SET documents = documents + excluded.documents, fields = fields | "
            "excluded.fields",
            ((word, documents, mask) for word, (documents, mask) in counts.items()),
        )
        fresh = self._db.execute("SELECT id, word FROM words WHERE id > ?", (last,)).fetchall()
        self._db.executemany(
            "UPDATE words SET skeleton = ?, german = ?, english = ? WHERE id = ?",
            (row for number, word in fresh if (row := _forms(number, word)) is not None),
        )
        self._db.executemany(
            "INSERT INTO pieces (rowid, word) VALUES (?, ?)",
            (row for row in fresh if len(row[1]) >= _GRAM),
        )

    def _create(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        ((version,),) = self._db.execute("PRAGMA user_version")
        if version == 0:
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version={_VERSION:d}")
        elif version != _VERSION:
            raise IndexDamaged(self.path, "it is of another version")

    # -- asking ------------------------------------------------------------

    def same(self, word: str) -> frozenset[str]:
        """The words that agree with a folded word up to umlauts (itself if in use)."""
        bare = skeleton(word)
        rows = self._rows(
            "SELECT word FROM words WHERE word IN (?, ?) OR skeleton = ?", (word, bare, bare)
        )
        return frozenset(found for (found,) in rows if skeleton(found) == bare)

    def inflected(self, word: str) -> frozenset[str]:
        """The words with the same German or English stem."""
        german, english = stems(word)
        found: set[str] = set()
        for column, stem in (("german", german), ("english", english)):
            rows = self._rows(
                f"SELECT word FROM words WHERE {column} = ? OR "  # noqa: S608 - two fixed names
                f"(word = ? AND {column} IS NULL)",
                (stem, stem),
            )
            found.update(row for (row,) in rows)
        return frozenset(found) if word.isalpha() else frozenset()

    def beginning(self, prefix: str, bare: bool = False) -> list[tuple[str, int, int]]:
        """(word, documents, fields) of words that begin so; bare: whose skeleton does."""
        column = "skeleton" if bare else "word"
        return self._rows(
            f"SELECT word, documents, fields FROM words WHERE {column} >= ? AND {column} < ?",  # noqa: S608 - two fixed names
            (prefix, prefix + _LAST),
        )

    def containing(self, infix: str) -> list[tuple[str, int, int]]:
        """(word, documents, fields) of words that contain this; under 3 characters a scan."""
        if len(infix) < _GRAM:
            return self._rows(
                "SELECT word, documents, fields FROM words WHERE instr(word, ?)", (infix,)
            )
        grams = dict.fromkeys(infix[at : at + _GRAM] for at in range(len(infix) - _GRAM + 1))
        match = " AND ".join(f'"{gram}"' for gram in grams)
        return self._rows(
            "SELECT word, documents, fields FROM words WHERE id IN "
            "(SELECT rowid FROM pieces WHERE pieces MATCH ?) AND instr(word, ?)",
            (match, infix),
        )

    def near(self, word: str, distance: int | None = None) -> list[tuple[int, str, int, int]]:
        """(distance, word, documents, fields), same first letter, at most ``reach`` changes."""
        if not word:
            return []
        most = reach(word) if distance is None else distance
        rows = self._rows(
            "SELECT word, documents, fields FROM words WHERE word >= ? AND word < ? "
            "AND length(word) BETWEEN ? AND ?",
            (word[0], word[0] + _LAST, len(word) - most, len(word) + most),
        )
        found = []
        letters = set(word)
        for other, documents, fields in rows:
            # Letters the word lacks are changes for certain; most words end here.
            if len(letters.symmetric_difference(other)) > 2 * most:
                continue
            changes = distance_of(word, other, most)
            if changes <= most:
                found.append((changes, other, documents, fields))
        return found

    def _rows(self, statement: str, values: tuple[object, ...]) -> list[Any]:
        with self._lock, self._translated():
            return self._db.execute(statement, values).fetchall()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise IndexDiskFull(self.path.parent) from error
            raise
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise IndexDiskFull(self.path.parent) from error
            raise IndexDamaged(self.path, f"the dictionary cannot be read ({error})") from error


def reach(word: str) -> int:
    """How many changes a fuzzy word may be away."""
    return 0 if len(word) < 3 else 1 if len(word) < 8 else 2


def distance_of(one: str, other: str, most: int) -> int:
    """Changes, insertions, deletions, swaps of neighbours; ``most + 1`` if there are more."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, char in enumerate(one, 1):
        current = [i]
        for j, against in enumerate(other, 1):
            cost = min(row[j] + 1, current[j - 1] + 1, row[j - 1] + (char != against))
            if i > 1 and j > 1 and char == other[j - 2] and one[i - 2] == against:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        if min(current) > most:
            return most + 1
        before, row = row, current
    return row[-1]


def as_words(rows: Iterable[tuple[str, int, int]], mask: int) -> list[Word]:
    """Those of the fields, most frequent first."""
    found = [Word(word, documents) for word, documents, fields in rows if fields & mask]
    return sorted(found, key=lambda word: (-word.documents, word.text))


@lru_cache(maxsize=65536)
def _stored(word: str) -> tuple[str | None, str | None, str | None]:
    bare = skeleton(word)
    german, english = stems(word)
    return (
        bare if bare != word else None,
        german if german != word else None,
        english if english != word else None,
    )


def _forms(number: int, word: str) -> tuple[str | None, str | None, str | None, int] | None:
    forms = _stored(word)
    return None if forms == (None, None, None) else (*forms, number)
