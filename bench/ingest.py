"""How fast the desk takes messages: ``Archive.admit`` alone, and where its time goes.

    python -m bench ingest
    python -m bench.ingest profile     the functions that cost most

Each run is a process of its own. The peer is what any archive has to do at the
least: the same messages into the standard library's Maildir, each file synced.
"""

from __future__ import annotations

import cProfile
import mailbox
import os
import pstats
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from appliance.mail.types import Delivery, Origin
from appliance.store import Archive
from bench.letters import letters
from bench.machine import table
from tests.accept.large import peak_octets, reset_peak

MESSAGES = 4000
_ROOT = Path(__file__).resolve().parent.parent
_DATE = datetime(2026, 2, 2, 10, tzinfo=UTC)


def main() -> None:
    """Print the table."""
    what, given = letters(MESSAGES)
    size = sum(map(len, given)) / 1e6
    figures = {}
    for way in ("archive", "maildir"):
        answer = subprocess.run(
            [sys.executable, "-m", "bench.ingest", way], check=True, capture_output=True, cwd=_ROOT
        )
        figures[way] = [float(word) for word in answer.stdout.split()]
    pairs = zip(figures["archive"], figures["maildir"], strict=True)
    figures["ratio"] = [ours / theirs for ours, theirs in pairs]
    table(
        f"Taking in {MESSAGES} messages, {size:.1f} MB ({what})",
        ("", "a second", "a CPU second", "disk MB", "peak MB"),
        [(way, *values) for way, values in figures.items()],
    )


def one(way: str) -> None:
    """The child: take all in; print messages a second and a CPU second, disk and peak in MB."""
    given = list(letters(MESSAGES)[1])
    with tempfile.TemporaryDirectory(prefix="hauspost-bench-") as name:
        folder = Path(name) / "taken"
        reset_peak(os.getpid())
        began, used = time.perf_counter(), time.process_time()
        (_archive if way == "archive" else _maildir)(folder, given)
        seconds, used = time.perf_counter() - began, time.process_time() - used
        peak = peak_octets(os.getpid()) or 0
        disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    found = (MESSAGES / seconds, MESSAGES / used, disk / 1e6, peak / 1e6)
    print(*(f"{value:.1f}" for value in found))


def _archive(folder: Path, given: list[bytes]) -> None:
    with Archive(folder) as archive:
        archive.provision("anna")
        receipts = archive.admit(
            Delivery(octets, Origin("bench", "INBOX", 1, str(number)), "anna", "INBOX", _DATE)
            for number, octets in enumerate(given)
        )
    assert len(receipts) == len(given)


def _maildir(folder: Path, given: list[bytes]) -> None:
    box = mailbox.Maildir(folder)
    for octets in given:
        box.add(octets)  # writes to tmp, syncs, moves to new
    box.close()


def profile() -> None:
    """The costs of ``admit``, by the time inside each function."""
    given = list(letters(MESSAGES)[1])
    with tempfile.TemporaryDirectory(prefix="hauspost-bench-") as name:
        watch = cProfile.Profile()
        watch.runcall(_archive, Path(name) / "taken", given)
    pstats.Stats(watch).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            main()
        case ["profile"]:
            profile()
        case [way]:
            one(way)
