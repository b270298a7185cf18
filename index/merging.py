"""Small segments into one: which, and how, so that no commit ever waits long.

Segments of ``FINAL`` documents or more are left alone for ever, unless a third of them is
gone. Smaller ones are merged by tiers, so a document is copied a few times at most.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from index import postings, segment
from index.contents import Entry
from index.durable import Disk
from index.postings import Postings
from index.query import FIELDS
from index.segment import Segment

FINAL = 2500
MOST = 5000
_TIERS = (16, 128, 1024, FINAL)
_MANY = 8


def due(entries: Sequence[Entry]) -> list[Entry]:
    """The segments to be made one now; empty if none. At most ``MOST`` documents."""
    for entry in entries:
        if len(entry.removed) * 3 > entry.documents and entry.documents <= MOST:
            return [entry]
    low = 0
    for high in _TIERS:
        tier = [entry for entry in entries if low <= entry.documents < high]
        if len(tier) >= _MANY:
            chosen: list[Entry] = []
            total = 0
            for entry in tier:
                if total + entry.documents > MOST:
                    break
                chosen.append(entry)
                total += entry.documents
            return chosen
        low = high
    return []


def merge(disk: Disk, name: str, parts: Sequence[tuple[Segment, frozenset[int]]]) -> int:
    """Write one segment of what is left in these; answers its documents (0: none written)."""
    living = sorted(
        (
            (*part.key(number), which, number)
            for which, (part, removed) in enumerate(parts)
            for number in range(part.count)
            if number not in removed
        ),
        reverse=True,
    )
    if not living:
        return 0
    renumbered: list[dict[int, int]] = [{} for _ in parts]
    for new, (_, _, which, number) in enumerate(living):
        renumbered[which][number] = new
    keys = [(date, seq) for date, seq, _, _ in living]
    lengths = []
    for field in range(len(FIELDS)):
        rows = [part.lengths(field) for part, _ in parts]
        lengths.append([rows[which][number] for _, _, which, number in living])
    segment.write(disk, name, keys, lengths, _terms(parts, renumbered))
    return len(living)


def _terms(
    parts: Sequence[tuple[Segment, frozenset[int]]], renumbered: Sequence[dict[int, int]]
) -> Iterator[tuple[bytes, bytes]]:
    streams = [_keys(which, part) for which, (part, _) in enumerate(parts)]
    for key, group in groupby(heapq.merge(*streams), key=itemgetter(0)):
        occurrences: list[tuple[int, array[int]]] = []
        for _, which, term in group:
            numbers = renumbered[which]
            found = parts[which][0].postings(term)
            at = 0
            for document, frequency in zip(found.documents, found.frequencies, strict=True):
                new = numbers.get(document)
                if new is not None:
                    occurrences.append((new, found.positions[at : at + frequency]))
                at += frequency
        if occurrences:
            occurrences.sort(key=itemgetter(0))
            positions = array("I")
            for _, places in occurrences:
                positions.extend(places.tolist())
            merged = Postings(
                [new for new, _ in occurrences],
                [len(places) for _, places in occurrences],
                positions,
            )
            yield key, postings.encode(merged)


def _keys(which: int, part: Segment) -> Iterator[tuple[bytes, int, int]]:
    return ((part.term(number), which, number) for number in range(part.terms))
