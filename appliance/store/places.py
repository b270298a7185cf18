"""Places: flags, copies, moves, removals, and the feed of what changed."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable
from datetime import datetime

from appliance.database import moment, stamp
from appliance.mail.types import Flag, Mailbox, Place, Seq, Uid
from appliance.store.errors import NoSuchMessage, NotAllowed
from appliance.store.mailboxes import put, put_copies, take_away
from appliance.store.room import ALL_MAIL, PLACE, Room, next_modseq, place_of
from appliance.store.values import (
    DELETED_BIT,
    Changes,
    Copied,
    FlagChange,
    FlagResult,
    Removed,
    Snapshot,
    flags_of,
    flags_row,
)


class Places(Room):
    """Messages in mailboxes."""

    def snapshot(self, mailbox: int) -> Snapshot:
        """The whole mailbox as it stands; raises NoSuchMailbox."""
        db = self._db.read()
        # One transaction: the rows and the modseq are of the same moment.
        own = not db.in_transaction
        if own:
            db.execute("BEGIN")
        try:
            found = self._mailbox_of(mailbox)
            rows = db.execute(
                "SELECT uid, seq, flags, keywords, modseq, internal_date FROM place "
                "WHERE mailbox=? ORDER BY uid",
                (mailbox,),
            ).fetchall()
        finally:
            if own:
                db.execute("COMMIT")
        columns = zip(*rows, strict=True) if rows else iter([()] * 6)
        uids, seqs, masks, keywords, modseqs, dates = columns
        return Snapshot(
            modseq=found.highestmodseq,
            uidnext=found.uidnext,
            uids=array("Q", uids),
            seqs=array("Q", seqs),
            flags=[flags_of(mask, words) for mask, words in zip(masks, keywords, strict=True)],
            modseqs=array("Q", modseqs),
            dates=array("q", dates),
        )

    def changes(self, mailbox: int, since_modseq: int) -> Changes:
        """What is new, changed or gone after a modseq; raises NoSuchMailbox."""
        db = self._db.read()
        own = not db.in_transaction
        if own:
            db.execute("BEGIN")
        try:
            found = self._mailbox_of(mailbox)
            if found.highestmodseq <= since_modseq:
                return Changes(found.highestmodseq, found.uidnext, (), ())
            places = db.execute(
                f"SELECT {PLACE} FROM place WHERE mailbox=? AND modseq>? ORDER BY uid",
                (mailbox, since_modseq),
            ).fetchall()
            vanished = db.execute(
                "SELECT uid FROM vanished WHERE mailbox=? AND modseq>? ORDER BY uid",
                (mailbox, since_modseq),
            ).fetchall()
        finally:
            if own:
                db.execute("COMMIT")
        return Changes(
            modseq=found.highestmodseq,
            uidnext=found.uidnext,
            places=tuple(place_of(row) for row in places),
            vanished=tuple(Uid(uid) for (uid,) in vanished),
        )

    def set_flags(
        self,
        mailbox: int,
        uids: Iterable[Uid],
        how: FlagChange,
        flags: frozenset[Flag],
        unchanged_since: int | None = None,
    ) -> FlagResult:
        """Change flags; uids that are not there are passed over (RFC 9051 §6.4.6).

        Flags of a message in the mailbox of all mail and those of its places are
        kept equal, but for \\Deleted, which speaks of one place.
        """
        changed: list[Place] = []
        modified: list[Uid] = []
        with self._db.write() as tx:
            found = self._mailbox_of(mailbox)
            modseq = 0
            for uid in uids:
                row = tx.execute(
                    f"SELECT {PLACE} FROM place WHERE mailbox=? AND uid=?", (mailbox, uid)
                ).fetchone()
                if row is None:
                    continue
                if unchanged_since is not None and row[5] > unchanged_since:
                    modified.append(uid)
                    continue
                before = row[3], row[4]
                after = flags_row(_changed(flags_of(*before), how, flags))
                if after == before:
                    continue
                modseq = modseq or next_modseq(tx)
                _set(tx, mailbox, uid, after, modseq)
                _share(tx, found, row[2], after, modseq)
                changed.append(place_of((mailbox, uid, row[2], *after, modseq, row[6])))
        if changed:
            self._ring()
        return FlagResult(tuple(changed), tuple(modified))

    def copy(self, mailbox: int, uids: Iterable[Uid], target: int) -> Copied:
        """Places in another mailbox for these; all or none (RFC 9051 §6.4.7)."""
        return self._transfer(mailbox, uids, target, move=False)

    def move(self, mailbox: int, uids: Iterable[Uid], target: int) -> Copied:
        """As copy, and gone here, in one transaction (RFC 6851 §3.3)."""
        return self._transfer(mailbox, uids, target, move=True)

    def _transfer(self, mailbox: int, uids: Iterable[Uid], target: int, *, move: bool) -> Copied:
        with self._db.write() as tx:
            source, aim = self._mailbox_of(mailbox), self._mailbox_of(target)
            if aim.special_use == ALL_MAIL:
                raise NotAllowed(f"{aim.name} holds every message by itself; nothing is put there")
            if move and source.special_use == ALL_MAIL:
                raise NotAllowed(f"{source.name} keeps every message; copy instead")
            modseq = next_modseq(tx)
            pairs = put_copies(tx, mailbox, list(uids), target, modseq)
            if move:
                take_away(tx, source, [uid for uid, _ in pairs], modseq, moved=True)
        if pairs:
            self._ring()
        return Copied(aim.uidvalidity, tuple((Uid(there), Uid(here)) for there, here in pairs))

    def expunge(self, mailbox: int, uids: Iterable[Uid] | None = None) -> tuple[Uid, ...]:
        """Take away the places with \\Deleted, among ``uids`` if given (RFC 4315 §2.1)."""
        with self._db.write() as tx:
            found = self._mailbox_of(mailbox)
            if found.special_use == ALL_MAIL:
                raise NotAllowed(f"{found.name} keeps every message; delete it where it is filed")
            marked = {
                uid
                for (uid,) in tx.execute(
                    "SELECT uid FROM place WHERE mailbox=? AND flags & ?", (mailbox, DELETED_BIT)
                )
            }
            gone = sorted(marked if uids is None else marked.intersection(uids))
            if gone:
                take_away(tx, found, gone, next_modseq(tx), moved=False)
        if gone:
            self._ring()
        return tuple(Uid(uid) for uid in gone)

    def remove(self, mailbox: int, uids: Iterable[Uid]) -> tuple[Uid, ...]:
        """Take places away whatever their flags; the messages stay in the archive."""
        with self._db.write() as tx:
            found = self._mailbox_of(mailbox)
            if found.special_use == ALL_MAIL:
                raise NotAllowed(f"{found.name} keeps every message; delete it where it is filed")
            there = [
                uid
                for uid in sorted(set(uids))
                if tx.execute(
                    "SELECT 1 FROM place WHERE mailbox=? AND uid=?", (mailbox, uid)
                ).fetchone()
            ]
            if there:
                take_away(tx, found, list(there), next_modseq(tx), moved=False)
        if there:
            self._ring()
        return tuple(there)

    def removed(self, owner: str) -> list[Removed]:
        """Messages the owner has no place for any more, latest removal first."""
        rows = self._db.read().execute(
            "SELECT v.seq, m.name, max(v.removed) FROM vanished v JOIN mailbox m ON m.id=v.mailbox "
            "WHERE m.owner=?1 AND NOT v.moved AND NOT EXISTS (SELECT 1 FROM place p JOIN mailbox n "
            "ON n.id=p.mailbox WHERE p.seq=v.seq AND n.owner=?1) "
            "GROUP BY v.seq ORDER BY max(v.removed) DESC, v.seq DESC",
            (owner,),
        )
        return [Removed(Seq(seq), name, moment(at)) for seq, name, at in rows]

    def put_back(self, owner: str, seq: Seq) -> Place:
        """A new place for a removed message, where it last was (INBOX if that is gone)."""
        with self._db.write() as tx:
            row = tx.execute(
                "SELECT m.id, m.gone, v.flags, v.keywords, v.internal_date FROM vanished v "
                "JOIN mailbox m ON m.id=v.mailbox WHERE v.seq=? AND m.owner=? AND NOT v.moved "
                "ORDER BY v.removed DESC LIMIT 1",
                (seq, owner),
            ).fetchone()
            if row is None:
                raise NoSuchMessage(seq)
            mailbox, gone, flags, keywords, date = row
            target = mailbox if gone is None else self.mailbox(owner, "INBOX").id
            shown = flags & ~DELETED_BIT, keywords
            modseq = next_modseq(tx)
            uid = put(tx, target, seq, shown, modseq, date)
        self._ring()
        return place_of((target, uid, seq, *shown, modseq, date))

    def places_of(self, owner: str, seq: Seq) -> list[Place]:
        """Where an owner has a message, the mailbox of all mail last."""
        rows = self._db.read().execute(
            "SELECT p.mailbox, p.uid, p.seq, p.flags, p.keywords, p.modseq, p.internal_date "
            "FROM place p JOIN mailbox m ON m.id=p.mailbox WHERE p.seq=? AND m.owner=? "
            "ORDER BY m.special_use IS ?, m.name",
            (seq, owner, ALL_MAIL),
        )
        return [place_of(row) for row in rows]

    def place(self, mailbox: int, uid: Uid) -> Place | None:
        """One place, or None."""
        row = (
            self._db.read()
            .execute(f"SELECT {PLACE} FROM place WHERE mailbox=? AND uid=?", (mailbox, uid))
            .fetchone()
        )
        return None if row is None else place_of(row)

    def visible(self, owner: str, seq: Seq) -> bool:
        """Whether the owner has, or had, a place for this message: all privacy rests on this."""
        row = (
            self._db.read()
            .execute(
                "SELECT EXISTS (SELECT 1 FROM place p JOIN mailbox m ON m.id=p.mailbox "
                "WHERE p.seq=?1 AND m.owner=?2) OR EXISTS (SELECT 1 FROM vanished v "
                "JOIN mailbox m ON m.id=v.mailbox WHERE v.seq=?1 AND m.owner=?2)",
                (seq, owner),
            )
            .fetchone()
        )
        return bool(row[0])

    def arrived_since(self, mailbox: int, since: datetime) -> int:
        """How many places were made with an internal date from ``since`` on."""
        row = self._db.read().execute(
            "SELECT count(*) FROM place WHERE mailbox=? AND internal_date>=?",
            (mailbox, stamp(since)),
        )
        return int(row.fetchone()[0])


def _changed(before: frozenset[Flag], how: FlagChange, flags: frozenset[Flag]) -> frozenset[Flag]:
    match how:
        case FlagChange.ADD:
            return before | flags
        case FlagChange.REMOVE:
            # Keywords and system flags are compared without regard to case (RFC 9051 §2.3.2).
            unwanted = {flag.lower() for flag in flags}
            return frozenset(flag for flag in before if flag.lower() not in unwanted)
        case FlagChange.REPLACE:
            return flags


def _set(
    tx: sqlite3.Connection, mailbox: int, uid: int, flags: tuple[int, str], modseq: int
) -> None:
    tx.execute(
        "UPDATE place SET flags=?, keywords=?, modseq=? WHERE mailbox=? AND uid=?",
        (*flags, modseq, mailbox, uid),
    )


def _share(
    tx: sqlite3.Connection, changed: Mailbox, seq: int, flags: tuple[int, str], modseq: int
) -> None:
    """Carry flags between the mailbox of all mail and the message's other places."""
    to_all = changed.special_use != ALL_MAIL
    others = tx.execute(
        "SELECT p.mailbox, p.uid, p.flags, p.keywords FROM place p "
        "JOIN mailbox m ON m.id=p.mailbox WHERE p.seq=? AND m.owner=? AND m.id<>? "
        "AND (m.special_use IS ?) = ?",
        (seq, changed.owner, changed.id, ALL_MAIL, to_all),
    ).fetchall()
    for mailbox, uid, mask, keywords in others:
        after = (flags[0] & ~DELETED_BIT) | (mask & DELETED_BIT), flags[1]
        if after != (mask, keywords):
            _set(tx, mailbox, uid, after, modseq)
