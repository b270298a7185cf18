"""HTML of a letter, made well-formed and shallow in one linear pass, before nh3 reads it.

nh3 (as every HTML5 tree builder) is quadratic on nesting, on attributes of one
element and on formatting elements left open. This pass bounds all three: it
knows tags, quotes and comments, keeps only the elements and attributes the
allow list names, closes what it opens, and drops tags beyond a depth. It is no
sanitiser: whatever it lets through, nh3 judges afterwards (``sanitise``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

DEPTH: Final = 256
ATTRIBUTES: Final = 48
"""Attributes read of one element; the rest is dropped."""

VOID: Final = frozenset({"br", "col", "hr", "img", "wbr"})
_HIDDEN = """applet audio canvas embed frameset head iframe math noembed noframes noscript object
plaintext script select style svg template textarea title video xmp"""
HIDDEN: Final = frozenset(_HIDDEN.split())
"""Elements dropped with everything inside them."""
_RAW: Final = frozenset(
    {"iframe", "noembed", "noframes", "plaintext", "script", "style", "textarea", "title", "xmp"}
)
"""Their content is text up to their own end tag (HTML §13.2.5.2-4)."""

_TABLE: Final = frozenset(
    {"caption", "colgroup", "table", "tbody", "td", "tfoot", "th", "thead", "tr"}
)
_BARRIER: Final = frozenset({"table", "td", "th", "caption"})
_CLOSED_BY: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    # opening the key closes an open one of the first set, unless one of the second is nearer
    "li": (frozenset({"li"}), frozenset({"ul", "ol", "table", "td", "th"})),
    "dt": (frozenset({"dt", "dd"}), frozenset({"dl", "table", "td", "th"})),
    "dd": (frozenset({"dt", "dd"}), frozenset({"dl", "table", "td", "th"})),
    "td": (frozenset({"td", "th"}), frozenset({"tr", "table"})),
    "th": (frozenset({"td", "th"}), frozenset({"tr", "table"})),
    "tr": (frozenset({"tr"}), frozenset({"table"})),
    "tbody": (frozenset({"tbody", "thead", "tfoot"}), frozenset({"table"})),
    "tfoot": (frozenset({"tbody", "thead", "tfoot"}), frozenset({"table"})),
    "a": (frozenset({"a"}), frozenset({"td", "th", "table"})),
}
_BLOCK_NAMES = """address article blockquote center div dl figure footer h1 h2 h3 h4 h5 h6 header hr
main nav ol p pre section table ul"""
_BLOCKS: Final = frozenset(_BLOCK_NAMES.split())

_NAME = re.compile(r"[a-zA-Z][^\s/>\x00]*+")
_SPACE = re.compile(r"[\s/]*+")
_ATTRIBUTE = re.compile(r"([^\s/>=][^\s/>=]*+)(\s*+=\s*+)?")
_BARE = re.compile(r"[^\s>]*+")
_COMMENT_END = re.compile(r"--!?>")

Allowed = Mapping[str, frozenset[str]]
"""Attribute names of each element; ``*`` are everybody's."""


def tidied(html: str, allowed: Allowed, depth: int = DEPTH) -> str:
    """The same letter with only the allowed elements and attributes, nested at most ``depth``."""
    return _Pass(html, allowed, depth).run()


class _Pass:
    def __init__(self, html: str, allowed: Allowed, depth: int) -> None:
        self._html = html.replace("\x00", "")
        self._allowed = allowed
        self._depth = depth
        self._out: list[str] = []
        self._open: list[str] = []
        self._dropped = 0  # start tags beyond the depth whose end tags are still to come

    def run(self) -> str:
        html, at = self._html, 0
        while at >= 0:
            opening = html.find("<", at)
            if opening < 0:
                self._text(html[at:])
                break
            self._text(html[at:opening])
            at = self._markup(opening)
        self._close_down_to(0)
        return "".join(self._out)

    def _text(self, text: str) -> None:
        if text:
            self._out.append(text.replace(">", "&gt;"))

    def _markup(self, at: int) -> int:
        """Read what starts with ``<`` at ``at``; where to go on, or -1 at the end."""
        html = self._html
        if html.startswith("<!--", at):
            # ``<!-->`` and ``<!--->`` are whole comments (HTML §13.2.5.43).
            if html.startswith(("<!-->", "<!--->"), at):
                return html.index(">", at) + 1
            ending = _COMMENT_END.search(html, at + 4)
            return ending.end() if ending else -1
        name = _NAME.match(html, at + 1)
        if name:
            return self._start(name.group().lower(), name.end())
        if html.startswith("</", at):
            name = _NAME.match(html, at + 2)
            if name:
                after, _ = self._attributes(name.end(), frozenset())
                self._end(name.group().lower())
                return after
        if html.startswith(("<!", "<?", "</"), at):
            return html.find(">", at) + 1 or -1
        self._out.append("&lt;")
        return at + 1

    def _start(self, name: str, at: int) -> int:
        allowed = self._allowed.get(name)
        wanted = allowed | self._allowed.get("*", frozenset()) if allowed is not None else None
        after, attributes = self._attributes(at, wanted or frozenset())
        if after < 0:
            return -1  # the letter ends inside a tag: the tag is not one (HTML §13.2.5.8)
        if name in HIDDEN:
            return self._skip(name, after)
        if allowed is None:
            return after
        self._make_room(name)
        if name in VOID:
            self._out.append(f"<{name}{attributes}>")
        elif len(self._open) >= self._depth:
            self._dropped += 1
        else:
            self._open.append(name)
            self._out.append(f"<{name}{attributes}>")
        return after

    def _make_room(self, name: str) -> None:
        """Close what this element's start closes by itself (optional end tags, HTML §13.1.2.4)."""
        if name in _BLOCKS and self._open and self._open[-1] == "p":
            self._close_down_to(len(self._open) - 1)
        closed, fence = _CLOSED_BY.get(name, (frozenset(), frozenset()))
        if closed:
            for height in range(len(self._open) - 1, -1, -1):
                if self._open[height] in fence:
                    return
                if self._open[height] in closed:
                    self._close_down_to(height)
                    return

    def _end(self, name: str) -> None:
        if self._dropped and name not in VOID:
            self._dropped -= 1
            return
        for height in range(len(self._open) - 1, -1, -1):
            if self._open[height] == name:
                self._close_down_to(height)
                return
            if self._open[height] in _BARRIER and name not in _TABLE:
                return  # an end tag never reaches out of its table cell (HTML §13.2.4.2)

    def _close_down_to(self, height: int) -> None:
        while len(self._open) > height:
            self._out.append(f"</{self._open.pop()}>")

    def _attributes(self, at: int, wanted: frozenset[str]) -> tuple[int, str]:
        """Where the tag ends (-1: never), and the wanted attributes, written anew."""
        html, seen = self._html, 0
        kept: list[str] = []
        while True:
            at = _SPACE.match(html, at).end()  # type: ignore[union-attr]  # matches emptiness too
            if at >= len(html):
                return -1, ""
            if html[at] == ">":
                return at + 1, "".join(kept)
            found = _ATTRIBUTE.match(html, at)
            if not found:
                at += 1  # a stray "="
                continue
            at, value = found.end(), ""
            if found.group(2) and at < len(html):
                if html[at] in "\"'":
                    ending = html.find(html[at], at + 1)
                    if ending < 0:
                        return -1, ""
                    value, at = html[at + 1 : ending], ending + 1
                else:
                    bare = _BARE.match(html, at)
                    assert bare is not None  # matches emptiness too
                    value, at = bare.group(), bare.end()
            name = found.group(1).lower()
            seen += 1
            if seen <= ATTRIBUTES and name in wanted:
                kept.append(_written(name, value))

    def _skip(self, name: str, at: int) -> int:
        """Behind the end tag of an element that is dropped with its content.

        A ``head`` (old letters leave it open) ends with ``body`` or ``style``;
        elements that nest are matched by counting.
        """
        if name in {"plaintext"}:
            return -1
        if name == "head":
            return at  # its own children are hidden each for itself
        counted = 1
        marks = re.compile(rf"<(/?){name}(?=[\s/>])", re.IGNORECASE)
        while True:
            mark = marks.search(self._html, at)
            if not mark:
                return -1 if name in _RAW else at
            at = mark.end()
            if mark.group(1):
                counted -= 1
            elif name not in _RAW:
                counted += 1
            if counted == 0:
                return self._html.find(">", at) + 1 or -1


def _written(name: str, value: str) -> str:
    return ' {}="{}"'.format(name, value.replace('"', "&quot;"))
