"""The IMAP server: its listeners, its sessions, its end.

Two doors: plain (``imap_port``), where a password is taken from this machine
itself only, and TLS from the first octet (``imaps_port``). There is no
STARTTLS. One event loop serves all; what blocks runs in a small pool of threads.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from appliance.bell import Bell
from appliance.certificate import certificate_of, server_context
from appliance.config import Config
from appliance.errors import ConfigError
from appliance.household import Household
from appliance.imap.client import Services
from appliance.imap.connection import Connection
from appliance.imap.notify import Hub
from appliance.imap.session import Session
from appliance.search import Searcher
from appliance.store import Archive

_log = logging.getLogger(__name__)

_THREADS: Final = 8
_CONNECTIONS: Final = 1000
_READ_LIMIT_OCTETS: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Doors:
    """Where to listen: a port, 0 for any that is free, None for not at all."""

    plain: int | None
    tls: int | None


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the server listens, as (host, port); None: not at all."""

    plain: tuple[str, int] | None
    tls: tuple[str, int] | None


class ImapServer:
    """``await start()``, ``addresses``, ``await stop()``; all in one event loop.

    The archive and the household belong to the caller; without a searcher
    SEARCH TEXT and BODY read the messages. ``spool`` is a directory
    for large messages in progress.
    """

    def __init__(
        self,
        archive: Archive,
        household: Household,
        searcher: Searcher | None,
        config: Config,
        bell: Bell | None,
        spool: Path,
    ) -> None:
        self._config = config
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="imap")
        self._waiters = ThreadPoolExecutor(_THREADS, thread_name_prefix="imap-waits")
        self._services = Services(
            archive=archive,
            household=household,
            searcher=searcher or Searcher(archive, None),
            hub=Hub(self._modseq, bell),
            pool=self._pool,
            waiters=self._waiters,
            spool=spool,
            message_limit_octets=config.message_limit_octets,
        )
        self._listeners: list[asyncio.Server] = []
        self._sessions: set[asyncio.Task[None]] = set()
        self.addresses = Addresses(None, None)

    async def start(self, doors: Doors | None = None) -> None:
        """Listen; ``doors`` other than the configuration's are for tests.

        Raises ConfigError when a port cannot be had, with nothing left open.
        """
        config = self._config
        doors = doors or Doors(config.imap_port or None, config.imaps_port or None)
        await self._services.hub.start()
        try:
            plain = await self._listen(doors.plain, None) if doors.plain is not None else None
            tls = await self._listen(doors.tls, self._context()) if doors.tls is not None else None
        except BaseException:
            await self.stop()
            raise
        self.addresses = Addresses(plain, tls)

    async def stop(self) -> None:
        """Listen no more, say BYE to everybody, finish what was begun."""
        for listener in self._listeners:
            listener.close()
        for session in list(self._sessions):
            session.cancel()
        if self._sessions:
            await asyncio.wait(self._sessions)
        for listener in self._listeners:
            await listener.wait_closed()
        await self._services.hub.stop()
        await asyncio.to_thread(self._waiters.shutdown)
        await asyncio.to_thread(self._pool.shutdown)

    async def _listen(self, port: int, context: ssl.SSLContext | None) -> tuple[str, int]:
        try:
            listener = await asyncio.start_server(
                partial(self._accepted, context is not None),
                self._config.host,
                port,
                limit=_READ_LIMIT_OCTETS,
                ssl=context,
                ssl_handshake_timeout=30.0 if context else None,
            )
        except OSError as error:
            name = "imap_port" if context is None else "imaps_port"
            where = f"{self._config.host}:{port}"
            raise ConfigError(f"{name}: {where} cannot be used: {error.strerror}") from error
        self._listeners.append(listener)
        host, bound = listener.sockets[0].getsockname()[:2]
        return host, bound

    async def _accepted(
        self, tls: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        plain_socket = writer.get_extra_info("socket")
        # A response in two packets would wait for the client's delayed ACK: 40 ms each.
        plain_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self._sessions) >= _CONNECTIONS:
            writer.write(b"* BYE [LIMIT] too many connections\r\n")
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None  # start_server runs this in a task of its own
        self._sessions.add(task)
        try:
            await Session(self._services, Connection(reader, writer, tls=tls)).run()
        finally:
            self._sessions.discard(task)

    async def _modseq(self) -> int:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._services.archive.modseq)

    def _context(self) -> ssl.SSLContext:
        return server_context(certificate_of(self._config))
