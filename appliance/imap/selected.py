"""The selected mailbox as one client knows it: parallel arrays in ascending uid.

The arrays hold what the client was told, nothing newer: message sequence
number = index + 1 at every moment. ``take`` merges what the archive says has
changed and answers what is to be told now. A message that vanished stays in its
row until an EXPUNGE may be sent (RFC 9051 §7.5.1: never during FETCH, STORE and
SEARCH by sequence number); its octets are in the archive all the while, so a
FETCH that still names it is answered. Nothing here asks the archive.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, compress

from appliance.database import stamp
from appliance.errors import ClientError
from appliance.mail.types import SYSTEM_FLAGS, Flag, Mailbox, Place, Seq, Uid
from appliance.store import Changes, Snapshot
from appliance.wire.imap_sets import SequenceSet


class NoSuchNumber(ClientError):
    """A message sequence number beyond the last message: BAD (RFC 9051 §9, seq-number)."""


@dataclass(frozen=True, slots=True)
class News:
    """What the client is to be told, in this order.

    ``expunged`` are sequence numbers in descending order, so each is valid when
    it is sent. ``appeared`` counts new messages, the last ones of the mailbox.
    ``flags`` are indices whose flags changed, new messages not among them.
    """

    expunged: tuple[int, ...] = ()
    appeared: int = 0
    flags: tuple[int, ...] = ()


class Selected:
    """One selected mailbox of one connection."""

    def __init__(self, mailbox: Mailbox, snapshot: Snapshot, read_only: bool) -> None:
        self.mailbox = mailbox
        self.read_only = read_only
        self.modseq = snapshot.modseq
        self.uidnext = snapshot.uidnext
        self.uids = snapshot.uids
        self.seqs = snapshot.seqs
        self.flags = snapshot.flags
        self.modseqs = snapshot.modseqs
        self.dates = snapshot.dates
        self.keywords: set[Flag] = set()
        self.saved: set[Uid] = set()
        self._vanished: set[Uid] = set()
        self.learn(set(self.flags))

    def __len__(self) -> int:
        return len(self.uids)

    # -- numbers

    def index(self, uid: Uid) -> int | None:
        """Where a uid stands, or None."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else None

    def spans(self, numbers: SequenceSet, uid: bool) -> list[range]:
        """The indices a sequence set names, as ascending ranges; UIDs that are not there drop out.

        Raises NoSuchNumber for a sequence number beyond the last message. In an
        empty mailbox ``1:*`` names nothing and is no error: Dovecot's BAD there
        makes imaplib's users raise.
        """
        if numbers.saved:
            return _runs(at for at in map(self.index, sorted(self.saved)) if at is not None)
        count = len(self.uids)
        if uid:
            highest = self.uids[-1] if count else 0
            found = (
                range(bisect_left(self.uids, low), bisect_right(self.uids, high))
                for low, high in numbers.ranges(highest)
            )
            return [span for span in found if span]
        ranges = numbers.ranges(count)
        if ranges and ranges[-1][1] > count:
            raise NoSuchNumber(f"there is no message {ranges[-1][1]}; the mailbox has {count}")
        return [range(low - 1, high) for low, high in ranges]

    def uids_in(self, spans: Iterable[range]) -> list[Uid]:
        """The UIDs of index ranges."""
        return [Uid(uid) for span in spans for uid in self.uids[span.start : span.stop]]

    def seq_at(self, index: int) -> Seq:
        """The archive's number of the message at an index."""
        return Seq(self.seqs[index])

    # -- changes

    def learn(self, flags: Iterable[frozenset[Flag]]) -> bool:
        """Remember the keywords; True when there is one that was not known."""
        new = set(chain.from_iterable(flags)) - self.keywords - set(SYSTEM_FLAGS)
        self.keywords |= new
        return bool(new)

    def set(self, place: Place) -> int | None:
        """Take one place's flags over; its index if that was news, else None."""
        at = self.index(place.uid)
        if at is None or self.modseqs[at] >= place.modseq:
            return None
        self.modseqs[at] = place.modseq
        if self.flags[at] == place.flags:
            return None
        self.flags[at] = place.flags
        return at

    def take(self, changes: Changes, expunge: bool) -> News:
        """Merge changes of the mailbox; what is to be told, EXPUNGE only if allowed."""
        self._vanished.update(changes.vanished)
        expunged = self._expunge() if expunge and self._vanished else ()
        told = self.uids[-1] if self.uids else 0
        changed, count = [], len(self.uids)
        for place in sorted(changes.places, key=lambda place: place.uid):
            if place.uid > told:
                self._append(place)
            elif (at := self.set(place)) is not None:
                changed.append(at)
        self.modseq = max(self.modseq, changes.modseq)
        self.uidnext = max(self.uidnext, changes.uidnext)
        return News(expunged, len(self.uids) - count, tuple(changed))

    def expunged(self, uids: Iterable[Uid]) -> tuple[int, ...]:
        """Take messages out at once; their sequence numbers, descending."""
        self._vanished.update(uids)
        return self._expunge()

    @property
    def waiting(self) -> bool:
        """There are messages that vanished and were not told yet."""
        return bool(self._vanished)

    def _append(self, place: Place) -> None:
        self.uids.append(place.uid)
        self.seqs.append(place.seq)
        self.flags.append(place.flags)
        self.modseqs.append(place.modseq)
        self.dates.append(stamp(place.internal_date))

    def _expunge(self) -> tuple[int, ...]:
        gone = sorted(at for uid in self._vanished if (at := self.index(uid)) is not None)
        self.saved -= self._vanished
        self._vanished.clear()
        if not gone:
            return ()
        keep = bytearray(b"\x01") * len(self.uids)
        for at in gone:
            keep[at] = 0
        self.uids = array(self.uids.typecode, compress(self.uids, keep))
        self.seqs = array(self.seqs.typecode, compress(self.seqs, keep))
        self.modseqs = array(self.modseqs.typecode, compress(self.modseqs, keep))
        self.dates = array(self.dates.typecode, compress(self.dates, keep))
        self.flags = list(compress(self.flags, keep))
        return tuple(at + 1 for at in reversed(gone))


def _runs(indices: Iterator[int]) -> list[range]:
    runs: list[range] = []
    for at in indices:
        if runs and runs[-1].stop == at:
            runs[-1] = range(runs[-1].start, at + 1)
        else:
            runs.append(range(at, at + 1))
    return runs
