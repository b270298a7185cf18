"""What a person may find: a query over index and catalog, never beyond their own mail."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from appliance.errors import UsageError
from appliance.mail.types import Flag, Seq
from appliance.search import plain
from appliance.search.filters import Filters, Ledgers, mentions
from appliance.search.shelf import Opened, Reader
from appliance.search.snippets import Snippets
from appliance.search.substring import Substring, Where
from appliance.search.suggest import respelt
from appliance.search.values import Found, SearchHit
from appliance.search.words import HEADER_CHARACTERS, date_of
from appliance.store import Archive, Message
from appliance.store.room import ALL_MAIL
from index import Cursor, Index, IndexFault, Order, Page, Query, SeqSet, resolve
from index.language import Parsed, parse

_LIMIT = 500
_NEWEST = 1 << 62


def _no_ledgers(owner: str, account: str) -> tuple[str, ...]:
    return ()


class Searcher:
    """The archive and its index together; safe for many threads.

    ``index`` is the folder that ``follow`` keeps (the usual case: a rebuilt
    index is picked up by itself), an open Index, or None. Without an index
    that can be read, answers come from the catalog and say so. ``ledgers``
    (``Household.ledgers``) knows whose an account is; without it nobody has any.
    """

    def __init__(
        self, archive: Archive, index: Index | Path | None, ledgers: Ledgers = _no_ledgers
    ) -> None:
        self._archive = archive
        self._ledgers = ledgers
        self._reader = Reader(index) if isinstance(index, Path) else None
        self._given = Opened(index) if isinstance(index, Index) else None
        self._given_lock = threading.Lock()
        self._seen = _Seen(archive)
        self._snippets = Snippets(archive)

    def close(self) -> None:
        """Close what this opened itself."""
        if self._reader is not None:
            self._reader.close()

    def find(
        self,
        owner: str,
        text: str,
        *,
        order: str = "newest",
        limit: int = 50,
        cursor: str | None = None,
        mailbox: int | None = None,
    ) -> Found:
        """A page of the owner's messages that match what was typed.

        ``order`` is newest, oldest or best; ``mailbox`` keeps to one mailbox of
        the owner (one of somebody else's holds nothing). Whatever was typed,
        something is understood; raises UsageError only for an order or cursor
        that is none.
        """
        parsed = _parsed(text)
        page = _Asked(_order(order), max(1, min(limit, _LIMIT)), _cursor(cursor))
        within = self._within(owner, parsed.query, mailbox)
        filters = Filters(self._archive, self._ledgers, owner)
        query = resolve(parsed.query, filters)
        with self._opened() as (opened, fault):
            if opened is not None:
                try:
                    found = opened.index.search(
                        query,
                        order=page.order,
                        limit=page.limit,
                        after=page.after,
                        within=within,
                    )
                    behind = len(within.between(opened.index.watermark() + 1, _NEWEST))
                    answer = self._found(owner, parsed, found, behind, filters.notes)
                    if answer.total or cursor:
                        return answer
                    better = self._suggestion(owner, text, parsed, opened.index, within)
                    return replace(answer, suggestion=better)
                except IndexFault as error:
                    fault = str(error)
        found = plain.search(self._archive, query, within, page.order, page.limit, page.after)
        notice = f"Only subjects and addresses were searched: {fault or 'there is no index'}."
        return self._found(owner, parsed, found, len(within), [notice, *filters.notes])

    def count(self, owner: str, text: str) -> int:
        """How many of the owner's messages match."""
        return self.find(owner, text, limit=1).total

    def seqs(self, owner: str, text: str) -> list[Seq]:
        """Every match, ascending: for exports and rules.

        What is not indexed yet is matched by what the catalog knows of it.
        """
        parsed = _parsed(text)
        within = self._within(owner, parsed.query, None)
        query = resolve(parsed.query, Filters(self._archive, self._ledgers, owner))
        with self._opened() as (opened, _):
            if opened is not None:
                try:
                    known = opened.index.watermark()
                    found = opened.index.matching(query, within)
                    rest = within.between(known + 1, _NEWEST)
                    return [Seq(s) for s in found | plain.matching(self._archive, query, rest)]
                except IndexFault:
                    pass
        return [Seq(seq) for seq in plain.matching(self._archive, query, within)]

    def containing(
        self, seqs: SeqSet | Sequence[int], needle: str, *, where: Where = "text"
    ) -> set[int]:
        """IMAP SEARCH TEXT and BODY: those of the seqs that contain the string; none is missed.

        The caller says which messages may be looked at (RFC 9051 §6.4.4).
        """
        among = seqs if isinstance(seqs, SeqSet) else SeqSet.from_iterable(seqs)
        search = Substring(self._archive, needle)
        with self._opened() as (opened, _):
            if opened is not None:
                try:
                    return search.found(among, where, opened.index, opened.headers)
                except IndexFault:
                    pass  # every message is read instead
        return search.found(among, where, None, None)

    def with_header(self, seqs: Sequence[int], text: str) -> set[int]:
        """IMAP SEARCH HEADER: those of the seqs with an ASCII text somewhere in their header.

        Candidates: in which field it stands is for the caller to see. None is missed.
        """
        among = SeqSet.from_iterable(seqs)
        search = Substring(self._archive, text)
        sizes = self._archive.columns([Seq(seq) for seq in seqs], ["header_size"])
        # What is cut off where headers are packed may hold it too.
        long = {seq for seq, (size,) in sizes.items() if size > HEADER_CHARACTERS}
        with self._opened() as (opened, _):
            headers = opened.headers if opened is not None else None
            return long | search.in_headers(among, headers)

    def watermark(self) -> int:
        """The seq up to which messages are found by their words; 0 without an index."""
        with self._opened() as (opened, _):
            return opened.index.watermark() if opened is not None else 0

    def problem(self) -> str | None:
        """Why there is no index to be read, for a status page; None when there is one."""
        with self._opened() as (_, fault):
            return fault

    # ---- inside -------------------------------------------------------------------------

    @contextmanager
    def _opened(self) -> Iterator[tuple[Opened | None, str | None]]:
        if self._reader is not None:
            with self._reader.opened() as found:
                yield found
        elif self._given is not None:
            with self._given_lock:
                self._given.index.refresh()
            yield self._given, None
        else:
            yield None, "there is no index"

    def _within(self, owner: str, query: Query, mailbox: int | None) -> SeqSet:
        """Everything this search may show: the wall between people."""
        if mailbox is not None:
            if all(found.id != mailbox for found in self._archive.mailboxes(owner)):
                return SeqSet()
            return SeqSet(self._archive.seqs_in_mailboxes([mailbox]))
        within = self._seen.of(owner)
        if mentions(query, "in", "removed"):
            within = within | SeqSet(self._archive.seqs_removed(owner))
        return within

    def _found(
        self, owner: str, parsed: Parsed, page: Page, behind: int, notes: list[str]
    ) -> Found:
        return Found(
            total=page.total,
            hits=self._hits(owner, [Seq(hit.seq) for hit in page.hits], parsed.query),
            cursor=None if page.cursor is None else str(page.cursor),
            chips=parsed.chips,
            behind=behind,
            notice=" ".join(notes) or None,
        )

    def _suggestion(
        self, owner: str, text: str, parsed: Parsed, index: Index, within: SeqSet
    ) -> str | None:
        """A better spelling that finds something among what the owner may see."""
        for better in respelt(text, parsed.query, index, within):
            query = resolve(_parsed(better).query, Filters(self._archive, self._ledgers, owner))
            if index.count(query, within):
                return better
        return None

    def _hits(self, owner: str, seqs: list[Seq], query: Query) -> tuple[SearchHit, ...]:
        rows = self._archive.messages(seqs)
        # That a message is among all mail says nothing; where else it is does.
        names = {
            found.id: found.name
            for found in self._archive.mailboxes(owner)
            if found.special_use != ALL_MAIL
        }
        return tuple(self._hit(owner, rows[seq], names, query) for seq in seqs if seq in rows)

    def _hit(self, owner: str, message: Message, names: dict[int, str], query: Query) -> SearchHit:
        places = self._archive.places_of(owner, message.seq)
        flags: frozenset[Flag] = frozenset().union(*(place.flags for place in places))
        return SearchHit(
            seq=message.seq,
            date=date_of(message),
            subject=message.subject,
            sender=message.sender,
            mailboxes=tuple(sorted({names[p.mailbox] for p in places if p.mailbox in names})),
            snippet=self._snippets.of(message, query),
            digest=message.digest,
            flags=flags,
            has_attachments=message.has_attachments,
        )


class _Asked:
    """Order, size and start of a page."""

    __slots__ = ("after", "limit", "order")

    def __init__(self, order: Order, limit: int, after: Cursor | None) -> None:
        self.order = order
        self.limit = limit
        self.after = after
        if after is not None and after.order is not order:
            raise UsageError("this page belongs to another order of results; search again")


class _Seen:
    """What each owner may see, remembered until a message came or went."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple[tuple[int, int, int], ...], SeqSet]] = {}

    def of(self, owner: str) -> SeqSet:
        # A new place raises uidnext, one that goes lowers the count; flags do neither.
        # Read first: what comes in between is seen next time, not missed for good.
        state = tuple(
            (mailbox, status.uidnext, status.messages)
            for mailbox, status in sorted(self._archive.statuses(owner).items())
        )
        with self._lock:
            known = self._known.get(owner)
        if known is not None and known[0] == state:
            return known[1]
        seqs = SeqSet(self._archive.seqs_of(owner))
        with self._lock:
            self._known[owner] = (state, seqs)
        return seqs


def _parsed(text: str) -> Parsed:
    now = datetime.now().astimezone()
    return parse(text, now.date(), now.tzinfo or UTC)


def _order(name: str) -> Order:
    try:
        return Order(name)
    except ValueError:
        raise UsageError(f"{name}: not an order; newest, oldest or best") from None


def _cursor(text: str | None) -> Cursor | None:
    if not text:
        return None
    try:
        return Cursor.parse(text)
    except IndexFault as error:
        raise UsageError(str(error)) from None
