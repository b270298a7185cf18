"""Where and when figures were seen, and how they are printed."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles


def machine_line() -> str:
    """Date, processors, memory, system, Python, SQLite, and how busy it is."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores {platform.machine()}, "
        f"{pages / 2**30:.0f} GiB, {_system()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, load {os.getloadavg()[0]:.1f}"
    )


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows in columns; numbers to the right."""
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(head))]
    print(f"\n{title}")
    for row in cells:
        first, *rest = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        right = (cell.strip().rjust(width) for cell, width in zip(rest, widths[1:], strict=True))
        print("  " + "  ".join((first, *right)).rstrip(), flush=True)


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else "" if value is None else str(value)


def spread_ms(seconds: Sequence[float]) -> tuple[float, float, float]:
    """p50, p95 and the longest, in milliseconds."""
    cuts = quantiles(seconds, n=20)
    return cuts[9] * 1000, cuts[18] * 1000, max(seconds) * 1000


def corpora() -> Path | None:
    """The mail corpora, as the tests find them; None when there are none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "corpora"
    found = Path(os.environ.get("HAUSPOST_CORPORA", beside))
    return found if found.is_dir() else None
