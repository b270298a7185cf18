"""What a SEARCH asks: a closed family of keys, a tree with And, Or and Not inside.

The grammar makes it (``imap_grammar``), the server answers it. Strings are
decoded by the command's CHARSET; matching is substring, case-insensitive
(RFC 9051 §6.4.4), and not done here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum

from appliance.mail.types import Flag
from appliance.wire.imap_sets import SequenceSet


@dataclass(frozen=True, slots=True)
class All:
    """Every message in the mailbox."""


@dataclass(frozen=True, slots=True)
class Not:
    """Messages that do not match the key."""

    key: SearchKey


@dataclass(frozen=True, slots=True)
class Or:
    """Messages that match either key."""

    one: SearchKey
    other: SearchKey


@dataclass(frozen=True, slots=True)
class And:
    """Messages that match all keys: at least two."""

    keys: tuple[SearchKey, ...]


@dataclass(frozen=True, slots=True)
class InSet:
    """Messages whose sequence number (``uid``: whose UID) is in the set."""

    numbers: SequenceSet
    uid: bool


@dataclass(frozen=True, slots=True)
class HasFlag:
    """Messages that have the flag (``present``) or lack it: SEEN, UNSEEN, KEYWORD, UNKEYWORD …"""

    flag: Flag
    present: bool


@dataclass(frozen=True, slots=True)
class Recent:
    r"""Messages with \Recent (RFC 3501 §6.4.4). NEW is it and not \Seen, OLD is Not(Recent)."""


@dataclass(frozen=True, slots=True)
class HeaderHas:
    """Messages with the header field whose body holds the text; "" asks for the field alone.

    FROM, TO, CC, BCC and SUBJECT too. ``name`` is as the client wrote it for
    HEADER and capitalised (``From``) for the others.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class BodyHas:
    """Messages whose body holds the text."""

    text: str


@dataclass(frozen=True, slots=True)
class TextHas:
    """Messages whose header section or body holds the text."""

    text: str


@dataclass(frozen=True, slots=True)
class LargerThan:
    """Messages of more octets than this."""

    octets: int


@dataclass(frozen=True, slots=True)
class SmallerThan:
    """Messages of fewer octets than this."""

    octets: int


class DateOf(Enum):
    """Which date of a message a key looks at."""

    INTERNAL = "internal date"
    SENT = "Date field"
    SAVED = "save date"


class When(Enum):
    """How a date is compared, by the day alone, disregarding time and zone."""

    BEFORE = "before"
    ON = "on"
    SINCE = "since"


@dataclass(frozen=True, slots=True)
class Dated:
    """BEFORE ON SINCE, SENTBEFORE …, SAVEDBEFORE … (RFC 8514)."""

    which: DateOf
    when: When
    day: date


@dataclass(frozen=True, slots=True)
class Within:
    """YOUNGER (or OLDER) than so many seconds by internal date (RFC 5032)."""

    seconds: int
    younger: bool


@dataclass(frozen=True, slots=True)
class ChangedSince:
    """MODSEQ: messages whose modification sequence is at least this (RFC 7162 §3.1.5)."""

    modseq: int


@dataclass(frozen=True, slots=True)
class HasEmailId:
    """The message with this EMAILID (RFC 8474)."""

    object_id: str


@dataclass(frozen=True, slots=True)
class HasThreadId:
    """Messages of the thread with this THREADID (RFC 8474)."""

    object_id: str


@dataclass(frozen=True, slots=True)
class SaveDateSupported:
    """All messages if the mailbox keeps save dates, else none (RFC 8514)."""


SearchKey = (
    All
    | Not
    | Or
    | And
    | InSet
    | HasFlag
    | Recent
    | HeaderHas
    | BodyHas
    | TextHas
    | LargerThan
    | SmallerThan
    | Dated
    | Within
    | ChangedSince
    | HasEmailId
    | HasThreadId
    | SaveDateSupported
)


@dataclass(frozen=True, slots=True)
class SearchReturn:
    """RETURN options: answer with ESEARCH (RFC 4731, 5182, 9394).

    ``RETURN ()`` is ALL. ``partial`` is (first, last) of the results, both
    positive, or both negative: counted from the end, -1 the last.
    """

    minimum: bool = False
    maximum: bool = False
    all: bool = False
    count: bool = False
    save: bool = False
    partial: tuple[int, int] | None = None
