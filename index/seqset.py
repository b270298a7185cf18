"""A sorted set of document numbers in a flat array: 8 octets each, made for half a million.

It is how a caller says which documents a person may see. It never changes.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import overload

# Below this ratio of sizes, looking up the few is cheaper than hashing the many.
_FEW = 16


class SeqSet:
    """Ascending distinct seqs (0 ≤ seq < 2**63)."""

    def __init__(self, ascending: array[int] | None = None) -> None:
        self._seqs: array[int] = array("q") if ascending is None else ascending

    @classmethod
    def from_iterable(cls, seqs: Iterable[int]) -> SeqSet:
        """Any order, duplicates allowed."""
        if isinstance(seqs, range) and seqs.step == 1:
            return cls(array("q", seqs))
        return cls(array("q", sorted(set(seqs))))

    @classmethod
    def from_sorted(cls, seqs: Iterable[int]) -> SeqSet:
        """Already strictly ascending (checked); raises ValueError if not."""
        ascending = array("q", seqs)
        if any(map(int.__ge__, ascending, ascending[1:])):
            raise ValueError("the seqs do not ascend")
        return cls(ascending)

    def between(self, start: int, end: int) -> SeqSet:
        """Those with ``start <= seq < end``."""
        low, high = bisect_left(self._seqs, start), bisect_left(self._seqs, end)
        return self if high - low == len(self._seqs) else SeqSet(self._seqs[low:high])

    def __contains__(self, seq: object) -> bool:
        if not isinstance(seq, int):
            return False
        place = bisect_left(self._seqs, seq)
        return place < len(self._seqs) and self._seqs[place] == seq

    def __len__(self) -> int:
        return len(self._seqs)

    def __bool__(self) -> bool:
        return bool(self._seqs)

    def __iter__(self) -> Iterator[int]:
        return iter(self._seqs)

    def __reversed__(self) -> Iterator[int]:
        return reversed(self._seqs)

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> SeqSet: ...
    def __getitem__(self, place: int | slice) -> int | SeqSet:
        """The seq at a place, or the set of a slice of places (ascending steps only)."""
        if isinstance(place, slice):
            if place.step is not None and place.step < 1:
                raise ValueError("a SeqSet is sliced forwards")
            return SeqSet(self._seqs[place])
        return self._seqs[place]

    def __and__(self, other: SeqSet) -> SeqSet:
        few, many = sorted((self, other), key=len)
        if not few:
            return few
        many = many.between(few._seqs[0], few._seqs[-1] + 1)
        if many._solid:
            return few.between(many._seqs[0], many._seqs[-1] + 1) if many else many
        if len(few) * _FEW < len(many):
            return SeqSet(array("q", [seq for seq in few._seqs if seq in many]))
        return SeqSet(array("q", sorted(many._hashed.intersection(few._seqs))))

    def __or__(self, other: SeqSet) -> SeqSet:
        if not other or not self:
            return self or other
        if self._seqs[-1] < other._seqs[0]:
            return SeqSet(self._seqs + other._seqs)
        return SeqSet(array("q", sorted(set(self._seqs).union(other._seqs))))

    def __sub__(self, other: SeqSet) -> SeqSet:
        if not self or not other:
            return self
        other = other.between(self._seqs[0], self._seqs[-1] + 1)
        if not other:
            return self
        if len(other) * _FEW < len(self):
            return SeqSet(self._without(other))
        return SeqSet(array("q", sorted(self._hashed.difference(other._seqs))))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SeqSet) and self._seqs == other._seqs

    def __hash__(self) -> int:
        return hash((len(self._seqs), self._seqs[0], self._seqs[-1])) if self._seqs else 0

    def __repr__(self) -> str:
        shown = ", ".join(map(str, self._seqs[:5]))
        return f"SeqSet({len(self)}: {shown}{', …' if len(self) > 5 else ''})"

    def _without(self, few: SeqSet) -> array[int]:
        kept = array("q")
        start = 0
        for seq in few._seqs:
            place = bisect_left(self._seqs, seq, start)
            kept.extend(self._seqs[start:place])
            start = place + (place < len(self._seqs) and self._seqs[place] == seq)
        kept.extend(self._seqs[start:])
        return kept

    @property
    def _solid(self) -> bool:
        """No gaps: then an intersection is a slice."""
        return not self._seqs or self._seqs[-1] - self._seqs[0] + 1 == len(self._seqs)

    @cached_property
    def _hashed(self) -> frozenset[int]:
        return frozenset(self._seqs)
