"""What the two protocols have in common, as a run sees them; and the spool for large messages.

A session lists mailboxes, opens one, lists its messages newest first, and hands
them out. It never changes anything on the server: no flag, no deletion.

    for mailbox in session.mailboxes():
        opened = session.examine(mailbox)
        for answer in session.retrieve(opened.uids): …     # Arrived | Refused
    session.quit()

A message up to a MiB is held in memory; a larger one goes to a file in the
spool as it comes, and its octets are a view of that file. The file has no name
any more by then, so nothing is left behind, whatever happens to the process.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from appliance.errors import DiskFull, StoreError
from appliance.mail.types import Flag, Octets

__all__ = [
    "Answer",
    "Arrived",
    "Incoming",
    "Opened",
    "Refused",
    "RemoteMailbox",
    "Session",
    "Spool",
    "TooLarge",
]

IN_MEMORY_OCTETS: Final = 1024 * 1024
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class TooLarge(Exception):
    """A message passed ``limit_octets`` while it came. Becomes a Refused."""

    def __init__(self, limit_octets: int) -> None:
        super().__init__(too_large(limit_octets))


def too_large(limit_octets: int, size: int | None = None) -> str:
    """The reason for a person."""
    has = f"has {size} octets, " if size is not None else ""
    return f"the message {has}more than the limit of {limit_octets} octets: it was not fetched"


@dataclass(frozen=True, slots=True)
class RemoteMailbox:
    """A mailbox on the server.

    ``raw`` is its name as the server writes it, ``name`` readable and the key of the
    ledger, ``ours`` where its messages go. ``search`` chooses its messages (IMAP SEARCH).
    """

    name: str
    ours: str
    raw: bytes = b""
    search: str = "ALL"


@dataclass(frozen=True, slots=True)
class Opened:
    """A mailbox's messages now, newest first.

    ``unnamed`` are those for which the server has no lasting name: their real
    uid is only known once they have arrived. ``doubt`` says why the listing may
    be incomplete, or None.
    """

    uidvalidity: int
    uids: Sequence[str]
    unnamed: frozenset[str] = frozenset()
    doubt: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A message the server lists and we could not get; ``reason`` is for a person."""

    uid: str
    reason: str


@dataclass(slots=True)
class Arrived:
    """A message in full. ``asked`` is the uid it was asked for by, ``uid`` its lasting one.

    ``internal_date`` is None where the server told none. The receiver calls ``release``
    when the octets are no longer needed.
    """

    asked: str
    uid: str
    octets: Octets = field(repr=False)
    internal_date: datetime | None = None
    flags: frozenset[Flag] = frozenset()
    map: mmap.mmap | None = field(default=None, repr=False)

    def release(self) -> None:
        """Give the memory and the file back; the octets are gone afterwards."""
        if self.map is not None and isinstance(self.octets, memoryview):
            # If somebody still holds a view of it, the map goes when the last view goes.
            with contextlib.suppress(BufferError):
                self.octets.release()
                self.map.close()
            self.map = None
        self.octets = b""


Answer = Arrived | Refused


class Session(Protocol):
    """A signed-in connection to one account. Errors: RemoteError and its kinds, Stopped."""

    def mailboxes(self, globs: Sequence[str]) -> Sequence[RemoteMailbox]:
        """The mailboxes to fetch; all of them where there are no globs."""

    def examine(self, mailbox: RemoteMailbox) -> Opened:
        """Open for reading only. A plain RemoteError means: not this one."""

    def retrieve(self, uids: Sequence[str], *, alone: bool = False) -> Iterator[Answer]:
        """The messages of the open mailbox, in about this order; vanished ones are left out.

        ``alone`` asks for one at a time, so whoever is missing after a lost
        connection is the one that the server failed at.
        """

    def quit(self) -> None:
        """Say goodbye as the protocol wants it, then close. Never raises."""

    def close(self) -> None:
        """Close without a word."""


@dataclass(frozen=True, slots=True)
class Spool:
    """Where large messages wait, and how large a message may be (octets)."""

    directory: Path
    limit_octets: int

    def incoming(self) -> Incoming:
        """A place for one message that is about to come."""
        return Incoming(self)


class Incoming:
    """One message as it comes: in memory first, in a file when it grows. Context manager."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._chunks: list[bytes] = []
        self._file: int | None = None
        self.size = 0

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def write(self, octets: bytes) -> None:
        """Append. Raises TooLarge (nothing is kept any more), DiskFull, StoreError."""
        self.size += len(octets)
        if self.size > self._spool.limit_octets:
            self.discard()
            raise TooLarge(self._spool.limit_octets)
        try:
            if self._file is None and self.size > IN_MEMORY_OCTETS:
                self._file = self._unnamed_file()
                for chunk in self._chunks:
                    _write_all(self._file, chunk)
                self._chunks.clear()
            if self._file is None:
                self._chunks.append(octets)
            else:
                _write_all(self._file, octets)
        except OSError as error:
            self.discard()
            if error.errno in _FULL:
                raise DiskFull(f"{self._spool.directory}: no room to fetch a message") from None
            raise StoreError(f"{self._spool.directory}: cannot write: {error.strerror}") from None

    def _unnamed_file(self) -> int:
        self._spool.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, path = tempfile.mkstemp(prefix="fetch-", dir=self._spool.directory)
        os.unlink(path)
        return handle

    def arrived(self, asked: str, uid: str | None = None) -> Arrived:
        """The whole message. The Arrived owns the octets from here on."""
        uid = uid or asked
        if self._file is None:
            octets = b"".join(self._chunks)
            self._chunks.clear()
            return Arrived(asked, uid, octets)
        mapped = mmap.mmap(self._file, self.size, prot=mmap.PROT_READ)
        self.discard()
        return Arrived(asked, uid, memoryview(mapped), map=mapped)

    def discard(self) -> None:
        """Forget what came."""
        self._chunks.clear()
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _write_all(handle: int, octets: bytes) -> None:
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(handle, rest) :]
