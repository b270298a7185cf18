"""Who is told when the archive changes: the hub between commits and waiting sessions.

Own commits wake the sessions at once; other processes ring the bell, which is
a file the event loop watches; and a slow poll of the archive's modseq makes up
for a ring that was lost. What changed is not said: a session looks itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from appliance.bell import Bell, Listener

_log = logging.getLogger(__name__)

_POLL_WITH_BELL_S: Final = 2.0
_POLL_WITHOUT_BELL_S: Final = 0.3


class Hub:
    """Wakes every watcher when ``modseq()`` grew. Lives in one event loop."""

    def __init__(self, modseq: Callable[[], Awaitable[int]], bell: Bell | None) -> None:
        self.modseq = 0
        self._ask = modseq
        self._bell = bell
        self._listener: Listener | None = None
        self._look = asyncio.Event()
        self._watchers: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen."""
        self.modseq = await self._ask()
        if self._bell is not None:
            self._listener = self._bell.listen("imap")
            asyncio.get_running_loop().add_reader(self._listener.fileno(), self._rung)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def watch(self, event: asyncio.Event) -> None:
        """Set this event whenever something changed."""
        self._watchers.add(event)

    def forget(self, event: asyncio.Event) -> None:
        """Set it no more."""
        self._watchers.discard(event)

    def changed(self) -> None:
        """This process committed something: look now."""
        self._look.set()

    def _rung(self) -> None:
        assert self._listener is not None  # the loop calls this for the listener only
        self._listener.drain()
        self._look.set()

    async def _run(self) -> None:
        poll_s = _POLL_WITH_BELL_S if self._bell is not None else _POLL_WITHOUT_BELL_S
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(poll_s):
                    await self._look.wait()
            self._look.clear()
            try:
                modseq = await self._ask()
            except Exception:
                # Whatever it is, the next time may work; without this loop nobody hears anything.
                _log.exception("the archive could not be asked for changes")
                continue
            if modseq > self.modseq:
                self.modseq = modseq
                for event in self._watchers:
                    event.set()
