"""What the store answers: frozen values, no behaviour."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from appliance.mail.types import (
    SYSTEM_FLAGS,
    Digest,
    Flag,
    Origin,
    Place,
    Seq,
    Uid,
)


class FlagChange(Enum):
    """How STORE changes flags (RFC 9051 §6.4.6)."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Message:
    """The catalog's row of a message, without its octets. Texts are decoded for people."""

    seq: Seq
    digest: Digest
    size: int
    header_size: int
    internal_date: datetime
    sent: datetime | None
    message_id: str | None
    subject: str
    sender: str
    recipients: str
    copied: str
    blind: str
    preview: str
    thread: int
    list_id: str | None
    has_attachments: bool
    problem: str | None


@dataclass(frozen=True, slots=True)
class MailboxStatus:
    """RFC 9051 §6.3.11; ``size`` is in octets."""

    messages: int
    unseen: int
    deleted: int
    size: int
    uidnext: int
    uidvalidity: int
    highestmodseq: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A mailbox at one modseq, as parallel columns in ascending uid; dates in µs since 1970."""

    modseq: int
    uidnext: int
    uids: array[int]
    seqs: array[int]
    flags: list[frozenset[Flag]]
    modseqs: array[int]
    dates: array[int]


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened in a mailbox after a modseq. A uid is in at most one of the two."""

    modseq: int
    uidnext: int
    places: tuple[Place, ...]
    vanished: tuple[Uid, ...]


@dataclass(frozen=True, slots=True)
class FlagResult:
    """``modified`` failed the UNCHANGEDSINCE test (RFC 7162 §3.1.3) and were left alone."""

    changed: tuple[Place, ...]
    modified: tuple[Uid, ...]


@dataclass(frozen=True, slots=True)
class Copied:
    """COPYUID (RFC 4315 §3): the target's uidvalidity, and pairs of source and target uid."""

    uidvalidity: int
    pairs: tuple[tuple[Uid, Uid], ...]


@dataclass(frozen=True, slots=True)
class Removed:
    """A place that was taken away; the message is still in the archive."""

    seq: Seq
    mailbox: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of a mailbox list."""

    place: Place
    message: Message


@dataclass(frozen=True, slots=True)
class Failure:
    """A message that could not be fetched, when it is tried next, and how often it was."""

    origin: Origin
    reason: str
    tries: int
    next_try: datetime


@dataclass(frozen=True, slots=True)
class Totals:
    """Octets are of distinct messages; ``stored_octets`` is volumes and catalog on the disk."""

    messages: int
    places: int
    octets: int
    stored_octets: int


@dataclass(frozen=True, slots=True)
class Damage:
    """A message that does not come back as it came in, named so that a person knows which."""

    seq: Seq
    digest: Digest
    subject: str
    date: datetime
    mailboxes: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """``missing``: records that are gone; ``damaged``: records whose octets changed."""

    messages: int
    parts: int
    octets: int
    damaged: tuple[Damage, ...]
    missing: tuple[Damage, ...]
    problems: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Nothing to report."""
        return not (self.damaged or self.missing or self.problems)


# -- flags as they stand in a row: a bit mask of system flags and a line of keywords

_BIT = {flag.lower(): 1 << n for n, flag in enumerate(SYSTEM_FLAGS)}
SEEN_BIT, ANSWERED_BIT, FLAGGED_BIT, DELETED_BIT, DRAFT_BIT = (1 << n for n in range(5))
_interned: dict[tuple[int, str], frozenset[Flag]] = {}


def flags_row(flags: Iterable[Flag]) -> tuple[int, str]:
    """(mask, keywords) of flags. System flags in any case; \\Recent is nobody's to set."""
    mask, keywords = 0, set()
    for flag in flags:
        bit = _BIT.get(flag.lower())
        if bit is not None:
            mask |= bit
        elif not flag.startswith("\\"):
            keywords.add(flag)
    return mask, " ".join(sorted(keywords))


def flags_of(mask: int, keywords: str) -> frozenset[Flag]:
    """The flags of a row; equal rows share one set."""
    found = _interned.get((mask, keywords))
    if found is None:
        named = {flag for n, flag in enumerate(SYSTEM_FLAGS) if mask >> n & 1}
        found = frozenset(named | {Flag(word) for word in keywords.split()})
        if len(_interned) < 10_000:
            _interned[mask, keywords] = found
    return found
