"""A Part tree as octets for the catalog: compact, versioned, exact both ways.

One octet names the form, the rest is JSON: a row for each part, outermost
first, with the number of its parts; offsets as steps from the row before. The
list is flat, so depth costs nothing. Compressed where that saves something.
It is no exchange format: only what ``pack`` wrote can be unpacked.
"""

from __future__ import annotations

import json
import zlib
from typing import Any, Final

from appliance.mail.types import Part

_PLAIN: Final = b"\x01"
_DEFLATED: Final = b"\x02"
_DEFLATE_FROM: Final = 200
_Row = list[Any]


def pack(root: Part) -> bytes:
    """The tree as octets."""
    rows: list[_Row] = []
    stack = [root]
    before = 0
    while stack:
        part = stack.pop()
        rows.append(_row(part, before))
        before = part.header_at
        stack.extend(reversed(part.parts))
    plain = json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    if len(plain) >= _DEFLATE_FROM:
        return _DEFLATED + zlib.compress(plain, 6)
    return _PLAIN + plain


def unpack(octets: bytes) -> Part:
    """The tree that was packed. Raises ValueError for octets no ``pack`` wrote."""
    form, rest = octets[:1], octets[1:]
    if form not in (_PLAIN, _DEFLATED):
        raise ValueError("a structure in a form this version does not know")
    try:
        rows: list[_Row] = json.loads(zlib.decompress(rest) if form == _DEFLATED else rest)
        return _tree(rows)
    except (zlib.error, LookupError, TypeError, RecursionError) as reason:
        raise ValueError(f"a damaged structure: {reason}") from reason


def _row(part: Part, before: int) -> _Row:
    row: _Row = [
        len(part.parts),
        part.media_type,
        part.subtype,
        [text for pair in part.params for text in pair],
        part.encoding,
        part.header_at - before,
        part.body_at - part.header_at,
        part.end_at - part.body_at,
        part.lines,
        part.content_id,
        part.disposition,
        [text for pair in part.disposition_params for text in pair],
        part.description,
        list(part.language),
        part.location,
        part.md5,
    ]
    while row[-1] is None or row[-1] == []:
        row.pop()
    return row


def _tree(rows: list[_Row]) -> Part:
    """Built from the last row back: a part's parts are ready before it."""
    starts = []
    at = 0
    for row in rows:
        at += row[5]
        starts.append(at)
    ready: list[Part] = []  # the last in the list comes first in the message
    for row, header_at in zip(reversed(rows), reversed(starts), strict=True):
        count = row[0]
        parts = tuple(ready[len(ready) - count :][::-1]) if count else ()
        if len(parts) != count:
            raise LookupError("a part has fewer parts than it says")
        del ready[len(ready) - count :]
        ready.append(_part(row + [None] * (16 - len(row)), header_at, parts))
    (root,) = ready
    return root


def _part(row: _Row, header_at: int, parts: tuple[Part, ...]) -> Part:
    body_at = header_at + row[6]
    return Part(
        media_type=row[1],
        subtype=row[2],
        params=_pairs(row[3]),
        encoding=row[4],
        header_at=header_at,
        body_at=body_at,
        end_at=body_at + row[7],
        lines=row[8],
        parts=parts,
        content_id=row[9],
        disposition=row[10],
        disposition_params=_pairs(row[11]),
        description=row[12],
        language=tuple(row[13] or ()),
        location=row[14],
        md5=row[15],
    )


def _pairs(flat: list[str] | None) -> tuple[tuple[str, str], ...]:
    return tuple(zip(flat[::2], flat[1::2], strict=True)) if flat else ()
