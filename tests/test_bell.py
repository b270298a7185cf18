"""The bell wakes every listener and never fails its ringer."""

from __future__ import annotations

import os
import resource
import tempfile
from pathlib import Path

from appliance.bell import Bell


def test_a_ring_wakes_every_listener_once(tmp_path: Path) -> None:
    bell = Bell(tmp_path)
    with bell.listen("imap") as one, bell.listen("follow") as two:
        bell.ring()
        bell.ring()
        assert one.wait(1.0)
        assert not one.wait(0.0)
        assert two.wait(1.0)
    bell.close()


def test_another_bell_on_the_same_directory_is_heard(tmp_path: Path) -> None:
    near, far = Bell(tmp_path), Bell(tmp_path)
    with near.listen("web") as listener:
        far.ring()
        assert listener.wait(1.0)
    near.close()
    far.close()


def test_a_listener_that_never_looks_does_not_hold_up_the_ringer(tmp_path: Path) -> None:
    bell = Bell(tmp_path)
    with bell.listen("slow") as slow:
        for _ in range(5000):
            bell.ring()
        assert slow.wait(0.0)
    bell.close()


def test_what_a_dead_process_left_is_swept_away(tmp_path: Path) -> None:
    bell = Bell(tmp_path)
    with bell.listen("dead") as listener:
        listener._socket.close()  # as a killed process leaves it: the file without an ear
        assert listener._path.exists()
        bell.ring()
        assert not listener._path.exists()
    bell.close()


def test_a_long_path_still_has_a_bell(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    bell = Bell(deep)
    with bell.listen("imap") as listener:
        bell.ring()
        assert listener.wait(1.0)
    bell.close()


def test_a_ring_never_raises_whatever_became_of_the_directory() -> None:
    with tempfile.TemporaryDirectory() as short:  # so that the bell hangs there and not elsewhere
        _ring_and_ring(Path(short) / "run")


def _ring_and_ring(run: Path) -> None:
    bell = Bell(run)
    run.rmdir()
    bell.ring()
    run.write_bytes(b"")
    bell.ring()
    run.unlink()
    run.mkdir()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        bell.ring()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    bell.close()
