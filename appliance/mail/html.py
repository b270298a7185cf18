"""HTML to the words a reader sees: one pass over tags, no tree, so depth and size cost nothing.

For the index and the preview only; what a browser gets is sanitised elsewhere.
Scripts, styles and comments are left out; hidden text (a newsletter's
preheader) stays; images give their alternative text.
"""

from __future__ import annotations

import html
import re
from typing import Final

HTML_LIMIT: Final = 4_000_000
"""Characters read of one HTML body."""
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:-]*)((?:[^\"'<>]++|\"[^\"]*+\"|'[^']*+')*+)>")
_TAG_START = re.compile(r"</?[A-Za-z]")
_MARKUP_START = re.compile(r"<[!?/A-Za-z]")
_NAME = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:-]*)")
_ALT = re.compile(r"\balt\s*+=\s*+(?:\"([^\"]*)\"|'([^']*)'|([^\s>\"']+))", re.I)
_SPACE = re.compile(r"\s+")
_INVISIBLE = re.compile("[\u00ad\u034f\u200b\u2060\ufeff]+")
_MANY_BREAKS = re.compile(r" ?\n[\n ]*")
_BROKEN_TAGS: Final = 200
_SKIPPED: Final = {
    name: re.compile(rf"</{name}\b", re.I)
    for name in ("script", "style", "title", "template", "noembed", "noframes", "xml", "object")
}
_BLOCK_NAMES: Final = (
    "address article aside blockquote body br center dd div dl dt fieldset figcaption "
    "figure footer form h1 h2 h3 h4 h5 h6 header hr html li main nav ol option p pre "
    "section select table tbody tfoot thead tr ul "
)
_BLOCKS: Final = frozenset(_BLOCK_NAMES.split())
_CELLS: Final = frozenset({"td", "th"})


def html_text(source: str) -> str:
    """The words of an HTML text, a line for each block; never raises."""
    source = source[:HTML_LIMIT]
    out: list[str] = []
    position = broken = 0
    size = len(source)
    while position < size:
        start = _MARKUP_START.search(source, position)
        if start is None:
            out.append(_words(source[position:]))
            break
        begin = start.start()
        if begin > position:
            out.append(_words(source[position:begin]))
        if not _TAG_START.match(source, begin):
            position = _markup_end(source, begin)
            continue
        tag = _TAG.match(source, begin) if broken < _BROKEN_TAGS else None
        if tag is None:
            # A quote that never closes: the tag ends at the next bracket, as well as it can.
            broken += 1
            end = source.find(">", begin)
            position = size if end < 0 else end + 1
            name_match = _NAME.match(source, begin)
            assert name_match is not None  # _TAG_START matched
            closing, name, attributes = name_match.group(1), name_match.group(2).lower(), ""
        else:
            position = tag.end()
            closing, name, attributes = tag.group(1), tag.group(2).lower(), tag.group(3)
        if not closing and name in _SKIPPED:
            ended = _SKIPPED[name].search(source, position)
            if ended is None:
                break
            position = ended.start()
        else:
            out.append(_shown(name, attributes))
    text = _INVISIBLE.sub("", "".join(out))
    text = re.sub(r"[ \t]+", " ", text)
    return _MANY_BREAKS.sub("\n", text).strip()


def _markup_end(source: str, begin: int) -> int:
    """The offset after a comment, declaration or broken end tag."""
    if source.startswith("<!--", begin):
        if source.startswith((">", "->"), begin + 4):  # an empty comment, as browsers see it
            return source.index(">", begin) + 1
        end = source.find("-->", begin + 4)
        return len(source) if end < 0 else end + 3
    end = source.find(">", begin)
    return len(source) if end < 0 else end + 1


def _words(text: str) -> str:
    if "&" in text:
        text = html.unescape(text).replace("\0", "")
    return _SPACE.sub(" ", text)


def _shown(name: str, attributes: str) -> str:
    if name in _BLOCKS:
        return "\n"
    if name in _CELLS:
        return " "
    if name == "img" and (alt := _ALT.search(attributes)):
        return f" {_words(alt.group(1) or alt.group(2) or alt.group(3) or '')} "
    return ""
