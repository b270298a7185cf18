"""Text inside files: PDF, office files, calendars, cards, web pages, messages.

This runs in the child process of ``attachment.py``: the limits on memory and
time are the kernel's, those on what is unpacked are here. What a file is, its
octets say before its name or its sender does. No network, no file is written,
no document type definition is read, nothing in a file is executed.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from xml.parsers import expat

from appliance.mail.charset import clean, decode_text
from appliance.mail.decoding import from_quoted_printable
from appliance.mail.header import decode, fields, first, parameterised
from appliance.mail.html import html_text
from appliance.mail.structure import structure_of
from appliance.mail.text import reader_text

_CHUNK: Final = 1 << 16
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+")
_SPACES = re.compile(r"[ \t\xa0]+")
_BREAKS = re.compile(r"\s*\n\s*")
_NUMBER = re.compile(r"(\d+)")
_FOLD = re.compile(r"\r?\n[ \t]")
_SOFT_BREAK = re.compile(r"=\r?\n")


@dataclass(frozen=True, slots=True)
class AttachmentText:
    """The words in a file. ``failure`` says for people why there are none, or not all."""

    text: str
    pages: int | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost. Sizes in octets, times in seconds."""

    timeout_s: float = 30.0
    cpu_s: int = 20
    memory_octets: int = 1 << 30
    input_octets: int = 64 << 20
    unpacked_octets: int = 64 << 20
    entries: int = 5000
    pages: int = 1000
    text_characters: int = 1_000_000


class _Refused(Exception):
    """The file cannot be read; the message is for people."""


class _Enough(Exception):
    """As much text as the limit allows is there."""


def extract(media_type: str, filename: str | None, octets: bytes, limits: Limits) -> AttachmentText:
    """The text of one file. Never raises but MemoryError.

    ``media_type`` may have a charset parameter, as in a Content-Type field.
    """
    media_type, params = parameterised(media_type.encode("utf-8", "replace"))
    charset = dict(params).get("charset")
    if len(octets) > limits.input_octets:
        return AttachmentText("", failure="the file is too large to read its text")
    reader = _reader(media_type.lower(), (filename or "").lower(), octets)
    if reader is None:
        return AttachmentText("", failure="no text can be read from this kind of file")
    if charset and reader in (_plain, _html, _calendar):
        octets = decode_text(octets, charset).encode("utf-8")
    out = _Text(limits.text_characters)
    pages: int | None = None
    failure: str | None = None
    try:
        pages = reader(octets, out, limits)
    except _Enough:
        failure = "only the beginning was read: the file holds more text than is kept"
    except _Refused as reason:
        failure = str(reason)
    except MemoryError:
        raise
    except Exception as reason:  # libraries fail in their own ways on damaged files
        failure = f"the file is damaged ({type(reason).__name__})"
    return AttachmentText(out.text(), pages, failure)


class _Text:
    """Collects text up to a limit."""

    def __init__(self, limit: int) -> None:
        self._pieces: list[str] = []
        self._left = limit

    def add(self, text: str) -> None:
        self._pieces.append(text[: self._left])
        self._left -= len(text)
        if self._left <= 0:
            raise _Enough

    def text(self) -> str:
        text = _UNPRINTABLE.sub(" ", clean("".join(self._pieces)))
        return _BREAKS.sub("\n", _SPACES.sub(" ", text)).strip()


_Reader = Callable[[bytes, _Text, Limits], "int | None"]


def _reader(media_type: str, filename: str, octets: bytes) -> _Reader | None:
    if b"%PDF-" in octets[:1024]:
        return _pdf
    if octets.startswith(b"PK\x03\x04"):
        return _zipped
    if octets.startswith(b"\xd0\xcf\x11\xe0"):
        return None  # the old office formats, and password-protected new ones
    ending = filename.rpartition(".")[2] if "." in filename else ""
    if ending in _BY_ENDING:
        return _BY_ENDING[ending]
    if media_type in _BY_TYPE:
        return _BY_TYPE[media_type]
    return _plain if media_type.startswith("text/") and b"\0" not in octets[:4096] else None


def _plain(octets: bytes, out: _Text, _: Limits) -> None:
    out.add(decode_text(octets, None))


def _html(octets: bytes, out: _Text, _: Limits) -> None:
    out.add(html_text(decode_text(octets, None)))


def _message(octets: bytes, out: _Text, _: Limits) -> None:
    root = structure_of(octets)
    named = (first(fields(octets, 0, root.body_at), name) for name in ("subject", "from", "to"))
    out.add("\n".join(decode(body) for body in named if body) + "\n")
    out.add(reader_text(octets, root))


def _calendar(octets: bytes, out: _Text, _: Limits) -> None:
    """iCalendar and vCard: the values a person reads (RFC 5545 §3.1, RFC 6350 §3.2)."""
    text = _FOLD.sub("", decode_text(octets, None))
    for line in _SOFT_BREAK.sub("", text).splitlines():
        head, colon, value = line.partition(":")
        name, *params = head.upper().split(";")
        name = name.rpartition(".")[2]
        if not colon or name in _NOT_READ or any(one.startswith("ENCODING=B") for one in params):
            continue
        if any(one.endswith("QUOTED-PRINTABLE") for one in params):
            value = decode_text(from_quoted_printable(value.encode("utf-8")), None)
        common_name = re.search(r';CN=(?:"([^"]*)"|([^;:"]*))', head, re.I)
        if common_name:
            out.add((common_name.group(1) or common_name.group(2) or "") + " ")
        value = value.replace("\\n", "\n").replace("\\N", "\n").replace("\\", "")
        out.add(value.replace(";", " ") + "\n")


_NOT_READ_NAMES: Final = (
    "BEGIN END VERSION PRODID METHOD CALSCALE UID DTSTAMP CREATED LAST-MODIFIED SEQUENCE "
    "TZID TRIGGER ACTION TRANSP STATUS CLASS RRULE TZOFFSETFROM TZOFFSETTO TZNAME PHOTO "
    "LOGO SOUND KEY REV PRIORITY "
)
_NOT_READ: Final = frozenset(_NOT_READ_NAMES.split())


def _pdf(octets: bytes, out: _Text, limits: Limits) -> int:
    try:
        import pypdfium2
    except ImportError:
        raise _Refused("reading PDF files needs the extra [pdf]") from None
    try:
        document = pypdfium2.PdfDocument(octets)
    except pypdfium2.PdfiumError as reason:
        if "password" in str(reason).lower():
            raise _Refused("the file is protected by a password") from None
        raise _Refused("the PDF file is damaged") from None
    try:
        count = len(document)
        for number in range(min(count, limits.pages)):
            page = document[number]
            page_text = page.get_textpage()
            try:
                out.add(page_text.get_text_bounded() + "\n")
            finally:
                page_text.close()
                page.close()
        return count
    finally:
        document.close()


def _zipped(octets: bytes, out: _Text, limits: Limits) -> int | None:
    """Office files of both families, told apart by what is in them."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(octets))
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        raise _Refused("the file is damaged") from None
    names = {info.filename for info in archive.infolist()[: limits.entries]}
    office = _Office(archive, names, out, limits)
    if "word/document.xml" in names:
        office.docx()
        return None
    if "xl/workbook.xml" in names:
        return office.xlsx()
    if "ppt/presentation.xml" in names:
        return office.pptx()
    if "content.xml" in names:
        office.odf()
        return None
    raise _Refused("no text is read from inside an archive")


class _Office:
    """An opened office file; XML is streamed, and what is unpacked is counted."""

    def __init__(
        self, archive: zipfile.ZipFile, names: set[str], out: _Text, limits: Limits
    ) -> None:
        self._archive = archive
        self._names = names
        self._out = out
        self._left = limits.unpacked_octets

    def docx(self) -> None:
        breaks = {"p": "\n", "tab": " ", "br": "\n", "cr": "\n", "tc": " "}
        beside = self._like(r"word/(?:header|footer|footnotes|endnotes|comments)\d*\.xml")
        for name in ["word/document.xml", *beside]:
            self._words(name, {"t"}, breaks)

    def pptx(self) -> int:
        slides = self._like(r"ppt/slides/slide\d+\.xml")
        for name in [*slides, *self._like(r"ppt/notesSlides/notesSlide\d+\.xml")]:
            self._words(name, {"t"}, {"p": "\n", "br": "\n"})
        return len(slides)

    def odf(self) -> None:
        breaks = {"p": "\n", "h": "\n", "s": " ", "tab": " ", "line-break": "\n", "table-cell": " "}
        self._words("content.xml", {"p", "h"}, breaks)

    def xlsx(self) -> int:
        strings = self._shared_strings()
        self._parse("xl/workbook.xml", start=self._sheet_name)
        sheets = self._like(r"xl/worksheets/sheet\d+\.xml")
        for name in sheets:
            self._sheet(name, strings)
        return len(sheets)

    def _sheet_name(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "sheet" and "name" in attributes:
            self._out.add(attributes["name"] + "\n")

    def _shared_strings(self) -> list[str]:
        found: list[str] = []
        current: list[str] = []
        inside = [False]

        def start(tag: str, _: dict[str, str]) -> None:
            inside[0] = tag == "t"

        def end(tag: str) -> None:
            inside[0] = False
            if tag == "si":
                found.append("".join(current))
                current.clear()

        def words(text: str) -> None:
            if inside[0]:
                current.append(text)

        if "xl/sharedStrings.xml" in self._names:
            self._parse("xl/sharedStrings.xml", start, end, words)
        return found

    def _sheet(self, name: str, strings: list[str]) -> None:
        kind = [""]
        value: list[str] = []
        inside = [False]

        def start(tag: str, attributes: dict[str, str]) -> None:
            if tag == "c":
                kind[0] = attributes.get("t", "")
            inside[0] = tag in ("v", "t")

        def end(tag: str) -> None:
            inside[0] = False
            if tag == "c" and value:
                text = "".join(value)
                value.clear()
                if kind[0] == "s" and text.isdigit():
                    text = strings[int(text)] if int(text) < len(strings) else ""
                self._out.add(text + " ")
            elif tag == "row":
                self._out.add("\n")

        def words(text: str) -> None:
            if inside[0]:
                value.append(text)

        self._parse(name, start, end, words)

    def _words(self, name: str, holders: set[str], breaks: dict[str, str]) -> None:
        """Text inside the holder elements, with a break where an element of ``breaks`` ends."""
        depth = [0]

        def start(tag: str, _: dict[str, str]) -> None:
            if tag in holders:
                depth[0] += 1

        def end(tag: str) -> None:
            if tag in holders:
                depth[0] -= 1
            if tag in breaks:
                self._out.add(breaks[tag])

        def words(text: str) -> None:
            if depth[0]:
                self._out.add(text)

        self._parse(name, start, end, words)

    def _like(self, pattern: str) -> list[str]:
        """Names in the archive, 2 before 10."""
        found = [name for name in self._names if re.fullmatch(pattern, name)]
        return sorted(found, key=lambda name: [int(n) for n in _NUMBER.findall(name)] or [0])

    def _parse(
        self,
        name: str,
        start: Callable[[str, dict[str, str]], None] | None = None,
        end: Callable[[str], None] | None = None,
        words: Callable[[str], None] | None = None,
    ) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        if start is not None:
            parser.StartElementHandler = lambda tag, has: start(_local(tag), has)
        if end is not None:
            parser.EndElementHandler = lambda tag: end(_local(tag))
        if words is not None:
            parser.CharacterDataHandler = words
        try:
            with self._archive.open(name) as unpacked:
                while chunk := unpacked.read(_CHUNK):
                    self._left -= len(chunk)
                    if self._left < 0:
                        raise _Refused("the file unpacks to more than is read")
                    parser.Parse(chunk, False)
            parser.Parse(b"", True)
        except RuntimeError as reason:
            if "password" in str(reason) or "encrypted" in str(reason):
                raise _Refused("the file is protected by a password") from None
            raise


def _refuse_doctype(*_: Any) -> None:
    # Entities are the only use of one here, and the way to unpack 3 kB to 3 GB.
    raise _Refused("the file holds a document type definition, which is not read")


def _local(tag: str) -> str:
    return tag.rpartition(" ")[2]


_BY_ENDING: Final[dict[str, _Reader]] = {
    **dict.fromkeys(("txt", "csv", "tsv", "md", "markdown", "log", "json", "yaml", "yml"), _plain),
    **dict.fromkeys(("htm", "html", "xhtml", "xml"), _html),
    **dict.fromkeys(("ics", "ifb", "vcs", "vcf"), _calendar),
    "eml": _message,
}
_BY_TYPE: Final[dict[str, _Reader]] = {
    **dict.fromkeys(("text/html", "application/xhtml+xml", "text/xml", "application/xml"), _html),
    **dict.fromkeys(
        ("text/calendar", "application/ics", "text/vcard", "text/x-vcard", "text/directory"),
        _calendar,
    ),
    **dict.fromkeys(("message/rfc822", "message/global"), _message),
    **dict.fromkeys(("application/json", "message/delivery-status"), _plain),
}
