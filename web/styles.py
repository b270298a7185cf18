"""The declarations of a ``style`` attribute that only dress the letter.

What could load something, cover the page or hide a second meaning is refused:
functions other than colours, escapes, comments, variables, ``position``. A
value must be made of plain characters; anything else loses its declaration.
"""

from __future__ import annotations

import re
from typing import Final

LIMIT: Final = 8192
"""Longest ``style`` attribute that is read, in characters."""

_SIDES = ("top", "right", "bottom", "left")
_NAMES = """background background-color border border-collapse border-color border-radius
border-spacing border-style border-width box-sizing caption-side clear color direction display
empty-cells float font font-family font-size font-style font-variant font-weight height
letter-spacing line-height list-style list-style-type margin max-height max-width min-height
min-width mso-hide mso-line-height-rule mso-table-lspace mso-table-rspace opacity overflow
overflow-wrap padding table-layout text-align text-decoration text-indent text-overflow
text-transform unicode-bidi vertical-align visibility white-space width word-break word-spacing
word-wrap"""
PROPERTIES: Final = frozenset(
    {
        *_NAMES.split(),
        *(f"margin-{side}" for side in _SIDES),
        *(f"padding-{side}" for side in _SIDES),
        *(f"border-{side}" for side in _SIDES),
        *(f"border-{side}-{what}" for side in _SIDES for what in ("color", "style", "width")),
    }
)
_PLAIN = re.compile(r"(?:(?:rgba?|hsla?)\([\d\s.,%/]*+\)|[\w\s.,%#'\"!+\-])*+")


def dressed(style: str) -> str:
    """The harmless declarations of a ``style`` attribute, joined; empty when there are none.

    Splitting at every ``;`` is safe here: a value may hold neither ``(`` (but
    for colours) nor an unpaired quote, so nothing can reach into its neighbour.
    """
    if len(style) > LIMIT or "\\" in style or "/*" in style:
        return ""
    kept = []
    for declaration in style.split(";"):
        name, colon, value = declaration.partition(":")
        name, value = name.strip().lower(), value.strip()
        if colon and name in PROPERTIES and _is_plain(value):
            kept.append(f"{name}: {value}")
    return "; ".join(kept)


def _is_plain(value: str) -> bool:
    paired = value.count('"') % 2 == 0 and value.count("'") % 2 == 0
    return bool(value) and paired and _PLAIN.fullmatch(value) is not None
