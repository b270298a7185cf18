"""A segment: some thousand documents in one file that is written once and mapped, never loaded.

    magic | postings | terms | sections … | directory (JSON) | its size, checksum | magic

Documents are numbered newest first (by date, then seq), so a number is a place in time.
A term's key is its word and an octet 1 + the field's number, so the fields of a word are
neighbours; keys are sorted. Sections are little-endian arrays; each has a checksum, looked
at when the section is first used; every list of occurrences has its own.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from index import postings
from index.durable import Disk
from index.errors import IndexDamaged
from index.postings import Postings
from index.query import FIELDS

MAGIC = b"HPIX0001"
_TAIL = 16 + len(MAGIC)
_REMEMBERED_TERMS = 512
# Every so many terms one is kept in memory, to find the others from.
_BLOCK = 64


class Place(NamedTuple):
    """A term of a segment: number of the field, number of the term."""

    field: int
    term: int


class Segment:
    """A mapped segment. It is closed when nothing refers to it any more.

    Raises IndexDamaged on opening or on first use of what is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            self._identity = status.st_ino, status.st_size, status.st_mtime_ns
            if status.st_size < _TAIL:
                raise IndexDamaged(path, "the file is torn")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._sections = self._directory()
        self._checked: set[str] = set()
        self._places: dict[bytes, tuple[Place, ...]] = {}
        self.seqs: Sequence[int] = self._numbers("seqs")
        self.dates: Sequence[int] = self._numbers("dates")
        self.count = len(self.seqs)
        self.lowest = min(self.seqs)
        self.highest = max(self.seqs)
        self._offsets: Sequence[int] | None = None
        self._starts: Sequence[int] | None = None
        self._heads: list[bytes] | None = None

    def is_still(self, path: Path) -> bool:
        """Whether that file is the one mapped here; raises FileNotFoundError."""
        status = path.stat()
        return self._identity == (status.st_ino, status.st_size, status.st_mtime_ns)

    # -- documents ---------------------------------------------------------

    def key(self, document: int) -> tuple[int, int]:
        """(date, seq) of a document: the order of results."""
        return self.dates[document], self.seqs[document]

    def lengths(self, field: int) -> Sequence[int]:
        """Words in that field, for each document."""
        return self._numbers(f"lengths {field}")

    def words_in(self, field: int) -> int:
        """Words in that field, of all documents together."""
        total: int = self._sections[f"lengths {field}"]["sum"]
        return total

    # -- terms -------------------------------------------------------------

    @property
    def terms(self) -> int:
        """How many terms."""
        return len(self._term_offsets()) - 1

    def term(self, number: int) -> bytes:
        """The key of a term."""
        offsets = self._term_offsets()
        return self._map[self._terms_at + offsets[number] : self._terms_at + offsets[number + 1]]

    def places(self, word: bytes) -> tuple[Place, ...]:
        """Where the word's occurrences are, field by field."""
        found = self._places.get(word)
        if found is None:
            if len(self._places) >= _REMEMBERED_TERMS:
                self._places.clear()
            found = self._places[word] = tuple(self._look_up(word))
        return found

    def beginning(self, prefix: bytes) -> Iterator[Place]:
        """All terms whose word begins so."""
        for number in range(self.first(prefix), self.terms):
            key = self.term(number)
            if not key.startswith(prefix):
                return
            yield Place(key[-1] - 1, number)

    def containing(self, infix: bytes) -> Iterator[Place]:
        """All terms whose word contains this; one pass over the dictionary's octets."""
        offsets = self._term_offsets()
        start, end = self._terms_at, self._terms_at + offsets[-1]
        at = self._map.find(infix, start, end)
        while at >= 0:
            number = bisect_right(offsets, at - start) - 1
            following = start + offsets[number + 1]
            # A hit that runs into the next key does not lie in a word.
            if at + len(infix) < following:
                yield Place(self._map[following - 1] - 1, number)
                at = self._map.find(infix, following, end)
            else:
                at = self._map.find(infix, at + 1, end)

    def keys(self) -> list[bytes]:
        """The keys of all terms, in order."""
        offsets = list(self._term_offsets())
        octets = self._map[self._terms_at : self._terms_at + offsets[-1]]
        return [octets[start:end] for start, end in pairwise(offsets)]

    def words(self) -> dict[str, tuple[int, int]]:
        """Every word with (documents, mask of fields)."""
        counts: dict[str, tuple[int, int]] = {}
        for number in range(self.terms):
            key = self.term(number)
            word = key[:-1].decode()
            documents, mask = counts.get(word, (0, 0))
            counts[word] = max(documents, self.frequency(number)), mask | 1 << (key[-1] - 1)
        return counts

    # -- occurrences -------------------------------------------------------

    def frequency(self, term: int) -> int:
        """How many documents have the term."""
        return postings.count(self._octets(term))

    def documents(self, term: int) -> list[int]:
        """The documents that have the term, ascending."""
        try:
            return postings.documents(self._octets(term))
        except postings.Damaged as damage:
            raise IndexDamaged(self.path, str(damage)) from None

    def postings(self, term: int) -> Postings:
        """Documents, frequencies and positions of the term."""
        try:
            return postings.decode(self._octets(term))
        except postings.Damaged as damage:
            raise IndexDamaged(self.path, str(damage)) from None

    def verify(self) -> None:
        """Read everything once; raises IndexDamaged."""
        for name in self._sections:
            if name != "postings":
                self._section(name)
        for term in range(self.terms):
            self.postings(term)

    # -- the file ----------------------------------------------------------

    def _directory(self) -> dict[str, dict[str, int]]:
        tail = self._map[-_TAIL:]
        if self._map[: len(MAGIC)] != MAGIC or tail[16:] != MAGIC:
            raise IndexDamaged(self.path, "the file is torn or of another version")
        size = int.from_bytes(tail[:8], "little")
        octets = self._map[max(0, len(self._map) - _TAIL - size) : len(self._map) - _TAIL]
        if zlib.crc32(octets) != int.from_bytes(tail[8:16], "little"):
            raise IndexDamaged(self.path, "its directory does not match the checksum")
        directory = json.loads(octets)
        if directory["order"] != sys.byteorder:
            raise IndexDamaged(self.path, "it was written on another kind of machine")
        sections: dict[str, dict[str, int]] = directory["sections"]
        return sections

    def _section(self, name: str) -> memoryview:
        section = self._sections[name]
        view = memoryview(self._map)[section["at"] : section["at"] + section["size"]]
        if name not in self._checked:
            if zlib.crc32(view) != section["crc"]:
                raise IndexDamaged(self.path, f"its {name} do not match the checksum")
            self._checked.add(name)
        return view

    def _numbers(self, name: str) -> Sequence[int]:
        view = self._section(name)
        match chr(self._sections[name]["type"]):
            case "B":
                return view
            case "H":
                return view.cast("H")
            case "I":
                return view.cast("I")
            case "Q":
                return view.cast("Q")
            case _:
                return view.cast("q")

    def _term_offsets(self) -> Sequence[int]:
        if self._offsets is None:
            self._section("terms")
            self._terms_at = self._sections["terms"]["at"]
            self._starts = self._numbers("starts")
            self._offsets = self._numbers("offsets")
        return self._offsets

    def _look_up(self, word: bytes) -> Iterator[Place]:
        """Most words that are asked for are not in a segment: one look at a block says so."""
        key = word + b"\x00"
        offsets = self._term_offsets()
        block = bisect_left(self._block_heads(), key)
        start, end = (min(b * _BLOCK, self.terms) for b in (max(0, block - 1), block + 1))
        at = self._terms_at
        if self._map.find(word, at + offsets[start], at + offsets[end]) < 0:
            return
        number = self.first(key)
        for following in range(number, min(number + len(FIELDS), self.terms)):
            key = self.term(following)
            if key[:-1] != word:
                return
            yield Place(key[-1] - 1, following)

    def first(self, key: bytes) -> int:
        """The number of the first term not before the key."""
        block = bisect_left(self._block_heads(), key)
        if block == 0:
            return 0
        numbers = range((block - 1) * _BLOCK + 1, min(block * _BLOCK, self.terms))
        return numbers.start + bisect_left(numbers, key, key=self.term)

    def _block_heads(self) -> list[bytes]:
        if self._heads is None:
            self._heads = [self.term(number) for number in range(0, self.terms, _BLOCK)]
        return self._heads

    def _octets(self, term: int) -> bytes:
        starts = self._starts
        if starts is None:
            self._term_offsets()
            starts = self._starts
            assert starts is not None
        at = self._sections["postings"]["at"]
        return self._map[at + starts[term] : at + starts[term + 1]]


def write(
    disk: Disk,
    name: str,
    keys: Sequence[tuple[int, int]],
    lengths: Sequence[Sequence[int]],
    terms: Iterable[tuple[bytes, bytes]],
) -> None:
    """A segment's file, on the disk when this returns.

    ``keys`` are (date, seq), newest first; ``lengths`` one row a field; ``terms`` are
    (key, encoded postings) in the order of keys.
    """
    with disk.create(name) as file:
        file.write(MAGIC)
        sections: dict[str, dict[str, int]] = {}
        at = len(MAGIC)

        def add(section: str, octets: bytes, **more: int) -> None:
            nonlocal at
            padding = -at % 8
            file.write(b"\0" * padding + octets)
            crc = zlib.crc32(octets)
            sections[section] = {"at": at + padding, "size": len(octets), "crc": crc, **more}
            at += padding + len(octets)

        words = bytearray()
        offsets, starts = array("I", [0]), array("Q", [0])
        start = 0
        for key, encoded in terms:
            file.write(encoded)
            words += key
            start += len(encoded)
            offsets.append(len(words))
            starts.append(start)
        sections["postings"] = {"at": at, "size": start, "crc": 0}
        at += start
        add("terms", bytes(words))
        add("offsets", offsets.tobytes(), type=ord("I"))
        add("starts", starts.tobytes(), type=ord("Q"))
        add("dates", array("q", [date for date, _ in keys]).tobytes(), type=ord("q"))
        add("seqs", array("q", [seq for _, seq in keys]).tobytes(), type=ord("q"))
        for field, row in enumerate(lengths):
            code = "B" if max(row) < 1 << 8 else "H" if max(row) < 1 << 16 else "I"
            add(f"lengths {field}", array(code, row).tobytes(), type=ord(code), sum=sum(row))
        directory = json.dumps({"order": sys.byteorder, "sections": sections}).encode()
        file.write(directory)
        file.write(len(directory).to_bytes(8, "little"))
        file.write(zlib.crc32(directory).to_bytes(8, "little"))
        file.write(MAGIC)
