"""SQLite as the house uses it: durable, one connection a thread, migrations as a list.

WAL with ``synchronous=FULL``: with NORMAL a power cut after a commit loses the
commit, and what we acknowledged with it. Times in tables are integers,
microseconds since 1970 UTC.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from weakref import WeakSet

from appliance.errors import CatalogTooNew, DiskFull, StoreError

Migration = Callable[[sqlite3.Connection], None]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BUSY_S = 60.0


def stamp(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(stamped: int) -> datetime:
    """The aware UTC datetime of a stamp."""
    return _EPOCH + timedelta(microseconds=stamped)


def run_script(connection: sqlite3.Connection, script: str) -> None:
    """Run statements one by one, inside the transaction they are in.

    ``executescript`` would commit it, and a migration cut short would stay half done.
    """
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    connection.execute(statement)


class _Held:
    """A thread's connection, closed when the thread has ended; threads come and go for months.

    A connection alone would stay open until the garbage collector finds it: with its
    cache of statements it is a ring.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class Database:
    """A database file: a connection for each thread, one writer at a time.

    ``read()`` answers this thread's connection; ``write()`` is a transaction
    (BEGIN IMMEDIATE) that commits at the end of the block or rolls back.
    """

    def __init__(self, path: Path, migrations: Sequence[Migration]) -> None:
        self.path = path
        self._local = threading.local()
        self._all: WeakSet[_Held] = WeakSet()
        self._lock = threading.Lock()
        self._writing = threading.RLock()
        self._migrate(migrations)

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> sqlite3.Connection:
        """This thread's connection, outside any transaction unless inside ``write()``."""
        held: _Held | None = getattr(self._local, "held", None)
        if held is None:
            held = self._local.held = _Held(self._connect())
            with self._lock:
                self._all.add(held)
        return held.connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its start; nests into one."""
        connection = self.read()
        if connection.in_transaction:
            yield connection
            return
        with self._writing, translated(self.path):
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # On a full disk SQLite has rolled back by itself.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close every thread's connection; the database is not used afterwards."""
        with self._lock:
            for held in list(self._all):
                held.connection.close()
            self._all.clear()
        self._local = threading.local()

    def _connect(self) -> sqlite3.Connection:
        with translated(self.path):
            connection = sqlite3.connect(
                self.path,
                timeout=_BUSY_S,
                isolation_level=None,
                check_same_thread=False,
            )
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA cache_size=-4096")
            # What a long reader let the WAL grow to is given back once it has gone.
            connection.execute("PRAGMA journal_size_limit=67108864")
        return connection

    def _migrate(self, migrations: Sequence[Migration]) -> None:
        with self.write() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > len(migrations):
                raise CatalogTooNew(
                    f"{self.path}: written by a newer Hauspost (format {version}, this one "
                    f"knows {len(migrations)}); install the newer version again"
                )
            for number, migration in enumerate(migrations[version:], version + 1):
                migration(connection)
                connection.execute(f"PRAGMA user_version={number:d}")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours: a full disk is DiskFull, the rest StoreError naming the file."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
            raise DiskFull(f"{path}: no room left on the disk; make room") from error
        raise StoreError(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0)  # Python's own have none
        if code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise StoreError(
                f"{path}: it is damaged ({error}); bring it back from a backup"
            ) from error
        raise StoreError(f"{path}: {error}; run hauspost verify") from error
