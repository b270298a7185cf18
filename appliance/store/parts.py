"""A message ⇄ its skeleton and shared parts: exact, or not at all.

A leaf part is taken out of a message, decoded, and stored once by its digest, if
and only if encoding it again gives the original octets; whatever does not, stays
in the skeleton as it came. A skeleton is

    version u8 = 1 | count varint | items | the literal octets, one after another

    item 0   literal    length varint
    item 1   part as is digest 32 | size varint
    item 2   base64     digest 32 | size varint | characters a line varint (0: one line)
                        | line end u8 (0: LF, 1: CRLF)

Varints are LEB128. A base64 item stands for the encoded lines without the line
end after the last; that one is part of the literal that follows.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from appliance.errors import RecordDamaged
from appliance.mail.types import Digest, Octets, Part, digest_of

VERSION: Final = 1
BASE64_FROM_OCTETS: Final = 700
"""A shorter base64 body costs more as a record of its own."""
PLAIN_FROM_OCTETS: Final = 8192
_LINE_MAX: Final = 1000
_LINES_A_PIECE: Final = 4096
_PIECE_OCTETS: Final = 1 << 18
_LITERAL, _PLAIN, _BASE64 = range(3)
_EOLS: Final = (b"\n", b"\r\n")


@dataclass(frozen=True, slots=True)
class Literal:
    """Octets that stay in the skeleton."""

    octets: Octets

    @property
    def size(self) -> int:
        """Octets it stands for."""
        return len(self.octets)


@dataclass(frozen=True, slots=True)
class Reference:
    """A shared part as it stood in the message: ``line`` None is as is, else base64."""

    digest: Digest
    part_size: int
    line: int | None = None
    eol: bytes = b"\n"

    @property
    def size(self) -> int:
        """Octets it stands for in the message."""
        if self.line is None:
            return self.part_size
        encoded = (self.part_size + 2) // 3 * 4
        breaks = (encoded - 1) // self.line if self.line and encoded else 0
        return encoded + breaks * len(self.eol)


@dataclass(frozen=True, slots=True)
class Dismantled:
    """A message as items in order, and the octets of the parts they refer to."""

    items: tuple[Literal | Reference, ...]
    parts: dict[Digest, Octets]


def dismantle(octets: Octets, root: Part) -> Dismantled:
    """Take the leaf parts out that come back exactly."""
    view = memoryview(octets)
    items: list[Literal | Reference] = []
    parts: dict[Digest, Octets] = {}
    at = 0
    for part in sorted(_leaves(root), key=lambda leaf: leaf.body_at):
        if part.body_at < at or part.end_at > len(view):
            continue
        taken = _taken(view[part.body_at : part.end_at], part.encoding)
        if taken is None:
            continue
        reference, plain = taken
        if part.body_at > at:
            items.append(Literal(view[at : part.body_at]))
        items.append(reference)
        parts[reference.digest] = plain
        at = part.body_at + reference.size
    if at < len(view) or not items:
        items.append(Literal(view[at:]))
    return Dismantled(tuple(items), parts)


def assembled(
    items: Iterable[Literal | Reference], pieces: Callable[[Digest], Iterator[bytes | memoryview]]
) -> Iterator[bytes | memoryview]:
    """The octets of the message, piece by piece."""
    for item in items:
        if isinstance(item, Literal):
            yield from _slices(item.octets)
        elif item.line is None:
            yield from pieces(item.digest)
        else:
            yield from _encoded(pieces(item.digest), item.line, item.eol)


def pack(items: Iterable[Literal | Reference]) -> bytes:
    """The skeleton of these items."""
    listed = list(items)
    table = bytearray([VERSION])
    _put(table, len(listed))
    literals: list[Octets] = []
    for item in listed:
        if isinstance(item, Literal):
            table.append(_LITERAL)
            _put(table, len(item.octets))
            literals.append(item.octets)
            continue
        table.append(_PLAIN if item.line is None else _BASE64)
        table += item.digest
        _put(table, item.part_size)
        if item.line is not None:
            _put(table, item.line)
            table.append(_EOLS.index(item.eol))
    return b"".join((table, *literals))


def unpack(skeleton: Octets) -> tuple[Literal | Reference, ...]:
    """The items of a skeleton; raises RecordDamaged when it is not one."""
    try:
        return _unpacked(skeleton)
    except (IndexError, ValueError) as error:
        raise RecordDamaged(f"skeleton cannot be read: {error}") from error


def _unpacked(skeleton: Octets) -> tuple[Literal | Reference, ...]:
    if skeleton[0] != VERSION:
        raise RecordDamaged(f"skeleton version {skeleton[0]}, which this Hauspost does not know")
    count, at = _get(skeleton, 1)
    table: list[int | Reference] = []
    for _ in range(count):
        kind, at = skeleton[at], at + 1
        if kind == _LITERAL:
            length, at = _get(skeleton, at)
            table.append(length)
            continue
        digest, at = Digest(bytes(skeleton[at : at + 32])), at + 32
        size, at = _get(skeleton, at)
        if kind == _PLAIN:
            table.append(Reference(digest, size))
        elif kind == _BASE64:
            line, at = _get(skeleton, at)
            table.append(Reference(digest, size, line, _EOLS[skeleton[at]]))
            at += 1
        else:
            raise ValueError(f"item kind {kind}")
    items: list[Literal | Reference] = []
    view = memoryview(skeleton)
    for entry in table:
        if isinstance(entry, Reference):
            items.append(entry)
        else:
            items.append(Literal(view[at : at + entry]))
            at += entry
    if at != len(skeleton):
        raise ValueError("its literals do not fill it")
    return tuple(items)


def _slices(octets: Octets) -> Iterator[Octets]:
    """Octets in pieces: whoever takes them may copy each, and never holds all."""
    if len(octets) <= _PIECE_OCTETS:
        yield octets
        return
    view = memoryview(octets)
    for at in range(0, len(view), _PIECE_OCTETS):
        yield view[at : at + _PIECE_OCTETS]


def _leaves(root: Part) -> Iterator[Part]:
    stack = [root]
    while stack:
        part = stack.pop()
        if part.parts:
            stack.extend(part.parts)
        else:
            yield part


def _taken(body: memoryview, encoding: str) -> tuple[Reference, Octets] | None:
    if encoding == "base64":
        return _unwrapped(body) if len(body) >= BASE64_FROM_OCTETS else None
    if len(body) >= PLAIN_FROM_OCTETS:
        return Reference(digest_of(body), len(body)), body
    return None


def _unwrapped(body: memoryview) -> tuple[Reference, Octets] | None:
    """A base64 body decoded, if wrapping it again gives the same octets."""
    head = bytes(body[: _LINE_MAX + 2])
    lf = head.find(b"\n")
    eol = b"\r\n" if head[lf - 1 : lf] == b"\r" else b"\n"
    line = lf - len(eol) + 1 if lf >= 0 else 0
    if line % 4 or (lf >= 0 and line == 0) or (lf < 0 and len(body) > len(head)):
        return None
    end = len(body)
    while end and body[end - 1] in b"\r\n":
        end -= 1
    step = (line + len(eol)) * _LINES_A_PIECE if line else end
    decoded = bytearray()
    for at in range(0, end, step):
        piece = bytes(body[at : min(at + step, end)])
        try:
            plain = binascii.a2b_base64(piece.replace(eol, b""), strict_mode=True)
        except binascii.Error:
            return None
        last = at + step >= end
        # Padding before the end would decode, but not come back.
        if not last and len(plain) != line // 4 * 3 * _LINES_A_PIECE:
            return None
        if _wrapped(plain, line, eol) + (b"" if last else eol) != piece:
            return None
        decoded += plain
    if not decoded:
        return None
    # A view, not a copy: with a large message every copy of it counts.
    shared = memoryview(decoded).toreadonly()
    return Reference(digest_of(shared), len(shared), line, eol), shared


def _encoded(pieces: Iterator[bytes | memoryview], line: int, eol: bytes) -> Iterator[bytes]:
    """base64 lines of a part that comes in pieces, without the last line end."""
    step = line // 4 * 3 * _LINES_A_PIECE if line else 3 << 16
    held = bytearray()
    first = True
    for piece in pieces:
        held += piece
        whole = len(held) // step * step
        # The last line has no line end: what fills a step waits for what follows.
        if whole == len(held):
            whole -= step
        if whole > 0:
            lines = _wrapped(bytes(held[:whole]), line, eol)
            yield lines if first or not line else eol + lines
            first = False
            del held[:whole]
    if held:
        lines = _wrapped(bytes(held), line, eol)
        yield lines if first or not line else eol + lines


def _wrapped(plain: bytes, line: int, eol: bytes) -> bytes:
    encoded = binascii.b2a_base64(plain, newline=False)
    if not line:
        return encoded
    return eol.join([encoded[at : at + line] for at in range(0, len(encoded), line)])


def _put(table: bytearray, value: int) -> None:
    while value > 0x7F:
        table.append(value & 0x7F | 0x80)
        value >>= 7
    table.append(value)


def _get(octets: Octets, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        octet = octets[at]
        at += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number runs on")
