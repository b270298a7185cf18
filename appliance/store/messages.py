"""Messages: their rows, and their octets put together again.

Octets come in pieces (``chunks``), so that a large message passes through without
being held; ``octets`` is for those who need the whole. Every record's checksum is
compared on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from appliance.database import moment
from appliance.errors import RecordMissing
from appliance.mail.bodystructure import body_octets
from appliance.mail.structure import unpack as unpack_structure
from appliance.mail.types import Digest, Octets, Part, Seq, Uid
from appliance.store import parts
from appliance.store.codec import LARGE_OCTETS, Codec
from appliance.store.errors import NoSuchMessage
from appliance.store.room import Room
from appliance.store.values import Message, Totals
from appliance.store.volume import Location

MESSAGE: Final = (
    "m.seq, m.digest, m.size, m.header_size, m.internal_date, m.sent, m.message_id, m.subject, "
    "m.sender, m.recipients, m.copied, m.blind, m.preview, m.thread, m.list_id, "
    "m.has_attachments, m.problem"
)
_MANY: Final = 500
_READING: Final = frozenset({"envelope", "bodystructure", "structure"})
_COLUMNS: Final = frozenset(
    {
        *("digest", "size", "header_size", "internal_date", "sent", "thread", "has_attachments"),
        *("message_id", "list_id", "subject", "sender", "recipients", "copied", "blind"),
        *("preview", "variant", "problem"),
    }
)
_SEARCHED: Final = frozenset({"subject", "sender", "recipients", "copied", "blind", "message_id"})
Row = tuple[Any, ...]


class Messages(Room):
    """What was admitted; immutable."""

    def message(self, seq: Seq) -> Message:
        """The row of a message; raises NoSuchMessage."""
        found = self.messages([seq])
        if seq not in found:
            raise NoSuchMessage(seq)
        return found[seq]

    def messages(self, seqs: Sequence[Seq]) -> dict[Seq, Message]:
        """Rows of many messages at once; what is not there is left out."""
        found = {}
        for some in _groups(seqs):
            marks = ",".join("?" * len(some))
            for row in self._db.read().execute(
                f"SELECT {MESSAGE} FROM message m WHERE m.seq IN ({marks})", some
            ):
                message = message_of(row)
                found[message.seq] = message
        return found

    def columns(self, seqs: Sequence[Seq], names: Sequence[str]) -> dict[Seq, Row]:
        """Raw columns of many messages, in the order of ``names``.

        ``envelope``, ``bodystructure`` and ``body`` are octets ready for a FETCH
        response; ``structure`` is a packed Part; dates are µs since 1970.
        """
        unknown = set(names) - _COLUMNS - _READING - {"body"}
        assert not unknown, unknown
        stored = [name for name in names if name != "body"] or ["size"]
        chosen = ", ".join(("r." if name in _READING else "m.") + name for name in stored)
        joined = "JOIN reading r ON r.seq = m.seq" if _READING.intersection(stored) else ""
        found: dict[Seq, Row] = {}
        for some in _groups(seqs):
            marks = ",".join("?" * len(some))
            for seq, *row in self._db.read().execute(
                f"SELECT m.seq, {chosen} FROM message m {joined} WHERE m.seq IN ({marks})", some
            ):
                found[Seq(seq)] = tuple(row)
        if "body" not in names:
            return found
        at = {name: n for n, name in enumerate(stored)}
        return {
            seq: tuple(self.body(seq) if name == "body" else row[at[name]] for name in names)
            for seq, row in found.items()
        }

    def body(self, seq: Seq) -> bytes:
        """FETCH BODY: the body structure without extension data; rarely asked, so made anew."""
        return body_octets(self.octets(seq), self.structure(seq), extended=False)

    def structure(self, seq: Seq) -> Part:
        """The MIME tree of a message; raises NoSuchMessage."""
        row = (
            self._db.read().execute("SELECT structure FROM reading WHERE seq=?", (seq,)).fetchone()
        )
        if row is None:
            raise NoSuchMessage(seq)
        return unpack_structure(row[0])

    def octets(self, seq: Seq) -> bytes:
        """The message, octet for octet as it came in."""
        return b"".join(self.chunks(seq))

    def header(self, seq: Seq) -> bytes:
        """The header section with the blank line."""
        return self.slice(seq, 0, self.message(seq).header_size)

    def slice(self, seq: Seq, start: int, end: int) -> bytes:
        """Some octets of a message."""
        return b"".join(self.chunks(seq, start, end))

    def chunks(
        self, seq: Seq, start: int = 0, end: int | None = None
    ) -> Iterator[bytes | memoryview]:
        """Octets of a message from ``start`` to before ``end``, in pieces of any size.

        Raises NoSuchMessage, RecordDamaged, RecordMissing.
        """
        row = (
            self._db.read()
            .execute("SELECT volume, at, length, size FROM message WHERE seq=?", (seq,))
            .fetchone()
        )
        if row is None:
            raise NoSuchMessage(seq)
        *where, size = row
        return self._cut(Location(*where), start, size if end is None else min(end, size))

    def of_digest(self, digest: Digest) -> Seq | None:
        """The message with these octets, or None."""
        row = (
            self._db.read().execute("SELECT seq FROM message WHERE digest=?", (digest,)).fetchone()
        )
        return None if row is None else Seq(row[0])

    def seqs_after(self, watermark: int, limit: int) -> list[Seq]:
        """The messages admitted after one, ascending."""
        rows = self._db.read().execute(
            "SELECT seq FROM message WHERE seq>? ORDER BY seq LIMIT ?", (watermark, limit)
        )
        return [Seq(seq) for (seq,) in rows]

    def thread_of(self, owner: str, thread: int) -> list[Seq]:
        """A thread's messages that the owner has a place for, oldest first."""
        rows = self._db.read().execute(
            "SELECT m.seq FROM message m WHERE m.thread=? AND EXISTS (SELECT 1 FROM place p "
            "JOIN mailbox b ON b.id=p.mailbox WHERE p.seq=m.seq AND b.owner=?) "
            "ORDER BY coalesce(m.sent, m.internal_date), m.seq",
            (thread, owner),
        )
        return [Seq(seq) for (seq,) in rows]

    def containing(self, mailbox: int, column: str, needle: str) -> set[Uid]:
        """Places whose message has a text in a column, anywhere and in any case.

        Columns: subject, sender, recipients, copied, blind, message_id.
        """
        assert column in _SEARCHED, column
        db = self._db.read()
        wanted = folded(needle)
        if wanted.isascii() and "k" not in wanted and "s" not in wanted:
            # SQLite's lower() knows ASCII only, which is all that can match here:
            # of other letters only the Kelvin sign and the long s fold into ASCII.
            test, values = f"instr(lower(m.{column}), ?)", (wanted,)
        else:
            db.create_function("folded", 1, folded, deterministic=True)
            test, values = f"instr(folded(m.{column}), ?)", (wanted,)
        rows = db.execute(
            f"SELECT p.uid FROM place p JOIN message m ON m.seq=p.seq WHERE p.mailbox=? AND {test}",
            (mailbox, *values),
        )
        return {Uid(uid) for (uid,) in rows}

    def totals(self, owner: str | None = None) -> Totals:
        """What the archive (or one owner) holds; stored octets are always of the whole."""
        db = self._db.read()
        if owner is None:
            messages, octets = db.execute(
                "SELECT count(*), coalesce(sum(size), 0) FROM message"
            ).fetchone()
            (places,) = db.execute(
                "SELECT coalesce(sum(messages), 0) FROM mailbox "
                "WHERE gone IS NULL AND special_use IS NOT '\\All'"
            ).fetchone()
        else:
            messages, octets = db.execute(
                "SELECT coalesce(sum(messages), 0), coalesce(sum(octets), 0) FROM mailbox "
                "WHERE owner=? AND special_use='\\All' AND gone IS NULL",
                (owner,),
            ).fetchone()
            (places,) = db.execute(
                "SELECT coalesce(sum(messages), 0) FROM mailbox "
                "WHERE owner=? AND gone IS NULL AND special_use IS NOT '\\All'",
                (owner,),
            ).fetchone()
        files = [*self._volumes.directory.glob("*.hpv"), *self.root.glob("catalog.sqlite3*")]
        return Totals(messages, places, octets, sum(path.stat().st_size for path in files))

    def newest(self) -> Seq:
        """The seq of the newest message; 0 when there is none."""
        (seq,) = self._db.read().execute("SELECT coalesce(max(seq), 0) FROM message").fetchone()
        return Seq(seq)

    # -- records

    def _cut(self, where: Location, start: int, end: int) -> Iterator[bytes | memoryview]:
        at = 0
        needed = []
        items = parts.unpack(self._whole(where))
        for item in items:
            if at < end and at + item.size > start:
                needed.append((at, item))
            at += item.size
        for at, item in needed:
            item_end = at + item.size
            for piece in parts.assembled([item], self._part):
                low, high = max(start - at, 0), min(end - at, len(piece))
                at += len(piece)
                if low < high:
                    yield piece if high - low == len(piece) else piece[low:high]
                # A part read to its end is read on: its checksum is compared after the last piece.
                if end <= at < item_end:
                    break

    def _part(self, digest: Digest) -> Iterator[bytes]:
        row = (
            self._db.read()
            .execute("SELECT volume, at, length FROM part WHERE digest=?", (digest,))
            .fetchone()
        )
        if row is None:
            raise RecordMissing(f"part {digest.hex()[:16]} is not in the archive")
        return self._plain(Location(*row))

    def _whole(self, where: Location) -> Octets:
        """A record's plain octets in one piece, and never in two copies."""
        pieces = self._plain(where)
        first = next(pieces, b"")
        if (second := next(pieces, None)) is None:
            return first
        whole = bytearray(first)
        whole += second
        for piece in pieces:
            whole += piece
        return memoryview(whole).toreadonly()

    def _plain(self, where: Location) -> Iterator[bytes]:
        """A record's plain octets, in pieces when it is large."""
        if where.length < LARGE_OCTETS:
            header, payload = self._volumes.payload(where)
            if header.size < LARGE_OCTETS:
                used = header.dictionary if header.codec == Codec.ZSTD_DICTIONARY else 0
                yield self._codecs.unpack(header.codec, used, payload, header.size)
                return
        header, pieces = self._volumes.pieces(where)
        yield from self._codecs.pieces_unpacked(header.codec, pieces)


def message_of(row: Row) -> Message:
    """The Message of a row selected as ``MESSAGE``."""
    return Message(
        seq=Seq(row[0]),
        digest=Digest(row[1]),
        size=row[2],
        header_size=row[3],
        internal_date=moment(row[4]),
        sent=None if row[5] is None else moment(row[5]),
        message_id=row[6],
        subject=row[7],
        sender=row[8],
        recipients=row[9],
        copied=row[10],
        blind=row[11],
        preview=row[12],
        thread=row[13],
        list_id=row[14],
        has_attachments=bool(row[15]),
        problem=row[16],
    )


def folded(text: str | None) -> str:
    """A text without regard to case, as both sides of a substring search are compared."""
    return (text or "").casefold()


def _groups(seqs: Sequence[Seq]) -> Iterator[Sequence[Seq]]:
    for at in range(0, len(seqs), _MANY):
        yield list(seqs[at : at + _MANY])
