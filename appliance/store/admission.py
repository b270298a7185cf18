"""The desk: deliveries become records, rows and receipts, durable before they are answered.

In batches: records are appended, ``fdatasync``, then one SQLite transaction
commits. The catalog's write lock is held from the first record to the commit, so
there is one writer of volumes however many processes admit.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Final

from appliance.database import stamp
from appliance.errors import RecordDamaged, RecordMissing, StoreError
from appliance.mail.reading import Reading
from appliance.mail.structure import pack as pack_structure
from appliance.mail.thread import base_subject, is_reply
from appliance.mail.types import Delivery, Digest, Place, Placing, Receipt, Seq, digest_of
from appliance.store.codec import Codec, Codecs
from appliance.store.errors import NoSuchMessage, NotAllowed
from appliance.store.ledger import remember
from appliance.store.mailboxes import create, provide, put
from appliance.store.messages import Messages
from appliance.store.preparation import (
    Packed,
    Prepared,
    delivery_of,
    pack_receipt,
    prepare,
    receipt_octets,
)
from appliance.store.room import ALL_MAIL, mailbox_name, next_modseq, place_of
from appliance.store.tail import left_behind
from appliance.store.values import flags_row
from appliance.store.volume import (
    FILE_HEADER,
    SEAL_AT_OCTETS,
    SEAL_ENTRY,
    Appender,
    Header,
    Kind,
    Location,
)

Written = dict[Digest, Location]
BATCH_MESSAGES: Final = 200
BATCH_OCTETS: Final = 8 << 20
BATCH_S: Final = 1.0
MESSAGE_MAX_OCTETS: Final = 1 << 62


class Admission(Messages):
    """The only writer of octets."""

    seal_at_octets = SEAL_AT_OCTETS

    def admit(self, deliveries: Iterable[Delivery]) -> list[Receipt]:
        """Receipts in order, each after its message is durable.

        What is already in the archive is not stored again, but gets its origin
        and its place. Raises StoreError (DiskFull) with nothing of the failed
        batch taken; batches before it are durable.
        """
        receipts: list[Receipt] = []
        for batch in _batches(deliveries):
            receipts += self._admit(batch)
            self._ring()
        return receipts

    def _admit(self, batch: list[Delivery]) -> list[Receipt]:
        dictionary = self._current_dictionary()
        # The catalog's names, checked before anything is written.
        for delivery in batch:
            mailbox_name(delivery.mailbox)
        ready = [prepare(d, self._codecs, dictionary, self._has) for d in batch]
        with self._db.write() as tx, self._appending(tx) as appender:
            return [self._settle(tx, appender, one) for one in ready]

    def _has(self, digest: Digest) -> bool:
        row = self._db.read().execute("SELECT 1 FROM message WHERE digest=?", (digest,)).fetchone()
        return row is not None

    def _current_dictionary(self) -> int:
        row = self._db.read().execute("SELECT value FROM meta WHERE key='dictionary'").fetchone()
        return int(row[0])

    def use_dictionary(self, octets: bytes) -> int:
        """Keep a zstd dictionary in the volumes, and pack messages with it from now on."""
        digest = digest_of(octets)
        with self._db.write() as tx, self._appending(tx) as appender:
            (number,) = tx.execute("SELECT coalesce(max(number), 0) + 1 FROM dictionary").fetchone()
            # Raw, and with its own number, so that a reader needs nothing to read it.
            where = appender.append(Kind.DICTIONARY, digest, len(octets), 0, number, octets)
            _know_dictionary(tx, number, digest, where)
            tx.execute("UPDATE meta SET value=? WHERE key='dictionary'", (number,))
        return int(number)

    # -- writing; the catalog's write lock is held

    @contextmanager
    def _appending(self, tx: sqlite3.Connection) -> Iterator[Appender]:
        """The last volume, open at its durable end; synced before the caller's commit."""
        row = tx.execute(
            "SELECT number, size, sealed FROM volume ORDER BY number DESC LIMIT 1"
        ).fetchone()
        (archive_id,) = tx.execute("SELECT value FROM meta WHERE key='archive_id'").fetchone()
        number, end, sealed = row or (0, 0, 1)
        if sealed:
            number, end = number + 1, 0
        left = left_behind(self._volumes, number, end, archive_id)
        if left:
            end = left[-1][0].at + left[-1][0].length
        appender = Appender(self._volumes.directory, number, end, archive_id)
        try:
            appender.abandon()  # cuts a torn record; the whole ones before it stay
            if left:
                self._adopt(tx, appender, left)
            yield appender
            full = appender.end >= self.seal_at_octets
            if full:
                self._append_seal(appender)
            appender.sync()
            tx.execute(
                "INSERT INTO volume VALUES (?1, ?2, ?3) "
                "ON CONFLICT DO UPDATE SET size=?2, sealed=?3",
                (appender.number, appender.end, full),
            )
            if full:
                appender.seal()
        except BaseException:
            appender.abandon()
            raise
        finally:
            appender.close()

    def _adopt(
        self, tx: sqlite3.Connection, appender: Appender, left: list[tuple[Location, Header]]
    ) -> None:
        """Give what a crash kept from the catalog its rows; nothing was acknowledged for it."""
        written: Written = {}
        for where, header in left:
            if header.kind is Kind.PART:
                _know_part(tx, header.digest, header.size, where)
            elif header.kind is Kind.DICTIONARY:
                _know_dictionary(tx, header.dictionary, header.digest, where)
            elif header.kind is Kind.MESSAGE:
                written[header.digest] = where
        for where, header in left:
            if header.kind is Kind.RECEIPT:
                told = b"".join(self._plain(where))
                try:
                    delivery = delivery_of(told, lambda digest: self._adopted(digest, written))
                except (RecordDamaged, RecordMissing, NoSuchMessage):
                    continue  # a part of it is beyond the tear; its origin still has it
                ready = prepare(delivery, self._codecs, 0, self._has)
                self._settle(tx, appender, ready, written)

    def _adopted(self, digest: Digest, written: Written) -> bytes:
        where = written.get(digest)
        if where is None:
            return self.octets(self.of_digest(digest) or Seq(0))
        octets = b"".join(self._cut(where, 0, MESSAGE_MAX_OCTETS))
        if digest_of(octets) != digest:
            raise RecordDamaged("a message left behind does not match its digest")
        return octets

    def _settle(
        self,
        tx: sqlite3.Connection,
        appender: Appender,
        ready: Prepared,
        written: Written | None = None,
    ) -> Receipt:
        """Rows and records of one delivery; ``written`` are messages whose records stand."""
        delivery = ready.delivery
        row = tx.execute("SELECT seq FROM message WHERE digest=?", (ready.digest,)).fetchone()
        duplicate = row is not None
        seq = Seq(row[0]) if duplicate else self._enter(tx, appender, ready, written or {})
        new = remember(tx, delivery.origin, seq)
        place = self._settle_place(tx, delivery, seq)
        if new or place is not None or not duplicate:
            uidvalidity = 0
            if place is not None:
                (uidvalidity,) = tx.execute(
                    "SELECT uidvalidity FROM mailbox WHERE id=?", (place.mailbox,)
                ).fetchone()
            uid = None if place is None else place.uid
            told = receipt_octets(delivery, ready.digest, seq, uidvalidity, uid)
            _append(appender, Kind.RECEIPT, pack_receipt(self._codecs, told), self._codecs)
        return Receipt(seq, ready.digest, place, duplicate)

    def _enter(
        self, tx: sqlite3.Connection, appender: Appender, ready: Prepared, written: Written
    ) -> Seq:
        """Write a new message: its parts, its skeleton, its row."""
        if ready.reading is None or ready.skeleton is None:
            # It was there when it was prepared and is gone now: purged in between.
            raise StoreError("a message was purged while it arrived again; it will be tried again")
        where = written.get(ready.digest)
        if where is None:
            for part in ready.parts:
                known = tx.execute("SELECT 1 FROM part WHERE digest=?", (part.digest,)).fetchone()
                if known is None:
                    stands = _append(appender, Kind.PART, part, self._codecs)
                    _know_part(tx, part.digest, len(part.plain), stands)
            where = _append(appender, Kind.MESSAGE, ready.skeleton, self._codecs)
        return _insert(tx, ready, ready.reading, where)

    def _settle_place(self, tx: sqlite3.Connection, delivery: Delivery, seq: Seq) -> Place | None:
        name = mailbox_name(delivery.mailbox)
        found = _find(tx, delivery.owner, name)
        if found is None:
            provide(tx, delivery.owner)
            found = _find(tx, delivery.owner, name)
        if found is None:
            modseq = next_modseq(tx)
            mailbox, special_use = create(tx, delivery.owner, name, None, modseq), None
            # Programs that show subscribed mailboxes only would hide what we made for people.
            tx.execute("INSERT OR IGNORE INTO subscription VALUES (?, ?)", (delivery.owner, name))
        else:
            mailbox, special_use = found
        if special_use == ALL_MAIL:
            raise NotAllowed(f"{name} holds every message by itself; nothing is put there")
        if delivery.placing is Placing.ONCE:
            # A mailbox that was deleted under this name counts: its mail was thrown away with it.
            had = tx.execute(
                "SELECT 1 FROM place WHERE seq=?1 AND mailbox=?2 "
                "UNION ALL SELECT 1 FROM vanished v JOIN mailbox b ON b.id=v.mailbox "
                "WHERE v.seq=?1 AND (b.id=?2 OR "
                "(b.owner=?3 AND b.name=?4 AND b.gone IS NOT NULL))",
                (seq, mailbox, delivery.owner, name),
            ).fetchone()
            if had is not None:
                return None
        modseq, date = next_modseq(tx), stamp(delivery.internal_date)
        flags = flags_row(delivery.flags)
        uid = put(tx, mailbox, seq, flags, modseq, date)
        return place_of((mailbox, uid, seq, *flags, modseq, date))

    def _append_seal(self, appender: Appender) -> None:
        """The digest list at the end of a full volume."""
        appender.sync()
        held = b"".join(
            SEAL_ENTRY.pack(where.at, header.kind, header.digest)
            for where, header in self._volumes.headers(
                appender.number, FILE_HEADER.size, appender.end
            )
        )
        codec, _, payload = self._codecs.pack(held)
        if payload is None:
            codec, payload = Codec.RAW, held
        appender.append(Kind.SEAL, digest_of(held), len(held), codec, 0, payload)


def _batches(deliveries: Iterable[Delivery]) -> Iterator[list[Delivery]]:
    """Deliveries in groups that share one sync: 200 messages, 8 MiB or 1 s."""
    batch: list[Delivery] = []
    octets, begun = 0, time.monotonic()
    for delivery in deliveries:
        if batch and octets + len(delivery.octets) > BATCH_OCTETS:
            yield batch
            batch, octets, begun = [], 0, time.monotonic()
        batch.append(delivery)
        octets += len(delivery.octets)
        if len(batch) >= BATCH_MESSAGES or time.monotonic() - begun > BATCH_S:
            yield batch
            batch, octets, begun = [], 0, time.monotonic()
    if batch:
        yield batch


def _append(appender: Appender, kind: Kind, packed: Packed, codecs: Codecs) -> Location:
    size = len(packed.plain)
    if packed.payload is None:
        pieces = codecs.pieces_packed(packed.plain, packed.codec)
        return appender.append_pieces(kind, packed.digest, size, packed.codec, pieces)
    return appender.append(
        kind, packed.digest, size, packed.codec, packed.dictionary, packed.payload
    )


def _find(tx: sqlite3.Connection, owner: str, name: str) -> tuple[int, str | None] | None:
    row: tuple[int, str | None] | None = tx.execute(
        "SELECT id, special_use FROM mailbox WHERE owner=? AND name=? AND gone IS NULL",
        (owner, name),
    ).fetchone()
    return row


def _insert(tx: sqlite3.Connection, ready: Prepared, reading: Reading, where: Location) -> Seq:
    """The catalog's rows of a new message."""
    thread = _thread(tx, reading)
    inserted = tx.execute(
        "INSERT INTO message (digest, volume, at, length, size, header_size, internal_date, sent, "
        "thread, has_attachments, message_id, list_id, subject, sender, recipients, copied, blind, "
        "preview, variant, problem) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            ready.digest,
            where.volume,
            where.at,
            where.length,
            len(ready.delivery.octets),
            reading.root.body_at,
            stamp(ready.delivery.internal_date),
            None if reading.sent is None else stamp(reading.sent),
            thread,
            reading.has_attachments,
            reading.message_id,
            reading.list_id,
            reading.subject,
            reading.sender,
            reading.recipients,
            reading.copied,
            reading.blind,
            reading.preview,
            reading.variant or None,
            reading.problem,
        ),
    )
    assert inserted.lastrowid is not None
    seq = Seq(inserted.lastrowid)
    tx.execute(
        "INSERT INTO reading VALUES (?, ?, ?, ?)",
        (seq, reading.envelope_octets, reading.bodystructure_octets, pack_structure(reading.root)),
    )
    return seq


def _thread(tx: sqlite3.Connection, reading: Reading) -> int:
    """The thread a message belongs to; threads that it joins become one.

    A thread is what shares message-ids. A reply without references joins the
    latest message that began a thread under its subject.
    """
    ids = [*reading.thread.references]
    if reading.thread.message_id:
        ids.append(reading.thread.message_id)
    keys = [_key(name) for name in ids]
    subject, reply = base_subject(reading.subject), is_reply(reading.subject)
    known = {thread for key in keys for thread in _threads(tx, key)}
    if not known and subject and reply and not reading.thread.references:
        known = _threads(tx, _key("subject " + subject))
    if known:
        # The largest keeps its number: else a sender could have it written anew at every message.
        one = next(iter(known))
        thread = one if len(known) == 1 else max(known, key=lambda n: (_members(tx, n), -n))
    else:
        (thread,) = tx.execute(
            "INSERT INTO meta VALUES ('thread', 1) ON CONFLICT DO UPDATE SET value = value + 1 "
            "RETURNING value"
        ).fetchone()
    for other in known - {thread}:
        tx.execute("UPDATE message SET thread=? WHERE thread=?", (thread, other))
        tx.execute("UPDATE thread_key SET thread=? WHERE thread=?", (thread, other))
    tx.executemany(
        "INSERT OR IGNORE INTO thread_key VALUES (?, ?)", [(key, thread) for key in keys]
    )
    if subject and not reply:
        key = _key("subject " + subject)
        tx.execute("INSERT OR REPLACE INTO thread_key VALUES (?, ?)", (key, thread))
    return int(thread)


def _threads(tx: sqlite3.Connection, key: bytes) -> set[int]:
    return {n for (n,) in tx.execute("SELECT thread FROM thread_key WHERE key=?", (key,))}


def _members(tx: sqlite3.Connection, thread: int) -> int:
    (count,) = tx.execute("SELECT count(*) FROM message WHERE thread=?", (thread,)).fetchone()
    return int(count)


def _know_part(tx: sqlite3.Connection, digest: Digest, size: int, where: Location) -> None:
    tx.execute(
        "INSERT OR IGNORE INTO part VALUES (?, ?, ?, ?, ?)",
        (digest, size, where.volume, where.at, where.length),
    )


def _know_dictionary(tx: sqlite3.Connection, number: int, digest: Digest, where: Location) -> None:
    tx.execute(
        "INSERT OR IGNORE INTO dictionary VALUES (?, ?, ?, ?, ?)",
        (number, digest, where.volume, where.at, where.length),
    )


def _key(name: str) -> bytes:
    return blake2b(name.encode("utf-8", "replace"), digest_size=12).digest()
