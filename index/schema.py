"""The index as Whoosh describes one: its fields, their analyser, their format.

The analyser is ours for every field; positions are kept as numbers, not pickled.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

from whoosh.analysis import Analyzer, Token
from whoosh.fields import STORED, TEXT, Schema
from whoosh.formats import Positions

from index.analysis import terms_of
from index.query import FIELDS


class HouseAnalyzer(Analyzer):  # type: ignore[misc]  # Whoosh ships no types
    """``index.analysis`` in Whoosh's words."""

    def __call__(
        self, value: str, positions: bool = False, chars: bool = False, **_: Any
    ) -> Iterator[Any]:
        token = Token(positions, chars)
        for position, found in enumerate(terms_of(value)):
            token.text = found.text
            token.boost = 1.0
            token.stopped = False
            if positions:
                token.pos = position
            if chars:
                token.startchar, token.endchar = found.start, found.end
            yield token


class NumberedPositions(Positions):  # type: ignore[misc]  # Whoosh ships no types
    """Positions as 4 octets each; Whoosh's own would be unpickled."""

    def encode(self, poslist: list[int]) -> bytes:
        return array("I", poslist).tobytes()

    def decode_positions(self, valuestring: bytes) -> list[int]:
        return array("I", valuestring).tolist()

    def decode_frequency(self, valuestring: bytes) -> int:
        return len(valuestring) // array("I").itemsize


def _text() -> TEXT:
    field = TEXT(analyzer=HouseAnalyzer(), phrase=True)
    field.format = NumberedPositions()
    return field


SCHEMA = Schema(seq=STORED(), date=STORED(), **{name: _text() for name in FIELDS})
