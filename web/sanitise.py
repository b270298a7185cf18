"""A letter's HTML without anything that acts: what the message frame shows.

Two passes: ``tidy`` bounds size, depth and attributes; nh3 (ammonia) is the
judge and keeps an allow list. Nothing here is post-processed after nh3. The
frame is sandboxed and has its own policy besides (``security.LETTER_POLICY``):
each of the two must hold alone.

Refused: scripts, styles sheets, forms, frames, svg, math, ids and names, remote
images, every address but http, https, mailto and tel behind a link.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import nh3

from web.styles import dressed
from web.tidy import HIDDEN, tidied

LIMIT: Final = 2_000_000
"""Longest HTML that is shown, in characters; beyond it the letter's text is shown."""

PartUrl = Callable[[str], str | None]
"""From a Content-ID without brackets to the address of that image, or None."""

_TEXT = """a abbr acronym address article b bdi bdo big blockquote body br caption center cite code
col colgroup dd del dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i
img ins kbd li main mark nav ol p pre q s samp section small span strike strong sub sup table tbody
td tfoot th thead tr tt u ul var wbr"""
TAGS: Final = frozenset(_TEXT.split()) - {"body"}
_BOX = frozenset({"align", "bgcolor", "height", "valign", "width"})
ATTRIBUTES: Final[dict[str, frozenset[str]]] = {
    **{tag: frozenset() for tag in TAGS},
    "*": frozenset({"dir", "lang", "style", "title"}),
    "a": frozenset({"href"}),
    "col": frozenset({"span", "width"}),
    "div": frozenset({"align"}),
    "font": frozenset({"color", "face", "size"}),
    "h1": frozenset({"align"}),
    "h2": frozenset({"align"}),
    "h3": frozenset({"align"}),
    "hr": frozenset({"align", "color", "noshade", "size", "width"}),
    "img": frozenset({"align", "alt", "border", "height", "hspace", "src", "vspace", "width"}),
    "li": frozenset({"value"}),
    "ol": frozenset({"start", "type"}),
    "p": frozenset({"align"}),
    "table": _BOX | {"border", "cellpadding", "cellspacing"},
    "tbody": _BOX,
    "td": _BOX | {"colspan", "nowrap", "rowspan"},
    "tfoot": _BOX,
    "th": _BOX | {"colspan", "nowrap", "rowspan"},
    "thead": _BOX,
    "tr": _BOX,
    "ul": frozenset({"type"}),
}
_LINK = re.compile(r"(?:https?://|mailto:|tel:)[^\s\x00-\x20\x7f]", re.IGNORECASE)
_DATA_IMAGE = re.compile(
    r"data:image/(?:png|jpe?g|gif|webp|bmp);base64,[A-Za-z0-9+/=\s]*+", re.IGNORECASE
)
_SPAN_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Shown:
    """HTML for the frame, and how many remote images it would have loaded."""

    html: str
    remote_images: int


class TooLarge(ValueError):
    """The letter's HTML is longer than the page shows."""


def shown(html: str, part_url: PartUrl) -> Shown:
    """What the frame may show of a letter's HTML. Raises TooLarge."""
    if len(html) > LIMIT:
        raise TooLarge(f"{len(html)} characters of HTML; the page shows up to {LIMIT}")
    judge = _Judge(part_url)
    clean = nh3.clean(
        tidied(html, ATTRIBUTES),
        tags=set(TAGS),
        clean_content_tags=set(HIDDEN - {"head"}),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items() if names},
        attribute_filter=judge,
        # ``data`` and ``cid`` pass here for images only: the judge decides by element, since
        # this list alone would let <a href="data:text/html…"> through. Relative ones pass
        # for its own addresses of inline images.
        url_schemes={"http", "https", "mailto", "tel", "data", "cid"},
        url_relative="pass_through",
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}, "img": {"loading": "lazy"}},
        strip_comments=True,
    )
    return Shown(clean, judge.remote_images)


class _Judge:
    """nh3's attribute filter: the value to keep, or None to drop the attribute."""

    def __init__(self, part_url: PartUrl) -> None:
        self._part_url = part_url
        self.remote_images = 0

    def __call__(self, tag: str, name: str, value: str) -> str | None:
        if name == "style":
            return dressed(value) or None
        if name == "href":
            return value if tag == "a" and _LINK.match(value.strip()) else None
        if name == "src":
            return self._image(value.strip()) if tag == "img" else None
        if name in {"colspan", "rowspan", "span"}:
            # A table of a million columns costs the reader's browser its memory.
            return value if value.isdecimal() and int(value[:6]) <= _SPAN_LIMIT else None
        return value

    def _image(self, address: str) -> str | None:
        if address[:4].lower() == "cid:":
            return self._part_url(address[4:])
        if _DATA_IMAGE.fullmatch(address):
            return address
        self.remote_images += address[:4].lower() == "http" or address.startswith("//")
        return None
