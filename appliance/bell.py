"""The bell: "look again", rung by whoever changed the archive, heard in every process.

A Unix datagram socket per listener in a private directory. A ring carries
nothing and may get lost when a listener's queue is full (it has a ring waiting
then anyway); listeners look at the catalog's modseq to see what is new.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import socket
import tempfile
import threading
from pathlib import Path
from uuid import uuid4

_SUN_PATH_MAX = 100
"""Longest socket path, a little under Linux's 108 octets."""


class Bell:
    """Rings every listener below ``run``; a listener is a file there, gone when closed."""

    def __init__(self, run: Path) -> None:
        self._directory = _reachable(run)
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sender.setblocking(False)
        self._lock = threading.Lock()

    def ring(self) -> None:
        """Wake every listener of every process; never raises, never waits."""
        with self._lock:
            for path in _sockets(self._directory):
                try:
                    self._sender.sendto(b"\x07", os.fspath(path))
                except BlockingIOError:
                    pass  # its queue is full: it has a ring waiting
                except ConnectionRefusedError:
                    # Its process is gone: the file is litter.
                    with contextlib.suppress(OSError):
                        path.unlink()
                except OSError:
                    pass

    def listen(self, name: str) -> Listener:
        """A listener; the caller closes it (context manager)."""
        return Listener(self._directory / f"{name}.{os.getpid()}.{uuid4().hex[:8]}.bell")

    def close(self) -> None:
        """Stop ringing; listeners close themselves."""
        self._sender.close()


class Listener:
    """One ear. ``fileno()`` is readable when the bell was rung since the last ``drain()``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(os.fspath(path))

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """For ``select`` and asyncio's ``add_reader``."""
        return self._socket.fileno()

    def drain(self) -> None:
        """Forget the rings heard so far."""
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(16):
                pass

    def wait(self, timeout_s: float) -> bool:
        """True when the bell was rung within the time; the rings are forgotten."""
        heard, _, _ = select.select([self._socket], [], [], timeout_s)
        if heard:
            self.drain()
        return bool(heard)

    def close(self) -> None:
        """Take the ear off."""
        self._socket.close()
        with contextlib.suppress(OSError):
            self._path.unlink()


def _sockets(directory: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(directory) if entry.name.endswith(".bell")]
    except OSError:
        # Gone, or no descriptor left: what rang is durable all the same, and is looked for.
        return []


def _reachable(run: Path) -> Path:
    """``run``, or a private stand-in where its path is too long for a socket."""
    if len(os.fspath(run.resolve())) + 48 <= _SUN_PATH_MAX:
        directory = run.resolve()
    else:
        name = hashlib.sha256(os.fspath(run.resolve()).encode()).hexdigest()[:16]
        directory = Path(tempfile.gettempdir()) / f"hauspost-{os.getuid()}-{name}"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    # In a shared temporary directory somebody else could have made it first.
    if directory.stat().st_uid != os.getuid():
        raise PermissionError(f"{directory}: belongs to another user; remove it")
    return directory
