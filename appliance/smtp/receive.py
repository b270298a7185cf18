"""The door for SMTP: listens, holds the clients to their limits, hands messages to the archive.

An event loop in a thread of its own; ``archive.admit`` runs beside it, so a
slow disk never stops the conversation with another client.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import shutil
import ssl
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from appliance.config import Config
from appliance.errors import ApplianceError, ConfigError, DiskFull, UsageError
from appliance.mail.types import Delivery, Octets, Origin, Receipt
from appliance.smtp.incoming import Incoming, NoRoom, TooLarge
from appliance.smtp.session import Manner, Talk
from appliance.smtp.trace import Transaction, trace_fields

CLIENTS_LIMIT = 40
CLIENTS_PER_PEER_LIMIT = 10
ROOM_KEPT_OCTETS = 32 << 20
"""Left free on the disk: the catalog needs room to write, too."""
STOP_S = 3.0
"""How long ``stop`` waits for messages that are being stored."""
_STORING_AT_ONCE = 2
_log = logging.getLogger("hauspost.smtp")


class Admits(Protocol):
    """The archive, as far as this door is concerned."""

    def admit(self, deliveries: Iterable[Delivery]) -> list[Receipt]:
        """Durable when it returns; raises StoreError, DiskFull."""


class Owns(Protocol):
    """The household, as far as this door is concerned."""

    def owner_of(self, address: str, domain: str) -> str | None:
        """Whose mail it is, or None."""


def _now() -> datetime:
    return datetime.now(UTC)


class Receiver:
    """Takes mail for the people of the household; a context manager, or ``start`` and ``stop``.

    Port 0 in the configuration binds a free port: see ``address``. (That 0
    turns the door off is the service's business, which then makes no
    Receiver.) STARTTLS is offered when ``tls`` is given.
    """

    def __init__(
        self,
        archive: Admits,
        household: Owns,
        config: Config,
        spool: Path,
        *,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._config = config
        self._manner = Manner(config.domain, config.message_limit_octets, tls)
        self._desk = HouseDesk(archive, household, config, spool, clock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Receiver:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> tuple[str, int]:
        """The address and port that are bound; only while started."""
        assert self._server is not None, "not started"
        name: tuple[Any, ...] = self._server.sockets[0].getsockname()
        return str(name[0]), int(name[1])

    def start(self) -> None:
        """Listen; raises ConfigError when the port cannot be had."""
        assert self._thread is None, "started already"
        # aiosmtpd logs each command of each client with the addresses in it; we log each message.
        logging.getLogger("mail.log").setLevel(logging.WARNING)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="smtp", daemon=True)
        self._thread.start()
        try:
            self._call(self._listen()).result()
        except OSError as error:
            where = f"{self._config.host} port {self._config.smtp_port}"
            self.stop()
            raise ConfigError(f"smtp_port: cannot listen on {where}: {error.strerror}") from error
        _log.info("smtp: listening on %s port %d", *self.address)

    def stop(self) -> None:
        """Take no more mail; messages being stored are finished. Safe to call twice."""
        if self._thread is None or self._loop is None:
            return
        self._call(self._close()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._thread = self._loop = self._server = None
        self._desk.close()

    def _run(self) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, work: Any) -> Future[None]:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Talk(self._desk, self._manner, loop),
            self._config.host,
            self._config.smtp_port,
            reuse_address=True,
        )

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        deadline = asyncio.get_running_loop().time() + STOP_S
        for talk in self._desk.talks:
            if not talk.storing:
                talk.say_goodbye()
        while self._desk.talks and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
            for talk in self._desk.talks:
                if not talk.storing:
                    talk.say_goodbye()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class HouseDesk:
    """Between the conversations and the house: who is here, whose mail, where it goes."""

    def __init__(
        self,
        archive: Admits,
        household: Owns,
        config: Config,
        spool: Path,
        clock: Callable[[], datetime],
    ) -> None:
        self._archive = archive
        self._household = household
        self._config = config
        self._spool = spool
        self._clock = clock
        self._from: collections.Counter[str] = collections.Counter()
        self._talks: set[Talk] = set()
        self._storing = ThreadPoolExecutor(_STORING_AT_ONCE, thread_name_prefix="smtp-admit")

    @property
    def talks(self) -> tuple[Talk, ...]:
        """The conversations going on."""
        return tuple(self._talks)

    def enter(self, talk: Talk, peer: str) -> bool:
        """Whether there is room for one more client from there."""
        if len(self._talks) >= CLIENTS_LIMIT or self._from[peer] >= CLIENTS_PER_PEER_LIMIT:
            _log.warning("refused: peer=%s has too many connections", peer)
            return False
        self._talks.add(talk)
        self._from[peer] += 1
        return True

    def leave(self, talk: Talk, peer: str) -> None:
        """The client has gone; said twice it is said once."""
        if talk in self._talks:
            self._talks.discard(talk)
            self._from[peer] -= 1
            if not self._from[peer]:
                del self._from[peer]

    def owner_of(self, address: str) -> str | None:
        """Whose mail it is, or None."""
        return self._household.owner_of(address, self._config.domain)

    def is_ours(self, address: str) -> bool:
        """Whether the address is in our domain."""
        return address.rpartition("@")[2].lower().rstrip(".") == self._config.domain

    def has_room(self, size: int) -> bool:
        """Whether the disk can take a message of that size and go on working."""
        try:
            return shutil.disk_usage(self._config.data).free > size + ROOM_KEPT_OCTETS
        except OSError:
            return True  # then writing says what is wrong

    def begin(self, queue_id: str, transaction: Transaction) -> Incoming:
        """Where the message goes, its trace fields written already."""
        lead = trace_fields(transaction, self._config.domain, queue_id, self._clock())
        return Incoming(self._spool, lead, self._config.message_limit_octets)

    def store(
        self, queue_id: str, transaction: Transaction, incoming: Incoming
    ) -> asyncio.Future[str]:
        """The reply to DATA, after everything is durable."""
        return asyncio.get_running_loop().run_in_executor(
            self._storing, self._store, queue_id, transaction, incoming
        )

    def close(self) -> None:
        """Wait for the last message, then no more."""
        self._storing.shutdown(wait=True)

    def _store(self, queue_id: str, transaction: Transaction, incoming: Incoming) -> str:
        size, peer = incoming.size, transaction.peer
        try:
            # One place for each person, however many of their addresses the message names.
            owners = tuple(dict.fromkeys(map(self._owner, transaction.recipients)))
            with incoming.octets() as octets:
                self._archive.admit(self._deliveries(queue_id, owners, octets))
        except TooLarge:
            limit = self._config.message_limit_octets
            _log.warning("refused: peer=%s message over %d octets", peer, limit)
            return f"552 5.3.4 Message too large: at most {limit} octets are taken"
        except (NoRoom, DiskFull) as error:
            _log.error("message %s not taken: %s", queue_id, error or "the disk is full")
            return "452 4.3.1 Insufficient system storage; try again later"
        except ApplianceError as error:
            _log.error("message %s not taken: %s", queue_id, error)
            return "451 4.3.0 The archive cannot take mail now; try again later"
        except Exception:
            # Whatever it was, the client keeps the message: that is what matters.
            _log.exception("message %s not taken", queue_id)
            return "451 4.3.0 Local error; try again later"
        finally:
            incoming.close()
        _log.info("message %s: %d octets from %s for %d", queue_id, size, peer, len(owners))
        return f"250 2.0.0 OK: kept as {queue_id}"

    def _owner(self, address: str) -> str:
        owner = self.owner_of(address)
        if owner is None:
            raise UsageError("a recipient was removed while the message came in")
        return owner

    def _deliveries(self, queue_id: str, owners: tuple[str, ...], octets: Octets) -> list[Delivery]:
        now = self._clock()
        return [
            Delivery(octets, Origin("smtp", owner, 0, queue_id), owner, "INBOX", now)
            for owner in owners
        ]
