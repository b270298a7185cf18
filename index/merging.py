"""Small segments into one: which, and how, so that no commit ever waits long.

Segments of ``FINAL`` documents or more are left alone for ever, unless a third of them is
gone. Smaller ones are merged by tiers, so a document is copied a few times at most.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
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
        if len(entry.removed) * 3 > entry.documents and _TIERS[0] <= entry.documents <= MOST:
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
    # -1: removed.
    renumbered = [array("l", [-1]) * part.count for part, _ in parts]
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
    parts: Sequence[tuple[Segment, frozenset[int]]], renumbered: Sequence[Sequence[int]]
) -> Iterator[tuple[bytes, bytes]]:
    where: dict[bytes, list[tuple[int, int]]] = {}
    for which, (part, _) in enumerate(parts):
        for number, key in enumerate(part.keys()):
            where.setdefault(key, []).append((which, number))
    for key in sorted(where):
        merged = _merged(
            [
                _kept(parts[which][0].postings(term), renumbered[which], bool(parts[which][1]))
                for which, term in where.pop(key)
            ]
        )
        if merged.documents:
            yield key, postings.encode(merged)


def _kept(found: Postings, numbers: Sequence[int], some_removed: bool) -> Postings:
    """The postings with new numbers, without what is removed."""
    documents = [numbers[document] for document in found.documents]
    if not some_removed or min(documents) >= 0:
        return Postings(documents, found.frequencies, found.positions)
    kept = Postings([], [], array("I"))
    _take(kept, (one for one in _apart(documents, found) if one[0] >= 0))
    return kept


def _merged(found: Sequence[Postings]) -> Postings:
    """Postings of several segments as one; mostly the one ends before the other begins."""
    if len(found) == 1:
        return found[0]
    found = sorted((one for one in found if one.documents), key=itemgetter(0))
    merged = Postings([], [], array("I"))
    for one in found:
        merged.documents.extend(one.documents)
    if all(map(int.__lt__, merged.documents, merged.documents[1:])):
        for one in found:
            merged.frequencies.extend(one.frequencies)
            merged.positions.extend(one.positions.tolist())
        return merged
    merged.documents.clear()
    _take(merged, sorted(each for one in found for each in _apart(one.documents, one)))
    return merged


def _apart(documents: Sequence[int], found: Postings) -> Iterator[tuple[int, int, list[int]]]:
    """(document, frequency, positions) of each document."""
    at = 0
    for document, frequency in zip(documents, found.frequencies, strict=True):
        yield document, frequency, found.positions[at : at + frequency].tolist()
        at += frequency


def _take(into: Postings, parts: Iterable[tuple[int, int, list[int]]]) -> None:
    for document, frequency, positions in parts:
        into.documents.append(document)
        into.frequencies.append(frequency)
        into.positions.extend(positions)
