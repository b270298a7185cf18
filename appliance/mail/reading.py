"""One message read whole: all that the catalog keeps of its meaning.

Each step is guarded: whatever one message does to one of them, the message is
admitted, and ``problem`` says what could not be read. Octets are not kept here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from appliance.mail.bodystructure import body_octets
from appliance.mail.envelope import display, envelope_octets, envelope_of
from appliance.mail.header import Field, date_of, decode, fields, first, unfold
from appliance.mail.structure import structure_of
from appliance.mail.text import body_views, has_files, preview, reader_text
from appliance.mail.thread import ThreadKeys, thread_keys
from appliance.mail.types import Address, Envelope, Octets, Part

_DISPLAY_LIMIT: Final = 20_000
_SUBJECT_LIMIT: Final = 10_000
_VARIANT_FIELDS: Final = ("message-id", "from", "date", "subject")
_VARIANT_SIZE: Final = 16
_PREVIEW_LENGTH: Final = 200
_PREVIEW_WITHIN: Final = 1 << 17
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a message says, as far as it could be read.

    ``sender``, ``recipients``, ``copied`` and ``blind`` are texts for people
    (From, To, Cc, Bcc), separated by commas. ``sent`` is the Date field in UTC.
    ``variant`` is the same for messages that are one letter with other trace
    fields (Received, Delivered-To); b"" without a message-id. ``problem`` is
    None, or says in one line what could not be read.
    """

    fields: tuple[Field, ...]
    envelope: Envelope
    envelope_octets: bytes
    bodystructure_octets: bytes
    root: Part
    subject: str
    sender: str
    recipients: str
    copied: str
    blind: str
    sent: datetime | None
    message_id: str | None
    thread: ThreadKeys
    list_id: str | None
    has_attachments: bool
    preview: str
    variant: bytes
    problem: str | None = None


def read_message(octets: Octets) -> Reading:
    """The reading of any octets."""
    problems: list[str] = []

    def guarded(what: str, read: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return read()
        except Exception as reason:  # one failure stays one failure: the message is kept
            problems.append(f"{what}: {type(reason).__name__}")
            return otherwise

    root = guarded("structure", lambda: structure_of(octets), _whole(octets))
    no_fields: tuple[Field, ...] = ()
    found = guarded("header", lambda: fields(octets, 0, root.body_at), no_fields)
    envelope = guarded("envelope", lambda: envelope_of(found), Envelope())
    no_thread = ThreadKeys(None, ())
    thread = guarded("references", lambda: thread_keys(found), no_thread)
    views = guarded("body", lambda: body_views(root), body_views(_whole(octets)))
    plain = _whole(octets)
    return Reading(
        fields=found,
        envelope=envelope,
        envelope_octets=guarded(
            "envelope", lambda: envelope_octets(envelope), envelope_octets(Envelope())
        ),
        bodystructure_octets=guarded(
            "body structure",
            lambda: body_octets(octets, root, extended=True),
            body_octets(b"", plain, extended=True),
        ),
        root=root,
        subject=guarded("subject", lambda: decode(envelope.subject or b"")[:_SUBJECT_LIMIT], ""),
        sender=guarded("sender", lambda: _people(envelope.from_), ""),
        recipients=guarded("recipients", lambda: _people(envelope.to), ""),
        copied=guarded("recipients", lambda: _people(envelope.cc), ""),
        blind=guarded("recipients", lambda: _people(envelope.bcc), ""),
        sent=guarded("date", lambda: date_of(envelope.date or b""), None),
        message_id=thread.message_id,
        thread=thread,
        list_id=guarded("list", lambda: _list_id(found), None),
        has_attachments=guarded("body", lambda: has_files(views), False),
        preview=guarded("text", lambda: _preview(octets, root), ""),
        variant=guarded("variant", lambda: _variant(octets, found, root, thread.message_id), b""),
        problem=f"could not be fully read ({'; '.join(dict.fromkeys(problems))})"
        if problems
        else None,
    )


def _whole(octets: Octets) -> Part:
    """All octets as one leaf: what is left when nothing could be read."""
    size = len(octets)
    return Part("application", "octet-stream", (), "binary", 0, 0, size, 0)


def _people(found: tuple[Address, ...]) -> str:
    out: list[str] = []
    length = 0
    for address in found:
        shown = display(address)
        if not shown:
            continue
        length += len(shown) + 2
        if length > _DISPLAY_LIMIT:
            break
        out.append(shown)
    return ", ".join(out)


def _list_id(found: tuple[Field, ...]) -> str | None:
    """The list's identifier in lower case, without its brackets (RFC 2919 §3)."""
    body = first(found, "list-id")
    if not body:
        return None
    text = decode(body)
    _, bracket, rest = text.rpartition("<")
    return (rest.partition(">")[0] if bracket else text).strip().lower()[:255] or None


def _preview(octets: Octets, root: Part) -> str:
    return preview(reader_text(octets, root, _PREVIEW_WITHIN), _PREVIEW_LENGTH)


def _variant(octets: Octets, found: tuple[Field, ...], root: Part, message_id: str | None) -> bytes:
    if message_id is None:
        return b""
    digest = hashlib.sha256()
    for name in _VARIANT_FIELDS:
        body = unfold(first(found, name) or b"")
        digest.update(b"%d:%s" % (len(body), body))
    digest.update(memoryview(octets)[root.body_at :])
    return digest.digest()[:_VARIANT_SIZE]
