"""A worked-out query as sets of documents, one segment at a time; scores by BM25F.

The set algebra is ours; Whoosh's BM25F scorers rank what it finds, summed over the fields.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import lru_cache, reduce
from itertools import accumulate
from typing import Any

from whoosh.searching import Searcher

from index.plan import (
    AnyWord,
    Beginning,
    Containing,
    Dated,
    Either,
    Every,
    Seqs,
    SideBySide,
    Step,
    Without,
)
from index.query import FIELDS
from index.segment import Place, Segment
from index.seqset import SeqSet

# How much a word in that field says about the document; order of query.FIELDS.
BOOSTS = (3.0, 2.0, 1.0, 1.0, 1.0, 1.5, 0.6, 0.5)

_MOST_WEIGHED = 1000

_Documents = set[int] | frozenset[int]
Ranked = tuple[bytes, dict[int, tuple[Any, float]]]
"""A word, and for each field its scorer (Whoosh's) and weight."""


@lru_cache(maxsize=64)
def everything(count: int) -> frozenset[int]:
    """All documents of a segment of that size; many segments are of one size."""
    return frozenset(range(count))


class Evaluator:
    """Answers steps for one segment, remembering what it has worked out."""

    def __init__(self, segment: Segment, removed: frozenset[int]) -> None:
        self.segment = segment
        self.removed = removed
        self._seen: tuple[SeqSet, _Documents] | None = None

    def matching(self, step: Step, within: SeqSet) -> list[int]:
        """The documents that match and may be seen, newest first."""
        allowed = self._within(within)
        if not allowed:
            return []
        return sorted(self._documents(step, allowed) - self.removed)

    def _within(self, within: SeqSet) -> _Documents:
        seen = self._seen
        if seen is not None and seen[0] is within:
            return seen[1]
        segment = self.segment
        part = within.between(segment.lowest, segment.highest + 1)
        if len(part) == segment.highest - segment.lowest + 1:
            numbers = everything(segment.count)
        else:
            wanted = frozenset(part)
            numbers = frozenset(n for n, seq in enumerate(segment.seqs) if seq in wanted)
        self._seen = within, numbers
        return numbers

    def _documents(self, step: Step, allowed: _Documents) -> _Documents:
        """A subset of ``allowed``."""
        match step:
            case AnyWord(mask, words):
                return self._union(mask, self._places(word for word, _ in words), allowed)
            case Beginning(mask, prefixes):
                found = (place for prefix in prefixes for place in self.segment.beginning(prefix))
                return self._union(mask, found, allowed)
            case Containing(mask, infixes):
                found = (place for infix in infixes for place in self.segment.containing(infix))
                return self._union(mask, found, allowed)
            case SideBySide():
                return self._phrase(step, allowed)
            case Dated(start, end):
                return self._dated(start, end) & allowed
            case Seqs(seqs):
                return self._within(seqs) & allowed
            case Every(parts):
                # Negations last: they are cheap on what remains.
                for part in sorted(parts, key=_cost):
                    if not allowed:
                        break
                    allowed = self._documents(part, allowed)
                return allowed
            case Either(parts):
                empty: _Documents = frozenset()
                return reduce(
                    lambda found, part: found | self._documents(part, allowed), parts, empty
                )
            case Without(part):
                return allowed - self._documents(part, allowed)

    def _places(self, words: Iterable[bytes]) -> Iterator[Place]:
        for word in words:
            yield from self.segment.places(word)

    def _union(self, mask: int, places: Iterable[Place], allowed: _Documents) -> set[int]:
        left = set(allowed)
        for field, term in places:
            if mask >> field & 1:
                left.difference_update(self.segment.documents(term))
                if not left:
                    break  # a letter is in every document long before all its words are through
        return set(allowed) - left

    def _dated(self, start: int | None, end: int | None) -> _Documents:
        dates, count = self.segment.dates, self.segment.count
        # Newest first: the numbers of a range of dates are a range.
        first = 0 if end is None else bisect_left(dates, -end + 1, key=int.__neg__)
        last = count if start is None else bisect_left(dates, -start + 1, key=int.__neg__)
        return everything(count) if last - first == count else frozenset(range(first, last))

    def _phrase(self, step: SideBySide, allowed: _Documents) -> _Documents:
        found: set[int] = set()
        places = [list(self._places(words)) for words in step.words]
        for field in range(len(FIELDS)):
            if step.mask >> field & 1:
                terms = [[term for f, term in part if f == field] for part in places]
                if all(terms):
                    found |= self._side_by_side(terms, allowed - found)
        return found

    def _side_by_side(self, terms: list[list[int]], allowed: _Documents) -> set[int]:
        candidates: _Documents = allowed
        # The rarest first: what it rules out is not looked at again.
        for part in sorted(terms, key=lambda part: sum(map(self.segment.frequency, part))):
            with_part: set[int] = set()
            for term in part:
                with_part.update(self.segment.documents(term))
            candidates = candidates & with_part
            if not candidates:
                return set()
        starts: dict[int, set[int]] = {}
        for offset, part in enumerate(terms):
            here = self._positions(part, candidates, offset)
            if offset == 0:
                starts = here
            else:
                starts = {
                    number: both
                    for number, positions in here.items()
                    if number in starts and (both := starts[number] & positions)
                }
        return set(starts)

    def _positions(
        self, terms: list[int], candidates: _Documents, offset: int
    ) -> dict[int, set[int]]:
        """For each candidate where a phrase would begin that has one of these at ``offset``."""
        found: dict[int, set[int]] = {}
        for term in terms:
            documents, frequencies, positions = self.segment.postings(term)
            ends = list(accumulate(frequencies))
            for number in candidates:
                place = bisect_left(documents, number)
                if place == len(documents) or documents[place] != number:
                    continue
                part = positions[ends[place] - frequencies[place] : ends[place]]
                here = {position - offset for position in part}
                if number in found:
                    found[number] |= here
                else:
                    found[number] = here
        return found

    # -- ranking -----------------------------------------------------------

    def scores(self, words: Iterable[Ranked], documents: Iterable[int]) -> dict[int, float]:
        """What the words' scorers give each of the documents; 0 without any of the words."""
        scores = dict.fromkeys(documents, 0.0)
        for word, scorers in words:
            for field, term in self.segment.places(word):
                if field in scorers:
                    self._score(*scorers[field], field, term, scores)
        return scores

    def _score(
        self, scorer: Any, weight: float, field: int, term: int, scores: dict[int, float]
    ) -> None:
        lengths = self.segment.lengths(field)
        numbers, frequencies, _ = self.segment.postings(term)
        known: dict[tuple[int, int], float] = {}
        for number, frequency in zip(numbers, frequencies, strict=True):
            if number in scores:
                # Many documents share the two numbers that count.
                key = frequency, lengths[number] or 1
                score = known.get(key)
                if score is None:
                    score = known[key] = weight * scorer._score(*key)
                scores[number] += score


def ranked(ranking: Searcher, mask: int, word: bytes, weight: float) -> Ranked:
    """A word with Whoosh's scorer for each field of the mask."""
    scorers = {
        field: (ranking.weighting.scorer(ranking, name, word), weight * BOOSTS[field])
        for field, name in enumerate(FIELDS)
        if mask >> field & 1 and ranking.doc_frequency(name, word)
    }
    return word, scorers


def weighed(step: Step, segments: Iterable[Segment]) -> Iterator[tuple[int, bytes, float]]:
    """(mask, word, weight) of the words that speak for a document; negated ones do not."""
    match step:
        case AnyWord(mask, words):
            yield from ((mask, word, weight) for word, weight in words)
        case SideBySide(mask, alternatives):
            yield from ((mask, word, 1.0) for part in alternatives for word in part)
        case Beginning() | Containing():
            yield from _matched(step, segments)
        case Every(parts) | Either(parts):
            for part in parts:
                yield from weighed(part, segments)
        case _:
            return


def _matched(
    step: Beginning | Containing, segments: Iterable[Segment]
) -> Iterator[tuple[int, bytes, float]]:
    words: set[bytes] = set()
    for segment in segments:
        find = segment.beginning if isinstance(step, Beginning) else segment.containing
        pieces = step.prefixes if isinstance(step, Beginning) else step.infixes
        for piece in pieces:
            words.update(
                segment.term(place.term)[:-1]
                for place in find(piece)
                if step.mask >> place.field & 1
            )
    # A piece of so many words says nothing of one document's worth, and weighing each is dear.
    if len(words) <= _MOST_WEIGHED:
        yield from ((step.mask, word, 1.0) for word in words)


def _cost(step: Step) -> int:
    match step:
        case Seqs() | Dated():
            return 0
        case AnyWord(_, words):
            return 1 + len(words)
        case Without():
            return 1 << 30
        case SideBySide():
            return 1 << 16
        case _:
            return 1 << 20
