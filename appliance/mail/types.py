"""The words of the house.

One word an idea, one idea a word; where a standard has the word, it is the
standard's (RFC 5322, RFC 9051, RFC 1939).

    octets          a message as it came, never changed
    digest          SHA-256 of octets: the name of a message or of a part
    seq             the archive's own number of a message; ascends, never reused
    origin          where a message was found; the key of "seen before"
    delivery        one message arriving by one door; all that the store accepts
    receipt         what ``admit`` answers, after everything is durable
    mailbox, uid, uidvalidity, uidnext, modseq, internal date   RFC 9051 §2.3
    place           a message in a mailbox; one message has many places
    owner           the person whose mailbox it is (the person's sign-in name)
    part            a node of the MIME tree, as offsets in octets
    watermark       the highest seq a follower has taken in
    bell            "look again": a signal that carries nothing
    floor           a layer of the house; imports go to lower floors only
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final, NewType

Digest = NewType("Digest", bytes)
"""SHA-256, 32 octets."""
Seq = NewType("Seq", int)
Uid = NewType("Uid", int)
Flag = NewType("Flag", str)
"""A system flag with its backslash, or a keyword."""

SEEN: Final = Flag("\\Seen")
ANSWERED: Final = Flag("\\Answered")
FLAGGED: Final = Flag("\\Flagged")
DELETED: Final = Flag("\\Deleted")
DRAFT: Final = Flag("\\Draft")
SYSTEM_FLAGS: Final = (SEEN, ANSWERED, FLAGGED, DELETED, DRAFT)

Octets = bytes | memoryview
"""A message: ``bytes``, or a view of a spooled file that is too large to hold."""


def digest_of(octets: Octets) -> Digest:
    """The name of these octets."""
    return Digest(hashlib.sha256(octets).digest())


class Placing(Enum):
    """When a delivery makes a place in its mailbox."""

    ONCE = "once"
    """Only if this message never had a place there (fetching, import: re-runs add nothing)."""
    ALWAYS = "always"
    """Every time (IMAP APPEND: a client that appends twice has two)."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message was found.

    POP3: ``INBOX``, 0, the unique-id. SMTP: account ``smtp``, the queue id.
    """

    account: str
    mailbox: str
    uidvalidity: int
    uid: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message arriving by one door.

    ``mailbox`` is a name in the owner's tree with ``/`` between levels; it is
    created if it is not there. ``internal_date`` is aware, UTC.
    """

    octets: Octets
    origin: Origin
    owner: str
    mailbox: str
    internal_date: datetime
    flags: frozenset[Flag] = frozenset()
    placing: Placing = Placing.ONCE


@dataclass(frozen=True, slots=True)
class Place:
    """A message in a mailbox."""

    mailbox: int
    uid: Uid
    seq: Seq
    flags: frozenset[Flag]
    modseq: int
    internal_date: datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """What ``admit`` answers, after it is durable.

    ``duplicate`` says the octets were in the archive before; ``place`` is None
    when the message already had its place in that mailbox.
    """

    seq: Seq
    digest: Digest
    place: Place | None
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox of one owner. ``special_use`` is an attribute as ``\\Sent`` or None (RFC 6154)."""

    id: int
    owner: str
    name: str
    special_use: str | None
    uidvalidity: int
    uidnext: int
    highestmodseq: int
    subscribed: bool


@dataclass(frozen=True, slots=True)
class Address:
    """RFC 9051 §7.5.2 address; octets as in the field, comments removed, encoded words left alone.

    A group starts with ``local_part`` = its name and ``domain`` None, and ends
    with both None.
    """

    display_name: bytes | None
    route: bytes | None
    local_part: bytes | None
    domain: bytes | None


@dataclass(frozen=True, slots=True)
class Envelope:
    """RFC 9051 §7.5.2; strings unfolded but not decoded, None when the field is absent."""

    date: bytes | None = None
    subject: bytes | None = None
    from_: tuple[Address, ...] = ()
    sender: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    in_reply_to: bytes | None = None
    message_id: bytes | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A node of the MIME tree, as offsets in the octets of the whole message.

    ``octets[header_at:body_at]`` is its header section with the blank line,
    ``octets[body_at:end_at]`` its body (for a part of a multipart: without the
    line end before the delimiter, which belongs to the delimiter, RFC 2046
    §5.1.1). ``parts`` are a multipart's parts; a message/rfc822 has exactly
    one, the root of the message inside, whose ``header_at`` is this part's
    ``body_at``. ``params`` and ``disposition_params`` have lower-case names and
    decoded values (RFC 2231, encoded words too).
    """

    media_type: str
    subtype: str
    params: tuple[tuple[str, str], ...]
    encoding: str
    header_at: int
    body_at: int
    end_at: int
    lines: int
    parts: tuple[Part, ...] = ()
    disposition: str | None = None
    disposition_params: tuple[tuple[str, str], ...] = ()
    content_id: str | None = None
    description: str | None = None
    language: tuple[str, ...] = ()
    location: str | None = None
    md5: str | None = None

    def param(self, name: str) -> str | None:
        """The value of a Content-Type parameter, or None."""
        return next((value for key, value in self.params if key == name), None)

    @property
    def filename(self) -> str | None:
        """The name its sender gave the file: untrusted, never a path."""
        given = dict(self.disposition_params).get("filename") or self.param("name")
        return given or None

    def walk(self) -> Iterator[tuple[tuple[int, ...], Part]]:
        """Every node with its IMAP part number, outermost first, without recursion.

        Numbers follow RFC 9051 §6.4.5: () is the message; a message that is not
        multipart has part 1 = its body, which is this same node; the parts of
        a multipart inside a message/rfc822 continue that part's number.
        """
        stack: list[tuple[tuple[int, ...], Part]] = [((), self)]
        while stack:
            number, part = stack.pop()
            yield number, part
            if part.media_type == "message" and part.parts:
                # The encapsulated message shares its container's number: BODY[2.1] is
                # the first part of the multipart inside the message that is part 2.
                inner = part.parts[0]
                where = number or (1,)
                below = inner.parts if inner.media_type == "multipart" else (inner,)
            else:
                where, below = number, part.parts
            stack.extend((*reversed([((*where, n), p) for n, p in enumerate(below, 1)]),))


@dataclass(frozen=True, slots=True)
class RunFailure:
    """One message that could not be fetched, and why; it is tried again alone."""

    origin: Origin
    reason: str


@dataclass(frozen=True, slots=True)
class FetchRun:
    """What one run of one account did. ``error`` is None when the run reached its end."""

    account: str
    started: datetime
    seconds: float = 0.0
    listed: int = 0
    admitted: int = 0
    duplicates: int = 0
    removed: int = 0
    octets: int = 0
    failed: tuple[RunFailure, ...] = field(default=())
    error: str | None = None
