"""Sequence sets: ranges of message sequence numbers or UIDs, kept as ranges (RFC 9051 §9).

A range is never expanded: ``1:4294967295`` costs what ``1`` costs. What a
set means depends on the mailbox, so ``*`` is resolved only when the caller
says which number is the highest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

STAR: Final = 0
"""Stands for ``*`` in a span; no message has the number 0."""
HIGHEST_NUMBER: Final = 2**32 - 1
"""nz-number is an unsigned 32-bit integer (RFC 9051 §9)."""


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Spans as the client wrote them, in its order; a single number is a span of itself.

    ``STAR`` stands for ``*``. ``saved`` is ``$``: the result of the last SEARCH
    that saved one (RFC 5182); it then has no spans.
    """

    spans: tuple[tuple[int, int], ...]
    saved: bool = False

    def ranges(self, highest: int) -> list[tuple[int, int]]:
        """(low, high) ascending, disjoint, neighbours merged; ``*`` is ``highest``.

        ``559:*`` with a highest of 100 is 100:559: the last message is always
        in it (RFC 9051 §9, seq-range). With a highest of 0, an empty mailbox,
        a span with ``*`` holds nothing. Numbers above ``highest`` stay in: for
        UIDs they match nothing, for sequence numbers the caller says BAD.
        ``$`` has no ranges of its own.
        """
        spans = []
        for one, other in self.spans:
            if STAR in (one, other) and not highest:
                continue
            first, last = one or highest, other or highest
            spans.append((first, last) if first <= last else (last, first))
        return merged(spans)

    def existing(self, highest: int) -> list[tuple[int, int]]:
        """``ranges(highest)`` without the numbers above ``highest``."""
        return [(low, min(high, highest)) for low, high in self.ranges(highest) if low <= highest]

    def octets(self) -> bytes:
        """The set as a client writes it."""
        if self.saved:
            return b"$"
        return ",".join(_span(one, other) for one, other in self.spans).encode("ascii")


def merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers as ascending ranges that neither overlap nor touch."""
    ranges: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if ranges and low <= ranges[-1][1] + 1:
            if high > ranges[-1][1]:
                ranges[-1] = (ranges[-1][0], high)
        else:
            ranges.append((low, high))
    return ranges


def _span(one: int, other: int) -> str:
    first, last = (str(number) if number else "*" for number in (one, other))
    return first if one == other else f"{first}:{last}"
