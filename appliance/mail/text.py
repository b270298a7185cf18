"""The words a reader sees: which parts are the body, which are files, and their text.

For the index, the preview and the message page. It reads a tree that
``structure_of`` made; it never raises and never shows markup as words.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from appliance.mail.decoding import decoded_text
from appliance.mail.header import decode, fields, first
from appliance.mail.html import html_text as html_text
from appliance.mail.types import Octets, Part

TEXT_LIMIT: Final = 2_000_000
"""Characters of text taken of one message; of more, the rest is not searched."""
ENCODED_LIMIT: Final = 8_000_000
"""Octets read of one text part."""
Number = tuple[int, ...]

_STUB = re.compile(
    r"html|browser|view (?:this|it|the)|cannot (?:be )?display|nicht (?:korrekt )?(?:angezeigt|"
    r"darstellen)|anzeigen|online[- ]?version",
    re.I,
)
_STUB_LENGTH: Final = 300
_LOOKS_HTML = re.compile(r"\s*<(?:!doctype html|html|head|body)\b", re.I)
_QUOTE_LINE = re.compile(r"^\s*>.*$", re.M)
_RULE = re.compile(r"[-=_*~#.\u2500-\u257f]{4,}")
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2060-\u2064\ufeff]+"
)
_URL = re.compile(r"<?https?://\S{60,}")
_SIGNATURES: Final = frozenset({"pgp-signature", "pkcs7-signature", "x-pkcs7-signature"})


class BodyViews(NamedTuple):
    """How a message is shown.

    ``plain`` and ``html`` are the same text in two forms, or one of them alone.
    ``attachments`` are all other parts in their order, except other forms of
    the body and what only stands inside the HTML. ``inline`` holds every part
    that has a Content-ID, by that id without its angle brackets.
    """

    plain: Part | None
    html: Part | None
    attachments: tuple[tuple[Number, Part], ...]
    inline: dict[str, tuple[Number, Part]]


class _Leaf(NamedTuple):
    number: Number
    part: Part
    alternative: Part | None
    related: bool


def body_views(root: Part) -> BodyViews:
    """The body, the attachments and the inline parts of a message (or of any part)."""
    leaves = _leaves(root)
    body = next((leaf for leaf in leaves if _shown(leaf.part)), None)
    if body is None and len(leaves) == 1 and root.disposition != "attachment":
        body = next((leaf for leaf in leaves if _is_body_type(leaf.part)), None)
    forms: dict[str, Part] = {}
    others: list[tuple[Number, Part]] = []
    inline: dict[str, tuple[Number, Part]] = {}
    for leaf in leaves:
        part = leaf.part
        if part.content_id:
            inline.setdefault(part.content_id.strip("<> "), (leaf.number, part))
        same = body is not None and body.alternative is not None
        if body is not None and (
            part is body.part or (same and leaf.alternative is body.alternative and _shown(part))
        ):
            forms.setdefault(part.subtype, part)
        elif not _is_other_form(leaf) and not _stands_in_html(leaf):
            others.append((leaf.number, part))
    return BodyViews(forms.get("plain"), forms.get("html"), tuple(others), inline)


def has_files(views: BodyViews) -> bool:
    """Whether there is an attachment a person would look for; a signature is none."""
    return any(
        part.subtype not in _SIGNATURES and (part.filename or part.media_type != "text")
        for _, part in views.attachments
    )


def reader_text(octets: Octets, part: Part, encoded_limit: int = ENCODED_LIMIT) -> str:
    """The words of a message, of the messages inside it too; at most TEXT_LIMIT characters.

    Of each text part ``encoded_limit`` octets are read.
    """
    out: list[str] = []
    waiting = [part]
    left = TEXT_LIMIT
    while waiting and left > 0:
        root = waiting.pop()
        if root is not part:
            out.append(_inner_header(octets, root))
        views = body_views(root)
        texts = [_body_text(octets, views, encoded_limit)]
        inside = []
        for _, other in views.attachments:
            if other.media_type == "message" and other.parts:
                inside.append(other.parts[0])
            elif _shown(other):
                texts.append(part_text(octets, other, encoded_limit))
        for text in filter(None, texts):
            out.append(text[:left])
            left -= len(text)
        waiting.extend(reversed(inside))
    return "\n".join(filter(None, out))[:TEXT_LIMIT]


def part_text(octets: Octets, part: Part, encoded_limit: int = ENCODED_LIMIT) -> str:
    """The words of one text part."""
    text = decoded_text(octets, part, encoded_limit)
    if part.subtype == "html" or _LOOKS_HTML.match(text):
        return html_text(text)
    if (part.param("format") or "").lower() == "flowed":
        return unflowed(text, delsp=(part.param("delsp") or "").lower() == "yes")
    return text


def unflowed(text: str, delsp: bool = False) -> str:
    """Paragraphs of format=flowed joined (RFC 3676 §4.1, §4.3); quote marks stay."""
    out: list[str] = []
    open_depth = -1  # quote depth of a paragraph that goes on, -1 if none does
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")  # space-stuffing (§4.4)
        flows = content.endswith(" ") and content != "-- "
        if flows and delsp:
            content = content[:-1]
        if open_depth == depth and content.rstrip(" ") != "--":
            out.append(content)
        else:
            out.append(("\n" if out else "") + ">" * depth + (" " if depth else "") + content)
        open_depth = depth if flows else -1
    return "".join(out)


def preview(text: str, limit: int = 200) -> str:
    """The first words of a text in one line of at most ``limit`` characters."""
    text = text[: limit * 20]
    unquoted = _QUOTE_LINE.sub("", text)
    text = unquoted if unquoted.strip() else text
    text = _UNSEEN.sub("", _URL.sub("", _RULE.sub(" ", text)))
    words = " ".join(text.split())
    if not words.isprintable():
        words = "".join(c if c.isprintable() else " " for c in words).strip()
    if len(words) <= limit:
        return words
    cut = words[: limit - 1]
    space = cut.rfind(" ", limit * 3 // 4)
    return (cut[:space] if space > 0 else cut).rstrip() + "…"


def _leaves(root: Part) -> list[_Leaf]:
    """Everything that has no parts of its own to show, and messages, in order."""
    numbers = {id(part): number or (1,) for number, part in root.walk()}
    found: list[_Leaf] = []
    stack: list[tuple[Part, Part | None, bool]] = [(root, None, False)]
    while stack:
        part, alternative, related = stack.pop()
        if part.media_type == "multipart":
            if part.subtype == "alternative":
                alternative = part
            related = related or part.subtype == "related"
            stack.extend((inner, alternative, related) for inner in reversed(part.parts))
        elif part is root and part.parts:
            stack.append((part.parts[0], None, False))
        else:
            found.append(_Leaf(numbers.get(id(part), (1,)), part, alternative, related))
    return found


def _is_body_type(part: Part) -> bool:
    return part.media_type == "text" and part.subtype in ("plain", "html")


def _shown(part: Part) -> bool:
    """Text that a reader sees without opening a file."""
    return _is_body_type(part) and part.disposition != "attachment" and not part.filename


def _is_other_form(leaf: _Leaf) -> bool:
    """Another form of the body (AMP, enriched text); an invitation is more than that."""
    part = leaf.part
    return (
        leaf.alternative is not None
        and part.media_type == "text"
        and part.subtype != "calendar"
        and not part.filename
        and part.disposition != "attachment"
    )


def _stands_in_html(leaf: _Leaf) -> bool:
    part = leaf.part
    return leaf.related and bool(part.content_id) and part.disposition != "attachment"


def _body_text(octets: Octets, views: BodyViews, encoded_limit: int) -> str:
    if views.plain is None:
        return part_text(octets, views.html, encoded_limit) if views.html else ""
    plain = part_text(octets, views.plain, encoded_limit)
    if views.html is None:
        return plain
    short = len(plain) < _STUB_LENGTH
    if not plain.strip() or (short and _STUB.search(plain)):
        # "Your mail program does not show HTML": the words are in the other form.
        return part_text(octets, views.html, encoded_limit) or plain
    return plain


def _inner_header(octets: Octets, root: Part) -> str:
    """Who wrote a message inside the message, to whom and about what."""
    found = fields(octets, root.header_at, root.body_at)
    named = (first(found, name) for name in ("subject", "from", "to", "cc"))
    return "\n".join(decode(body) for body in named if body)
