"""SQLite as the house uses it."""

from __future__ import annotations

import os
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.database import Database, moment, stamp
from appliance.errors import CatalogTooNew, DiskFull, StoreError


def first(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE note (text TEXT)")


def second(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE note ADD COLUMN author TEXT")


def test_it_is_opened_the_durable_way(tmp_path: Path) -> None:
    with Database(tmp_path / "db", [first]) as database:
        assert database.read().execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.read().execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_threads_that_ended_leave_no_file_open(tmp_path: Path) -> None:
    with Database(tmp_path / "db", [first]) as database:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            thread = threading.Thread(target=lambda: database.read().execute("SELECT 1"))
            thread.start()
            thread.join()
        assert len(os.listdir("/proc/self/fd")) <= before + 3  # one connection's files


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with Database(tmp_path / "db", [first]) as database:

        def fail() -> None:
            with database.write() as tx:
                tx.execute("INSERT INTO note VALUES ('lost')")
                raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            fail()
        assert database.read().execute("SELECT count(*) FROM note").fetchone() == (0,)


def test_blocks_nest_into_one_transaction(tmp_path: Path) -> None:
    with Database(tmp_path / "db", [first]) as database:

        def fail() -> None:
            with database.write() as outer:
                with database.write() as inner:
                    assert inner is outer
                    inner.execute("INSERT INTO note VALUES ('lost too')")
                raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            fail()
        assert database.read().execute("SELECT count(*) FROM note").fetchone() == (0,)


def test_migrations_run_once_and_in_order(tmp_path: Path) -> None:
    with Database(tmp_path / "db", [first]) as database, database.write() as tx:
        tx.execute("INSERT INTO note VALUES ('kept')")
    with Database(tmp_path / "db", [first, second]) as database:
        assert database.read().execute("SELECT text, author FROM note").fetchall() == [
            ("kept", None)
        ]
    with pytest.raises(CatalogTooNew, match="format 2, this one knows 1"):
        Database(tmp_path / "db", [first])


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE note ADD COLUMN half TEXT")
        raise RuntimeError("the power went")

    Database(tmp_path / "db", [first]).close()
    with pytest.raises(RuntimeError):
        Database(tmp_path / "db", [first, broken])
    with Database(tmp_path / "db", [first, second]) as database:
        columns = [row[1] for row in database.read().execute("PRAGMA table_info(note)")]
    assert columns == ["text", "author"]


def test_a_full_disk_has_its_own_error(tmp_path: Path) -> None:
    with Database(tmp_path / "db", [first]) as database:
        database.read().execute("PRAGMA max_page_count=3")
        with pytest.raises(DiskFull, match="make room"), database.write() as tx:
            tx.execute("INSERT INTO note VALUES (randomblob(100000))")


def test_a_statement_that_cannot_be_is_a_store_error(tmp_path: Path) -> None:
    with (
        Database(tmp_path / "db", [first]) as database,
        pytest.raises(StoreError, match="db: no such table"),
        database.write() as tx,
    ):
        tx.execute("SELECT * FROM elsewhere")


@pytest.mark.parametrize(
    "when",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1969, 7, 20, 20, 17, 40, 123456, tzinfo=UTC),
        datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
def test_stamps_are_exact(when: datetime) -> None:
    assert moment(stamp(when)) == when
