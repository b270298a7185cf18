"""Header sections: fields with their offsets, unfolding, encoded words, message-ids.

A header section is the octets before the first blank line, the blank line
included. Anything is tolerated: bare LF, bare CR throughout, no blank line, a
mbox ``From `` line, lines without a colon, NUL, lines of any length. Nothing
here raises on what a message holds, recurses, or takes more than linear time.
It does not validate and never corrects octets: what is stored stays as it came.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from appliance.mail.charset import clean, decode_text
from appliance.mail.dates import date_of as date_of
from appliance.mail.types import Octets

# Possessive quantifiers everywhere: no backtracking, so no quadratic surprise.
_LF = re.compile(rb"\n")
_CR = re.compile(rb"\r")
_BLANK_LINE = re.compile(rb"\n\r*+\n")
_FIRST_BLANK = re.compile(rb"\r*+\n")
_LOGICAL = re.compile(rb"[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)")
_NAME = re.compile(rb"[!-9;-~\x80-\xff]++")
_ANY_FIELD = re.compile(rb"(?:^|(?<=\n))[ \t]*+[!-9;-~\x80-\xff]++[ \t]*+:", re.M)
_LEADING_BLANKS = re.compile(
    rb"(?:[ \t]*+\r*+\n)++(?=(?:Return-Path|Received|Delivered-To|From|To|Cc|Subject|Date|Sender"
    rb"|Reply-To|Message-ID|MIME-Version|Content-Type|DKIM-Signature|X-[A-Za-z-]++):)",
    re.I,
)
_WORD_TOKEN = re.compile(rb"=\?([^?\s=]{1,64})\?([bBqQ])\?|\?=")
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]+")
_ESCAPED = re.compile(rb"=([0-9A-Fa-f]{2})")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_ANGLE = re.compile(rb"<([^<>]{1,2000})>")
_SPACE = re.compile(rb"[\s\x00]+")
_PARAMETER = re.compile(rb';\s*+([^\s=;"]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^;]*+))', re.S)
_SECTION = re.compile(rb"([^*]++)(?:\*(\d{1,6}))?(\*)?")
_BARE_WORD = re.compile(rb'[^\s("]++')
_PARENTHESIS = re.compile(rb"[()]")
_QUOTED_PAIR = re.compile(rb'\\(["\\])')
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_FILE_NAMES = frozenset({b"filename", b"name"})
_BYTE = [bytes([n]) for n in range(256)]
MAX_FIELDS: Final = 50_000
"""Fields read of one header section; the rest stays octets."""
MAX_PARAMETERS: Final = 10_000
"""Parameters read of one field."""
_BARE_CR_LIMIT = 64 << 20
_BOM = b"\xef\xbb\xbf"


RawParameters = dict[bytes, tuple[bytes | None, bytes]]


@dataclass(frozen=True, slots=True)
class Field:
    """A header field: ``octets[start:end]`` is all of it with its line end.

    ``name`` is as sent (compare without case); ``body`` is what follows the
    colon, still folded, without the last line end.
    """

    name: str
    body: bytes
    start: int
    end: int


def lined(octets: Octets) -> Octets:
    """The octets with LF for every bare CR when CR is their only line end; same offsets."""
    if _LF.search(octets) or not _CR.search(octets) or len(octets) > _BARE_CR_LIMIT:
        return octets
    return bytes(octets).replace(b"\r", b"\n")


def header_end(octets: Octets, start: int = 0, end: int | None = None) -> int:
    """Offset of the first octet of the body: after the blank line.

    ``end`` when there is no blank line; ``start`` when what is there holds no
    field at all, so that a text without a header is a body.
    """
    end = len(octets) if end is None else end
    if not _LF.search(octets, start, end):
        section = lined(octets[start:end])
        if _LF.search(section):
            return start + header_end(section)
    return found_end(octets, start, _section_end(octets, start, end))


def found_end(octets: Octets, start: int, end: int) -> int:
    """``end`` when ``octets[start:end]`` holds a field or is just a blank line, else ``start``."""
    if _ANY_FIELD.search(octets, start, end):
        return end
    blank = _FIRST_BLANK.match(octets, start, end)
    return end if blank and blank.end() == end else start


def fields(octets: Octets, start: int = 0, end: int | None = None) -> tuple[Field, ...]:
    """The fields of the header section that begins at ``start``; it ends before ``end``."""
    end = len(octets) if end is None else end
    stop = header_end(octets, start, end)
    return section_fields(bytes(lined(octets[start:stop])), bytes(octets[start:stop]), start)


def section_fields(section: bytes, original: bytes, at: int) -> tuple[Field, ...]:
    """The fields of a whole header section; ``original`` holds the octets before ``lined``."""
    found: list[Field] = []
    position = 0
    size = len(section)
    if at == 0 and (blanks := _LEADING_BLANKS.match(section)):
        position = blanks.end()
    first_line = position
    while position < size and len(found) < MAX_FIELDS:
        match = _LOGICAL.match(section, position)
        assert match is not None  # the pattern matches the empty line too
        line_start, position = position, match.end()
        colon = section.find(b":", line_start, position)
        if colon < 0:
            continue
        name = section[line_start:colon].rstrip(b" \t")
        if line_start == first_line:
            name = name.lstrip(b" \t").removeprefix(_BOM)
        if not _NAME.fullmatch(name):
            continue
        body = original[colon + 1 : position].rstrip(b"\r\n")
        found.append(Field(name.decode("latin-1"), body, at + line_start, at + position))
    return tuple(found)


def first(fields: Iterable[Field], name: str) -> bytes | None:
    """The unfolded body of the first field of that name, or None."""
    wanted = name.lower()
    for field in fields:
        if field.name.lower() == wanted:
            return unfold(field.body)
    return None


def unfold(body: bytes) -> bytes:
    """A field body in one line (RFC 5322 §2.2.3), white space around it removed."""
    if b"\n" in body or b"\r" in body:
        body = body.replace(b"\r\n", b"\n").replace(b"\n", b"").replace(b"\r", b" ")
    return body.strip(b" \t")


def decode(body: bytes) -> str:
    """The text of an unstructured field body for people: encoded words (RFC 2047) decoded.

    Raw 8-bit octets are UTF-8, else windows-1252. In one line, without
    control characters: a decoded CR LF can never start a field of its own.
    """
    body = unfold(body)
    text = _decode_words(body) if b"=?" in body else decode_text(body, None)
    if not text.isprintable():
        text = _CONTROLS.sub(" ", text.replace("\0", ""))
    return text.strip()


def message_ids(body: bytes) -> tuple[str, ...]:
    """The message-ids in a field body, each with its angle brackets and without white space.

    Where nothing stands in angle brackets, every word with an @ counts.
    """
    body = unfold(body)
    found = [_SPACE.sub(b"", inner) for inner in _ANGLE.findall(body)]
    if not found:
        found = [word.strip(b"<>,;") for word in body.split() if b"@" in word and len(word) < 2000]
    return tuple(f"<{decode_text(inner, None)}>" for inner in found if inner)


def parameterised(body: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The value and the parameters of a field body such as Content-Type's (RFC 2045 §5.1).

    Names are in lower case, in the order they first came; continuations and
    charsets (RFC 2231), and encoded words against the rules, are decoded.
    """
    value, parameters = raw_parameters(body)
    return value, parameter_texts(parameters)


def parameter_texts(parameters: RawParameters) -> tuple[tuple[str, str], ...]:
    """What ``raw_parameters`` found, as text."""
    return tuple(
        (name.decode("latin-1"), _parameter_text(charset, octets))
        for name, (charset, octets) in parameters.items()
    )


def raw_parameters(body: bytes) -> tuple[str, RawParameters]:
    """The value, and by lower-case name each parameter's RFC 2231 charset (or None) and octets."""
    body = unfold(body)
    head, semicolon, _ = body.partition(b";")
    plain: dict[bytes, bytes] = {}
    extended: dict[bytes, list[tuple[int, bool, bytes]]] = {}
    found = _PARAMETER.finditer(body, len(head)) if semicolon else ()
    for match in islice(found, MAX_PARAMETERS):
        quoted, bare = match.group(2), match.group(3)
        section = _SECTION.fullmatch(match.group(1).lower())
        if section is None:
            continue
        name, number, coded = section.groups()
        octets = _bare_value(name, bare) if quoted is None else _QUOTED_PAIR.sub(rb"\1", quoted)
        if number is None and coded is None:
            plain.setdefault(name, octets)
        else:
            extended.setdefault(name, []).append((int(number or 0), coded is not None, octets))
            plain.setdefault(name, b"")
    joined: dict[bytes, tuple[bytes | None, bytes]] = {}
    for name, octets in plain.items():
        # The extended form wins over the plain one beside it (RFC 6266 §4.3 for the same names).
        sections = extended.get(name)
        joined[name] = _joined(sections) if sections else (None, octets)
    return decode(_uncommented(head)), joined


def _bare_value(name: bytes, octets: bytes) -> bytes:
    octets = octets.strip()
    if name in _FILE_NAMES:
        # Programs that forget the quotes send ``name=photo (1).jpg``.
        return octets.strip(b'"')
    if octets.startswith(b"("):
        # A comment may stand between any two tokens (RFC 2045 §5.1): ``charset=(x)"utf-8"``.
        octets = _uncommented(octets).strip().strip(b'"')
    match = _BARE_WORD.match(octets)
    return match.group() if match else b""


def _joined(sections: list[tuple[int, bool, bytes]]) -> tuple[bytes | None, bytes]:
    """RFC 2231 §4.1: sections in the order of their numbers; the first may name a charset."""
    sections.sort(key=lambda section: section[0])
    charset: bytes | None = None
    out = []
    for index, (_, coded, octets) in enumerate(sections):
        if coded and index == 0 and octets.count(b"'") >= 2:
            charset, _, octets = octets.split(b"'", 2)
        out.append(_PERCENT.sub(_hex_octet, octets) if coded else octets)
    return charset or b"", b"".join(out)


def _parameter_text(charset: bytes | None, octets: bytes) -> str:
    if charset is None:
        return decode(octets)
    text = decode_text(octets, charset.decode("latin-1"))
    return text if text.isprintable() else _CONTROLS.sub(" ", text)


def _uncommented(octets: bytes) -> bytes:
    """Without (comments), which nest."""
    if b"(" not in octets:
        return octets
    out = []
    depth = done = 0
    for mark in _PARENTHESIS.finditer(octets):
        if mark.group() == b"(":
            if depth == 0:
                out.append(octets[done : mark.start()])
            depth += 1
        elif depth:
            depth -= 1
            done = mark.end()
    if depth == 0:
        out.append(octets[done:])
    return b"".join(out)


def _section_end(octets: Octets, start: int, end: int) -> int:
    at = start
    if start == 0 and (blanks := _LEADING_BLANKS.match(octets, 0, end)):
        # Some servers put blank lines before the message; what follows is its header.
        at = blanks.end()
    if blank := _FIRST_BLANK.match(octets, at, end):
        return blank.end()
    blank = _BLANK_LINE.search(octets, at, end)
    return blank.end() if blank else end


def _decode_words(body: bytes) -> str:
    """One pass over the tokens; adjacent words of one charset are joined before decoding,
    because senders cut inside a letter (against RFC 2047 §5)."""
    out: list[str] = []
    pending: list[bytes] = []
    charset = ""
    done = 0
    opened: re.Match[bytes] | None = None
    for token in _WORD_TOKEN.finditer(body):
        if token.group(1) is not None:
            opened = token
            continue
        if opened is None:
            continue
        between = body[done : opened.start()]
        label = opened.group(1).partition(b"*")[0].decode("latin-1").lower()
        if pending and (label != charset or between.strip()):
            out.append(decode_text(b"".join(pending), charset))
            pending = []
        # RFC 2047 §6.2: white space between adjacent encoded words is not shown.
        if between.strip() or done == 0:
            out.append(decode_text(between, None))
        charset = label
        pending.append(_word_octets(opened.group(2), body[opened.end() : token.start()]))
        done, opened = token.end(), None
    if pending:
        out.append(decode_text(b"".join(pending), charset))
    out.append(decode_text(body[done:], None))
    return clean("".join(out))


def _word_octets(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"qQ":
        return _ESCAPED.sub(_hex_octet, text.replace(b"_", b" "))
    text = _NOT_BASE64.sub(b"", text)
    text = text[: len(text) - (1 if len(text) % 4 == 1 else 0)]
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:  # pragma: no cover - cannot happen after the cleaning above
        return text


def _hex_octet(match: re.Match[bytes]) -> bytes:
    return _BYTE[int(match.group(1), 16)]
