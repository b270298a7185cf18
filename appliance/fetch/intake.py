"""From the session to the desk: messages gathered into batches, admitted, counted.

A batch is at most 200 messages, 8 MiB or one second of waiting, so little is
downloaded again after a power cut; a message that lies in the spool is
admitted by itself. A batch that the desk refuses is tried again one by one, so
the one bad message is recorded and the others are in the archive.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from appliance.errors import StoreError
from appliance.fetch.session import Arrived
from appliance.mail.dates import date_of
from appliance.mail.header import fields, first
from appliance.mail.types import Delivery, Octets, Origin, RunFailure
from appliance.store import Archive

__all__ = ["Intake", "Tally", "date_in"]

BATCH_MESSAGES: Final = 200
BATCH_OCTETS: Final = 8 * 1024 * 1024
BATCH_S: Final = 1.0
_HEADER_OCTETS: Final = 64 * 1024
_EARLIEST: Final = datetime(1980, 1, 1, tzinfo=UTC)
_CLOCK_SET: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Tally:
    """What a run did so far; ``failed`` by origin, so a message counts once."""

    listed: int = 0
    total: int = 0
    done: int = 0
    admitted: int = 0
    duplicates: int = 0
    octets: int = 0
    failed: dict[Origin, str] = field(default_factory=dict)

    def failures(self) -> tuple[RunFailure, ...]:
        """For ``FetchRun``."""
        return tuple(RunFailure(origin, reason) for origin, reason in self.failed.items())


class Intake:
    """One run's way to the desk. ``close`` lets go of what was not admitted."""

    def __init__(
        self,
        archive: Archive,
        tally: Tally,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._archive = archive
        self._tally = tally
        self._clock = clock
        self._waiting: list[tuple[Arrived, Delivery]] = []
        self._octets = 0
        self._since = 0.0

    def add(self, arrived: Arrived, origin: Origin, owner: str, mailbox: str) -> None:
        """Take a message; it is durable after the next ``flush``. Raises StoreError."""
        if arrived.map is not None:
            self.flush()
        now = datetime.now(UTC)
        delivery = Delivery(
            arrived.octets,
            origin,
            owner,
            mailbox,
            sane(arrived.internal_date, now) or date_in(arrived.octets, now) or now,
            arrived.flags,
        )
        if not self._waiting:
            self._since = self._clock()
        self._waiting.append((arrived, delivery))
        self._octets += len(arrived.octets)
        if arrived.map is not None or self._full():
            self.flush()

    def _full(self) -> bool:
        return (
            len(self._waiting) >= BATCH_MESSAGES
            or self._octets >= BATCH_OCTETS
            or self._clock() - self._since >= BATCH_S
        )

    def flush(self) -> None:
        """Admit what is waiting. Raises StoreError when the archive takes nothing more."""
        waiting, self._waiting = self._waiting, []
        self._octets = 0
        try:
            self._admit([delivery for _, delivery in waiting])
        finally:
            for arrived, _ in waiting:
                arrived.release()

    def _admit(self, deliveries: list[Delivery]) -> None:
        try:
            receipts = self._archive.admit(deliveries) if deliveries else []
        except StoreError:
            raise
        except Exception as error:
            # Whatever a parser thinks of one message must not keep the others out.
            if len(deliveries) > 1:
                for delivery in deliveries:
                    self._admit([delivery])
                return
            self.refused(deliveries[0].origin, f"the archive could not take it: {error}")
            return
        for delivery, receipt in zip(deliveries, receipts, strict=True):
            self._tally.done += 1
            self._tally.octets += len(delivery.octets)
            self._tally.admitted += not receipt.duplicate
            self._tally.duplicates += receipt.duplicate

    def refused(self, origin: Origin, reason: str) -> None:
        """Record a message that could not be fetched; it is tried again alone, later."""
        self._archive.record_failure(origin, reason)
        self._tally.failed[origin] = reason
        self._tally.done += 1

    def close(self) -> None:
        """Let go of what is waiting; it will be fetched again."""
        for arrived, _ in self._waiting:
            arrived.release()
        self._waiting = []


def sane(date: datetime | None, now: datetime) -> datetime | None:
    """The date, unless it cannot be when a message came in."""
    if date is None or date < _EARLIEST:
        return None
    # A clock that was not set yet (a Raspberry Pi has none of its own) is no judge.
    return date if now < _CLOCK_SET or date <= now + timedelta(days=1) else None


def date_in(octets: Octets, now: datetime) -> datetime | None:
    """When the message came in, by its own words: the topmost Received field, else Date.

    The last server wrote the topmost Received field (RFC 5321 §4.4); the date stands
    behind its last ";". None if neither tells a date that can be.
    """
    found = fields(bytes(octets[:_HEADER_OCTETS]))
    for name in ("Received", "Date"):
        body = first(found, name)
        if body is not None:
            written = body.rsplit(b";", 1)[-1] if name == "Received" else body
            date = sane(date_of(written), now)
            if date is not None:
                return date
    return None
