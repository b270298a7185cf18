"""A message as a page shows it: its text in paragraphs, its HTML, its files.

Only the parts that are shown are read, each up to a limit, so that a letter
with a large file opens as fast as one without.
"""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from appliance.errors import RecordDamaged, RecordMissing
from appliance.mail.charset import decode_text
from appliance.mail.decoding import decoded, decoded_text
from appliance.mail.text import BodyViews, Number, body_views, html_text, part_text
from appliance.mail.types import Part, Seq
from web.formats import file_name, part_number

if TYPE_CHECKING:
    from appliance.store import Archive
    from appliance.store.values import Message

TEXT_LIMIT: Final = 400_000
"""Characters of text on a page; the rest is in the source."""
_ENCODED_LIMIT: Final = 8_000_000
"""Octets read of a part that is shown."""
_IMAGE_LIMIT: Final = 20_000_000
_WHOLE_LIMIT: Final = 4_000_000
"""A larger file is decoded in pieces on its way out."""
FILES_SHOWN: Final = 500

_QUOTED = re.compile(r"(?:^[ \t]*>.*(?:\n|\Z))+", re.MULTILINE)
_BLANKS = re.compile(r"\n{4,}")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]+")
_BREAKS = re.compile(r"<(?:br|p|div|tr|h[1-6]|li)\b", re.IGNORECASE)
_TAG = re.compile(r"<[^>]{0,5000}>")
_SUFFIXES: Final = {
    "message/rfc822": ".eml",
    "text/plain": ".txt",
    "text/html": ".html",
    "text/calendar": ".ics",
    "text/vcard": ".vcf",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
}


@dataclass(frozen=True, slots=True)
class File:
    """An attachment as the page offers it; ``size`` is an estimate in octets."""

    number: Number
    name: str
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class Letter:
    """``paragraphs`` are (quoted?, text); ``images`` the parts behind Content-IDs.

    ``damage`` says what is wrong where the archive cannot give the octets back.
    """

    message: Message
    paragraphs: tuple[tuple[bool, str], ...]
    cut: bool
    html: str | None
    files: tuple[File, ...]
    images: dict[str, Number]
    damage: str | None = None


def opened(archive: Archive, seq: Seq) -> Letter:
    """The letter of a message. Raises NoSuchMessage."""
    message, root = archive.message(seq), archive.structure(seq)
    views = body_views(root)
    source, text, damage = None, "", None
    try:
        source = _text_of(archive, seq, views.html) if views.html else None
        text = _plain(archive, seq, views, source)
    except (RecordDamaged, RecordMissing) as error:
        # The catalog still knows the head; one damaged record does not take the page.
        damage = str(error)
    cut = len(text) > TEXT_LIMIT
    return Letter(
        message,
        tuple(paragraphs(text[:TEXT_LIMIT])),
        cut,
        source,
        tuple(_file(number, part) for number, part in views.attachments[:FILES_SHOWN]),
        {name: number for name, (number, _) in views.inline.items()},
        damage,
    )


def part_of(root: Part, number: Number) -> Part | None:
    """The part of that number, a leaf or a message; None when there is none."""
    for found, part in root.walk():
        if found == number and part.media_type != "multipart":
            return part
    return None


def contents(archive: Archive, seq: Seq, part: Part) -> bytes | Iterator[bytes]:
    """A file in its own octets."""
    if part.end_at - part.body_at <= _WHOLE_LIMIT:
        return decoded(*_cut_out(archive, seq, part))
    pieces = archive.chunks(seq, part.body_at, part.end_at)
    if part.encoding == "base64":
        return _from_base64(pieces)
    if part.encoding in {"7bit", "8bit", "binary"}:
        return (bytes(piece) for piece in pieces)
    return decoded(*_cut_out(archive, seq, part))


def image(archive: Archive, seq: Seq, number: Number) -> tuple[str, bytes] | None:
    """The type and octets of an image, by what it is and not by what it says it is."""
    part = part_of(archive.structure(seq), number)
    if part is None or part.end_at - part.body_at > _IMAGE_LIMIT:
        return None
    octets = decoded(*_cut_out(archive, seq, part))
    kind = image_type(octets)
    return (kind, octets) if kind else None


def image_type(octets: bytes) -> str | None:
    """The media type of a picture a browser may show; SVG is a program, not a picture."""
    if octets.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if octets.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if octets.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if octets[:4] == b"RIFF" and octets[8:12] == b"WEBP":
        return "image/webp"
    return "image/bmp" if octets.startswith(b"BM") and len(octets) > 54 else None


def number_of(letter: Letter, content_id: str) -> Number | None:
    """The part behind a ``cid:`` address (RFC 2392 §2: percent-encoded)."""
    name = unquote(content_id).strip("<> ")
    return letter.images.get(name)


def frame_height(source: str) -> int:
    """A guess at how high a letter's page is, in CSS pixels: frames without origin cannot tell."""
    body = source[:200_000]
    text = html.unescape(_TAG.sub("", body))
    lines = len(_BREAKS.findall(body)) * 0.6 + len(" ".join(text.split())) / 75
    pictures = body.lower().count("<img")
    return int(min(2400, max(260, 120 + lines * 24 + min(pictures, 12) * 60)))


def suffix(part: Part) -> str:
    """A file name suffix for a part without a name."""
    return _SUFFIXES.get(f"{part.media_type}/{part.subtype}", "")


def raw_text(octets: bytes) -> str:
    """A header section for reading: every octet visible, line ends as lines."""
    text = decode_text(octets, None).replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def paragraphs(text: str) -> Iterator[tuple[bool, str]]:
    """The text in runs, quoted ones marked."""
    text = _BLANKS.sub("\n\n\n", text.strip("\n"))
    at = 0
    for quote in _QUOTED.finditer(text):
        if quote.start() > at:
            yield False, text[at : quote.start()]
        yield True, quote.group()
        at = quote.end()
    if at < len(text):
        yield False, text[at:]


def _plain(archive: Archive, seq: Seq, views: BodyViews, source: str | None) -> str:
    if views.plain is not None:
        text = part_text(*_cut_out(archive, seq, views.plain))
        if text.strip() or source is None:
            return text
    return html_text(source) if source else ""


def _text_of(archive: Archive, seq: Seq, part: Part) -> str:
    return decoded_text(*_cut_out(archive, seq, part))


def _cut_out(archive: Archive, seq: Seq, part: Part) -> tuple[bytes, Part]:
    """The octets of one part alone, and the part as it lies in them."""
    limit = _ENCODED_LIMIT if part.media_type == "text" else part.end_at - part.body_at
    end = min(part.end_at, part.body_at + limit)
    octets = archive.slice(seq, part.body_at, end)
    return octets, replace(part, header_at=0, body_at=0, end_at=len(octets), parts=())


def _file(number: Number, part: Part) -> File:
    fallback = f"{part.media_type}-{part_number(number)}{suffix(part)}"
    encoded = part.end_at - part.body_at
    # Four characters and a line end of 78 stand for three octets (RFC 2045 §6.8).
    size = encoded * 57 // 78 if part.encoding == "base64" else encoded
    kind = f"{part.media_type}/{part.subtype}"[:80]
    return File(number, file_name(part.filename, fallback), kind, size)


def _from_base64(pieces: Iterator[bytes | memoryview]) -> Iterator[bytes]:
    """base64 in pieces; padding ends it, a damaged end is dropped."""
    left = b""
    for piece in pieces:
        left += _NOT_BASE64.sub(b"", bytes(piece))
        padding = left.find(b"=")
        if padding >= 0:
            left = left[:padding]
            break
        whole = len(left) - len(left) % 4
        yield binascii.a2b_base64(left[:whole])
        left = left[whole:]
    left = left[: len(left) - (len(left) % 4 == 1)]
    yield binascii.a2b_base64(left + b"=" * (-len(left) % 4))
