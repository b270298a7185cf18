"""Rows ↔ records ↔ digests: whether everything the catalog names is there and unchanged.

Reads only. Without ``deep`` the header of every record is read and its name
compared; with it every message is put together and its SHA-256 compared.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable

from appliance.database import translated
from appliance.errors import RecordDamaged, RecordMissing, StoreError
from appliance.mail.types import Digest, Seq
from appliance.store.messages import Messages
from appliance.store.values import Damage, VerifyReport
from appliance.store.volume import (
    FILE_HEADER,
    FILE_MAGIC,
    FILE_VERSION,
    RECORD_HEADER,
    Kind,
    Location,
    volume_numbers,
)

Progress = Callable[[int, int], None]
"""Called with messages done and messages in all."""


class Verify(Messages):
    """The archive's own auditor."""

    def verify(self, deep: bool = False, progress: Progress | None = None) -> VerifyReport:
        """What does not hold, message by message; an empty report is a clean archive.

        Raises StoreError when the catalog itself cannot be read.
        """
        with translated(self._db.path):
            return self._verified(deep, progress)

    def _verified(self, deep: bool, progress: Progress | None) -> VerifyReport:
        problems = self._database_problems() + self._volume_problems(deep)
        broken = self._broken_parts(deep)
        damaged: list[Damage] = []
        missing: list[Damage] = []
        count = octets = after = 0
        (total,) = self._db.read().execute("SELECT count(*) FROM message").fetchone()
        while seqs := self.seqs_after(after, 500):
            for seq in seqs:
                error = self._fault(seq, deep)
                if isinstance(error, RecordMissing):
                    missing.append(self._named(seq, str(error)))
                elif error is not None:
                    damaged.append(self._named(seq, str(error)))
                count += 1
                if progress is not None and count % 100 == 0:
                    progress(count, total)
            octets += sum(m.size for m in self.messages(seqs).values())
            after = seqs[-1]
        if progress is not None:
            progress(count, total)
        (parts,) = self._db.read().execute("SELECT count(*) FROM part").fetchone()
        problems += broken
        return VerifyReport(count, parts, octets, tuple(damaged), tuple(missing), tuple(problems))

    def _fault(self, seq: Seq, deep: bool) -> StoreError | None:
        volume, at, length, digest, size = (
            self._db.read()
            .execute("SELECT volume, at, length, digest, size FROM message WHERE seq=?", (seq,))
            .fetchone()
        )
        try:
            self._check_header(Location(volume, at, length), Kind.MESSAGE, digest)
            if deep:
                again, found = hashlib.sha256(), 0
                for piece in self.chunks(seq):
                    again.update(piece)
                    found += len(piece)
                if again.digest() != digest or found != size:
                    raise RecordDamaged("its octets are not those that came in")
        except StoreError as error:
            return error
        return None

    def _check_header(self, where: Location, kind: Kind, digest: bytes) -> None:
        header = self._volumes.header(where.volume, where.at)
        if header.kind is not kind or header.digest != digest:
            raise RecordDamaged(f"volume {where.volume}: another record stands at {where.at}")

    def _broken_parts(self, deep: bool) -> list[str]:
        problems = []
        rows = self._db.read().execute("SELECT digest, volume, at, length, size FROM part")
        for digest, volume, at, length, size in rows.fetchall():
            where = Location(volume, at, length)
            try:
                self._check_header(where, Kind.PART, digest)
                if deep:
                    again, found = hashlib.sha256(), 0
                    for piece in self._plain(where):
                        again.update(piece)
                        found += len(piece)
                    if again.digest() != digest or found != size:
                        raise RecordDamaged("its octets are not those that came in")
            except StoreError as error:
                problems.append(f"part {digest.hex()[:16]}: {error}")
        return problems

    def _database_problems(self) -> list[str]:
        db = self._db.read()
        problems = [
            f"catalog: {line}" for (line,) in db.execute("PRAGMA integrity_check") if line != "ok"
        ]
        lost = db.execute(
            "SELECT count(*) FROM ledger l WHERE NOT EXISTS "
            "(SELECT 1 FROM message m WHERE m.seq = l.seq)"
        ).fetchone()[0]
        if lost:
            problems.append(f"catalog: {lost} ledger rows name messages that are not there")
        counted = db.execute(
            "SELECT b.name, b.owner FROM mailbox b WHERE b.messages <> "
            "(SELECT count(*) FROM place p WHERE p.mailbox = b.id) OR b.uidnext <= "
            "(SELECT coalesce(max(p.uid), 0) FROM place p WHERE p.mailbox = b.id)"
        )
        problems += [
            f"catalog: the counts of {owner}'s {name} are wrong" for name, owner in counted
        ]
        return problems

    def _volume_problems(self, deep: bool) -> list[str]:
        problems = []
        there = set(volume_numbers(self._volumes.directory))
        for number, size in self._db.read().execute("SELECT number, size FROM volume").fetchall():
            if number not in there:
                problems.append(f"volume {number} is gone; bring it back from a backup")
            elif self._volumes.size(number) < size:
                problems.append(f"volume {number} is shorter than the {size} octets it had")
            else:
                problems += self._head_problems(number)
                if deep:
                    problems += self._other_records(number, size)
        return problems

    def _head_problems(self, number: int) -> list[str]:
        (archive_id,) = (
            self._db.read().execute("SELECT value FROM meta WHERE key='archive_id'").fetchone()
        )
        if self._volumes.head(number) != (FILE_MAGIC, FILE_VERSION, 0, number, archive_id):
            return [f"volume {number}: its first octets are damaged, or of another archive"]
        return []

    def _other_records(self, number: int, end: int) -> list[str]:
        """Damage to what no row names: receipts, dictionaries, seals, and the way between."""
        known = [
            at
            for (at,) in self._db.read().execute(
                "SELECT at FROM message WHERE volume=?1 UNION SELECT at FROM part "
                "WHERE volume=?1 ORDER BY at",
                (number,),
            )
        ]
        problems = []
        at = FILE_HEADER.size
        while at < end:
            try:
                header = self._volumes.header(number, at)
                where = Location(number, at, RECORD_HEADER.size + header.length)
                if header.kind not in (Kind.MESSAGE, Kind.PART):
                    for _ in self._volumes.pieces(where)[1]:
                        pass
                at += where.length
            except StoreError as error:
                problems.append(f"volume {number}: {error}")
                # From here to the next record that the catalog knows nothing can be told.
                after = bisect_right(known, at)
                at = known[after] if after < len(known) else end
        return problems

    def _named(self, seq: Seq, reason: str) -> Damage:
        message = self.message(seq)
        rows = self._db.read().execute(
            "SELECT DISTINCT b.owner || ': ' || b.name FROM place p "
            "JOIN mailbox b ON b.id=p.mailbox WHERE p.seq=? AND b.special_use IS NOT '\\All'",
            (seq,),
        )
        return Damage(
            seq,
            Digest(message.digest),
            message.subject,
            message.sent or message.internal_date,
            tuple(name for (name,) in rows),
            reason,
        )
