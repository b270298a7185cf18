"""Pages of a mailbox, newest first, in steps that cost the same however deep they are."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.database import moment, stamp
from appliance.mail.types import Seq
from appliance.store.messages import MESSAGE, message_of
from appliance.store.room import Room, place_of
from appliance.store.values import Listed


@dataclass(frozen=True, slots=True)
class Spot:
    """A line of a list: its internal date (µs since 1970) and uid. ``str`` fits into a link."""

    date: int
    uid: int

    def __str__(self) -> str:
        return f"{self.date}.{self.uid}"

    @classmethod
    def of(cls, text: str) -> Spot | None:
        """The spot of a link, or None if it is not one."""
        date, _, uid = text.partition(".")
        try:
            return cls(int(date), int(uid))
        except ValueError:
            return None


class Listing(Room):
    """Message lists for the web page."""

    def page(
        self,
        mailbox: int,
        limit: int,
        *,
        before: Spot | None = None,
        after: Spot | None = None,
        unread: bool = False,
    ) -> list[Listed]:
        """Up to ``limit`` lines, newest first: older than ``before``, or newer than ``after``.

        ``after`` answers the lines next to it, so that a page back is a page.
        """
        unseen = "AND p.flags & 1 = 0" if unread else ""
        spot = after or before
        order = "ASC" if after is not None else "DESC"
        sign = ">" if after is not None else "<"
        bound = f"(p.internal_date, p.uid) {sign} (?, ?)" if spot else "1"
        values = (spot.date, spot.uid) if spot else ()
        rows = (
            self._db.read()
            .execute(
                "SELECT p.mailbox, p.uid, p.seq, p.flags, p.keywords, p.modseq, p.internal_date, "
                f"{MESSAGE} FROM place p JOIN message m ON m.seq=p.seq "
                f"WHERE p.mailbox=? AND {bound} {unseen} "
                f"ORDER BY p.internal_date {order}, p.uid {order} LIMIT ?",
                (mailbox, *values, limit),
            )
            .fetchall()
        )
        lines = [Listed(place_of(row[:7]), message_of(row[7:])) for row in rows]
        return lines[::-1] if after is not None else lines

    def spot(self, listed: Listed) -> Spot:
        """Where a line stands."""
        return Spot(stamp(listed.place.internal_date), listed.place.uid)

    def threads(self, owner: str, threads: list[int]) -> dict[int, int]:
        """How many messages of each thread the owner has."""
        marks = ",".join("?" * len(threads))
        rows = self._db.read().execute(
            f"SELECT m.thread, count(*) FROM message m WHERE m.thread IN ({marks}) AND EXISTS "
            "(SELECT 1 FROM place p JOIN mailbox b ON b.id=p.mailbox "
            "WHERE p.seq=m.seq AND b.owner=?) GROUP BY m.thread",
            (*threads, owner),
        )
        return dict(rows.fetchall())

    def mailbox_names(self, owner: str, seqs: list[Seq]) -> dict[Seq, list[str]]:
        """The mailboxes of many messages at once, without the mailbox of all mail."""
        marks = ",".join("?" * len(seqs))
        rows = self._db.read().execute(
            "SELECT p.seq, b.name FROM place p JOIN mailbox b ON b.id=p.mailbox "
            f"WHERE b.owner=? AND b.special_use IS NOT '\\All' AND p.seq IN ({marks}) "
            "ORDER BY b.name",
            (owner, *seqs),
        )
        found: dict[Seq, list[str]] = {}
        for seq, name in rows:
            found.setdefault(Seq(seq), []).append(name)
        return found

    def dates(self, mailbox: int) -> tuple[str, str] | None:
        """ISO days of the oldest and newest message of a mailbox, or None if it is empty."""
        low, high = (
            self._db.read()
            .execute(
                "SELECT min(internal_date), max(internal_date) FROM place WHERE mailbox=?",
                (mailbox,),
            )
            .fetchone()
        )
        if low is None:
            return None
        return moment(low).date().isoformat(), moment(high).date().isoformat()
