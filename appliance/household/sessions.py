"""Sign-ins of browsers: a random token there, its SHA-256 here.

A session ends 14 days after it was last used, 90 days after it was opened, when
it is closed, or when the person's password changes.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from appliance.database import Database, moment, stamp
from appliance.errors import StoreError
from appliance.household.text import scrubbed

IDLE = timedelta(days=14)
ABSOLUTE = timedelta(days=90)
_SEEN_NOTED_EVERY = timedelta(hours=1)
_LONGEST_AGENT = 200
_log = logging.getLogger("hauspost.household")


class Sessions:
    """The table of web sessions."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def open(self, person: str, agent: str) -> str:
        """The token of a new session: 256 random bits. Sessions that have ended are swept out."""
        token = secrets.token_urlsafe(32)
        now = self._clock()
        with self._database.write() as connection:
            connection.execute(
                "DELETE FROM session WHERE seen < ? OR opened < ?",
                (stamp(now - IDLE), stamp(now - ABSOLUTE)),
            )
            connection.execute(
                "INSERT INTO session (digest, person, agent, opened, seen) VALUES (?, ?, ?, ?, ?)",
                (_digest(token), person, scrubbed(agent, _LONGEST_AGENT), stamp(now), stamp(now)),
            )
        return token

    def person(self, token: str) -> str | None:
        """Whose session it is, or None when it is none or has ended."""
        digest = _digest(token)
        row = (
            self._database.read()
            .execute("SELECT person, opened, seen FROM session WHERE digest = ?", (digest,))
            .fetchone()
        )
        if row is None:
            return None
        now = self._clock()
        name, opened, seen = str(row[0]), moment(row[1]), moment(row[2])
        if now - seen > IDLE or now - opened > ABSOLUTE:
            return None
        if now - seen > _SEEN_NOTED_EVERY:
            self._note_use(digest, now)
        return name

    def close(self, token: str) -> None:
        """End one session; one that is not there is ended already."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM session WHERE digest = ?", (_digest(token),))

    def close_all(self, person: str) -> None:
        """End every session of a person."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM session WHERE person = ?", (person,))

    def _note_use(self, digest: bytes, now: datetime) -> None:
        try:
            with self._database.write() as connection:
                connection.execute(
                    "UPDATE session SET seen = ? WHERE digest = ?", (stamp(now), digest)
                )
        except StoreError as error:
            # Mail must stay readable on a full disk.
            _log.warning("use of a session not noted: %s", error)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token[:256].encode("utf-8", "surrogatepass")).digest()
