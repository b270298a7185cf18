"""What the supervisor says to systemd, over a real socket."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.config import Config
from appliance.supervisor import Supervisor, tell_systemd


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(address)
        door.settimeout(10)
        yield door


def words(door: socket.socket) -> str:
    return door.recv(1000).decode()


def test_systemd_hears_ready_and_alive_and_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    with listening(str(tmp_path / "notify")) as door:
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        config = Config(data=tmp_path)

        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        supervisor = Supervisor(config, lambda _: command, lambda: config, names=("one",))

        def listen() -> None:
            heard.append(words(door))
            os.kill(os.getpid(), signal.SIGTERM)
            while "STOPPING=1" not in heard:
                heard.append(words(door))

        thread = threading.Thread(target=listen)
        # The signal must reach the supervisor's own thread, so this one may not take it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        thread.start()
        try:
            assert supervisor.run() == 0
        finally:
            thread.join()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert heard[0] == "READY=1\nWATCHDOG=1"
    assert heard[-1] == "STOPPING=1"


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_an_address_in_the_abstract_namespace_is_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"hauspost-test-{os.getpid()}"
    with listening(f"\0{name}") as door:
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        tell_systemd("READY=1")
        assert words(door) == "READY=1"


@pytest.mark.parametrize("address", ["", "/nonexistent/notify", "@nobody-listens-here"])
def test_that_nobody_listens_is_no_failure(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    tell_systemd("READY=1")
