"""How a record's payload is packed: raw, zstd, or zstd with one of the archive's dictionaries.

Packing never makes a record larger: what does not shrink stays raw.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Final

import zstandard

from appliance.errors import RecordDamaged
from appliance.mail.types import Octets

LEVEL: Final = 9
LARGE_OCTETS: Final = 1 << 20
"""From here on octets pass in pieces instead of as a whole."""
PIECE_OCTETS: Final = 1 << 18
_LARGE_LEVEL: Final = 3
_WORTH_IT: Final = 0.97
_MAX_WINDOW: Final = 1 << 27


class Codec(IntEnum):
    """The codec octet of a record."""

    RAW = 0
    ZSTD = 1
    ZSTD_DICTIONARY = 2


class Codecs:
    """Packs and unpacks; ``dictionary(n)`` answers the octets of dictionary n."""

    def __init__(self, dictionary: Callable[[int], bytes]) -> None:
        self._dictionary = dictionary
        self._dictionaries: dict[int, zstandard.ZstdCompressionDict] = {}
        # A compressor serves one thread at a time.
        self._local = threading.local()

    def pack(self, plain: Octets, dictionary: int = 0) -> tuple[Codec, int, bytes | None]:
        """(codec, dictionary number, payload); payload None: pack in pieces (or copy, if RAW)."""
        if len(plain) >= LARGE_OCTETS:
            sample = zstandard.ZstdCompressor(level=_LARGE_LEVEL).compress(plain[:LARGE_OCTETS])
            worth = len(sample) < LARGE_OCTETS * _WORTH_IT
            return (Codec.ZSTD if worth else Codec.RAW), 0, None
        packed = self._compressor(dictionary).compress(plain)
        if len(packed) >= len(plain):
            return Codec.RAW, 0, bytes(plain)
        return (Codec.ZSTD_DICTIONARY if dictionary else Codec.ZSTD), dictionary, packed

    def pieces_packed(self, plain: Octets, codec: Codec) -> Iterator[bytes | memoryview]:
        """The payload of a large record, piece by piece."""
        view = memoryview(plain)
        if codec is Codec.RAW:
            for at in range(0, len(view), PIECE_OCTETS):
                yield view[at : at + PIECE_OCTETS]
            return
        packer = zstandard.ZstdCompressor(level=_LARGE_LEVEL).compressobj(size=len(view))
        for at in range(0, len(view), PIECE_OCTETS):
            if piece := packer.compress(view[at : at + PIECE_OCTETS]):
                yield piece
        yield packer.flush()

    def unpack(self, codec: int, dictionary: int, payload: bytes, size: int) -> bytes:
        """The plain octets; raises RecordDamaged when they are not what was packed."""
        if codec == Codec.RAW:
            return payload
        if codec not in (Codec.ZSTD, Codec.ZSTD_DICTIONARY):
            raise RecordDamaged(
                f"record packed with codec {codec}, which this Hauspost does not know"
            )
        try:
            return self._decompressor(dictionary).decompress(payload, max_output_size=size)
        except zstandard.ZstdError as error:
            raise RecordDamaged(f"record does not unpack: {error}") from error

    def pieces_unpacked(self, codec: int, payload: Iterator[bytes]) -> Iterator[bytes]:
        """The plain octets of a large record, from the pieces of its payload."""
        if codec == Codec.RAW:
            yield from payload
            return
        unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        try:
            # Bounded on the way out: one piece of a payload can stand for gigabytes.
            yield from unpacker.read_to_iter(
                _Source(payload),  # type: ignore[arg-type]  # of a file it uses read alone
                write_size=PIECE_OCTETS,
            )
        except zstandard.ZstdError as error:
            raise RecordDamaged(f"record does not unpack: {error}") from error
        # Read on to the end of the record, where its checksum is compared.
        for _ in payload:
            pass

    def _compressor(self, dictionary: int) -> zstandard.ZstdCompressor:
        known: dict[int, zstandard.ZstdCompressor] = self._local.__dict__.setdefault("packers", {})
        if dictionary not in known:
            words = self._words(dictionary) if dictionary else None
            known[dictionary] = zstandard.ZstdCompressor(
                level=LEVEL, dict_data=words, write_content_size=True, write_dict_id=False
            )
        return known[dictionary]

    def _decompressor(self, dictionary: int) -> zstandard.ZstdDecompressor:
        known: dict[int, zstandard.ZstdDecompressor]
        known = self._local.__dict__.setdefault("unpackers", {})
        if dictionary not in known:
            words = self._words(dictionary) if dictionary else None
            known[dictionary] = zstandard.ZstdDecompressor(dict_data=words)
        return known[dictionary]

    def _words(self, dictionary: int) -> zstandard.ZstdCompressionDict:
        if dictionary not in self._dictionaries:
            octets = self._dictionary(dictionary)
            self._dictionaries[dictionary] = zstandard.ZstdCompressionDict(octets)
        return self._dictionaries[dictionary]


class _Source:
    """Pieces as a file to read from. Never more than was asked for: the reader's room is fixed."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""
        self._at = 0

    def read(self, most: int) -> bytes:
        """Some octets; empty at the end."""
        if self._at >= len(self._held):
            self._held, self._at = next(self._pieces, b""), 0
        some = self._held[self._at : self._at + most]
        self._at += len(some)
        return some
