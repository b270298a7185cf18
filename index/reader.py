"""Our segments as a Whoosh reader: Whoosh's searcher, queries and scorers work on them.

What is found is worked out in ``index.evaluate``; Whoosh's searcher ranks it, and can
search on its own (``tests/index/test_whoosh.py`` holds the two against each other).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from whoosh.matching import FilterMatcher, ListMatcher, Matcher
from whoosh.reading import IndexReader, MultiReader, TermInfo, TermNotFound
from whoosh.scoring import BM25F, BM25FScorer
from whoosh.searching import Searcher

from index.postings import Postings
from index.query import FIELDS
from index.schema import SCHEMA
from index.segment import Segment

_NUMBER = {name: number for number, name in enumerate(FIELDS)}
_REMEMBERED = 64


class SegmentReader(IndexReader):  # type: ignore[misc]  # Whoosh ships no types
    """One segment."""

    def __init__(self, segment: Segment, removed: frozenset[int]) -> None:
        self.schema = SCHEMA
        self._segment = segment
        self._removed = removed
        self._recent: OrderedDict[int, Postings] = OrderedDict()

    # -- terms -------------------------------------------------------------

    def __contains__(self, term: tuple[str, str | bytes]) -> bool:
        return self._term(*term) is not None

    def indexed_field_names(self) -> Sequence[str]:
        return FIELDS

    def all_terms(self) -> Iterator[tuple[str, bytes]]:
        return self.terms_from("", b"")

    def terms_from(self, fieldname: str, prefix: str | bytes) -> Iterator[tuple[str, bytes]]:
        for name in sorted(FIELDS):
            if name >= fieldname:
                start = _octets(prefix) if name == fieldname else b""
                for number in range(self._segment.first(start), self._segment.terms):
                    key = self._segment.term(number)
                    if key[-1] - 1 == _NUMBER[name]:
                        yield name, key[:-1]

    def term_info(self, fieldname: str, text: str | bytes) -> TermInfo:
        found = self._postings(fieldname, text)
        numbers, frequencies, _ = found
        lengths = self._segment.lengths(_NUMBER[fieldname])
        having = [lengths[number] for number in numbers]
        return TermInfo(
            weight=sum(frequencies),
            df=len(numbers),
            minlength=min(having),
            maxlength=max(having),
            maxweight=max(frequencies),
            minid=numbers[0],
            maxid=numbers[-1],
        )

    def frequency(self, fieldname: str, text: str | bytes) -> int:
        if self._term(fieldname, text) is None:
            return 0
        return sum(self._postings(fieldname, text).frequencies)

    def doc_frequency(self, fieldname: str, text: str | bytes) -> int:
        term = self._term(fieldname, text)
        return 0 if term is None else self._segment.frequency(term)

    def postings(self, fieldname: str, text: str | bytes, scorer: Any = None) -> Matcher:
        numbers, frequencies, positions = self._postings(fieldname, text)
        form = SCHEMA[fieldname].format
        values = []
        at = 0
        for frequency in frequencies:
            values.append(form.encode(positions[at : at + frequency].tolist()))
            at += frequency
        found = ListMatcher(
            numbers,
            weights=list(map(float, frequencies)),
            values=values,
            format=form,
            scorer=scorer,
            term=(fieldname, _octets(text)),
            terminfo=self.term_info(fieldname, text),
        )
        return FilterMatcher(found, self._removed, exclude=True) if self._removed else found

    # -- documents ---------------------------------------------------------

    def has_deletions(self) -> bool:
        return bool(self._removed)

    def is_deleted(self, docnum: int) -> bool:
        return docnum in self._removed

    def stored_fields(self, docnum: int) -> dict[str, int]:
        return {"seq": self._segment.seqs[docnum], "date": self._segment.dates[docnum]}

    def doc_count_all(self) -> int:
        return self._segment.count

    def doc_count(self) -> int:
        return self._segment.count - len(self._removed)

    def field_length(self, fieldname: str) -> int:
        return self._segment.words_in(_NUMBER[fieldname])

    def min_field_length(self, fieldname: str) -> int:
        return min(self._segment.lengths(_NUMBER[fieldname]))

    def max_field_length(self, fieldname: str) -> int:
        return max(self._segment.lengths(_NUMBER[fieldname]))

    def doc_field_length(self, docnum: int, fieldname: str, default: int = 0) -> int:
        return self._segment.lengths(_NUMBER[fieldname])[docnum] or default

    def has_vector(self, docnum: int, fieldname: str) -> bool:
        return False

    def vector(self, docnum: int, fieldname: str, format_: Any = None) -> Any:
        raise KeyError(f"no vectors are kept for {fieldname}")

    def has_column(self, fieldname: str) -> bool:
        return False

    def _term(self, fieldname: str, text: str | bytes) -> int | None:
        number = _NUMBER.get(fieldname)
        for field, term in self._segment.places(_octets(text)):
            if field == number:
                return term
        return None

    def _postings(self, fieldname: str, text: str | bytes) -> Postings:
        term = self._term(fieldname, text)
        if term is None:
            raise TermNotFound((fieldname, text))
        found = self._recent.get(term)
        if found is None:
            found = self._recent[term] = self._segment.postings(term)
            if len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)
        return found


class WholeReader(MultiReader):  # type: ignore[misc]  # Whoosh ships no types
    """All segments; sums that every scorer asks for are worked out once."""

    def __init__(self, readers: Sequence[SegmentReader]) -> None:
        super().__init__(list(readers))
        self.schema = SCHEMA
        self._lengths: dict[str, int] = {}

    def field_length(self, fieldname: str) -> int:
        if fieldname not in self._lengths:
            self._lengths[fieldname] = super().field_length(fieldname)
        return self._lengths[fieldname]


class Scorer(BM25FScorer):  # type: ignore[misc]  # Whoosh ships no types
    """BM25F without the limits that let a matcher skip: every document found gets its score."""

    def setup(self, searcher: Searcher, fieldname: str, text: str | bytes) -> None:
        self.dfl = lambda number: searcher.doc_field_length(number, fieldname, 1)

    def supports_block_quality(self) -> bool:
        return False


class Ranking(BM25F):  # type: ignore[misc]  # Whoosh ships no types
    """Whoosh's BM25F with such scorers: they cost no look at the occurrences."""

    def scorer(self, searcher: Searcher, fieldname: str, text: str | bytes, qf: int = 1) -> Scorer:
        return Scorer(searcher, fieldname, text, self.B, self.K1, qf=qf)


def searcher(parts: Sequence[tuple[Segment, frozenset[int]]]) -> Searcher:
    """Whoosh's searcher over these segments (with what is removed), ranking by BM25F."""
    return Searcher(WholeReader([SegmentReader(*part) for part in parts]), weighting=Ranking())


def _octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
