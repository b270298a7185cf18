"""Which octets ``BODY[…]`` means, as offsets; and header fields by name (RFC 9051 §6.4.5).

Pure: a section of a message is a slice between two offsets of its part tree;
only HEADER.FIELDS puts octets together anew.
"""

from __future__ import annotations

import re
from functools import lru_cache

from appliance.mail.structure import section as numbered
from appliance.mail.types import Part
from appliance.wire.imap_fetch_items import BodySection, SectionText

_FIELD = re.compile(rb"^([^ \t\r\n:][^\r\n:]*?)[ \t]*:.*\n?(?:[ \t].*\n?)*", re.MULTILINE)


def part_of(root: Part, number: tuple[int, ...]) -> Part | None:
    """The node with an IMAP part number; () is the message. None: there is no such part."""
    return numbered(b"", root, number)  # the tree alone says it


def bounds(root: Part, section: BodySection) -> tuple[int, int] | None:
    """Where the section's octets start and end; of HEADER.FIELDS, the header section's.

    None: the message has no such part, or the part has no such text.
    """
    node = part_of(root, section.part)
    if node is None:
        return None
    if section.text is None:
        return (node.body_at if section.part else node.header_at, node.end_at)
    if section.text is SectionText.MIME:
        return (node.header_at, node.body_at)
    if section.part:
        # HEADER and TEXT of a part are those of the message inside it (§6.4.5).
        if node.media_type != "message" or not node.parts:
            return None
        node = node.parts[0]
    if section.text is SectionText.TEXT:
        return (node.body_at, node.end_at)
    return (node.header_at, node.body_at)


def fields(header: bytes, section: BodySection) -> bytes:
    """HEADER.FIELDS or HEADER.FIELDS.NOT of a header section, with the blank line at the end."""
    if section.text is SectionText.HEADER_FIELDS:
        return b"".join(_wanted(section.fields).findall(header)) + b"\r\n"
    unwanted = {name.lower() for name in section.fields}
    kept = (m[0] for m in _FIELD.finditer(header) if m[1].lower() not in unwanted)
    return b"".join(kept) + b"\r\n"


@lru_cache(maxsize=256)
def _wanted(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    # The last field of a message without a body may have no line end: "\n?".
    either = b"|".join(re.escape(name) for name in names)
    return re.compile(
        rb"^(?:" + either + rb")[ \t]*:.*\n?(?:[ \t].*\n?)*", re.MULTILINE | re.IGNORECASE
    )
