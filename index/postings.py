"""Where a term occurs, as octets: documents, frequencies, positions.

    checksum (4) | types (1) | n (1, 2 or 4) | n document deltas | n frequencies | positions

Each array in the narrowest of 1, 2 or 4 octets an item, little-endian; frequencies are
left out when all are 1. The checksum covers what follows it.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections import Counter
from itertools import accumulate
from typing import NamedTuple

POSITION_BITS = 24
_POSITION = (1 << POSITION_BITS) - 1
_CODES = ("B", "H", "I")
_SIZES = (1, 2, 4)
_ALL_ONE = 3
_SWAP = sys.byteorder == "big"


class Damaged(ValueError):
    """The octets do not match their checksum."""


class Postings(NamedTuple):
    """Ascending documents, how often in each, and the positions of one after the other."""

    documents: list[int]
    frequencies: list[int]
    positions: array[int]


def packed(document: int, position: int) -> int:
    """An occurrence as one number; order is kept."""
    return document << POSITION_BITS | min(position, _POSITION)


def unpack(occurrences: array[int]) -> Postings:
    """Postings of ascending packed occurrences."""
    counted = Counter([one >> POSITION_BITS for one in occurrences])
    positions = array("I", [one & _POSITION for one in occurrences])
    return Postings(list(counted), list(counted.values()), positions)


def encode(postings: Postings) -> bytes:
    """The octets of postings."""
    documents, frequencies, positions = postings
    n = len(documents)
    if n == 1 and len(positions) == 1:
        return encode_one(packed(documents[0], positions[0]))
    deltas = [documents[0]]
    deltas += map(int.__sub__, documents[1:], documents)
    count_code = _code(n)
    delta_code, deltas_octets = _narrow(deltas)
    position_code, position_octets = _narrow(positions)
    if len(positions) == n:
        frequency_code, frequency_octets = _ALL_ONE, b""
    else:
        frequency_code, frequency_octets = _narrow(frequencies)
    types = delta_code | frequency_code << 2 | position_code << 4 | count_code << 6
    body = b"".join(
        (
            bytes((types,)),
            n.to_bytes(_SIZES[count_code], "little"),
            deltas_octets,
            frequency_octets,
            position_octets,
        )
    )
    return zlib.crc32(body).to_bytes(4, "little") + body


def encode_one(occurrence: int) -> bytes:
    """The octets of a single occurrence: most words of an index have no other."""
    document, position = occurrence >> POSITION_BITS, occurrence & _POSITION
    delta_code, position_code = _code(document), _code(position)
    body = (
        bytes((delta_code | _ALL_ONE << 2 | position_code << 4, 1))
        + document.to_bytes(_SIZES[delta_code], "little")
        + position.to_bytes(_SIZES[position_code], "little")
    )
    return zlib.crc32(body).to_bytes(4, "little") + body


def count(octets: bytes) -> int:
    """How many documents, from the first octets alone (unchecked: for estimates)."""
    return int.from_bytes(octets[5 : 5 + _SIZES[octets[4] >> 6]], "little")


def documents(octets: bytes) -> list[int]:
    """The documents alone; raises Damaged."""
    types, n, at = _opened(octets)
    deltas, _ = _array(octets, at, types & 3, n)
    return list(accumulate(deltas))


def decode(octets: bytes) -> Postings:
    """All of it; raises Damaged."""
    types, n, at = _opened(octets)
    if n == 1 and types & 0b11001100 == _ALL_ONE << 2:
        # A single occurrence: most words have no other.
        end = at + _SIZES[types & 3]
        position = int.from_bytes(octets[end:], "little")
        return Postings([int.from_bytes(octets[at:end], "little")], [1], array("I", (position,)))
    deltas, at = _array(octets, at, types & 3, n)
    if (types >> 2) & 3 == _ALL_ONE:
        frequencies = [1] * n
    else:
        found, at = _array(octets, at, (types >> 2) & 3, n)
        frequencies = found.tolist()
    positions, _ = _array(octets, at, (types >> 4) & 3, sum(frequencies))
    return Postings(list(accumulate(deltas)), frequencies, positions)


def _opened(octets: bytes) -> tuple[int, int, int]:
    if len(octets) < 7 or zlib.crc32(octets[4:]) != int.from_bytes(octets[:4], "little"):
        raise Damaged("a list of occurrences does not match its checksum")
    types = octets[4]
    at = 5 + _SIZES[types >> 6]
    return types, int.from_bytes(octets[5:at], "little"), at


def _array(octets: bytes, at: int, code: int, n: int) -> tuple[array[int], int]:
    end = at + n * _SIZES[code]
    found = array(_CODES[code])
    found.frombytes(octets[at:end])
    if _SWAP:
        found.byteswap()
    return found, end


def _code(largest: int) -> int:
    return 0 if largest < 1 << 8 else 1 if largest < 1 << 16 else 2


def _narrow(numbers: list[int] | array[int]) -> tuple[int, bytes]:
    code = _code(max(numbers))
    found = array(_CODES[code], numbers)
    if _SWAP:
        found.byteswap()
    return code, found.tobytes()
