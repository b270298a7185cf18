"""The commands of IMAP4rev1 and its extensions as typed values, one class a command.

``imap_grammar.parse(framed)`` makes them of what ``imap_syntax.CommandReader``
framed; the server takes them apart by type. The forms with UID are the same
class with ``uid`` set. Mailbox names are decoded and INBOX is upper case; flags
are ``appliance.mail.types.Flag``, system flags in their standard spelling.

No value here holds octets of a message: APPEND's are either small and in
``Literal.octets`` or were streamed past (``imap_syntax.LiteralChunk``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from appliance.errors import ClientError
from appliance.mail.types import Flag
from appliance.wire.imap_fetch_items import FetchItem
from appliance.wire.imap_search_keys import SearchKey, SearchReturn
from appliance.wire.imap_sets import SequenceSet


class BadCommand(ClientError):
    """The client's command is not in the grammar: answer ``tag BAD reason``."""

    def __init__(self, tag: str | None, reason: str) -> None:
        super().__init__(reason)
        self.tag = tag
        self.reason = reason


class BadCharset(ClientError):
    """SEARCH in a CHARSET we cannot read: ``tag NO [BADCHARSET (…)]`` (RFC 9051 §6.4.4)."""

    def __init__(self, tag: str, charset: str, known: tuple[str, ...]) -> None:
        super().__init__(f"the charset {charset} is not known")
        self.tag = tag
        self.charset = charset
        self.known = known


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal of a command.

    ``octets`` is None when they were streamed to the server as LiteralChunk.
    ``binary``: a literal8, ``~{n}`` (RFC 3516).
    """

    size: int
    octets: bytes | None = field(repr=False)
    binary: bool = False


@dataclass(frozen=True, slots=True)
class ImapCommand:
    """What all commands have."""

    tag: str


# Any state (RFC 9051 §6.1)


@dataclass(frozen=True, slots=True)
class Capability(ImapCommand):
    """CAPABILITY."""


@dataclass(frozen=True, slots=True)
class Noop(ImapCommand):
    """NOOP."""


@dataclass(frozen=True, slots=True)
class Logout(ImapCommand):
    """LOGOUT."""


@dataclass(frozen=True, slots=True)
class Id(ImapCommand):
    """ID (RFC 2971); ``params`` in the client's order, None for NIL."""

    params: tuple[tuple[str, str | None], ...] | None


# Not authenticated (§6.2)


@dataclass(frozen=True, slots=True)
class StartTls(ImapCommand):
    """STARTTLS."""


@dataclass(frozen=True, slots=True)
class Login(ImapCommand):
    """LOGIN; the password is in no repr."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authenticate(ImapCommand):
    """AUTHENTICATE; ``mechanism`` is upper case.

    ``initial`` is the initial response, base64 undone (RFC 4959): b"" for
    ``=``, None if the client waits for the continuation.
    """

    mechanism: str
    initial: bytes | None = field(repr=False)


# Authenticated (§6.3)


@dataclass(frozen=True, slots=True)
class Enable(ImapCommand):
    """ENABLE (RFC 5161); names in upper case."""

    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QResync:
    """What the client knows of the mailbox (RFC 7162 §3.2.5).

    ``known_uids`` None: all. ``matches`` are the pair of parallel sets
    (sequence numbers, UIDs) or None.
    """

    uidvalidity: int
    modseq: int
    known_uids: SequenceSet | None
    matches: tuple[SequenceSet, SequenceSet] | None


@dataclass(frozen=True, slots=True)
class Select(ImapCommand):
    """SELECT, and EXAMINE with ``read_only``; CONDSTORE and QRESYNC parameters (RFC 7162)."""

    mailbox: str
    read_only: bool
    condstore: bool = False
    qresync: QResync | None = None


@dataclass(frozen=True, slots=True)
class Create(ImapCommand):
    """CREATE, with USE (…) (RFC 6154 §3): attributes as ``\\Sent``.

    ``children_only``: the name ended in the delimiter "/"; it is taken off.
    """

    mailbox: str
    special_use: tuple[str, ...] = ()
    children_only: bool = False


@dataclass(frozen=True, slots=True)
class Delete(ImapCommand):
    """DELETE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename(ImapCommand):
    """RENAME."""

    mailbox: str
    new_name: str


@dataclass(frozen=True, slots=True)
class Subscribe(ImapCommand):
    """SUBSCRIBE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe(ImapCommand):
    """UNSUBSCRIBE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class List(ImapCommand):
    """LIST, basic and extended (RFC 5258), RETURN (STATUS (…)) (RFC 5819), SPECIAL-USE (RFC 6154).

    ``selection`` and ``returns`` are option names in upper case: SUBSCRIBED,
    REMOTE, RECURSIVEMATCH, SPECIAL-USE; CHILDREN … ``status`` are the items of
    STATUS, () without. ``extended``: the client used any syntax of RFC 5258, so
    answer as §3 says. ``patterns`` are decoded, ``*`` and ``%`` are wildcards.
    """

    reference: str
    patterns: tuple[str, ...]
    selection: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    extended: bool = False


@dataclass(frozen=True, slots=True)
class Lsub(ImapCommand):
    """LSUB (RFC 3501 §6.3.9)."""

    reference: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Xlist(ImapCommand):
    """XLIST: Outlook 2013 and 2016 look for special mailboxes with it."""

    reference: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Namespace(ImapCommand):
    """NAMESPACE (RFC 2342)."""


@dataclass(frozen=True, slots=True)
class Status(ImapCommand):
    """STATUS; items in upper case, known ones only, each once, in the client's order."""

    mailbox: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """One message of an APPEND; ``internal_date`` is aware, in the client's zone.

    ``utf8``: sent as ``UTF8 (~{n}`` (RFC 6855 §4).
    """

    flags: tuple[Flag, ...]
    internal_date: datetime | None
    literal: Literal
    utf8: bool = False


@dataclass(frozen=True, slots=True)
class Append(ImapCommand):
    """APPEND; more than one message by MULTIAPPEND (RFC 3502)."""

    mailbox: str
    messages: tuple[AppendMessage, ...]


@dataclass(frozen=True, slots=True)
class Idle(ImapCommand):
    """IDLE (RFC 2177): answer ``+``, then take the line DONE (``CommandReader.expect_line``)."""


@dataclass(frozen=True, slots=True)
class Compress(ImapCommand):
    """COMPRESS (RFC 4978); ``mechanism`` in upper case."""

    mechanism: str


# Selected (§6.4)


@dataclass(frozen=True, slots=True)
class Check(ImapCommand):
    """CHECK (RFC 3501 §6.4.1)."""


@dataclass(frozen=True, slots=True)
class Close(ImapCommand):
    """CLOSE."""


@dataclass(frozen=True, slots=True)
class Unselect(ImapCommand):
    """UNSELECT (RFC 3691)."""


@dataclass(frozen=True, slots=True)
class Expunge(ImapCommand):
    """EXPUNGE, or UID EXPUNGE with ``uids`` (RFC 4315)."""

    uids: SequenceSet | None = None


@dataclass(frozen=True, slots=True)
class Search(ImapCommand):
    """SEARCH, UID SEARCH; ``returns`` None: answer with SEARCH, else with ESEARCH (RFC 4731)."""

    uid: bool
    key: SearchKey
    returns: SearchReturn | None = None
    charset: str | None = None


@dataclass(frozen=True, slots=True)
class Fetch(ImapCommand):
    """FETCH, UID FETCH; items as asked, each once, UID not added for UID FETCH.

    Modifiers: CHANGEDSINCE, VANISHED (RFC 7162), PARTIAL (RFC 9394; see SearchReturn).
    """

    uid: bool
    numbers: SequenceSet
    items: tuple[FetchItem, ...]
    changed_since: int | None = None
    vanished: bool = False
    partial: tuple[int, int] | None = None


class StoreMode(Enum):
    """What STORE does with its flags."""

    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


@dataclass(frozen=True, slots=True)
class Store(ImapCommand):
    """STORE, UID STORE, with UNCHANGEDSINCE (RFC 7162 §3.1.3)."""

    uid: bool
    numbers: SequenceSet
    mode: StoreMode
    silent: bool
    flags: tuple[Flag, ...]
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Copy(ImapCommand):
    """COPY, UID COPY."""

    uid: bool
    numbers: SequenceSet
    mailbox: str


@dataclass(frozen=True, slots=True)
class Move(ImapCommand):
    """MOVE, UID MOVE (RFC 6851)."""

    uid: bool
    numbers: SequenceSet
    mailbox: str
