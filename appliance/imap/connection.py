"""One client's socket: octets in as framed events, octets out with backpressure.

A response is written in slices of at most 64 KiB, each waiting until the client
has taken most of what went before: a slow reader is paused, not buffered for.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from appliance.mail.types import Octets
from appliance.wire.imap_syntax import CommandReader, Event

_SLICE_OCTETS: Final = 64 * 1024
_STUCK_S: Final = 300.0
"""A client that takes nothing for so long is gone."""


class ConnectionLost(Exception):
    """The client went away; there is nobody to answer."""


class Connection:
    """Reads events, writes octets. ``secure``: nobody on the way can read it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, tls: bool
    ) -> None:
        self.framing = CommandReader()
        self._reader = reader
        self._writer = writer
        peer = writer.get_extra_info("peername")
        self.peer: str = peer[0] if isinstance(peer, tuple) else ""
        self.secure = tls or is_loopback(self.peer)
        self.streaming = False
        """A response is under way in pieces; nothing else may come between."""

    async def event(self) -> Event:
        """The next framed event; raises ConnectionLost."""
        while (event := self.framing.next_event()) is None:
            try:
                octets = await self._reader.read(_SLICE_OCTETS)
            except OSError as error:
                raise ConnectionLost(str(error)) from error
            if not octets:
                raise ConnectionLost("the client closed the connection")
            self.framing.feed(octets)
        return event

    async def send(self, *octets: bytes) -> None:
        """Write small octets in one piece."""
        await self.send_pieces((b"".join(octets),))

    async def send_pieces(self, pieces: Iterable[Octets]) -> None:
        """Write octets in order, small ones together, large ones in slices."""
        small: list[Octets] = []
        gathered = 0
        for piece in pieces:
            if len(piece) <= _SLICE_OCTETS:
                small.append(piece)
                gathered += len(piece)
                if gathered < _SLICE_OCTETS:
                    continue
                piece = b""
            if small:
                await self._write(b"".join(small))
                small, gathered = [], 0
            view = memoryview(piece)
            for start in range(0, len(view), _SLICE_OCTETS):
                await self._write(view[start : start + _SLICE_OCTETS])
        if small:
            await self._write(b"".join(small))

    async def _write(self, octets: Octets) -> None:
        try:
            self._writer.write(octets)
            async with asyncio.timeout(_STUCK_S):
                await self._writer.drain()
        except (OSError, TimeoutError) as error:
            raise ConnectionLost(str(error)) from error

    async def close(self) -> None:
        """Send what is written and close."""
        with suppress(OSError, TimeoutError):
            self._writer.close()
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()
        self._writer.transport.abort()


def is_loopback(peer: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
