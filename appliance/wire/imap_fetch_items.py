"""What a FETCH asks for: a closed family of items; macros are already expanded.

``answer`` of a section is the item's name in the response, ready-made: what
the client wrote, in the server's spelling, with the origin of a partial.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Attribute(Enum):
    """Items without arguments; the value is the name in command and response."""

    BODY = b"BODY"
    """BODYSTRUCTURE without extension data."""
    BODYSTRUCTURE = b"BODYSTRUCTURE"
    EMAILID = b"EMAILID"
    ENVELOPE = b"ENVELOPE"
    FLAGS = b"FLAGS"
    INTERNALDATE = b"INTERNALDATE"
    MODSEQ = b"MODSEQ"
    RFC822_SIZE = b"RFC822.SIZE"
    SAVEDATE = b"SAVEDATE"
    THREADID = b"THREADID"
    UID = b"UID"


class SectionText(Enum):
    """Which octets of a part a section means; without one, the whole part."""

    HEADER = b"HEADER"
    HEADER_FIELDS = b"HEADER.FIELDS"
    HEADER_FIELDS_NOT = b"HEADER.FIELDS.NOT"
    TEXT = b"TEXT"
    MIME = b"MIME"


@dataclass(frozen=True, slots=True)
class BodySection:
    """BODY[…]<…>, BODY.PEEK[…]<…>, RFC822, RFC822.HEADER, RFC822.TEXT (RFC 9051 §6.4.5).

    ``part`` counts from 1, () is the message. ``fields`` are the names of
    HEADER.FIELDS (.NOT), as written. ``partial`` is (offset, octets). Without
    ``peek`` the message becomes \\Seen; RFC822.HEADER peeks.
    """

    part: tuple[int, ...]
    text: SectionText | None
    fields: tuple[bytes, ...]
    partial: tuple[int, int] | None
    peek: bool
    answer: bytes


@dataclass(frozen=True, slots=True)
class BinarySection:
    """BINARY[…]<…>: a part with its transfer encoding undone (RFC 3516)."""

    part: tuple[int, ...]
    partial: tuple[int, int] | None
    peek: bool
    answer: bytes


@dataclass(frozen=True, slots=True)
class BinarySize:
    """BINARY.SIZE[…]: the size of a part with its transfer encoding undone (RFC 3516)."""

    part: tuple[int, ...]
    answer: bytes


@dataclass(frozen=True, slots=True)
class Preview:
    """PREVIEW (RFC 8970); ``lazy``: NIL will do if it is not at hand."""

    lazy: bool


FetchItem = Attribute | BodySection | BinarySection | BinarySize | Preview
