"""Mailboxes: made, renamed, deleted, subscribed to. Their mail is never deleted with them."""

from __future__ import annotations

import sqlite3
import time
from typing import Final

from appliance.mail.types import Mailbox
from appliance.store.errors import MailboxExists, NoSuchMailbox, NotAllowed
from appliance.store.room import ALL_MAIL, Room, mailbox_name, next_modseq
from appliance.store.values import MailboxStatus

PROVIDED: Final = (
    ("INBOX", None),
    ("Sent", "\\Sent"),
    ("Drafts", "\\Drafts"),
    ("Trash", "\\Trash"),
    ("Junk", "\\Junk"),
    ("Archive", "\\Archive"),
    ("All Mail", ALL_MAIL),
)
_STATUS: Final = "messages, unseen, deleted, octets, uidnext, uidvalidity, highestmodseq"


class Mailboxes(Room):
    """The tree of each owner."""

    def provision(self, owner: str) -> None:
        """See that the owner has INBOX, Sent … All Mail; nothing changes if so (RFC 6154)."""
        have = self._db.read().execute(
            "SELECT count(*) FROM mailbox WHERE owner=? AND special_use=? AND gone IS NULL",
            (owner, ALL_MAIL),
        )
        if have.fetchone() != (0,):
            return
        with self._db.write() as tx:
            provide(tx, owner)
        self._ring()

    def create(self, owner: str, name: str, special_use: str | None = None) -> Mailbox:
        """A new mailbox, empty and not subscribed; raises MailboxExists, NotAllowed."""
        name = mailbox_name(name)
        if special_use == ALL_MAIL:
            raise NotAllowed("the mailbox of all mail is made by the archive itself")
        with self._db.write() as tx:
            if (name, ALL_MAIL) in PROVIDED:
                all_mail(tx, owner)  # first: nobody else may take its name
            create(tx, owner, name, special_use, next_modseq(tx))
        self._ring()
        return self.mailbox(owner, name)

    def delete(self, mailbox: int) -> None:
        """Take a mailbox and its places away; the messages stay in the archive."""
        found = self._mailbox_of(mailbox)
        if found.name == "INBOX" or found.special_use == ALL_MAIL:
            raise NotAllowed(f"{found.name} belongs to the archive and cannot be deleted")
        with self._db.write() as tx:
            modseq = next_modseq(tx)
            uids = [
                uid for (uid,) in tx.execute("SELECT uid FROM place WHERE mailbox=?", (mailbox,))
            ]
            take_away(tx, found, uids, modseq, moved=False)
            tx.execute(
                "UPDATE mailbox SET gone=?, highestmodseq=? WHERE id=?", (modseq, modseq, mailbox)
            )
        self._ring()

    def rename(self, owner: str, name: str, new_name: str) -> None:
        """Rename a mailbox with all below it. INBOX stays: its mail moves (RFC 9051 §6.3.6)."""
        old, new = mailbox_name(name), mailbox_name(new_name)
        if new == old or new.startswith(old + "/"):
            raise NotAllowed(f"{old} cannot be moved into itself")
        with self._db.write() as tx:
            found = self.mailbox(owner, old)
            if found.special_use == ALL_MAIL:
                raise NotAllowed(f"{old} belongs to the archive and cannot be renamed")
            modseq = next_modseq(tx)
            if old == "INBOX":
                target = create(tx, owner, new, None, modseq)
                uids = [
                    uid
                    for (uid,) in tx.execute(
                        "SELECT uid FROM place WHERE mailbox=? ORDER BY uid", (found.id,)
                    )
                ]
                put_copies(tx, found.id, uids, target, modseq)
                take_away(tx, found, uids, modseq, moved=True)
            else:
                _rename(tx, owner, old, new, modseq)
        self._ring()

    def subscribe(self, owner: str, name: str, subscribed: bool) -> None:
        """Subscribe or not; the mailbox need not be there (RFC 9051 §6.3.7)."""
        name = mailbox_name(name)
        with self._db.write() as tx:
            if subscribed:
                tx.execute("INSERT OR IGNORE INTO subscription VALUES (?, ?)", (owner, name))
            else:
                tx.execute("DELETE FROM subscription WHERE owner=? AND name=?", (owner, name))

    def subscriptions(self, owner: str) -> set[str]:
        """Names subscribed to, also of mailboxes that are gone."""
        rows = self._db.read().execute("SELECT name FROM subscription WHERE owner=?", (owner,))
        return {name for (name,) in rows}

    def status(self, mailbox: int) -> MailboxStatus:
        """The counts of a mailbox; raises NoSuchMailbox."""
        row = (
            self._db.read()
            .execute(f"SELECT {_STATUS} FROM mailbox WHERE id=? AND gone IS NULL", (mailbox,))
            .fetchone()
        )
        if row is None:
            raise NoSuchMailbox(str(mailbox))
        return MailboxStatus(*row)

    def statuses(self, owner: str) -> dict[int, MailboxStatus]:
        """The counts of all of an owner's mailboxes."""
        rows = self._db.read().execute(
            f"SELECT id, {_STATUS} FROM mailbox WHERE owner=? AND gone IS NULL", (owner,)
        )
        return {mailbox: MailboxStatus(*row) for mailbox, *row in rows}


# -- inside a transaction that others have begun


def provide(tx: sqlite3.Connection, owner: str) -> None:
    """The mailboxes everybody has."""
    modseq = next_modseq(tx)
    for name, special_use in PROVIDED:
        taken = tx.execute(
            "SELECT 1 FROM mailbox WHERE owner=? AND gone IS NULL AND (name=? OR special_use=?)",
            (owner, name, special_use),
        ).fetchone()
        if taken is None:
            create(tx, owner, name, special_use, modseq)
            if special_use != ALL_MAIL:
                tx.execute("INSERT OR IGNORE INTO subscription VALUES (?, ?)", (owner, name))


def create(
    tx: sqlite3.Connection, owner: str, name: str, special_use: str | None, modseq: int
) -> int:
    """The id of a new mailbox, whose uidvalidity no mailbox had before (RFC 9051 §2.3.1.1)."""
    if tx.execute(
        "SELECT 1 FROM mailbox WHERE owner=? AND name=? AND gone IS NULL", (owner, name)
    ).fetchone():
        raise MailboxExists(name)
    (uidvalidity,) = tx.execute(
        "UPDATE meta SET value = max(value + 1, ?) WHERE key='uidvalidity' RETURNING value",
        (int(time.time()) & 0x7FFFFFFF,),
    ).fetchone()
    inserted = tx.execute(
        "INSERT INTO mailbox (owner, name, special_use, uidvalidity, highestmodseq) "
        "VALUES (?, ?, ?, ?, ?)",
        (owner, name, special_use, uidvalidity, modseq),
    )
    assert inserted.lastrowid is not None
    return inserted.lastrowid


def all_mail(tx: sqlite3.Connection, owner: str) -> int:
    """The id of the owner's mailbox of all mail, made if it is not there."""
    row = _all_mail(tx, owner)
    if row is None:
        provide(tx, owner)
        row = _all_mail(tx, owner)
    assert row is not None
    return row


def _all_mail(tx: sqlite3.Connection, owner: str) -> int | None:
    row = tx.execute(
        "SELECT id FROM mailbox WHERE owner=? AND special_use=? AND gone IS NULL", (owner, ALL_MAIL)
    ).fetchone()
    return None if row is None else int(row[0])


def put(
    tx: sqlite3.Connection,
    mailbox: int,
    seq: int,
    flags: tuple[int, str],
    modseq: int,
    internal_date: int,
) -> int:
    """The uid of a new place. The owner's mailbox of all mail gets its place too."""
    owner, uid = tx.execute("SELECT owner, uidnext FROM mailbox WHERE id=?", (mailbox,)).fetchone()
    _insert(tx, mailbox, uid, seq, flags, modseq, internal_date)
    everything = all_mail(tx, owner)
    have = tx.execute("SELECT 1 FROM place WHERE mailbox=? AND seq=?", (everything, seq))
    if have.fetchone() is None:
        (free,) = tx.execute("SELECT uidnext FROM mailbox WHERE id=?", (everything,)).fetchone()
        shown = flags[0] & ~8, flags[1]  # \Deleted speaks of one place, not of the message
        _insert(tx, everything, free, seq, shown, modseq, internal_date)
    return int(uid)


def put_copies(
    tx: sqlite3.Connection, source: int, uids: list[int], target: int, modseq: int
) -> list[tuple[int, int]]:
    """Places in ``target`` for places of ``source``, flags kept: (uid there, uid here)."""
    pairs = []
    for uid in uids:
        row = tx.execute(
            "SELECT seq, flags, keywords, internal_date FROM place WHERE mailbox=? AND uid=?",
            (source, uid),
        ).fetchone()
        if row is not None:
            seq, flags, keywords, date = row
            pairs.append((uid, put(tx, target, seq, (flags, keywords), modseq, date)))
    return pairs


def take_away(
    tx: sqlite3.Connection, mailbox: Mailbox, uids: list[int], modseq: int, *, moved: bool
) -> None:
    """Turn places into vanished ones; what has no place left leaves the mailbox of all mail too."""
    now = time.time_ns() // 1000
    seqs = set()
    for uid in uids:
        row = tx.execute(
            "DELETE FROM place WHERE mailbox=? AND uid=? "
            "RETURNING seq, flags, keywords, internal_date",
            (mailbox.id, uid),
        ).fetchone()
        if row is None:
            continue
        seqs.add(row[0])
        tx.execute(
            "INSERT INTO vanished (mailbox, uid, seq, flags, keywords, internal_date, modseq, "
            "removed, moved) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (mailbox.id, uid, *row, modseq, now, moved),
        )
    everything = _all_mail(tx, mailbox.owner)
    if moved or everything is None or mailbox.id == everything:
        return
    all_box = Mailbox(everything, mailbox.owner, "", ALL_MAIL, 0, 0, 0, False)
    for seq in seqs:
        left = tx.execute(
            "SELECT 1 FROM place p JOIN mailbox m ON m.id = p.mailbox "
            "WHERE p.seq=? AND m.owner=? AND m.id<>? LIMIT 1",
            (seq, mailbox.owner, everything),
        ).fetchone()
        if left is None:
            last = tx.execute("SELECT uid FROM place WHERE mailbox=? AND seq=?", (everything, seq))
            take_away(tx, all_box, [uid for (uid,) in last], modseq, moved=True)


def _insert(
    tx: sqlite3.Connection,
    mailbox: int,
    uid: int,
    seq: int,
    flags: tuple[int, str],
    modseq: int,
    internal_date: int,
) -> None:
    tx.execute(
        "INSERT INTO place (mailbox, uid, seq, flags, keywords, modseq, internal_date) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (mailbox, uid, seq, *flags, modseq, internal_date),
    )


def _rename(tx: sqlite3.Connection, owner: str, old: str, new: str, modseq: int) -> None:
    below = tx.execute(
        "SELECT id, name FROM mailbox WHERE owner=? AND gone IS NULL "
        "AND (name=? OR substr(name, 1, ?) = ?)",
        (owner, old, len(old) + 1, old + "/"),
    ).fetchall()
    for mailbox, name in below:
        renamed = new + name[len(old) :]
        if tx.execute(
            "SELECT 1 FROM mailbox WHERE owner=? AND name=? AND gone IS NULL", (owner, renamed)
        ).fetchone():
            raise MailboxExists(renamed)
        tx.execute(
            "UPDATE mailbox SET name=?, highestmodseq=max(highestmodseq, ?) WHERE id=?",
            (renamed, modseq, mailbox),
        )
        # A subscription follows its mailbox: a program that shows subscribed ones only
        # would lose sight of it otherwise.
        tx.execute(
            "UPDATE OR REPLACE subscription SET name=? WHERE owner=? AND name=?",
            (renamed, owner, name),
        )
