"""mbox: many messages in one file, and how each comes out with the octets it went in with.

There are four formats, and a file does not say which it is:

    mboxo     a body line ``From `` is written ``>From ``; a line that was ``>From `` stays as it
              is, so the two cannot be told apart again
    mboxrd    a ``>`` before every line ``From ``, ``>From ``, ``>>From `` …: exact
    mboxcl    mboxo with a Content-Length field that counts the body as quoted
    mboxcl2   Content-Length, and nothing is quoted: exact

Reading. When every message of a file has a Content-Length that ends at the next
separator or at the end of the file, lengths frame the messages and nothing is
unquoted (mboxcl2; what an mboxcl writer quoted stays quoted). Otherwise lines
frame them and one ``>`` is taken away as mboxrd says; for an mboxo file that is
right unless a sender's own line began with ``>From ``. One Content-Length that
points past a separator is thus never believed alone: a message cannot hide the
next. A ``From `` line is a separator when it ends in a date, or is one word
(``From -``), and stands where a message can begin; prose is not.

Writing is mboxrd, with the octets as they are: CRLF stays CRLF, LF stays LF, and
our own lines (separator, blank line) end in LF. A message without a line end at
its end gets one, and its separator says so; our reader takes it off again.
"""

from __future__ import annotations

import contextlib
import mmap
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from appliance.mail.types import Octets
from appliance.transfer.loose import LARGE_OCTETS, believable

WRITER: Final = b"hauspost-mboxrd"
"""The sender in our separators: this file is mboxrd, without guessing."""
WRITER_UNENDED: Final = b"hauspost-mboxrd-unended"
"""The same, and the last line end before the blank line is not the message's."""

_SEPARATOR_LIMIT = 1_000
_HEADER_LIMIT = 1 << 20
_DROP_OCTETS = 16 << 20

_DATED = re.compile(rb"From .*\b\d{1,2}:\d\d(?::\d\d)?\b.*\b\d{4}\b")
_ONE_WORD = re.compile(rb"From \S+[ \t]*\r?$")
_FIELD = re.compile(rb"[!-9;-~]{1,200}[ \t]*:")
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_TO_QUOTE = re.compile(rb"^(>*From )", re.MULTILINE)
_CONTENT_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*(\d{1,15})[ \t]*\r?$", re.I | re.M)
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_BOM = b"\xef\xbb\xbf"
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_DATE = re.compile(
    rb"\b([A-Z][a-z]{2}) +(\d{1,2}) +(\d{1,2}):(\d\d)(?::(\d\d))?"
    rb"(?: +[A-Z]{1,5}(?= ))?(?: +([+-]\d{4}))? +(\d{4})(?: +([+-]\d{4}))?"
)


@dataclass(frozen=True, slots=True)
class MboxMessage:
    """A message of an mbox file.

    ``octets`` is a view of the file when the message is large and nothing was
    quoted in it; it is good until the next message is asked for. ``start`` is
    the offset of its separator.
    """

    start: int
    octets: Octets
    separator: bytes
    arrived: datetime | None


@dataclass(frozen=True, slots=True)
class _Frame:
    """Offsets of one message: separator line, octets, the end of the octets."""

    start: int
    begin: int
    end: int


def looks_like_mbox(first: bytes) -> bool:
    """Whether a file that begins with these octets is an mbox."""
    line = first.removeprefix(_BOM).lstrip(b"\r\n").split(b"\n", 1)[0] + b"\n"
    return line.startswith(b"From ") and _is_dated_or_word(line.rstrip(b"\n"))


def read_mbox(path: Path) -> Iterator[MboxMessage]:
    """The messages of an mbox file, in order; one is in memory at a time. Raises OSError.

    A file without any separator yields nothing. The file must not be cut
    shorter while it is read.
    """
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            return
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    dropped = 0
    ours, unquoting, frames = _framing(mapped)
    for frame in frames:
        separator = mapped[frame.start : frame.begin].rstrip(b"\r\n")
        end = frame.end
        if ours and separator.split(b" ", 2)[1] == WRITER_UNENDED:
            end -= 1
        yield MboxMessage(
            frame.start,
            _octets(mapped, frame.begin, end, unquoting),
            separator,
            separator_date(separator),
        )
        # Pages that were read count as ours until the kernel wants them back: a file of
        # many gigabytes would look like memory of many gigabytes.
        if frame.end - dropped > _DROP_OCTETS:
            with contextlib.suppress(OSError):
                mapped.madvise(mmap.MADV_DONTNEED)
            dropped = frame.end


def mboxrd(octets: Octets, arrived: datetime) -> Iterator[bytes]:
    """The message as it is written to an mboxrd file, in pieces: separator, octets, blank line."""
    ended = len(octets) > 0 and octets[-1] == 0x0A
    sender = WRITER if ended else WRITER_UNENDED
    yield b"From %s %s\n" % (sender, asctime(arrived))
    # Large messages go in slices that end at a line end, so quoting sees whole lines.
    begin = 0
    while begin < len(octets):
        end = _line_end(octets, begin + LARGE_OCTETS)
        yield _TO_QUOTE.sub(rb">\1", bytes(octets[begin:end]))
        begin = end
    yield b"\n" if ended else b"\n\n"


def asctime(moment: datetime) -> bytes:
    """``Thu Aug 22 12:36:23 2002``, UTC, whatever the locale says."""
    moment = moment.astimezone(UTC)
    day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][moment.weekday()]
    month = _MONTHS[moment.month - 1]
    return f"{day} {month} {moment.day:2d} {moment:%H:%M:%S} {moment.year:04d}".encode("ascii")


def separator_date(separator: bytes) -> datetime | None:
    """The date at the end of a separator; UTC where it names no zone; None if not believable."""
    found = _DATE.search(separator)
    if found is None:
        return None
    month, day, hour, minute, second, zone, year, zone_after = found.groups()
    offset = zone or zone_after or b"+0000"
    away = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5]))
    try:
        when = datetime(
            int(year),
            _MONTHS.index(month.decode("ascii")) + 1,
            int(day),
            int(hour),
            int(minute),
            int(second or 0),
            tzinfo=timezone(-away if offset.startswith(b"-") else away),
        )
        return believable(when.astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _framing(mapped: mmap.mmap) -> tuple[bool, bool, Iterator[_Frame]]:
    """(our own file?, take quoting away?, the frames)."""
    start = _first(mapped)
    if start is None:
        return False, False, iter(())
    if mapped[start : start + 5 + len(WRITER)] == b"From " + WRITER:
        return True, True, _by_lines(mapped, start, ours=True)
    if all(frame is not None for frame in _by_length(mapped, start)):
        return False, False, (frame for frame in _by_length(mapped, start) if frame is not None)
    return False, True, _by_lines(mapped, start, ours=False)


def _first(mapped: mmap.mmap) -> int | None:
    """The offset of the first separator: after a byte-order mark and blank lines only."""
    at = len(_BOM) if mapped[: len(_BOM)] == _BOM else 0
    while at < len(mapped) and mapped[at] in b"\r\n":
        at += 1
    line = _line(mapped, at)
    return at if line is not None and _is_dated_or_word(line) else None


def _by_lines(mapped: mmap.mmap, start: int, *, ours: bool) -> Iterator[_Frame]:
    """Frames between separator lines."""
    while start < len(mapped):
        begin = _after_line(mapped, start)
        following = _next_separator(mapped, begin, ours)
        yield _Frame(start, begin, _without_blank_line(mapped, begin, following))
        start = following


def _next_separator(mapped: mmap.mmap, begin: int, ours: bool) -> int:
    """The offset of the next separator at or after ``begin`` (a line start), or the file's end."""
    at = begin - 1
    while True:
        at = mapped.find(b"\nFrom ", at)
        if at < 0:
            return len(mapped)
        at += 1
        # In our own files every such line inside a message is quoted: no judging.
        if ours or _separates(mapped, at):
            return at


def _separates(mapped: mmap.mmap, at: int) -> bool:
    """Whether the ``From `` line at ``at`` begins a message."""
    line = _line(mapped, at)
    if line is None:
        return False
    blank_before = (
        mapped[max(0, at - 2) : at] == b"\n\n" or mapped[max(0, at - 3) : at] == b"\n\r\n"
    )
    field_after = _FIELD.match(mapped, at + len(line) + 1) is not None
    if _DATED.match(line):
        return blank_before or field_after
    # Netscape wrote "From - " and no blank line before it.
    alone = blank_before or line.rstrip() == b"From -"
    return alone and field_after and _ONE_WORD.match(line) is not None


def _by_length(mapped: mmap.mmap, start: int) -> Iterator[_Frame | None]:
    """Frames by Content-Length; None, and no more, at the first that does not hold."""
    while start < len(mapped):
        begin = _after_line(mapped, start)
        header_end = _HEADER_END.search(mapped, begin, begin + _HEADER_LIMIT)
        length = header_end and _CONTENT_LENGTH.search(mapped, begin, header_end.end())
        if not header_end or not length:
            yield None
            return
        end = header_end.end() + int(length[1])
        after = _skip_blank_lines(mapped, end)
        if not (after == len(mapped) >= end or _begins_after(mapped, end, after)):
            yield None
            return
        yield _Frame(start, begin, end)
        start = after


def _begins_after(mapped: mmap.mmap, end: int, at: int) -> bool:
    """Whether a separator stands at ``at``, a line's start after a message that ends at ``end``."""
    if at == end and mapped[end - 1 : end] != b"\n":
        return False
    line = _line(mapped, at)
    return line is not None and _is_dated_or_word(line)


def _is_dated_or_word(line: bytes) -> bool:
    return bool(_DATED.match(line) or _ONE_WORD.match(line))


def _skip_blank_lines(mapped: mmap.mmap, at: int) -> int:
    while at < len(mapped) and mapped[at] in b"\r\n":
        at += 1
    return at


def _line(mapped: mmap.mmap, at: int) -> bytes | None:
    """The line at ``at`` without its LF, if it begins with ``From `` and is of sane length."""
    if mapped[at : at + 5] != b"From ":
        return None
    end = mapped.find(b"\n", at, at + _SEPARATOR_LIMIT)
    if end < 0:
        end = len(mapped) if len(mapped) - at < _SEPARATOR_LIMIT else -1
    return mapped[at:end] if end >= 0 else None


def _after_line(mapped: mmap.mmap, at: int) -> int:
    end = mapped.find(b"\n", at)
    return end + 1 if end >= 0 else len(mapped)


def _without_blank_line(mapped: mmap.mmap, begin: int, end: int) -> int:
    """``end`` before the blank line that belongs to the format, if there is one."""
    for blank in (b"\r\n", b"\n"):
        at = end - len(blank)
        # The line end before it is the message's own: a message that ends CRLF, in a
        # file whose blank lines are LF, loses only the LF.
        if at >= begin and mapped[at:end] == blank and (at == begin or mapped[at - 1] == 0x0A):
            return at
    return end


def _octets(mapped: mmap.mmap, begin: int, end: int, unquoting: bool) -> Octets:
    """The message between the offsets, one ``>`` taken off where the format put it."""
    quoted = unquoting and mapped.find(b">From ", begin, end) >= 0
    if end - begin < LARGE_OCTETS:
        octets = mapped[begin:end]
        return _QUOTED.sub(rb"\1", octets) if quoted else octets
    if not quoted:
        return memoryview(mapped)[begin:end]
    with tempfile.TemporaryFile() as spool:
        view = memoryview(mapped)
        while begin < end:
            stop = min(_line_end(view, begin + LARGE_OCTETS), end)
            spool.write(_QUOTED.sub(rb"\1", mapped[begin:stop]))
            begin = stop
        spool.flush()
        return memoryview(mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ))


def _line_end(octets: Octets, at: int) -> int:
    """The first offset after a LF at or after ``at``, or the end."""
    step = 1 << 16
    while at < len(octets):
        found = bytes(octets[at : at + step]).find(b"\n")
        if found >= 0:
            return at + found + 1
        at += step
    return len(octets)
