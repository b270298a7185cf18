"""What FETCH says of one message's octets: BODY[…], BINARY[…], BINARY.SIZE[…] as response data.

A message of ordinary size is read once and its sections are slices of it. A
large one is never held: each section streams from the archive, from the offset
where it starts to where it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from appliance.errors import ClientError
from appliance.imap import sections
from appliance.mail.decoding import from_base64, from_quoted_printable
from appliance.mail.types import Octets, Part, Seq
from appliance.store import Archive
from appliance.wire import imap_responses as responses
from appliance.wire.imap_fetch_items import BinarySection, BinarySize, BodySection, SectionText

SectionItem = BodySection | BinarySection | BinarySize

HELD_OCTETS: Final = 1 << 20
"""Larger messages are streamed."""


class UnknownEncoding(ClientError):
    """BINARY of a part whose transfer encoding nobody knows: NO [UNKNOWN-CTE] (RFC 3516 §4.3)."""


class Contents:
    """One message: its octets and its tree, each read when first needed."""

    def __init__(self, archive: Archive, seq: Seq, size: int, header_size: int) -> None:
        self.size = size
        self._header_size = header_size
        self._archive = archive
        self._seq = seq
        self._octets: memoryview | None = None
        self._root: Part | None = None
        self._header: bytes | None = None

    def cell(self, item: SectionItem) -> Iterator[Octets]:
        """An item's name and value in pieces; reads nothing it does not need.

        Raises StoreError, and before the first piece UnknownEncoding.
        """
        if isinstance(item, BinarySize):
            yield b"%b %d" % (item.answer, len(self._decoded(item.part) or b""))
        elif isinstance(item, BinarySection):
            yield from self._binary(item)
        elif item.text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT):
            header = self._header_of(item)
            yield from _literal(item, header and sections.fields(header, item))
        elif item.text is SectionText.HEADER and not item.part:
            yield from _literal(item, self._header_of(item))
        else:
            yield from self._body(item)

    def _body(self, item: BodySection) -> Iterator[Octets]:
        where = self._bounds(item)
        if where is None:
            yield from _literal(item, None)
            return
        start, end = where
        if item.partial is not None:
            start = min(end, start + item.partial[0])
            end = min(end, start + item.partial[1])
        yield b"%b {%d}\r\n" % (item.answer, end - start)
        yield from self._between(start, end)

    def _bounds(self, item: BodySection) -> tuple[int, int] | None:
        if not item.part and item.text is None:
            return 0, self.size
        if not item.part and item.text is SectionText.TEXT:
            return self._header_size, self.size
        return sections.bounds(self._tree(), item)

    def _binary(self, item: BinarySection) -> Iterator[Octets]:
        octets = self._decoded(item.part)
        if octets is None:
            yield item.answer + b" NIL"
            return
        if item.partial is not None:
            octets = octets[item.partial[0] : sum(item.partial)]
        yield responses.binary_item(item.answer, octets)

    def _between(self, start: int, end: int) -> Iterator[Octets]:
        if self.size <= HELD_OCTETS:
            yield self._whole()[start:end]
        elif start < end:
            yield from self._archive.chunks(self._seq, start, end)

    def _header_of(self, item: BodySection) -> bytes | None:
        if item.part:
            where = sections.bounds(self._tree(), item)
            return self._archive.slice(self._seq, *where) if where else None
        if self._header is None:
            self._header = self._archive.slice(self._seq, 0, self._header_size)
        return self._header

    def _decoded(self, number: tuple[int, ...]) -> bytes | None:
        """A part with its transfer encoding undone; None: there is no such part."""
        part = sections.part_of(self._tree(), number)
        if part is None:
            return None
        start = part.body_at if number else 0
        octets = b"".join(self._between(start, part.end_at))
        undone = decoded(octets, part.encoding) if number and not part.parts else octets
        if undone is None:
            raise UnknownEncoding(f"the transfer encoding {part.encoding!r} is not known")
        return undone

    def _whole(self) -> memoryview:
        if self._octets is None:
            self._octets = memoryview(self._archive.octets(self._seq))
        return self._octets

    def _tree(self) -> Part:
        if self._root is None:
            self._root = self._archive.structure(self._seq)
        return self._root


def decoded(octets: bytes, encoding: str) -> bytes | None:
    """A body with its transfer encoding undone (RFC 2045 §6); None: unknown encoding."""
    match encoding:
        case "7bit" | "8bit" | "binary":
            return octets
        case "quoted-printable":
            return from_quoted_printable(octets)
        case "base64":
            return from_base64(octets)
    return None


def _literal(item: BodySection, octets: bytes | None) -> Iterator[Octets]:
    if octets is None:
        yield item.answer + b" NIL"
        return
    if item.partial is not None:
        octets = octets[item.partial[0] : sum(item.partial)]
    yield b"%b {%d}\r\n%b" % (item.answer, len(octets), octets)
