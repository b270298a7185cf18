"""The words of a message, as they are searched: one way to take them for the index, for
snippets and for IMAP's substrings, so that the three never disagree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from appliance.mail.attachment import Limits
from appliance.mail.decoding import decoded
from appliance.mail.header import decode, fields
from appliance.mail.text import body_views, part_text, reader_text
from appliance.mail.types import Octets, Part
from appliance.store import Message
from index import Attachment, Document
from index.analysis import words

Extract = Callable[[bytes, Part], str]
"""The text inside a file: its octets, and the part that says what it claims to be."""

_WORDLESS: Final = frozenset({"image", "audio", "video", "font"})
_LARGEST: Final = Limits().input_octets * 3 // 2
"""Encoded octets; the file in a larger part is too large to be read."""
_EARLIEST: Final = 1971
_AHEAD: Final = timedelta(days=1)
_MOST_ATTACHMENTS: Final = 200
HEADER_CHARACTERS: Final = 200_000


def body_text(octets: Octets, root: Part) -> str:
    """The text a reader sees, of messages inside the message too, and the names of its files.

    Where a message has two forms of its text, the lines of the HTML with words
    that the plain one lacks come after it: senders put less into the one than
    into the other.
    """
    text = reader_text(octets, root)
    return "\n".join((text, *_more_lines(octets, root, text), *_file_names(root)))


def _more_lines(octets: Octets, root: Part, text: str) -> list[str]:
    views = body_views(root)
    if views.plain is None or views.html is None:
        return []
    known = set(words(text))
    lines = part_text(octets, views.html).split("\n")
    return [line for line in lines if not known.issuperset(words(line))]


def _file_names(root: Part) -> list[str]:
    found = (part.filename for _, part in root.walk())
    return list(islice(dict.fromkeys(filter(None, found)), _MOST_ATTACHMENTS))


def header_text(header: Octets) -> str:
    """Every field in a line of its own, decoded, in the order they stand."""
    lines = (f"{field.name}: {decode(field.body)}" for field in fields(header))
    return "\n".join(lines)[:HEADER_CHARACTERS]


def date_of(message: Message) -> datetime:
    """When a message is from: what its sender says, unless that cannot be."""
    sent, arrived = message.sent, message.internal_date
    if sent is None or sent.year < _EARLIEST or sent > arrived + _AHEAD:
        return arrived
    return sent


def document_of(message: Message, octets: Octets, root: Part, extract: Extract) -> Document:
    """Everything of a message that the index takes in."""
    return _document(message, body_text(octets, root), tuple(_files(octets, root, extract)))


def poor_document(message: Message) -> Document:
    """What the catalog alone knows of a message whose octets cannot be read."""
    return _document(message, message.preview, ())


def _document(message: Message, text: str, attachments: tuple[Attachment, ...]) -> Document:
    people = (
        ("from", message.sender),
        ("to", message.recipients),
        ("cc", message.copied),
        ("cc", message.blind),
    )
    return Document(
        seq=message.seq,
        date=int(date_of(message).timestamp()),
        subject=message.subject,
        people=tuple((role, given) for role, given in people if given),
        text=text,
        attachments=attachments,
        ids=tuple(name for name in (message.message_id, message.list_id) if name),
    )


def _files(octets: Octets, root: Part, extract: Extract) -> Iterator[Attachment]:
    """The files of a message and of those inside it, with the text in them."""
    waiting = [root]
    left = _MOST_ATTACHMENTS
    while waiting and left > 0:
        for _, part in body_views(waiting.pop()).attachments[:left]:
            left -= 1
            text = ""
            if part.media_type == "message" and part.parts:
                waiting.append(part.parts[0])  # its text is in the text of the message
            elif part.media_type not in _WORDLESS and part.end_at - part.body_at < _LARGEST:
                text = extract(decoded(octets, part), part)
            if text or part.filename:
                yield Attachment(part.filename or "", text)
