"""Three processes kept running: mail, index, web. One that dies is started again.

The supervisor does no work of its own and holds nothing that could be lost. Its
children end when it ends, however it ends: each holds a pipe whose other end is
here. SIGTERM stops all in order, SIGHUP re-reads the configuration and starts
again what it changes. Started by systemd it says so: ready, alive, stopping.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from appliance.config import Config, as_line
from appliance.errors import ApplianceError

LIFELINE: Final = "HAUSPOST_LIFELINE"
"""The environment variable that names the descriptor of the pipe."""
TAKEN: Final = "HAUSPOST_TAKEN"
"""The environment variable with the configuration that a child is to run with: not the
file's, which may have been changed since, and have a mistake in it."""
PROCESSES: Final = ("mail", "index", "web")
STOP_S: Final = 4.0
"""How long a child may take to stop before it is killed; nothing is lost by that."""
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 60.0
_HEALTHY_AFTER_S: Final = 60.0
_LOOK_S: Final = 12 * 3600.0
"""How often the configuration is read anew unasked: certificates are renewed that way."""
_FEW_ARENAS: Final = {"MALLOC_ARENA_MAX": "2"}
"""glibc keeps memory for each thread apart (mallopt(3)); with many threads, most of it unused."""
_HANDLED: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}

_log = logging.getLogger("hauspost.supervisor")


@dataclass(slots=True)
class _Child:
    name: str
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    wait_s: float = _FIRST_WAIT_S
    due: float = field(default=0.0)


class Supervisor:
    """Runs ``command(name)`` for each process until it is told to stop.

    ``reload`` answers the configuration anew; ConfigError keeps the old one.
    """

    def __init__(
        self,
        config: Config,
        command: Callable[[str], Sequence[str]],
        reload: Callable[[], Config],
        names: Sequence[str] = PROCESSES,
    ) -> None:
        self._config = config
        self._command = command
        self._reload = reload
        self._names = names
        self._children = self._wanted()
        self._read_end, self._write_end = os.pipe()
        os.set_inheritable(self._read_end, True)
        self._fingerprint = _fingerprint(config)
        self._look_due = time.monotonic() + _LOOK_S

    def run(self) -> int:
        """Until SIGTERM or SIGINT; 0 when every process stopped by itself, else 1."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        try:
            while True:
                self._start_due()
                # READY again does no harm; a loop that hangs here no longer feeds the watchdog.
                tell_systemd("READY=1\nWATCHDOG=1")
                # Ringing the doorbell of every child's death at once would be SIGCHLD; the
                # timeout covers children that are waiting for their next start.
                told = signal.sigtimedwait(_HANDLED, self._next_due_s())
                number = told.si_signo if told else None
                if number == signal.SIGHUP:
                    self._reconfigure()
                elif number in (signal.SIGTERM, signal.SIGINT):
                    tell_systemd("STOPPING=1")
                    return self._stop(self._children)
                else:
                    # Also a number that is none of ours: CPython answers one it has not set
                    # when we were suspended (Ctrl-Z, a frozen container) beyond the timeout.
                    self._bury()
                    if time.monotonic() >= self._look_due:
                        self._reconfigure()
        finally:
            os.close(self._write_end)
            os.close(self._read_end)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is None and child.due <= now:
                try:
                    child.process = self._started(child.name)
                except OSError as error:
                    # No memory or no process left for now: the others go on meanwhile.
                    _log.error(
                        "%s: cannot be started: %s; tried again in %.1f s",
                        *(child.name, error.strerror, child.wait_s),
                    )
                    self._postpone(child)
                    continue
                child.started = now
                _log.info("%s: started as process %d", child.name, child.process.pid)

    def _started(self, name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own command, no shell
            list(self._command(name)),
            pass_fds=(self._read_end,),
            env={
                **_FEW_ARENAS,
                **os.environ,
                LIFELINE: str(self._read_end),
                TAKEN: as_line(self._config),
            },
            stdin=subprocess.DEVNULL,
        )

    def _postpone(self, child: _Child) -> None:
        child.due = time.monotonic() + child.wait_s
        child.wait_s = min(child.wait_s * 2, _LONGEST_WAIT_S)

    def _next_due_s(self) -> float:
        now = time.monotonic()
        due = [child.due - now for child in self._children if child.process is None]
        return max(0.05, min([*due, 5.0]))

    def _bury(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is None or (status := child.process.poll()) is None:
                continue
            if now - child.started > _HEALTHY_AFTER_S:
                child.wait_s = _FIRST_WAIT_S
            _log.error(
                "%s: ended by itself (%s); started again in %.1f s",
                child.name,
                f"signal {-status}" if status < 0 else f"status {status}",
                child.wait_s,
            )
            child.process = None
            self._postpone(child)

    def _reconfigure(self) -> None:
        self._look_due = time.monotonic() + _LOOK_S
        try:
            config = self._reload()
        except ApplianceError as error:
            _log.error("the configuration stays as it was: %s", error)
            return
        fingerprint = _fingerprint(config)
        if fingerprint == self._fingerprint:
            _log.info("configuration read again: nothing changed")
            return
        self._config, self._fingerprint = config, fingerprint
        _log.info("configuration read again: the processes start anew with it")
        self._stop(self._children)
        self._children = self._wanted()

    def _wanted(self) -> list[_Child]:
        """The processes of the configuration; without a port there are no web pages."""
        wanted = (name for name in self._names if name != "web" or self._config.web_port)
        return [_Child(name) for name in wanted]

    def _stop(self, children: Sequence[_Child]) -> int:
        running = [child.process for child in children if child.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_S
        killed = False
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _log.warning("process %d did not stop in time and was ended", process.pid)
                process.kill()
                process.wait()
                killed = True
        return 1 if killed else 0


def _fingerprint(config: Config) -> tuple[object, ...]:
    """What a change of makes a restart worthwhile: settings, and renewed certificates."""
    stamps = []
    for path in (config.tls_certificate or config.tls / "certificate.pem", config.tls_key):
        try:
            stamps.append(path.stat().st_mtime_ns if path else 0)
        except OSError:
            stamps.append(0)
    return (config, *stamps)


def command_of(arguments: Sequence[str]) -> list[str]:
    """The command line that runs ``hauspost`` with these arguments, by this Python."""
    return [sys.executable, "-m", "appliance", *arguments]


def tell_systemd(state: str) -> None:
    """One datagram, as sd_notify(3) says; when nobody listens nothing is amiss."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # the abstract namespace of unix(7)
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
            door.setblocking(False)
            door.sendto(state.encode(), address)
    except OSError as error:
        _log.debug("systemd was not told %r: %s", state, error)
