"""A connected socket to another mail server: TCP, TLS, time limits, and nothing else.

    with Link.connect(target, timeouts, stop) as link:
        link.start_tls()          # STARTTLS and STLS: after the server agreed
        link.send(octets); link.receive()

A certificate is always verified: against the system's authorities, against the
account's own authority file, or against the pinned fingerprint. There is no
switch to turn that off and no way back to plain text; ``tls="none"`` is plain
text from the first octet and is the owner's explicit choice.

Every wait is cut into slices, so a stop is honoured within half a second
wherever the other server keeps us waiting: looking up its name, connecting,
shaking hands, sending or receiving.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from appliance.errors import (
    CertificateRefused,
    ConfigError,
    RemoteProtocolError,
    TryLater,
    UsageError,
)

__all__ = ["EXTRA_CA", "Link", "OtherCertificate", "Stopped", "Target", "Timeouts", "trust"]

EXTRA_CA: Final = "HAUSPOST_EXTRA_CA"
"""Environment: a PEM file of authorities trusted besides the system's."""

_SLICE_S: Final = 0.25
_RECEIVE_OCTETS: Final = 128 * 1024
_FINGERPRINT: Final = re.compile(r"(?:sha256:)?((?:[0-9a-f]{2}:?){31}[0-9a-f]{2})", re.IGNORECASE)

# What OpenSSL found (X509_V_ERR_…), said for people.
_REASONS: Final[Mapping[int, str]] = {
    9: "is not valid yet (is the clock of this machine right?)",
    10: "has expired",
    18: "is signed by itself, not by an authority this machine trusts",
    19: "is signed by an authority this machine does not trust",
    20: "is signed by an authority this machine does not trust",
    21: "cannot be verified: the server does not send the whole chain",
    23: "has been revoked",
    62: "was issued for another host name",
    64: "was issued for another address",
}


class OtherCertificate(CertificateRefused):
    """The server shows another certificate than the pinned one: ``fingerprint``."""

    def __init__(self, name: str, fingerprint: str) -> None:
        super().__init__(
            f"{name}: the server shows another certificate than the one that was pinned; its "
            f"fingerprint is {fingerprint}. Nothing was sent to it"
        )
        self.fingerprint = fingerprint


class Stopped(Exception):
    """We were asked to stop while waiting. Not an error of anybody: never reaches a person."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect. ``tls`` is ``implicit``, ``starttls`` or ``none``.

    ``pin`` is the SHA-256 fingerprint of the one certificate to accept, or the
    path of a PEM file with the authority of a home server, or None.
    """

    host: str
    port: int
    tls: str
    pin: str | None = None

    @property
    def name(self) -> str:
        """``host:port``, for messages."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long we wait, in seconds: for a connection, and for the next octet."""

    connect_s: float = 20.0
    read_s: float = 90.0


def trust(pin: str | None, environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """The client's TLS context. Raises ConfigError when a file of authorities cannot be read.

    With a fingerprint the context itself verifies nothing: the Link compares
    the certificate right after the handshake, before anything is sent.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in filter(None, (environ.get(EXTRA_CA), None if _fingerprint(pin) else pin)):
        try:
            context.load_verify_locations(cafile=path)
        except (OSError, ssl.SSLError) as error:
            reason = "has no PEM certificate" if isinstance(error, ssl.SSLError) else str(error)
            raise ConfigError(f"{path}: certificate authority: {reason}") from None
    if _fingerprint(pin):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _fingerprint(pin: str | None) -> bytes | None:
    found = _FINGERPRINT.fullmatch(pin.strip()) if pin else None
    return bytes.fromhex(found[1].replace(":", "")) if found else None


class Link:
    """One connection. Context manager; ``close`` may be called twice."""

    def __init__(
        self,
        connected: socket.socket,
        target: Target,
        timeouts: Timeouts,
        stop: threading.Event,
    ) -> None:
        self._socket = connected
        self._socket.settimeout(_SLICE_S)
        self._target = target
        self._timeouts = timeouts
        self._stop = stop
        self.encrypted = False
        self.received_octets = 0

    @classmethod
    def connect(
        cls, target: Target, timeouts: Timeouts | None = None, stop: threading.Event | None = None
    ) -> Link:
        """A connection; for ``implicit`` its TLS is established and verified.

        Raises TryLater (unreachable, no such host, no answer in time),
        CertificateRefused, ConfigError, Stopped.
        """
        timeouts, stop = timeouts or Timeouts(), stop or threading.Event()
        link = cls(_connected(target, timeouts.connect_s, stop), target, timeouts, stop)
        if target.tls == "implicit":
            try:
                link.start_tls()
            except BaseException:
                link.close()
                raise
        return link

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start_tls(self) -> None:
        """Shake hands. Whoever calls has made sure that no octet was received ahead of it.

        Raises CertificateRefused, RemoteProtocolError (no TLS there), TryLater, Stopped.
        """
        context = trust(self._target.pin)
        deadline = time.monotonic() + self._timeouts.connect_s
        name = self._target.name
        try:
            secured = context.wrap_socket(
                self._socket, server_hostname=self._target.host, do_handshake_on_connect=False
            )
        except (OSError, ValueError) as error:
            raise TryLater(f"{name}: the connection was lost ({error})") from None
        self._socket = secured
        secured.settimeout(_SLICE_S)
        while True:
            try:
                secured.do_handshake()
                break
            except TimeoutError:
                self._patience(deadline, "did not finish the TLS handshake")
            except ssl.SSLCertVerificationError as error:
                raise self._refused(error) from None
            except ssl.SSLError as error:
                raise RemoteProtocolError(
                    f"{name}: the server does not speak TLS as we need it here "
                    f"({error.reason or error}); check the port and the kind of TLS"
                ) from None
            except OSError as error:
                raise TryLater(f"{name}: the connection was lost in the TLS handshake") from error
        self._check_pin(secured)
        self.encrypted = True

    def _check_pin(self, secured: ssl.SSLSocket) -> None:
        pinned = _fingerprint(self._target.pin)
        if pinned is None:
            return
        certificate = secured.getpeercert(binary_form=True) or b""
        found = hashlib.sha256(certificate).digest()
        if found != pinned:
            raise OtherCertificate(self._target.name, found.hex(":"))

    def _refused(self, error: ssl.SSLCertVerificationError) -> CertificateRefused:
        reason = _REASONS.get(error.verify_code, f"was refused ({error.verify_message})")
        return CertificateRefused(
            f"{self._target.name}: the server's certificate {reason}. Nothing was sent to it. "
            "If it is your own server, give the account its certificate or fingerprint (pin)"
        )

    def send(self, octets: bytes) -> None:
        """Send everything. Raises TryLater, Stopped."""
        deadline = time.monotonic() + self._timeouts.read_s
        rest = memoryview(octets)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except TimeoutError:
                self._patience(deadline, "does not take what we send")
            except OSError as error:
                raise TryLater(f"{self._target.name}: the connection was lost ({error})") from None

    def receive(self) -> bytes:
        """What came next, at least one octet. Raises TryLater when nothing comes, Stopped."""
        deadline = time.monotonic() + self._timeouts.read_s
        while True:
            if self._stop.is_set():
                raise Stopped
            try:
                octets = self._socket.recv(_RECEIVE_OCTETS)
            except TimeoutError:
                self._patience(deadline, "did not answer")
                continue
            except OSError as error:
                raise TryLater(f"{self._target.name}: the connection was lost ({error})") from None
            if not octets:
                raise TryLater(f"{self._target.name}: the server closed the connection")
            self.received_octets += len(octets)
            return octets

    def _patience(self, deadline: float, what: str) -> None:
        if self._stop.is_set():
            raise Stopped
        if time.monotonic() >= deadline:
            raise TryLater(f"{self._target.name}: the server {what} in time")

    def close(self) -> None:
        """Close without a word: the protocol's own farewell comes before."""
        self._socket.close()


def _connected(target: Target, timeout_s: float, stop: threading.Event) -> socket.socket:
    deadline = time.monotonic() + timeout_s
    problem = "did not answer in time"
    addresses = _addresses(target, deadline, stop)
    for untried, (family, kind, protocol, _, address) in zip(
        range(len(addresses), 0, -1), addresses, strict=True
    ):
        # Each has its share of the time: a dead IPv6 route must not hide a living IPv4 one.
        share = time.monotonic() + max(0.0, deadline - time.monotonic()) / untried
        try:
            fresh = socket.socket(family, kind, protocol)
        except OSError as error:  # a kernel without IPv6
            problem = error.strerror or str(error)
            continue
        try:
            fresh.setblocking(False)
            _connect_in_slices(fresh, address, share, stop)
            fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return fresh
        except OSError as error:
            fresh.close()
            problem = error.strerror or str(error)
        except BaseException:
            fresh.close()
            raise
    raise TryLater(f"{target.name}: cannot be reached: {problem}")


def _connect_in_slices(
    fresh: socket.socket, address: object, deadline: float, stop: threading.Event
) -> None:
    with contextlib.suppress(BlockingIOError):
        fresh.connect(address)  # type: ignore[arg-type]  # getaddrinfo's own answer
    waiting = select.poll()
    waiting.register(fresh, select.POLLOUT)
    while not waiting.poll(_SLICE_S * 1000):
        if stop.is_set():
            raise Stopped
        if time.monotonic() >= deadline:
            raise TimeoutError("no answer in time")
    code = fresh.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


_AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, object]


def _addresses(target: Target, deadline: float, stop: threading.Event) -> list[_AddressInfo]:
    """The host's addresses. The resolver cannot be interrupted, so it has its own thread."""
    if "\0" in target.host or not target.host.strip():
        raise UsageError("the account has no host name")
    answers: queue.SimpleQueue[list[_AddressInfo] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name=f"resolve {target.host}", daemon=True).start()
    while True:
        try:
            answer = answers.get(timeout=_SLICE_S)
        except queue.Empty:
            if stop.is_set():
                raise Stopped from None
            if time.monotonic() >= deadline:
                raise TryLater(f"{target.host}: its address was not found in time") from None
            continue
        if isinstance(answer, Exception):
            raise TryLater(f"{target.host}: no such host, or no network ({answer})")
        return answer
