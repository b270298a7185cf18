"""FETCH: a plan by need, and the responses in pieces (RFC 9051 §6.4.5, §7.5.2).

What a FETCH asks is compiled once: which catalog columns, whether header
sections or whole messages must be read. Then batch by batch: flags, uids and
dates come from the selected mailbox's arrays, ENVELOPE and BODYSTRUCTURE
ready-made from the catalog in one query a batch, sections as slices between the
stored offsets. A step is one batch, small enough that others get their turn;
it blocks, so it runs in a worker thread. A message that cannot be read is left
out, counted, and the others are answered.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from appliance.database import moment
from appliance.errors import ClientError, StoreError
from appliance.imap.contents import HELD_OCTETS, Contents, SectionItem
from appliance.imap.selected import Selected
from appliance.mail.types import SEEN, Flag, Octets, Seq, Uid
from appliance.store import Archive, FlagChange
from appliance.store.errors import NoSuchMessage
from appliance.wire.imap_fetch_items import Attribute, BinarySize, BodySection, FetchItem, Preview

_log = logging.getLogger(__name__)

_METADATA_BATCH: Final = 400
_SECTION_BATCH: Final = 64
_PIECE_OCTETS: Final = 64 * 1024
_DAY_US: Final = 86_400_000_000
Row = tuple[Any, ...]
"""Columns of a message as the catalog has them."""

_COLUMN: Final = {
    Attribute.ENVELOPE: "envelope",
    Attribute.BODY: "body",
    Attribute.BODYSTRUCTURE: "bodystructure",
    Attribute.RFC822_SIZE: "size",
}


class NotOffered(ClientError):
    """An item of an extension that is not announced: BAD."""


class BrokenOff(Exception):
    """A large message turned out damaged while its literal was being sent: close."""


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What one FETCH needs. ``sections`` are the items that read header sections or octets."""

    attributes: tuple[Attribute, ...]
    sections: tuple[SectionItem, ...]
    columns: tuple[str, ...]
    marks_seen: bool

    @property
    def streams(self) -> bool:
        """A section's size is known before it is read; BINARY's is not."""
        return all(isinstance(item, BodySection) for item in self.sections)


def plan_of(items: Iterable[FetchItem], *, uid: bool, modseq: bool) -> FetchPlan:
    """Compile a FETCH's items; UID comes first, and always for UID FETCH (RFC 9051 §6.4.9)."""
    attributes: list[Attribute] = [Attribute.UID] if uid else []
    reading: list[SectionItem] = []
    for item in items:
        match item:
            case Attribute.EMAILID | Attribute.THREADID | Attribute.SAVEDATE:
                raise NotOffered(f"{item.name} is not offered")
            case Attribute():
                attributes.append(item)
            case Preview():
                raise NotOffered("PREVIEW is not offered")
            case _:
                reading.append(item)
    if modseq:
        attributes.append(Attribute.MODSEQ)
    columns = [_COLUMN[item] for item in attributes if item in _COLUMN]
    if reading:
        columns += ["size", "header_size"]
    return FetchPlan(
        attributes=tuple(dict.fromkeys(attributes)),
        sections=tuple(reading),
        columns=tuple(dict.fromkeys(columns)),
        marks_seen=any(not isinstance(item, BinarySize) and not item.peek for item in reading),
    )


class Rendering:
    """One FETCH under way.

    ``unreadable`` are the UIDs that were left out; ``marked`` says that messages
    became \\Seen. ``damaged`` are large messages known to break off; it is added to.
    """

    def __init__(
        self, archive: Archive, selected: Selected, plan: FetchPlan, damaged: set[Seq]
    ) -> None:
        self._damaged = damaged
        self.unreadable: list[Uid] = []
        self.marked = False
        self._archive = archive
        self._selected = selected
        self._plan = plan

    def steps(self, indices: Iterable[int]) -> Iterator[list[Octets]]:
        """The responses, one batch a step; the octets of a step are sent in order."""
        remaining = iter(indices)
        size = _SECTION_BATCH if self._plan.sections else _METADATA_BATCH
        while batch := list(islice(remaining, size)):
            if self._plan.sections:
                yield from self._read(batch)
            else:
                batch, rows = self._rows(batch)
                yield [_joined(batch, self._cells(batch, rows))]

    def _rows(self, batch: list[int]) -> tuple[list[int], dict[Seq, Row]]:
        """The batch, without messages the catalog cannot answer for, and its rows."""
        if not self._plan.columns:
            return batch, {}
        seqs = [self._selected.seq_at(at) for at in batch]
        try:
            rows = self._archive.columns(seqs, self._plan.columns)
        except StoreError:
            rows = self._one_by_one(seqs)  # BODY is made from octets, and some are damaged
        if len(rows) < len(set(seqs)):
            self.unreadable += [
                Uid(self._selected.uids[at])
                for at in batch
                if self._selected.seq_at(at) not in rows
            ]
            batch = [at for at in batch if self._selected.seq_at(at) in rows]
        return batch, rows

    def _one_by_one(self, seqs: Iterable[Seq]) -> dict[Seq, Row]:
        rows: dict[Seq, Row] = {}
        for seq in seqs:
            try:
                rows |= self._archive.columns([seq], self._plan.columns)
            except StoreError as error:
                _log.error("FETCH left a message out: %s", error)
        return rows

    def _cells(self, batch: list[int], rows: dict[Seq, Row]) -> list[list[bytes]]:
        """For each attribute a column: its name and value for every message of the batch."""
        return [self._column(attribute, batch, rows) for attribute in self._plan.attributes]

    def _column(self, item: Attribute, batch: list[int], rows: dict[Seq, Row]) -> list[bytes]:
        selected = self._selected
        match item:
            case Attribute.UID:
                uids = selected.uids
                return [b"UID %d" % uids[at] for at in batch]
            case Attribute.FLAGS:
                flags = selected.flags
                return [flags_cell(flags[at]) for at in batch]
            case Attribute.INTERNALDATE:
                dates = selected.dates
                return [b'INTERNALDATE "%b"' % internal_date(dates[at]) for at in batch]
            case Attribute.MODSEQ:
                modseqs = selected.modseqs
                return [b"MODSEQ (%d)" % modseqs[at] for at in batch]
        where = self._plan.columns.index(_COLUMN[item])
        values = [rows[Seq(selected.seqs[at])][where] for at in batch]
        if item is Attribute.RFC822_SIZE:
            return [b"RFC822.SIZE %d" % value for value in values]
        name = item.value
        return [b"%b %b" % (name, value) for value in values]

    def _read(self, batch: list[int]) -> Iterator[list[Octets]]:
        told = self._mark_seen(batch) if self._plan.marks_seen else frozenset()
        batch, rows = self._rows(batch)
        cells = [list(row) for row in zip(*self._cells(batch, rows), strict=True)]
        cells = cells or [[] for _ in batch]
        sizes_at = [self._plan.columns.index(name) for name in ("size", "header_size")]
        pieces: list[Octets] = []
        gathered = 0
        for at, row in zip(batch, cells, strict=True):
            if at in told and Attribute.FLAGS not in self._plan.attributes:
                row.append(flags_cell(self._selected.flags[at]))
            seq = self._selected.seq_at(at)
            size, header_size = (rows[seq][at_column] for at_column in sizes_at)
            contents = Contents(self._archive, seq, size, header_size)
            for piece in self._message(at, row, contents):
                pieces.append(piece)
                gathered += len(piece)
                if gathered >= _PIECE_OCTETS:
                    yield pieces
                    pieces, gathered = [], 0
        if pieces:
            yield pieces

    def _message(self, at: int, row: list[bytes], contents: Contents) -> Iterator[Octets]:
        """One FETCH response; nothing of it when the message cannot be read."""
        seq = self._selected.seq_at(at)
        if seq in self._damaged:
            self.unreadable.append(Uid(self._selected.uids[at]))
            return
        pieces = self._pieces(at, row, contents)
        if contents.size > HELD_OCTETS and self._plan.streams:
            try:
                yield from pieces
            except StoreError as error:
                # Its literal was announced: only the end of the connection says it is not whole.
                # The next FETCH leaves it out.
                self._damaged.add(seq)
                raise BrokenOff(f"message {seq} broke off: {error}") from error
            return
        try:
            yield from list(pieces)
        except (StoreError, NoSuchMessage) as error:
            _log.error("FETCH left a message out: %s", error)
            self.unreadable.append(Uid(self._selected.uids[at]))

    def _pieces(self, at: int, row: list[bytes], contents: Contents) -> Iterator[Octets]:
        yield b"* %d FETCH (" % (at + 1)
        yield b" ".join(row)
        space = b" " if row else b""
        for item in self._plan.sections:
            yield space
            yield from contents.cell(item)
            space = b" "
        yield b")\r\n"

    def _mark_seen(self, batch: list[int]) -> frozenset[int]:
        """Make the batch \\Seen as BODY[] without PEEK does; the indices that changed."""
        selected = self._selected
        unseen = [Uid(selected.uids[at]) for at in batch if SEEN not in selected.flags[at]]
        if selected.read_only or not unseen:
            return frozenset()
        try:
            result = self._archive.set_flags(
                selected.mailbox.id, unseen, FlagChange.ADD, frozenset({SEEN})
            )
        except StoreError as error:
            # A full disk must not keep anybody from reading.
            _log.error("messages could not be marked as seen: %s", error)
            return frozenset()
        self.marked = self.marked or bool(result.changed)
        return frozenset(at for place in result.changed if (at := selected.set(place)) is not None)


def _joined(batch: Sequence[int], cells: Sequence[list[bytes]]) -> bytes:
    rows = zip(*cells, strict=True)
    return b"".join(
        [
            b"* %d FETCH (%b)\r\n" % (at + 1, b" ".join(row))
            for at, row in zip(batch, rows, strict=True)
        ]
    )


@lru_cache(maxsize=4096)
def flags_cell(flags: frozenset[Flag]) -> bytes:
    """``FLAGS (…)``, in a steady order."""
    return b"FLAGS (%b)" % " ".join(sorted(flags)).encode("ascii")


def internal_date(micros: int) -> bytes:
    """date-time as `` 7-Feb-1994 21:52:25 +0000`` (RFC 9051 §9), of microseconds since 1970."""
    day, rest = divmod(micros, _DAY_US)
    seconds = rest // 1_000_000
    return b"%b %02d:%02d:%02d +0000" % (
        _day(day),
        seconds // 3600,
        seconds // 60 % 60,
        seconds % 60,
    )


@lru_cache(maxsize=4096)
def _day(days: int) -> bytes:
    date = moment(days * _DAY_US)
    month = "JanFebMarAprMayJunJulAugSepOctNovDec"[date.month * 3 - 3 : date.month * 3]
    return b"%2d-%b-%04d" % (date.day, month.encode("ascii"), date.year)
