"""An IMAP session (RFC 3501, RFC 9051): every mailbox, read only, in bounded memory.

Listing trusts nobody: UID SEARCH ALL is compared with EXISTS, because servers have been
seen to answer only the first thousand, and where they differ UID FETCH 1:* is asked
too. Nothing is reckoned from UIDNEXT, and no range stands for "new": ``n:*`` always
holds the last message (RFC 9051 §9, seq-range).

Small messages come several at a time, large ones in pieces of a MiB to the spool.
RFC822.SIZE decides which, and is believed for nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from appliance.errors import RemoteError, RemoteProtocolError, TryLater
from appliance.fetch.imap_client import Client, Record
from appliance.fetch.link import Target, Timeouts
from appliance.fetch.names import chosen
from appliance.fetch.session import (
    Answer,
    Arrived,
    Opened,
    Refused,
    RemoteMailbox,
    Spool,
    TooLarge,
    too_large,
)
from appliance.mail.dates import date_of
from appliance.mail.types import SYSTEM_FLAGS, Flag

__all__ = ["ImapSession", "uid_sets"]

CHUNK_OCTETS: Final = 1024 * 1024
_SMALL_OCTETS: Final = 512 * 1024
_BATCH_OCTETS: Final = 2 * 1024 * 1024
_BATCH_MESSAGES: Final = 100
_FACTS_MESSAGES: Final = 500
_SET_OCTETS: Final = 900
"""Servers are only bound to take command lines of 1 000 octets (RFC 2683 §3.2.1.5)."""
_UIDVALIDITY_MAX: Final = (1 << 63) - 1
"""32 bits by RFC 9051 §2.3.1.1; more is borne as far as the ledger can hold it."""
_SYSTEM: Final = {flag.lower(): flag for flag in SYSTEM_FLAGS}


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a server says about a message before we have it; ``size`` is a hint."""

    uid: str
    size: int | None
    flags: frozenset[Flag]
    internal_date: datetime | None


class ImapSession:
    """Signed in to one account; a ``Session``."""

    def __init__(self, client: Client, spool: Spool) -> None:
        self._client = client
        self._spool = spool

    @classmethod
    def open(
        cls,
        target: Target,
        user: str,
        password: str,
        spool: Spool,
        timeouts: Timeouts | None = None,
        stop: threading.Event | None = None,
    ) -> ImapSession:
        """Connect, sign in. Raises CredentialsRejected, TryLater, CertificateRefused, Stopped."""
        client = Client.connect(target, timeouts, stop)
        try:
            client.sign_in(user, password)
        except BaseException:
            client.close()
            raise
        return cls(client, spool)

    def quit(self) -> None:
        """LOGOUT, then close."""
        self._client.farewell()

    def close(self) -> None:
        """Close without LOGOUT."""
        self._client.close()

    # Listing

    def mailboxes(self, globs: Sequence[str] = ()) -> Sequence[RemoteMailbox]:
        """What ``names.chosen`` makes of LIST, INBOX first."""
        return chosen(
            self._client.listed(),
            globs,
            self._client.personal_prefix(),
            gmail=self._client.is_gmail(),
        )

    def examine(self, mailbox: RemoteMailbox) -> Opened:
        """Open for reading only; the highest uid first. No UIDVALIDITY counts as 0."""
        answer = self._client.examine(mailbox.raw)
        # Some servers (Tencent) tell none: their uids are then all we have.
        uidvalidity = int(answer.get(b"UIDVALIDITY") or 0)
        if not 0 <= uidvalidity <= _UIDVALIDITY_MAX:
            raise RemoteError(f"the server tells a UIDVALIDITY that cannot be: {uidvalidity:e}")
        uids, doubt = self._listed_uids(mailbox)
        return Opened(
            uidvalidity=uidvalidity,
            uids=[str(uid) for uid in sorted(uids, reverse=True)],
            doubt=doubt,
        )

    def _listed_uids(self, mailbox: RemoteMailbox) -> tuple[set[int], str | None]:
        name = mailbox.name
        if mailbox.search != "ALL":
            return set(self._client.search_uids(mailbox.search)), None
        try:
            uids = set(self._client.search_uids("ALL"))
        except (TryLater, RemoteProtocolError):
            raise
        except RemoteError:
            uids = set()
        if len(uids) == self._client.exists():
            return uids, None
        uids |= {int(record[b"UID"]) for record in self._client.uid_fetch("1:*", "(UID)")}
        missing = self._client.exists() - len(uids)
        if missing <= 0:
            return uids, None
        return uids, (
            f"{name}: the server says it has {self._client.exists()} messages and lists only "
            f"{len(uids)}; the rest is asked for again at the next run"
        )

    # Retrieving

    def retrieve(self, uids: Sequence[str], *, alone: bool = False) -> Iterator[Answer]:
        """As ``Session.retrieve``."""
        for some in _by(uids, 1 if alone else _FACTS_MESSAGES):
            facts = self._facts(some)
            unknown = [uid for uid in some if uid not in facts]
            if unknown:
                yield from self._still_listed(unknown)
            yield from self._messages([facts[uid] for uid in some if uid in facts], alone)

    def _facts(self, uids: Sequence[str]) -> dict[str, _Facts]:
        found: dict[str, _Facts] = {}
        wanted = frozenset(uids)
        for uid_set in uid_sets(uids):
            for record in self._client.uid_fetch(uid_set, "(UID FLAGS INTERNALDATE RFC822.SIZE)"):
                uid = str(record[b"UID"])
                # A record that only says that flags changed may come besides the one we asked for.
                if uid in wanted and b"RFC822.SIZE" in record:
                    found[uid] = _facts_of(uid, record)
        return found

    def _still_listed(self, uids: Sequence[str]) -> Iterator[Refused]:
        """Those the server still lists; whatever was deleted meanwhile is no failure."""
        for uid_set in uid_sets(uids):
            for uid in self._client.search_uids(f"UID {uid_set}"):
                if str(uid) in uids:
                    yield Refused(
                        str(uid), "the server lists the message and does not hand it out (yet)"
                    )

    def _messages(self, facts: Sequence[_Facts], alone: bool) -> Iterator[Answer]:
        batch: list[_Facts] = []
        octets = 0
        for one in facts:
            if one.size is None or one.size > _SMALL_OCTETS or alone:
                yield from self._batch(batch)
                batch, octets = [], 0
                yield from self._in_pieces(one)
                continue
            if batch and (octets + one.size > _BATCH_OCTETS or len(batch) >= _BATCH_MESSAGES):
                yield from self._batch(batch)
                batch, octets = [], 0
            batch.append(one)
            octets += one.size
        yield from self._batch(batch)

    def _batch(self, batch: Sequence[_Facts]) -> Iterator[Answer]:
        """Small messages at once; who is missing, empty or unreadable is then asked for alone."""
        facts = {one.uid: one for one in batch}
        for uid_set in uid_sets([one.uid for one in batch]):
            try:
                for record in self._client.uid_fetch(uid_set, "(UID BODY.PEEK[])"):
                    octets = _body(record)
                    one = facts.get(str(record[b"UID"]))
                    if one is None or not octets:
                        continue
                    del facts[one.uid]
                    if len(octets) > self._spool.limit_octets:
                        yield Refused(one.uid, too_large(self._spool.limit_octets, len(octets)))
                    else:
                        yield Arrived(one.uid, one.uid, octets, one.internal_date, one.flags)
            except (TryLater, RemoteProtocolError):
                raise
            except RemoteError:
                continue  # NO to a set: one of them may be the reason
        for one in facts.values():
            yield from self._in_pieces(one)

    def _in_pieces(self, one: _Facts) -> Iterator[Answer]:
        """One message, a MiB at a time; nothing if it was deleted meanwhile."""
        limit = self._spool.limit_octets
        if one.size is not None and one.size > limit:
            yield Refused(one.uid, too_large(limit, one.size))
            return
        with self._spool.incoming() as incoming:
            try:
                for octets in self._pieces(one):
                    incoming.write(octets)
            except (TryLater, RemoteProtocolError):
                raise
            except (TooLarge, RemoteError) as error:
                yield Refused(one.uid, str(error))
                return
            if not incoming.size:
                # Announced before it can be read (Exchange), or deleted meanwhile.
                yield from self._still_listed([one.uid])
                return
            arrived = incoming.arrived(one.uid)
        arrived.internal_date, arrived.flags = one.internal_date, one.flags
        yield arrived

    def _pieces(self, one: _Facts) -> Iterator[bytes]:
        """The message's octets in order. The end is a piece that is empty, or short just where
        the size hint says: a short piece alone may be a server's own limit."""
        offset = 0
        while piece := self._piece(one.uid, offset):
            octets, whole = piece
            yield octets
            offset += len(octets)
            said = one.size or 0
            done = offset >= said if whole else offset == said
            if len(octets) > CHUNK_OCTETS or (len(octets) < CHUNK_OCTETS and done):
                return

    def _piece(self, uid: str, offset: int) -> tuple[bytes, bool] | None:
        """Some octets, and whether the server said that they are no piece but the whole."""
        items = f"(UID BODY.PEEK[]<{offset}.{CHUNK_OCTETS}>)"
        for record in self._client.uid_fetch(uid, items):
            octets = _body(record, offset)
            if str(record[b"UID"]) == uid and octets:
                return octets, b"BODY[]" in record
        return None


def _facts_of(uid: str, record: Record) -> _Facts:
    size, date = record[b"RFC822.SIZE"], record.get(b"INTERNALDATE")
    flags = record.get(b"FLAGS") or ()
    return _Facts(
        uid,
        size if isinstance(size, int) else None,
        frozenset(_flags(flags if isinstance(flags, tuple) else ())),
        date_of(date) if isinstance(date, bytes) else None,
    )


def _flags(said: Iterable[object]) -> Iterator[Flag]:
    """The flags that last: ``\\Recent`` belongs to the session (RFC 3501 §2.3.2)."""
    for flag in said:
        name = flag.decode("latin-1") if isinstance(flag, bytes) else str(flag)
        if name.lower() != "\\recent" and name.isascii() and name.isprintable():
            yield _SYSTEM.get(name.lower(), Flag(name))


def _body(record: Record, offset: int = 0) -> bytes | None:
    """The octets of BODY[], or of the piece at ``offset``; None where there are none.

    Raises RemoteError for a server that answers a piece other than the one asked
    for: put together, that would be no message any more.
    """
    for item, value in record.items():
        if not item.startswith(b"BODY[]") or not isinstance(value, bytes) or not value:
            continue
        if item == b"BODY[]<%d>" % offset or (item == b"BODY[]" and offset == 0):
            return value
        raise RemoteError("the server answers another piece of the message than it was asked for")
    return None


def uid_sets(uids: Iterable[str]) -> Iterator[str]:
    """Sets as ``5,9:12`` naming these uids and no other, each fit for a command line."""
    words: list[str] = []
    octets = 0
    for first, last in _runs(sorted(int(uid) for uid in uids)):
        word = str(first) if first == last else f"{first}:{last}"
        if words and octets + len(word) > _SET_OCTETS:
            yield ",".join(words)
            words, octets = [], 0
        words.append(word)
        octets += len(word) + 1
    if words:
        yield ",".join(words)


def _runs(ascending: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for n in range(1, len(ascending) + 1):
        if n == len(ascending) or ascending[n] != ascending[n - 1] + 1:
            yield ascending[start], ascending[n - 1]
            start = n


def _by(uids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(uids), size):
        yield uids[start : start + size]
