"""A message while it arrives: small ones in memory, large ones on the disk.

The spool file has no name from the start, so a crash leaves nothing behind.
The limit is kept while reading: what is over it is thrown away as it comes.
"""

from __future__ import annotations

import errno
import mmap
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from appliance.mail.types import Octets

IN_MEMORY_OCTETS = 1 << 20


class TooLarge(Exception):
    """The message is over the limit."""


class NoRoom(Exception):
    """The disk is full."""


class Incoming:
    """Octets as they come in, after ``lead`` (the trace fields), which the limit does not count.

    A failure is kept and raised by ``octets()``: the client is told after its
    data, not in the middle of it.
    """

    def __init__(self, spool: Path, lead: bytes, limit_octets: int) -> None:
        self._spool = spool
        self._memory = bytearray(lead)
        self._limit = limit_octets
        self._file: BinaryIO | None = None
        self._failure: Exception | None = None
        self.size = 0
        """Octets received so far, thrown away or not."""

    @property
    def excess(self) -> int:
        """Octets received over the limit."""
        return max(0, self.size - self._limit)

    def write(self, octets: bytes) -> None:
        """Take octets in, or throw them away when the message cannot be kept; never raises."""
        self.size += len(octets)
        if self._failure is None and self.size > self._limit:
            self._fail(TooLarge())
        if self._failure is not None:
            return
        try:
            self._memory += octets
            if self._file is None and len(self._memory) > IN_MEMORY_OCTETS:
                self._file = _nameless(self._spool)
            if self._file is not None:
                self._file.write(self._memory)
                self._memory.clear()
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            self._fail(NoRoom() if full else error)

    @contextmanager
    def octets(self) -> Iterator[Octets]:
        """The whole message, as long as the block lasts: ``bytes``, or a view of the spool file.

        Raises TooLarge, NoRoom, or the OSError that stopped the spool.
        """
        if self._failure is not None:
            raise self._failure
        if self._file is None:
            yield bytes(self._memory)
            return
        self._file.flush()
        mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        view = memoryview(mapped)
        try:
            yield view
        finally:
            # Somebody may hold a slice a little longer; then the collector unmaps it.
            with suppress(BufferError):
                view.release()
                mapped.close()

    def close(self) -> None:
        """Give memory and disk back."""
        self._memory = bytearray()
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _fail(self, reason: Exception) -> None:
        self._failure = reason
        self.close()


def _nameless(spool: Path) -> BinaryIO:
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = spool / f"smtp-{secrets.token_hex(8)}.part"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    path.unlink()
    return open(descriptor, "w+b")
