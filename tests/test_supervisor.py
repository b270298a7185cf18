"""Children that die, hang, or are told to read the configuration anew; what systemd hears.

Real processes: a child says "here" on a datagram socket when it is up, so
nothing here waits by the clock. The supervisor runs in the main thread and a
director in another one sends it signals, as an owner or systemd would.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance import supervisor as module
from appliance.config import Config, of_line
from appliance.errors import ConfigError
from appliance.supervisor import LIFELINE, TAKEN, Supervisor, tell_systemd

HERE = (
    "import os, signal, socket, sys\n"
    "door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
    "door.sendto(f'{sys.argv[2]} {os.getpid()}'.encode(), sys.argv[1])\n"
)
OBEYS = HERE + "signal.sigwait({signal.SIGTERM})"
HANGS = HERE + "signal.sigwait({signal.SIGUSR1})"
HOLDS_THE_LIFELINE = HERE + f"os.read(int(os.environ['{LIFELINE}']), 1)"


class Ear:
    """A datagram socket of its own, and what came in."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        self.socket.settimeout(20)

    def word(self) -> str:
        """The next word; raises TimeoutError."""
        return self.socket.recv(1000).decode()

    def child(self) -> tuple[str, int]:
        """The next child that is up: its name and process."""
        name, _, process = self.word().partition(" ")
        return name, int(process)


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    made = Ear(tmp_path / "ear")
    yield made
    made.socket.close()


def direct(supervisor: Supervisor, director: Callable[[], object]) -> int:
    """Run the supervisor while ``director`` acts; then it is told to stop. Its answer."""
    failures: list[BaseException] = []

    def act() -> None:
        try:
            director()
        except BaseException as error:
            failures.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    told = {signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD}
    # Signals must reach the supervisor's own thread: the director's inherits this mask.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, told)
    thread = threading.Thread(target=act)
    thread.start()
    try:
        status = supervisor.run()
    finally:
        thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if failures:
        raise failures[0]
    return status


def made(
    config: Config,
    ear: Ear,
    script: str = OBEYS,
    reload: Callable[[], Config] | None = None,
    names: tuple[str, ...] = ("one",),
) -> Supervisor:
    return Supervisor(
        config,
        lambda name: [sys.executable, "-c", script, ear.address, name],
        reload or (lambda: config),
        names,
    )


def gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_every_process_is_started_and_stops_when_told(tmp_path: Path, ear: Ear) -> None:
    up: dict[str, int] = {}

    def director() -> None:
        up.update(ear.child() for _ in range(3))

    names = ("mail", "index", "web")
    assert direct(made(Config(data=tmp_path), ear, names=names), director) == 0
    assert set(up) == set(names)
    assert all(gone(process) for process in up.values())


def test_one_that_dies_is_started_again_and_the_others_stay(tmp_path: Path, ear: Ear) -> None:
    def director() -> None:
        up = dict(ear.child() for _ in range(2))
        os.kill(up["one"], signal.SIGKILL)
        name, process = ear.child()
        assert name == "one"
        assert process != up["one"]
        assert not gone(up["two"])

    assert direct(made(Config(data=tmp_path), ear, names=("one", "two")), director) == 0


def test_one_that_is_started_again_has_the_configuration_that_was_taken(
    tmp_path: Path, ear: Ear
) -> None:
    """Whatever became of the file: a mistake in it must not keep down what was running."""
    tells = HERE + f"door.sendto(os.environ['{TAKEN}'].encode(), sys.argv[1]); sys.exit(1)"
    config = Config(data=tmp_path, web_port=1234, tls_key=tmp_path / "key")

    def broken() -> Config:
        raise ConfigError("config.toml: a mistake")

    def director() -> None:
        for _ in range(2):
            ear.child()
            assert of_line(ear.word()) == config
            os.kill(os.getpid(), signal.SIGHUP)

    direct(made(config, ear, tells, broken), director)


def test_the_pages_come_when_they_get_a_port(tmp_path: Path, ear: Ear) -> None:
    config = Config(data=tmp_path, web_port=0)
    named = replace(config, web_port=1234)

    def director() -> None:
        assert ear.child()[0] == "mail"
        os.kill(os.getpid(), signal.SIGHUP)
        assert {ear.child()[0], ear.child()[0]} == {"mail", "web"}

    direct(made(config, ear, reload=lambda: named, names=("mail", "web")), director)


def test_one_that_cannot_be_started_is_tried_again(
    tmp_path: Path, ear: Ear, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT_S", 0.01)
    supervisor = made(Config(data=tmp_path), ear)
    tries = iter([OSError(11, "Resource temporarily unavailable")])
    started = supervisor._started

    def failing(name: str) -> subprocess.Popen[bytes]:
        if (error := next(tries, None)) is not None:
            raise error
        return started(name)

    monkeypatch.setattr(supervisor, "_started", failing)
    assert direct(supervisor, ear.child) == 0
    assert "one: cannot be started: Resource temporarily unavailable" in caplog.text


def test_the_house_goes_on_after_it_was_suspended(tmp_path: Path) -> None:
    """SIGSTOP for longer than it waits for signals; then SIGCONT, and it must still be there."""
    script = (
        "import pathlib, sys\n"
        "from appliance import supervisor\n"
        "from appliance.config import Config\n"
        "supervisor.Supervisor._next_due_s = lambda self: 0.05\n"
        f"child = [sys.executable, '-c', {OBEYS!r}, sys.argv[1], 'one']\n"
        "config = Config(data=pathlib.Path(sys.argv[2]))\n"
        "made = supervisor.Supervisor(config, lambda name: child, lambda: config, ['one'])\n"
        "sys.exit(made.run())\n"
    )
    ear = Ear(tmp_path / "ear")
    arguments = [sys.executable, "-c", script, ear.address, str(tmp_path)]
    process = subprocess.Popen(arguments, cwd=Path(__file__).parents[1])
    try:
        _, child = ear.child()
        for _ in range(5):
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)
            select.select([], [], [], 0.06)  # let the time run out that it waits for signals
            process.send_signal(signal.SIGCONT)
            os.waitpid(process.pid, os.WCONTINUED)
        os.kill(child, signal.SIGKILL)
        assert ear.child()[0] == "one"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        ear.socket.close()


def test_one_that_keeps_dying_waits_longer_each_time(
    tmp_path: Path, ear: Ear, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT_S", 0.01)
    supervisor = made(Config(data=tmp_path), ear, HERE + "sys.exit(3)")
    for child in supervisor._children:
        child.wait_s = 0.01

    def director() -> None:
        for _ in range(4):
            ear.child()

    direct(supervisor, director)
    waits = [
        record.args[2]
        for record in caplog.records
        if "ended by itself" in record.msg and isinstance(record.args, tuple)
    ]
    assert waits[:3] == [0.01, 0.02, 0.04]
    assert "status 3" in caplog.text


def test_one_that_does_not_stop_is_ended_and_that_is_said(
    tmp_path: Path, ear: Ear, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.2)
    processes: list[int] = []

    def director() -> None:
        processes.append(ear.child()[1])

    assert direct(made(Config(data=tmp_path), ear, HANGS), director) == 1
    assert gone(processes[0])
    assert "did not stop in time" in caplog.text


def test_sighup_starts_the_processes_with_a_changed_configuration(tmp_path: Path, ear: Ear) -> None:
    changed = Config(data=tmp_path, web_port=8026)

    def director() -> None:
        before = ear.child()[1]
        os.kill(os.getpid(), signal.SIGHUP)
        assert ear.child()[1] != before
        assert gone(before)

    assert direct(made(Config(data=tmp_path), ear, reload=lambda: changed), director) == 0


def test_sighup_without_a_change_or_with_a_broken_file_leaves_all_running(
    tmp_path: Path, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    config = Config(data=tmp_path)
    asked = [threading.Event(), threading.Event()]

    def reload() -> Config:
        if not asked[0].is_set():
            asked[0].set()
            return config
        asked[1].set()
        raise ConfigError("config.toml: web_port: must be 0-65535, is 70000")

    def director() -> None:
        process = ear.child()[1]
        for event in asked:
            os.kill(os.getpid(), signal.SIGHUP)
            assert event.wait(20)
        assert not gone(process)

    assert direct(made(config, ear, reload=reload), director) == 0
    assert "nothing changed" in caplog.text
    assert "stays as it was: config.toml: web_port" in caplog.text
    assert caplog.text.count("started as process") == 1


def test_children_see_the_end_of_a_supervisor_that_was_killed(tmp_path: Path, ear: Ear) -> None:
    run = (
        "import sys; from pathlib import Path\n"
        "from appliance.config import Config\n"
        "from appliance.supervisor import Supervisor\n"
        "c = Config(data=Path('.'))\n"
        "Supervisor(c, lambda n: [sys.executable, '-c', *sys.argv[1:], n], lambda: c, ('x',)).run()"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", run, HOLDS_THE_LIFELINE, ear.address])
    child = ear.child()[1]
    supervisor.kill()
    supervisor.wait()
    descriptor = _watch(child)
    if descriptor is not None:
        ready, _, _ = select.select([descriptor], [], [], 20)
        os.close(descriptor)
        assert ready, "the child outlived its supervisor"


def _watch(process: int) -> int | None:
    """A descriptor that is readable when the process has ended; None when it is gone already."""
    try:
        return os.pidfd_open(process)
    except ProcessLookupError:
        return None


def test_systemd_hears_ready_alive_and_stopping(
    tmp_path: Path, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd = Ear(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
    assert direct(made(Config(data=tmp_path), ear), ear.child) == 0
    heard = [systemd.word()]
    while heard[-1] != "STOPPING=1":
        heard.append(systemd.word())
    systemd.socket.close()
    assert set(heard[:-1]) == {"READY=1\nWATCHDOG=1"}


@pytest.mark.parametrize("address", ["", "/nonexistent/notify", "@nobody-listens-here"])
def test_that_systemd_does_not_listen_is_no_failure(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    tell_systemd("READY=1")


def test_an_address_in_the_abstract_namespace_is_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"hauspost-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(f"\0{name}")
        door.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        tell_systemd("READY=1")
        assert door.recv(100) == b"READY=1"
