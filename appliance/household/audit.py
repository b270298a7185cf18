"""Who did what: append-only, each entry linked to the one before by SHA-256.

The chain shows a hand at the database file, not who held it; ``first_broken``
names the first entry that does not follow from the one before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from appliance.database import Database, moment, stamp
from appliance.household.text import scrubbed

_START = bytes(32)
_LONGEST_DETAIL = 2000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing done. ``person`` is whom it concerns, "" = the house."""

    id: int
    at: datetime
    person: str
    action: str
    detail: str


class Audit:
    """The log; there is no way to change or remove an entry."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def note(self, person: str, action: str, detail: str) -> None:
        """Add an entry; inside a ``write()`` it stands or falls with what it tells of."""
        at = stamp(self._clock())
        detail = scrubbed(detail, _LONGEST_DETAIL)
        with self._database.write() as connection:
            row = connection.execute("SELECT link FROM audit ORDER BY id DESC LIMIT 1").fetchone()
            link = _link(row[0] if row else _START, at, person, action, detail)
            connection.execute(
                "INSERT INTO audit (at, person, action, detail, link) VALUES (?, ?, ?, ?, ?)",
                (at, person, action, detail, link),
            )

    def newest(self, limit: int) -> list[AuditEntry]:
        """The newest entries, newest first."""
        rows = self._database.read().execute(
            "SELECT id, at, person, action, detail FROM audit ORDER BY id DESC LIMIT ?", (limit,)
        )
        return [AuditEntry(row[0], moment(row[1]), *row[2:]) for row in rows]

    def first_broken(self) -> int | None:
        """The id of the first entry that was tampered with, or None."""
        before = _START
        expected = 1
        rows = self._database.read().execute(
            "SELECT id, link, at, person, action, detail FROM audit ORDER BY id"
        )
        for identity, link, *entry in rows:
            if identity != expected or link != _link(before, *entry):
                return int(identity)
            before, expected = link, expected + 1
        return None


def _link(before: bytes, at: int, person: str, action: str, detail: str) -> bytes:
    entry = json.dumps([at, person, action, detail]).encode()
    return hashlib.sha256(before + entry).digest()
