"""One signed-in (or not yet signed-in) mail program: its state, and how it is told things.

``Services`` is what all sessions of a server share, ``Client`` what is one
session's own. The commands are functions over a ``Client``, in modules by noun.
Calls into the archive block, so they go through ``blocking`` or ``waiting`` to a worker thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Final, ParamSpec, TypeVar
from uuid import uuid4

from appliance.errors import ClientError
from appliance.household import Household
from appliance.imap.connection import Connection
from appliance.imap.fetching import flags_cell
from appliance.imap.notify import Hub
from appliance.imap.selected import News, Selected
from appliance.mail.types import SYSTEM_FLAGS, Seq, Uid
from appliance.search import Searcher
from appliance.store import Archive, Changes, NoSuchMailbox
from appliance.wire import imap_responses as responses

P = ParamSpec("P")
T = TypeVar("T")

_SLICE: Final = 500
BASE: Final = (
    *("IMAP4rev1", "LITERAL+", "SASL-IR", "ID", "ENABLE", "IDLE", "NAMESPACE", "CHILDREN"),
    *("UIDPLUS", "MOVE", "UNSELECT", "SPECIAL-USE", "CREATE-SPECIAL-USE", "LIST-EXTENDED"),
    *("LIST-STATUS", "STATUS=SIZE", "ESEARCH", "CONDSTORE", "BINARY"),
)
"""What is announced in any state: only what works."""


class Refused(ClientError):
    """``tag NO [code] reason``; ``code`` without brackets, or None (RFC 5530)."""

    def __init__(self, code: str | None, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class WrongState(ClientError):
    """The command is not for this state: ``tag BAD`` (RFC 9051 §3)."""


@dataclass(slots=True)
class Services:
    """What the sessions of one server share. ``signed_in`` counts connections a person.

    Who tries too often is answered after ``refusal_delay_s``. ``damaged`` are large
    messages that broke off while they were sent.
    """

    archive: Archive
    household: Household
    searcher: Searcher
    hub: Hub
    pool: ThreadPoolExecutor
    waiters: ThreadPoolExecutor
    spool: Path
    message_limit_octets: int
    refusal_delay_s: float = 1.0
    damaged: set[Seq] = field(default_factory=set)
    signed_in: dict[str, int] = field(default_factory=dict)


class Client:
    """The state of one connection: not authenticated, authenticated (``owner``), selected."""

    def __init__(self, services: Services, connection: Connection) -> None:
        self.services = services
        self.connection = connection
        self.owner: str | None = None
        self.program = ""
        self.selected: Selected | None = None
        self.condstore = False
        self.leaving = False
        self.woken = asyncio.Event()
        # Names this session in origins: an APPEND is seen once, whatever came before.
        self.token = uuid4().hex
        self.appended = 0
        self._looked_at = 0

    async def blocking(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The answer of a short call that blocks (a read), made in a worker thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.services.pool, lambda: call(*args, **kwargs))

    async def waiting(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As ``blocking``, for what may take long: a write waits for other writers, a SEARCH reads.

        It has threads of its own, so that however many wait, reads go on.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.services.waiters, lambda: call(*args, **kwargs))

    # -- states

    def person(self) -> str:
        """Who is signed in; raises WrongState."""
        if self.owner is None:
            raise WrongState("sign in first")
        return self.owner

    def mailbox(self) -> Selected:
        """The selected mailbox; raises WrongState."""
        if self.selected is None:
            raise WrongState("no mailbox is selected")
        return self.selected

    def writable(self) -> Selected:
        """The selected mailbox, unless it was opened with EXAMINE."""
        selected = self.mailbox()
        if selected.read_only:
            raise Refused("READ-ONLY", "the mailbox was opened with EXAMINE; SELECT it to change")
        return selected

    def capabilities(self) -> bytes:
        """What CAPABILITY answers now (RFC 9051 §6.1.1)."""
        if self.owner is not None:
            now = f"APPENDLIMIT={self.services.message_limit_octets}"
        else:
            now = "AUTH=PLAIN" if self.connection.secure else "LOGINDISABLED"
        return responses.capability((*BASE, now))

    # -- answers

    async def send(self, *octets: bytes) -> None:
        """Write octets of responses, with their line ends."""
        await self.connection.send(*octets)

    async def send_each(self, indices: Iterable[int], line: Callable[[int], bytes]) -> None:
        """Write a line for each index, giving others their turn on the way."""
        remaining = iter(indices)
        while lines := [line(at) for at in islice(remaining, _SLICE)]:
            await self.send(*lines)
            await asyncio.sleep(0)  # a drain does not wait while there is room

    async def ok(self, tag: str, text: str, code: bytes | None = None) -> None:
        """``tag OK [code] text``."""
        await self.send(responses.condition(tag, "OK", text, code))

    async def done(
        self, tag: str, text: str, code: bytes | None = None, *, expunge: bool = True
    ) -> None:
        """Tell what changed in the selected mailbox, then ``tag OK``."""
        await self.tell(expunge=expunge)
        await self.ok(tag, text, code)

    async def tell(self, *, expunge: bool, look: bool = False) -> None:
        """What changed in the selected mailbox since it was last told (RFC 9051 §5.2).

        ``look``: ask the archive even when nobody rang.
        """
        selected, hub = self.selected, self.services.hub
        if selected is None:
            return
        owed = expunge and selected.waiting
        if not (look or owed or self.woken.is_set() or hub.modseq > self._looked_at):
            return
        self.looked()
        changes = await self.blocking(_changes, self.services.archive, selected)
        await self.tell_news(selected.take(changes, expunge))

    async def tell_news(self, news: News) -> None:
        """Send EXPUNGE, EXISTS, FETCH in the order that keeps sequence numbers right."""
        selected = self.mailbox()
        lines = [b"* %d EXPUNGE\r\n" % msn for msn in news.expunged]
        if news.appeared:
            lines += [b"* %d EXISTS\r\n" % len(selected), b"* 0 RECENT\r\n"]
        appeared = range(len(selected) - news.appeared, len(selected))
        lines += self.new_keywords(chain(appeared, news.flags))
        if lines:
            await self.send(*lines)
        await self.send_each(news.flags, self.flags_line)

    def new_keywords(self, indices: Iterable[int]) -> list[bytes]:
        """FLAGS and PERMANENTFLAGS anew when messages have keywords the client does not know."""
        selected = self.mailbox()
        if not selected.learn(selected.flags[at] for at in indices):
            return []
        return flag_lines(selected)

    def flags_line(self, at: int) -> bytes:
        """An untagged FETCH with a message's flags; with its UID too, as RFC 9051 §7.5.2 wants."""
        selected = self.mailbox()
        modseq = b" MODSEQ (%d)" % selected.modseqs[at] if self.condstore else b""
        cells = selected.uids[at], flags_cell(selected.flags[at]), modseq
        return b"* %d FETCH (UID %d %b%b)\r\n" % (at + 1, *cells)

    def committed(self) -> None:
        """This session changed the archive: look before the next answer, and wake the others."""
        self.woken.set()
        self.services.hub.changed()

    def looked(self) -> None:
        """The archive is about to be looked at: what the hub says from now on is news."""
        self.woken.clear()
        self._looked_at = self.services.hub.modseq

    def forget_mailbox(self) -> None:
        """Back to the authenticated state."""
        self.selected = None


def flag_lines(selected: Selected) -> list[bytes]:
    """FLAGS and PERMANENTFLAGS (RFC 9051 §7.1)."""
    known = [*SYSTEM_FLAGS, *sorted(selected.keywords)]
    permanent = responses.permanent_flags(
        () if selected.read_only else known, new_keywords=not selected.read_only
    )
    return [
        responses.untagged(b"FLAGS " + responses.flag_list(known)),
        responses.condition("*", "OK", "flags that are kept", permanent),
    ]


def _changes(archive: Archive, selected: Selected) -> Changes:
    try:
        return archive.changes(selected.mailbox.id, selected.modseq)
    except NoSuchMailbox:
        # Deleted under us: all its messages are gone (RFC 2180 §3.3).
        gone = tuple(Uid(uid) for uid in selected.uids)
        return Changes(selected.modseq, selected.uidnext, (), gone)
