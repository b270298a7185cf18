"""One generation of the index, open for reading; it never changes while it is looked at."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path

from whoosh.searching import Searcher

from index import contents
from index.contents import Contents
from index.document import Cursor, Hit, Order, Page
from index.errors import IndexDamaged, IndexFault
from index.evaluate import Evaluator, ranked, weighed
from index.plan import Step
from index.reader import searcher
from index.segment import Segment
from index.seqset import SeqSet

_TRIES = 5

Stamp = tuple[int, int, int]


@lru_cache(maxsize=8192)
def _moment(date: int) -> datetime:
    try:
        return datetime.fromtimestamp(date, UTC)
    except (OverflowError, ValueError, OSError):
        # A date that lies beyond the calendar is counted at the calendar's end.
        return datetime.min.replace(tzinfo=UTC) if date < 0 else datetime.max.replace(tzinfo=UTC)


_FACETS: dict[str, Callable[[int], str]] = {
    "year": lambda date: f"{_moment(date).year:04d}",
    "month": lambda date: f"{_moment(date):%Y-%m}",
}


class Snapshot:
    """The segments of a generation, newest first."""

    def __init__(self, table: Contents, stamp: Stamp | None, opened: dict[str, Segment]) -> None:
        self.contents = table
        self.stamp = stamp
        self.opened = opened
        parts = [
            Evaluator(opened[entry.name], frozenset(entry.removed)) for entry in table.segments
        ]
        self.parts = sorted(parts, key=lambda part: part.segment.key(0), reverse=True)

    # -- answers -----------------------------------------------------------

    def page(
        self, step: Step, order: Order, limit: int, after: Cursor | None, within: SeqSet
    ) -> Page:
        """A page of hits; see ``Index.search``."""
        if after is not None and after.order is not order:
            raise IndexFault("this page belongs to another order of results; search again")
        if order is Order.BEST:
            keys = self._best(step, limit + 1, after, within)
        else:
            keys = self._dated(step, order, limit + 1, after, within)
        hits = tuple(Hit(seq, date, score) for score, date, seq in keys[:limit])
        cursor = None
        if len(keys) > limit and hits:
            cursor = Cursor(order, hits[-1].date, hits[-1].seq, hits[-1].score)
        return Page(hits, cursor, lambda: self.count(step, within))

    def count(self, step: Step, within: SeqSet) -> int:
        """How many match."""
        return sum(len(part.matching(step, within)) for part in self.parts)

    def seqs(self, step: Step, within: SeqSet) -> SeqSet:
        """All that match."""
        return SeqSet.from_iterable(
            part.segment.seqs[number]
            for part in self.parts
            for number in part.matching(step, within)
        )

    def facets(self, step: Step, within: SeqSet, by: str) -> dict[str, int]:
        """How many match in each year (``2024``) or month (``2024-03``), UTC, newest first."""
        if by not in _FACETS:
            raise IndexFault(f"results can be counted by {' or '.join(_FACETS)}, not by {by}")
        name = _FACETS[by]
        counts: Counter[str] = Counter()
        for part in self.parts:
            dates = part.segment.dates
            days = Counter(dates[number] // 86400 for number in part.matching(step, within))
            for day, count in days.items():
                counts[name(day * 86400)] += count
        return dict(sorted(counts.items(), reverse=True))

    # -- orders ------------------------------------------------------------

    def _dated(
        self, step: Step, order: Order, limit: int, after: Cursor | None, within: SeqSet
    ) -> list[tuple[float, int, int]]:
        """(0.0, date, seq), in order; segments are asked until none can add to the page."""
        newest = order is Order.NEWEST
        sign = -1 if newest else 1
        past = None if after is None else (sign * after.date, sign * after.seq)
        ranges = []
        for part in self.parts:
            last = part.segment.key(part.segment.count - 1)
            ends = [(sign * date, sign * seq) for date, seq in (part.segment.key(0), last)]
            ranges.append((min(ends), max(ends), part))
        found: list[tuple[int, int]] = []
        for first, last, part in sorted(ranges, key=lambda one: one[0]):
            if len(found) >= limit and found[limit - 1] < first:
                break
            if past is not None and last <= past:
                continue
            numbers = part.matching(step, within)
            if not newest:
                numbers.reverse()
            found = sorted(found + _first(part.segment, numbers, sign, limit, past))[:limit]
        return [(0.0, sign * date, sign * seq) for date, seq in found]

    def _best(
        self, step: Step, limit: int, after: Cursor | None, within: SeqSet
    ) -> list[tuple[float, int, int]]:
        past = None if after is None else (after.score, after.date, after.seq)
        weights: dict[tuple[int, bytes], float] = {}
        for mask, word, weight in weighed(step, [part.segment for part in self.parts]):
            weights[mask, word] = max(weight, weights.get((mask, word), 0.0))
        words = [ranked(self._ranking, *key, weight) for key, weight in weights.items()]
        keys: list[tuple[float, int, int]] = []
        for part in self.parts:
            scores = part.scores(words, part.matching(step, within))
            # Rounded, so that a cursor compares equal after another way of adding up.
            some = ((round(score, 9), *part.segment.key(n)) for n, score in scores.items())
            later = (key for key in some if past is None or key < past)
            keys = heapq.nlargest(limit, (*keys, *later))
        return keys

    @cached_property
    def _ranking(self) -> Searcher:
        return searcher([(part.segment, part.removed) for part in self.parts])


def load(folder: Path, before: Snapshot | None) -> Snapshot:
    """The newest whole generation; files already open are kept.

    An absent folder is an empty index. Raises IndexDamaged if no generation is whole.
    """
    for _ in range(_TRIES):
        numbers = contents.generations(folder)
        if not numbers:
            return Snapshot(Contents(), None, {})
        problem: IndexDamaged | None = None
        vanished = False
        for generation in numbers:
            stamp = stamp_of(folder, generation)
            table = contents.read(folder, generation)
            if table is None or stamp is None:
                problem = problem or IndexDamaged(
                    folder / contents.toc_name(generation), "the table of contents is torn"
                )
                continue
            try:
                return Snapshot(table, stamp, _open(folder, table, before))
            except FileNotFoundError as error:
                vanished = True
                problem = problem or IndexDamaged(Path(error.filename), "the file is missing")
            except IndexDamaged as damage:
                problem = problem or damage
        # A writer may have tidied up while we looked: look again.
        if not vanished or contents.generations(folder) == numbers:
            break
    assert problem is not None
    raise problem


def stamp_of(folder: Path, generation: int) -> Stamp | None:
    """What tells a generation's file from another of the same number."""
    try:
        found = (folder / contents.toc_name(generation)).stat()
    except FileNotFoundError:
        return None
    return generation, found.st_ino, found.st_mtime_ns


def _open(folder: Path, table: Contents, before: Snapshot | None) -> dict[str, Segment]:
    known = {} if before is None else before.opened
    opened: dict[str, Segment] = {}
    for entry in table.segments:
        segment = known.get(entry.name)
        if segment is None or not segment.is_still(folder / entry.name):
            segment = Segment(folder / entry.name)
        opened[entry.name] = segment
    return opened


def _first(
    segment: Segment, numbers: Sequence[int], sign: int, limit: int, past: tuple[int, int] | None
) -> list[tuple[int, int]]:
    """The first keys after ``past``; numbers are in the order asked for."""

    def key(number: int) -> tuple[int, int]:
        date, seq = segment.key(number)
        return sign * date, sign * seq

    start = 0 if past is None else bisect_right(numbers, past, key=key)
    return [key(number) for number in numbers[start : start + limit]]
