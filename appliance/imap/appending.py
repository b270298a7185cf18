"""APPEND: a message from a mail program into the archive (RFC 9051 §6.3.12, RFC 3502, RFC 4315).

A small message comes inside its command. A large one is written to a spool file
as it arrives and handed to the archive as a view of that file, so that it is
never held. OK is said when the archive has made it durable, not before.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from appliance.errors import DiskFull
from appliance.imap.client import Client, Refused
from appliance.mail.types import Delivery, Mailbox, Octets, Origin, Placing, Receipt
from appliance.store import Archive, NoSuchMailbox
from appliance.wire import imap_responses as responses
from appliance.wire.imap_commands import Append, AppendMessage

_WRITE_OCTETS: Final = 1 << 20


class Spool:
    """A large message in progress: a nameless file, gone when it is closed.

    When it cannot be written the rest of the message is let pass, because it is
    on its way already; ``octets`` then raises what happened.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: IO[bytes] | None = None
        self._failure: DiskFull | None = None
        self._gathered: list[bytes] = []
        self._waiting = 0
        self._size = 0
        self._map: mmap.mmap | None = None
        self._view: memoryview | None = None

    def add(self, octets: bytes) -> bool:
        """Take octets; True when ``flush`` should be called (in a thread: it may wait)."""
        self._gathered.append(octets)
        self._waiting += len(octets)
        return self._waiting >= _WRITE_OCTETS

    def flush(self) -> None:
        """Write what was taken."""
        left = memoryview(b"".join(self._gathered))
        self._gathered, self._waiting = [], 0
        if self._failure is not None:
            return
        self._size += len(left)
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115 - see close
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            reason = f"a large message could not be kept in {self._directory}: {error.strerror}"
            self._failure = DiskFull(reason)

    def octets(self) -> memoryview:
        """All octets, as a view of the file that is good until ``close``; raises DiskFull."""
        self.flush()
        if self._failure is not None:
            raise self._failure
        assert self._file is not None  # there is no failure, so it was opened
        self._map = mmap.mmap(self._file.fileno(), self._size, access=mmap.ACCESS_READ)
        self._view = memoryview(self._map)
        return self._view

    def close(self) -> None:
        """Give the file back; somebody who still holds a view keeps only that."""
        # The archive may be reading it still when the client has gone meanwhile.
        with suppress(BufferError):
            if self._view is not None:
                self._view.release()
            if self._map is not None:
                self._map.close()
        if self._file is not None:
            self._file.close()


def checked_target(archive: Archive, owner: str, name: str) -> Mailbox:
    """The mailbox an APPEND may go to; raises Refused, with TRYCREATE where CREATE would help."""
    try:
        mailbox = archive.mailbox(owner, name)
    except NoSuchMailbox as error:
        raise Refused("TRYCREATE", str(error)) from error
    if mailbox.special_use == "\\All":
        raise Refused("CANNOT", f"{name} holds every message by itself; nothing is put there")
    return mailbox


async def append(client: Client, command: Append, spools: Sequence[Spool]) -> None:
    """APPEND of one message or more; ``spools`` hold those that were streamed, in order."""
    owner, waiting = client.person(), list(spools)
    receipts, uidvalidity = await client.waiting(_admitted, client, owner, command, waiting)
    client.committed()
    uids = [receipt.place.uid for receipt in receipts if receipt.place is not None]
    code = responses.append_uid(uidvalidity, uids)
    # The client that appends to its selected mailbox hears EXISTS before the OK.
    await client.done(command.tag, "APPEND completed", code)


def _admitted(
    client: Client, owner: str, command: Append, spools: list[Spool]
) -> tuple[list[Receipt], int]:
    archive = client.services.archive
    mailbox = checked_target(archive, owner, command.mailbox)
    deliveries = []
    for message in command.messages:
        client.appended += 1
        octets = message.literal.octets
        held: Octets = spools.pop(0).octets() if octets is None else octets
        if not held:
            raise Refused("CANNOT", "a message without octets is none")
        deliveries.append(_delivery(client, owner, mailbox.name, message, held))
    return archive.admit(deliveries), mailbox.uidvalidity


def _delivery(
    client: Client, owner: str, mailbox: str, message: AppendMessage, octets: Octets
) -> Delivery:
    date = message.internal_date or datetime.now(UTC)
    return Delivery(
        octets=octets,
        origin=Origin("append", owner, 0, f"{client.token}.{client.appended}"),
        owner=owner,
        mailbox=mailbox,
        internal_date=date.astimezone(UTC),
        flags=frozenset(message.flags),
        placing=Placing.ALWAYS,
    )
