"""Sets of messages by what only the catalog knows: mailboxes, flags, sizes, accounts.

Every answer is an array of seqs in ascending order, so that a search can be cut
down to it. What names an owner sees only the owner's places; what does not
(sizes, kinds of parts) is a fact of messages, to be cut with what an owner may see.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Sequence
from typing import Final

from appliance.mail.types import SYSTEM_FLAGS, Flag
from appliance.store.messages import folded
from appliance.store.room import Room

_OWNED: Final = (
    "SELECT DISTINCT p.seq FROM place p JOIN mailbox m ON m.id = p.mailbox "
    "WHERE m.owner = :owner AND m.gone IS NULL"
)
_REMOVED: Final = (
    "SELECT DISTINCT v.seq FROM vanished v JOIN mailbox m ON m.id = v.mailbox "
    f"WHERE m.owner = :owner AND NOT v.moved AND v.seq NOT IN ({_OWNED})"
)

_WORDED: Final = frozenset({"subject", "sender", "recipients", "copied", "message_id"})
_MOST_WORDS: Final = 20


class Filters(Room):
    """Set-oriented questions to the catalog."""

    def seqs_of(self, owner: str) -> array[int]:
        """Every message the owner has a place for."""
        return self._set(_OWNED, owner=owner)

    def count_after(self, watermark: int) -> int:
        """How many messages were admitted after one."""
        (count,) = (
            self._db.read()
            .execute("SELECT count(*) FROM message WHERE seq > ?", (watermark,))
            .fetchone()
        )
        return int(count)

    def seqs_removed(self, owner: str) -> array[int]:
        """Messages the owner had a place for and has none any more."""
        return self._set(_REMOVED, owner=owner)

    def named(self, owner: str, name: str) -> list[int]:
        """The owner's mailboxes of that name or special use, in any case, and those below."""
        # Folded by Python: SQLite's lower() knows ASCII only.
        wanted = name.casefold().strip("/")
        return [
            found.id
            for found in self.mailboxes(owner)
            if found.name.casefold() == wanted
            or found.name.casefold().startswith(wanted + "/")
            or (found.special_use or "").casefold() == "\\" + wanted
        ]

    def seqs_in(self, owner: str, mailbox: str) -> array[int]:
        """Messages in the owner's mailboxes of that name."""
        return self.seqs_in_mailboxes(self.named(owner, mailbox))

    def seqs_in_mailboxes(self, mailboxes: list[int]) -> array[int]:
        """Messages in any of these mailboxes."""
        marks = ",".join(str(int(number)) for number in mailboxes)
        return self._set(f"SELECT DISTINCT seq FROM place WHERE mailbox IN ({marks})")

    def seqs_flagged(self, owner: str, flag: Flag, flagged: bool = True) -> array[int]:
        """Messages some place of which has the flag, or lacks it (``flagged`` False)."""
        if flag in SYSTEM_FLAGS:
            test = f"(p.flags >> {SYSTEM_FLAGS.index(flag)} & 1)"
        else:
            test = "(instr(' ' || lower(p.keywords) || ' ', ' ' || lower(:flag) || ' ') > 0)"
        return self._set(f"{_OWNED} AND {test} = :on", owner=owner, flag=flag, on=int(flagged))

    def seqs_sized(self, least: int | None, most: int | None) -> array[int]:
        """Messages of ``least <= size <= most`` octets; None is open."""
        return self._set(
            "SELECT seq FROM message WHERE size BETWEEN :least AND :most",
            least=max(0, least or 0),
            most=min(most if most is not None else 2**62, 2**62),
        )

    def seqs_with_attachments(self) -> array[int]:
        """Messages with a part that is shown as a file."""
        return self._set("SELECT seq FROM message WHERE has_attachments")

    def seqs_with_parts(self, *words: str) -> array[int]:
        """Messages whose body structure names one of these (lower case), as ``"image"``."""
        test = " OR ".join(f"instr(s, :word{n})" for n in range(len(words)))
        query = "SELECT seq, lower(CAST(bodystructure AS TEXT)) AS s FROM reading"
        named = {f"word{n}": word for n, word in enumerate(words)}
        return self._set(f"SELECT seq FROM ({query}) WHERE {test}", **named)

    def seqs_of_ledgers(self, ledgers: Collection[str]) -> array[int]:
        """Messages that the ledger has under one of these names (``Origin.account``)."""
        return self._set(
            "SELECT DISTINCT l.seq FROM ledger l JOIN source s ON s.id = l.source "
            "WHERE s.account IN (SELECT value FROM json_each(:ledgers))",
            ledgers=json.dumps(list(ledgers)),
        )

    def seqs_of_thread(self, thread: int) -> array[int]:
        """Messages of a thread."""
        return self._set("SELECT seq FROM message WHERE thread = :thread", thread=thread)

    def seqs_named(self, message_id: str) -> array[int]:
        """Messages with this Message-ID, with or without its angle brackets."""
        bare = message_id.strip().strip("<>")
        return self._set(
            "SELECT seq FROM message WHERE message_id IN (:bare, '<' || :bare || '>')", bare=bare
        )

    def seqs_worded(self, words: str, columns: Sequence[str]) -> array[int]:
        """Messages with every word somewhere in these columns, in any case.

        What the catalog can say when there is no index. Columns: subject,
        sender, recipients, copied, message_id.
        """
        assert _WORDED.issuperset(columns), columns
        wanted = folded(words).split()[:_MOST_WORDS]
        db = self._db.read()
        db.create_function("folded", 1, folded, deterministic=True)
        text = " || ' ' || ".join(f"coalesce({column}, '')" for column in columns)
        test = " AND ".join(f"instr(s, :word{n})" for n in range(len(wanted))) or "1"
        named = {f"word{n}": word for n, word in enumerate(wanted)}
        query = f"SELECT seq, folded({text}) AS s FROM message"
        return self._set(f"SELECT seq FROM ({query}) WHERE {test}", **named)

    def _set(self, query: str, **values: str | int) -> array[int]:
        cursor = self._db.read().execute(f"{query} ORDER BY 1", values)
        return array("q", (seq for (seq,) in cursor))
