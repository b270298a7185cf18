"""What was seen where, what failed, and what each run did.

No cursor: what to fetch is what the server lists minus what stands here.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Final

from appliance.database import moment, stamp
from appliance.mail.types import FetchRun, Origin, RunFailure, Seq
from appliance.store.room import Room
from appliance.store.values import Failure

_FIRST_RETRY: Final = timedelta(minutes=15)
_LAST_RETRY: Final = timedelta(days=1)
_RUNS_KEPT: Final = 500
_FAILURES_TOLD: Final = 100


class Ledger(Room):
    """Remote identities, failures, runs."""

    def known_uids(self, account: str, mailbox: str, uidvalidity: int) -> set[str]:
        """The uids (POP3: unique-ids) of a remote mailbox that are in the archive, durable."""
        rows = self._db.read().execute(
            "SELECT l.uid FROM ledger l JOIN source s ON s.id=l.source "
            "WHERE s.account=? AND s.mailbox=? AND s.uidvalidity=?",
            (account, mailbox, uidvalidity),
        )
        return {uid for (uid,) in rows}

    def known_uidvalidities(self, account: str, mailbox: str) -> list[int]:
        """Every UIDVALIDITY this remote mailbox had, oldest first."""
        rows = self._db.read().execute(
            "SELECT uidvalidity FROM source WHERE account=? AND mailbox=? ORDER BY id",
            (account, mailbox),
        )
        return [uidvalidity for (uidvalidity,) in rows]

    def seq_of(self, origin: Origin) -> Seq | None:
        """The message that was found there, or None."""
        row = (
            self._db.read()
            .execute(
                "SELECT l.seq FROM ledger l JOIN source s ON s.id=l.source "
                "WHERE s.account=? AND s.mailbox=? AND s.uidvalidity=? AND l.uid=?",
                (origin.account, origin.mailbox, origin.uidvalidity, origin.uid),
            )
            .fetchone()
        )
        return None if row is None else Seq(row[0])

    def origins(self, seq: Seq) -> list[Origin]:
        """Everywhere a message was found."""
        rows = self._db.read().execute(
            "SELECT s.account, s.mailbox, s.uidvalidity, l.uid FROM ledger l "
            "JOIN source s ON s.id=l.source WHERE l.seq=? ORDER BY s.id",
            (seq,),
        )
        return [Origin(*row) for row in rows]

    def record_failure(self, origin: Origin, reason: str) -> None:
        """Note that a message could not be fetched; the next try waits longer each time."""
        now = datetime.now(UTC)
        with self._db.write() as tx:
            (tries,) = tx.execute(
                "INSERT INTO failure VALUES (?, ?, ?, ?, ?, 1, 0) ON CONFLICT DO UPDATE SET "
                "tries = tries + 1, reason = excluded.reason RETURNING tries",
                (origin.account, origin.mailbox, origin.uidvalidity, origin.uid, reason),
            ).fetchone()
            wait = min(_FIRST_RETRY * 2 ** min(tries - 1, 16), _LAST_RETRY)
            tx.execute(
                "UPDATE failure SET next_try=? WHERE account=? AND mailbox=? AND uidvalidity=? "
                "AND uid=?",
                (stamp(now + wait), origin.account, origin.mailbox, origin.uidvalidity, origin.uid),
            )

    def clear_failure(self, origin: Origin) -> None:
        """The message may be tried again now."""
        with self._db.write() as tx:
            forget_failure(tx, origin)

    def failures(self, account: str) -> list[Failure]:
        """What could not be fetched from an account."""
        rows = self._db.read().execute(
            "SELECT account, mailbox, uidvalidity, uid, reason, tries, next_try FROM failure "
            "WHERE account=? ORDER BY mailbox, uid",
            (account,),
        )
        return [Failure(Origin(*row[:4]), row[4], row[5], moment(row[6])) for row in rows]

    def record_run(self, run: FetchRun) -> None:
        """Keep what a run did; the oldest of many are forgotten."""
        failed = [
            [f.origin.mailbox, f.origin.uidvalidity, f.origin.uid, f.reason]
            for f in run.failed[:_FAILURES_TOLD]
        ]
        with self._db.write() as tx:
            tx.execute(
                "INSERT INTO run (account, started, seconds, listed, admitted, duplicates, "
                "removed, octets, failed, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    run.account,
                    stamp(run.started),
                    run.seconds,
                    run.listed,
                    run.admitted,
                    run.duplicates,
                    run.removed,
                    run.octets,
                    json.dumps(failed),
                    run.error,
                ),
            )
            tx.execute(
                "DELETE FROM run WHERE account=?1 AND id <= (SELECT id FROM run WHERE account=?1 "
                "ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                (run.account, _RUNS_KEPT),
            )
        self._ring()

    def runs(self, account: str | None = None, limit: int = 20) -> list[FetchRun]:
        """The latest runs, newest first, of one account or of all."""
        rows = self._db.read().execute(
            "SELECT account, started, seconds, listed, admitted, duplicates, removed, octets, "
            "failed, error FROM run WHERE ?1 IS NULL OR account=?1 ORDER BY id DESC LIMIT ?2",
            (account, limit),
        )
        return [_run(row) for row in rows]


def remember(tx: sqlite3.Connection, origin: Origin, seq: int) -> bool:
    """Enter an origin; False when it was known."""
    row = tx.execute(
        "SELECT id FROM source WHERE account=? AND mailbox=? AND uidvalidity=?",
        (origin.account, origin.mailbox, origin.uidvalidity),
    ).fetchone()
    if row is None:
        row = tx.execute(
            "INSERT INTO source (account, mailbox, uidvalidity) VALUES (?, ?, ?) RETURNING id",
            (origin.account, origin.mailbox, origin.uidvalidity),
        ).fetchone()
    entered = tx.execute("INSERT OR IGNORE INTO ledger VALUES (?, ?, ?)", (row[0], origin.uid, seq))
    forget_failure(tx, origin)
    return entered.rowcount == 1


def forget_failure(tx: sqlite3.Connection, origin: Origin) -> None:
    """The message was fetched, or shall be tried at once."""
    tx.execute(
        "DELETE FROM failure WHERE account=? AND mailbox=? AND uidvalidity=? AND uid=?",
        (origin.account, origin.mailbox, origin.uidvalidity, origin.uid),
    )


def _run(row: tuple[str, int, float, int, int, int, int, int, str, str | None]) -> FetchRun:
    account, started, seconds, listed, admitted, duplicates, removed, octets, failed, error = row
    return FetchRun(
        account=account,
        started=moment(started),
        seconds=seconds,
        listed=listed,
        admitted=admitted,
        duplicates=duplicates,
        removed=removed,
        octets=octets,
        failed=tuple(
            RunFailure(Origin(account, mailbox, uidvalidity, uid), reason)
            for mailbox, uidvalidity, uid, reason in json.loads(failed)
        ),
        error=error,
    )
