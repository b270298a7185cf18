"""The MIME tree of any octets, as offsets; a usable Part whatever comes in.

One pass forward over the lines that can end something: a blank line ends a
header section, a line of an open multipart's boundary ends a part. No octet is
looked at twice, so nesting, boundary bombs and missing delimiters cost linear
time. It never raises, recurses or changes octets.

What is no sound MIME becomes a leaf that can be shown:

    multipart without a delimiter in it     text/plain, the raw text
    message/rfc822 in base64                a leaf; decode it to see the message
    deeper than MAX_DEPTH                   application/octet-stream
    after MAX_PARTS                         one last application/octet-stream to the end
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from appliance.mail.header import (
    Field,
    decode,
    found_end,
    header_end,
    lined,
    parameter_texts,
    parameterised,
    raw_parameters,
    section_fields,
    unfold,
)
from appliance.mail.packing import pack as pack
from appliance.mail.packing import unpack as unpack
from appliance.mail.types import Octets, Part

MAX_DEPTH: Final = 128
"""Parts inside parts; mail programs that recurse survive this."""
MAX_PARTS: Final = 10_000

_EVENT = re.compile(rb"\n(?:\r*+\n|--([^\n]*+))")
_DELIMITER = re.compile(rb"\n--([^\n]*+)")
_TYPE = re.compile(r"\s*([^\s/;,\"()]+)\s*/\s*([^\s/;,\"()]+)")
_TOKEN = re.compile(r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+")
_GUESSED_BOUNDARY = re.compile(
    # "-----Original Message-----" and an empty line is no delimiter.
    rb"\n--(?=[^\s-][^\n]*+\n\r*+\n|[^\n]++\n[Cc]ontent-)([^\n]++)\n"
)
_GUESS_WITHIN = 1 << 15
_COUNT_STEP = 1 << 20
_ENCODED: Final = frozenset({"base64", "quoted-printable", "x-uuencode", "uuencode", "x-uue"})
_MESSAGE: Final = frozenset({"rfc822", "global"})
_WANTED: Final = frozenset(
    {
        "content-type",
        "content-transfer-encoding",
        "content-disposition",
        "content-id",
        "content-description",
        "content-language",
        "content-location",
        "content-md5",
    }
)


@dataclass(frozen=True, slots=True)
class _Described:
    """What a header section says about its body."""

    media_type: str = "text"
    subtype: str = "plain"
    params: tuple[tuple[str, str], ...] = ()
    boundary: bytes = b""
    encoding: str = "7bit"
    disposition: str | None = None
    disposition_params: tuple[tuple[str, str], ...] = ()
    content_id: str | None = None
    description: str | None = None
    language: tuple[str, ...] = ()
    location: str | None = None
    md5: str | None = None


@dataclass(slots=True)
class _Open:
    """A part whose end is not known yet."""

    described: _Described
    header_at: int
    body_at: int
    newlines: int
    boundary: bytes = b""
    closed: bool = False
    parts: list[Part] = field(default_factory=list)


def structure_of(octets: Octets) -> Part:
    """The tree of a whole message. The root's body reaches to the end of the octets."""
    return _Parser(lined(octets)).run()


def section(octets: Octets, root: Part, number: tuple[int, ...]) -> Part | None:
    """The part of that number (RFC 9051 §6.4.5), as in ``Part.walk``; None when there is none.

    () is the message. A message that is not multipart has part 1, which is itself.
    """
    part = root
    for depth, wanted in enumerate(number):
        if depth == 0 and root.media_type != "multipart":
            below: tuple[Part, ...] = (root,)
        elif part.media_type == "message" and part.parts:
            inner = part.parts[0]
            below = inner.parts if inner.media_type == "multipart" else (inner,)
        else:
            below = part.parts
        if not 1 <= wanted <= len(below):
            return None
        part = below[wanted - 1]
    return part


class _Parser:
    """The state of the one pass: the open parts, outermost first."""

    def __init__(self, octets: Octets) -> None:
        self._octets = octets
        self._size = len(octets)
        self._open: list[_Open] = []
        self._active: dict[bytes, list[int]] = {}  # boundary -> levels that use it, outermost first
        self._made = 0
        self._newlines = 0
        self._counted_to = 0
        self._described: dict[tuple[bytes, bool], _Described] = {}
        self._root: Part | None = None

    def run(self) -> Part:
        body_at = header_end(self._octets)
        self._begin(0, body_at, digest=False)
        position = self._descend(body_at)
        while self._active and (match := _DELIMITER.search(self._octets, position)):
            position = self._at_line(match)
        self._close_down_to(0, self._size)
        assert self._root is not None
        return self._root

    def _at_line(self, match: re.Match[bytes]) -> int:
        """Take a line that begins with two hyphens; where to look for the next."""
        level, last = self._level(match.group(1))
        if level is None:
            return match.end()
        while level is not None:
            parent = self._open[level]
            cut = match.start()
            if cut and self._octets[cut - 1 : cut] == b"\r":
                cut -= 1  # the line end before a delimiter belongs to it (RFC 2046 §5.1.1)
            self._close_down_to(level + 1, cut)
            if last:
                self._forget(level)
                return match.end()
            at = min(match.end() + 1, self._size)
            if self._made >= MAX_PARTS:
                self._give_up(at)
                return self._size
            body_at, ended_by = self._header(at)
            self._begin(at, body_at, digest=_is_digest(parent.described))
            if ended_by is None:
                return self._descend(body_at)
            match = ended_by
            level, last = self._level(match.group(1))
        raise AssertionError("a header section ends at a delimiter of an open part")

    def _level(self, line: bytes) -> tuple[int | None, bool]:
        """The level of the open multipart this line delimits, and whether it is its last."""
        line = line.rstrip(b" \t\r")
        if levels := self._active.get(line):
            return levels[-1], False
        if line.endswith(b"--") and (levels := self._active.get(line[:-2].rstrip(b" \t"))):
            return levels[-1], True
        return None, False

    def _header(self, at: int) -> tuple[int, re.Match[bytes] | None]:
        """Where the body begins, and the delimiter line that cut the header section short."""
        position = at - 1
        while match := _EVENT.search(self._octets, position):
            if match.group(1) is None:
                return found_end(self._octets, at, match.end()), None
            if self._level(match.group(1))[0] is not None:
                return found_end(self._octets, at, match.start() + 1), match
            position = match.end()
        return found_end(self._octets, at, self._size), None

    def _begin(self, header_at: int, body_at: int, digest: bool) -> None:
        described = self._describe(header_at, body_at, digest)
        self._made += 1
        self._open.append(_Open(described, header_at, body_at, self._newlines_to(body_at)))

    def _descend(self, body_at: int) -> int:
        """Open what the innermost part holds: a multipart's boundary, a message's header.

        Answers where to look for the next delimiter line: at the line end
        before the body, so that its first line counts.
        """
        while True:
            part = self._open[-1]
            kind = part.described
            if len(self._open) >= MAX_DEPTH or self._made >= MAX_PARTS:
                if kind.media_type == "multipart" or _is_message(kind):
                    part.described = _opaque(kind)
                break
            if kind.media_type == "multipart":
                boundary = kind.boundary
                if not boundary or (len(self._open) == 1 and not self._occurs(boundary, body_at)):
                    boundary = self._guessed_boundary(body_at)
                if boundary:
                    part.boundary = boundary
                    self._active.setdefault(boundary, []).append(len(self._open) - 1)
                break
            if not _is_message(kind):
                break
            inner_at = body_at
            body_at, ended_by = self._inner_header(inner_at)
            self._begin(inner_at, body_at, digest=False)
            if ended_by is not None:
                return ended_by.start()
        return max(body_at - 1, 0)

    def _inner_header(self, at: int) -> tuple[int, re.Match[bytes] | None]:
        if at == 0 or self._octets[at - 1 : at] != b"\n":
            # No line end before it: only a message with an empty header section begins so.
            return found_end(self._octets, at, header_end(self._octets, at, self._size)), None
        return self._header(at)

    def _occurs(self, boundary: bytes, body_at: int) -> bool:
        return bool(re.compile(re.escape(b"--" + boundary)).search(self._octets, body_at))

    def _guessed_boundary(self, body_at: int) -> bytes:
        """The first line that looks like a delimiter before a part's header.

        For a multipart that names no boundary, and for a message whose boundary is not in it.
        """
        end = min(body_at + _GUESS_WITHIN, self._size)
        match = _GUESSED_BOUNDARY.search(self._octets, max(body_at - 1, 0), end)
        return match.group(1).rstrip(b" \t\r") if match else b""

    def _give_up(self, at: int) -> None:
        self._active.clear()
        self._made += 1
        rest = _Described("application", "octet-stream", encoding="binary")
        self._open.append(_Open(rest, at, at, self._newlines_to(at)))

    def _forget(self, level: int) -> None:
        """The multipart at this level takes no more delimiters."""
        part = self._open[level]
        if part.boundary and not part.closed:
            part.closed = True
            levels = self._active.get(part.boundary)
            if levels:
                levels.pop()
                if not levels:
                    del self._active[part.boundary]

    def _close_down_to(self, level: int, end: int) -> None:
        """Close the parts from this level inwards; their body ends at ``end``."""
        while len(self._open) > level:
            self._forget(len(self._open) - 1)
            part = self._open.pop()
            # A header section may reach over the line end before the delimiter: then the
            # body is empty, and what this part stands in ends there too.
            end = max(end, part.body_at)
            made = self._made_of(part, end)
            if self._open:
                self._open[-1].parts.append(made)
            else:
                self._root = made

    def _made_of(self, part: _Open, end: int) -> Part:
        kind = part.described
        lines = self._newlines_to(end) - part.newlines
        if end > part.body_at and self._octets[end - 1 : end] != b"\n":
            lines += 1  # a last line without its line end is a line
        if kind.media_type == "multipart" and not part.parts:
            kind = _shown_raw(kind)
        return Part(
            media_type=kind.media_type,
            subtype=kind.subtype,
            params=kind.params,
            encoding=kind.encoding,
            header_at=part.header_at,
            body_at=part.body_at,
            end_at=end,
            lines=lines,
            parts=tuple(part.parts),
            disposition=kind.disposition,
            disposition_params=kind.disposition_params,
            content_id=kind.content_id,
            description=kind.description,
            language=kind.language,
            location=kind.location,
            md5=kind.md5,
        )

    def _newlines_to(self, end: int) -> int:
        """Newlines before ``end``; every octet is counted once because offsets ascend."""
        at = self._counted_to
        if end <= at:
            return self._newlines
        if isinstance(self._octets, bytes):
            self._newlines += self._octets.count(b"\n", at, end)
        else:
            for start in range(at, end, _COUNT_STEP):
                step = bytes(self._octets[start : min(start + _COUNT_STEP, end)])
                self._newlines += step.count(b"\n")
        self._counted_to = end
        return self._newlines

    def _describe(self, header_at: int, body_at: int, digest: bool) -> _Described:
        octets = bytes(self._octets[header_at:body_at])
        key = (octets, digest)
        known = self._described.get(key)
        if known is None:
            known = _described(section_fields(octets, octets, header_at), digest)
            if len(octets) < 2000:
                self._described[key] = known
        return known


def _described(found: tuple[Field, ...], digest: bool) -> _Described:
    bodies: dict[str, bytes] = {}
    for one in found:
        name = one.name.lower()
        if name in _WANTED:
            bodies.setdefault(name, one.body)
    media_type, subtype, params, boundary = _content_type(bodies.get("content-type"), digest)
    disposition, disposition_params = _disposition(bodies.get("content-disposition"))
    language = bodies.get("content-language")
    return _Described(
        media_type,
        subtype,
        params,
        boundary,
        _encoding(bodies.get("content-transfer-encoding")),
        disposition,
        disposition_params,
        _text(bodies.get("content-id")),
        _text(bodies.get("content-description")),
        tuple(tag for tag in decode(language).replace(",", " ").split()) if language else (),
        _text(bodies.get("content-location")),
        _text(bodies.get("content-md5")),
    )


def _content_type(
    body: bytes | None, digest: bool
) -> tuple[str, str, tuple[tuple[str, str], ...], bytes]:
    if body is None:
        # RFC 2046 §5.1.5: the default type in a digest; RFC 2045 §5.2 elsewhere.
        return ("message", "rfc822", (), b"") if digest else ("text", "plain", (), b"")
    value, raw = raw_parameters(body)
    params = parameter_texts(raw)
    # A trailing space is no part of a boundary (RFC 2046 §5.1.1).
    boundary = raw.get(b"boundary", (None, b""))[1].rstrip(b" \t\r\n")
    match = _TYPE.match(value)
    if match and _TOKEN.fullmatch(match.group(1)) and _TOKEN.fullmatch(match.group(2)):
        return match.group(1).lower(), match.group(2).lower(), params, boundary
    if value.strip().lower().rstrip("/") == "multipart" and boundary:
        return "multipart", "mixed", params, boundary
    return "text", "plain", params, b""  # RFC 2045 §5.2: what has no valid syntax is text


def _disposition(body: bytes | None) -> tuple[str | None, tuple[tuple[str, str], ...]]:
    if body is None:
        return None, ()
    value, params = parameterised(body)
    value = value.strip().lower()
    if not _TOKEN.fullmatch(value):
        value = "attachment" if params or value else ""
    return value or None, params


def _encoding(body: bytes | None) -> str:
    if body is None:
        return "7bit"
    value = parameterised(body)[0].lower().split()
    if not value:
        return "7bit"
    token = value[0].strip("\"'.,:")
    return token if _TOKEN.fullmatch(token) else "7bit"


def _text(body: bytes | None) -> str | None:
    return (decode(unfold(body)) or None) if body is not None else None


def _is_digest(kind: _Described) -> bool:
    return kind.media_type == "multipart" and kind.subtype == "digest"


def _is_message(kind: _Described) -> bool:
    return (
        kind.media_type == "message" and kind.subtype in _MESSAGE and kind.encoding not in _ENCODED
    )


def _shown_raw(kind: _Described) -> _Described:
    """A multipart in which no part was found."""
    params = tuple(pair for pair in kind.params if pair[0] != "boundary")
    return _changed(kind, "text", "plain", params)


def _opaque(kind: _Described) -> _Described:
    return _changed(kind, "application", "octet-stream", ())


def _changed(
    kind: _Described, media_type: str, subtype: str, params: tuple[tuple[str, str], ...]
) -> _Described:
    return _Described(
        media_type,
        subtype,
        params,
        b"",
        kind.encoding,
        kind.disposition,
        kind.disposition_params,
        kind.content_id,
        kind.description,
        kind.language,
        kind.location,
        kind.md5,
    )
