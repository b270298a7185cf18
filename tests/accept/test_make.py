"""A stranger's first two minutes: a fresh clone, Python and make, and nothing else."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.demo import PASSWORD
from tests.accept.house import ROOT, Ports, free_ports, greets, until
from tests.accept.pages import Pages

pytestmark = pytest.mark.peers

INSTALL_S = 300.0
AGAIN_S = 60.0
STOP_S = 15.0
# What POSIX puts onto every machine, as far as the Makefile asks for it.
TOOLS = ("sh", "test", "touch", "echo", "rm", "env", "mkdir", "dirname", "cat", "uname")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What is committed, and nothing that lies about here."""
    made = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(made)], check=True, timeout=120)
    return made


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH with Python, make and the shell's own tools; no compiler, no git, no curl."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in (*TOOLS, "make"):
        found = shutil.which(tool)
        assert found, f"there is no {tool}"
        (folder / tool).symlink_to(found)
    # Not a link: a virtual environment made by a link would look for its library beside it.
    python = folder / "python3"
    base = getattr(sys, "_base_executable", sys.executable)
    python.write_text(f'#!/bin/sh\nexec "{base}" "$@"\n')
    python.chmod(0o755)
    return str(folder)


def test_make_run_in_a_fresh_clone_shows_the_sample_household(
    clone: Path,
    bare_path: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    ports = Ports(*free_ports(4))
    environ = {key: value for key, value in os.environ.items() if not _ours(key)}
    environ["PATH"] = bare_path
    for door in ("web", "imap", "imaps", "smtp"):
        environ[f"HAUSPOST_{door.upper()}_PORT"] = str(getattr(ports, door))

    began = time.monotonic()
    with running(clone, tmp_path, environ, ports, INSTALL_S) as said:
        record_property("first_s", round(time.monotonic() - began, 1))
        pages = Pages(ports.web)
        pages.sign_in("anna", PASSWORD)
        first = pages.lines("INBOX")
        assert len(first) > 5
        assert pages.found(f'"{next(iter(first))}"')
        assert f"http://127.0.0.1:{ports.web}" in said()

    began = time.monotonic()
    with running(clone, tmp_path, environ, ports, AGAIN_S):
        record_property("again_s", round(time.monotonic() - began, 1))
        pages = Pages(ports.web)
        pages.sign_in("anna", PASSWORD)
        assert set(first) <= set(pages.lines("INBOX"))

    # The README's way to begin with one's own mail.
    with running(clone, tmp_path, environ, ports, AGAIN_S, "own", "SAMPLE=no") as said:
        assert "Nobody lives here yet" in said()
        assert "Setup code" in Pages(ports.web).get("/")
    assert not (tmp_path / "own" / "demo").exists()


@contextmanager
def running(
    clone: Path,
    tmp_path: Path,
    environ: dict[str, str],
    ports: Ports,
    patience_s: float,
    data: str = "data",
    *wishes: str,
) -> Iterator[Callable[[], str]]:
    """``make run`` until it answers; ended by Ctrl-C, as one does. Answers what it says."""
    log = tmp_path / "make.log"

    def said() -> str:
        return log.read_text("utf-8", "replace")

    def answers() -> bool:
        assert process.poll() is None, said()
        return greets(ports.imap, b"* OK") and greets(ports.smtp, b"220 ") and _page(ports.web)

    with log.open("wb") as out:
        process = subprocess.Popen(
            ["make", "run", f"DATA={tmp_path / data}", *wishes],
            cwd=clone,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        until(answers, "make run answers", patience_s)
        yield said
        os.killpg(process.pid, signal.SIGINT)  # the terminal sends it to all of them
        process.wait(STOP_S)
        assert "did not stop in time" not in said(), said()
        assert "Traceback" not in said(), said()
        until(lambda: not _page(ports.web), "nobody answers any more", STOP_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _page(port: int) -> bool:
    try:
        return "Hauspost" in Pages(port).get("/sign-in")
    except OSError:
        return False


def _ours(name: str) -> bool:
    return name.startswith(("HAUSPOST_", "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS"))
