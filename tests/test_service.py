"""The processes of the service: how they are told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.service import _empty
from appliance.supervisor import LIFELINE

WAITS = (
    "from appliance.service import _stop_event\n"
    "stop = _stop_event()\n"
    "print('up', flush=True)\n"
    "stop.wait()\n"
)
HOLDS_ITS_LOCK = (
    "import os, signal\n"
    "from appliance.service import _stop_event\n"
    "stop = _stop_event()\n"
    "print('up', flush=True)\n"
    "with stop._cond:\n"
    "    for number in (signal.SIGINT, signal.SIGTERM) * 50:\n"
    "        os.kill(os.getpid(), number)\n"
    "stop.wait()\n"
)


def started(script: str, **environ: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
        env={**{key: value for key, value in os.environ.items() if key != LIFELINE}, **environ},
        close_fds=False,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


def ends(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(10)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "signals",
    [[signal.SIGTERM], [signal.SIGINT], [signal.SIGINT, signal.SIGTERM, signal.SIGINT]],
    ids=["SIGTERM", "SIGINT", "both, as from a terminal"],
)
def test_a_process_stops_when_told(signals: list[signal.Signals]) -> None:
    process = started(WAITS)
    for number in signals:
        process.send_signal(number)
    # One that comes when the interpreter is ending already ends it at once.
    assert ends(process) in {0, -signal.SIGINT, -signal.SIGTERM}


def test_a_signal_that_comes_while_the_event_is_in_use_stops_it_too() -> None:
    assert ends(started(HOLDS_ITS_LOCK)) == 0


def test_a_process_stops_when_its_supervisor_is_gone() -> None:
    read_end, write_end = os.pipe()
    os.set_inheritable(read_end, True)
    process = started(WAITS, **{LIFELINE: str(read_end)})
    assert process.poll() is None
    os.close(write_end)
    assert ends(process) == 0
    os.close(read_end)


def test_what_is_left_in_the_spool_goes_and_a_folder_there_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "smtp-1.part").write_bytes(b"half a message")
    _empty(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lost+found"]
