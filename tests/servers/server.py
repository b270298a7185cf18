"""A server of scripted connections: binds port 0 on loopback, a thread for each connection."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from abc import ABC, abstractmethod

from tests.servers.maildrop import Faults, Maildrop, Seen


class Cut(Exception):
    """The connection ends here, without a word."""


class Connection:
    """The server's end of one connection."""

    def __init__(self, accepted: socket.socket, server: ScriptedServer) -> None:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = accepted
        self._server = server
        self._received = bytearray()
        self._sent_of_messages = 0

    def line(self) -> bytes:
        """The next line without its end. Raises Cut when the client is gone."""
        while (end := self._received.find(b"\n")) < 0:
            octets = self._socket.recv(65536)
            if not octets:
                raise Cut
            self._received += octets
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line.rstrip(b"\r")

    def more_is_here(self) -> bool:
        """Whether the client has sent something beyond the last line."""
        return bool(self._received) or bool(select.select([self._socket], [], [], 0)[0])

    def send(self, octets: bytes) -> None:
        """Send all."""
        self._socket.sendall(octets)

    def send_message(self, uid: int, octets: bytes) -> None:
        """Octets of a message, with whatever fault there is for it."""
        faults, seen = self._server.faults, self._server.seen
        if faults.stall is not None:
            while not faults.stall.wait(0.05):
                if self._server.stopping.is_set():
                    raise Cut
        if faults.cut.get(uid, 0) > 0:
            faults.cut[uid] -= 1
            self.send(octets[: len(octets) // 2])
            raise Cut
        limit = faults.cut_after_octets
        if limit is not None and self._sent_of_messages + len(octets) > limit:
            self.send(octets[: max(0, limit - self._sent_of_messages)])
            raise Cut
        self._sent_of_messages += len(octets)
        seen.message_octets += len(octets)
        self.send(octets)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Become the server's side of TLS."""
        self._socket = context.wrap_socket(self._socket, server_side=True)

    def close(self) -> None:
        """Hang up, also on a thread that is reading."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._socket.close()


class ScriptedServer(ABC):
    """Context manager. ``port``, ``seen`` and ``faults`` are for the test."""

    def __init__(
        self,
        maildrop: Maildrop,
        faults: Faults | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
    ) -> None:
        self.maildrop = maildrop
        self.faults = faults or Faults()
        self.seen = Seen()
        self.stopping = threading.Event()
        self.connections = 0
        self.tls = tls
        self._implicit = implicit
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: set[Connection] = set()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> ScriptedServer:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            connection.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]  # two kinds of targets
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection = Connection(accepted, self)
            self._open.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: Connection) -> None:
        try:
            if self._implicit and self.tls is not None:
                connection.start_tls(self.tls)
            self.converse(connection)
        except (Cut, OSError, ValueError):
            pass
        finally:
            self._open.discard(connection)
            connection.close()

    def busy_now(self) -> bool:
        """Whether this connection is one of the busy ones."""
        return not self.faults.busy_on or self.connections in self.faults.busy_on

    @abstractmethod
    def converse(self, connection: Connection) -> None:
        """One connection from greeting to end."""
