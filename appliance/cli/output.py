"""What a command prints: one JSON object, or lines for people; progress on a terminal."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TextIO

_BAR = 24
_APART_S = 0.1


class Output:
    """Standard output and error of one command."""

    def __init__(
        self, json_wanted: bool, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.json_wanted = json_wanted
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        for stream in (self._out, self._err):
            # Subjects and file names hold what a terminal may not know, or nobody can write.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        self._drawn = 0
        self._last = 0.0

    def result(self, facts: Mapping[str, object], *lines: str) -> None:
        """The outcome: ``facts`` as JSON, or ``lines`` as text."""
        self.clear()
        if self.json_wanted:
            print(self._json(facts), file=self._out)
        else:
            for line in lines:
                print(line, file=self._out)

    def say(self, line: str) -> None:
        """A line for people only, before the outcome."""
        if not self.json_wanted:
            self.clear()
            print(line, file=self._out)
            self._out.flush()

    def failed(self, reason: str) -> None:
        """What went wrong and what to do."""
        self.clear()
        if self.json_wanted:
            print(self._json({"error": reason}), file=self._out)
        else:
            print(f"hauspost: {reason}", file=self._err)

    def _json(self, facts: Mapping[str, object]) -> str:
        plain = (self._out.encoding or "").lower() not in ("utf-8", "utf8")
        return json.dumps(facts, ensure_ascii=plain, default=_plain)

    def progress(self, text: str, done: int, total: int) -> None:
        """A bar that is drawn over itself; only on a terminal."""
        now = time.monotonic()
        if self.json_wanted or not self._err.isatty() or now - self._last < _APART_S:
            return
        self._last = now
        filled = _BAR * min(done, total) // total if total else 0
        line = f"[{'█' * filled}{'·' * (_BAR - filled)}] {text}"[:110]
        self._err.write("\r" + line.ljust(self._drawn))
        self._err.flush()
        self._drawn = len(line)

    def clear(self) -> None:
        """Wipe the bar before something else is printed."""
        if self._drawn:
            self._err.write("\r" + " " * self._drawn + "\r")
            self._err.flush()
            self._drawn = 0

    def write_octets(self, octets: bytes | memoryview) -> None:
        """Octets as they are, for ``show --raw``."""
        self._out.flush()
        self._out.buffer.write(octets)


def size(octets: int) -> str:
    """Octets for people."""
    amount = float(octets)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return (
                f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
            )
        amount /= 1000
    raise AssertionError


def span(seconds: float | None) -> str:
    """A time span for people."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def table(rows: Sequence[Sequence[str]], head: Sequence[str]) -> list[str]:
    """Columns, as wide as they need to be."""
    everything = [list(head), *[list(row) for row in rows]]
    widths = [max(len(row[n]) for row in everything) for n in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in everything
    ]


def day(moment: datetime | None) -> str:
    """A moment in local time."""
    if moment is None:
        return "never"
    try:
        moment = moment.astimezone()
    except (OverflowError, ValueError):
        pass  # at the ends of the calendar there is no other time zone
    return moment.strftime("%Y-%m-%d %H:%M")


def one_line(text: str, width: int = 60) -> str:
    """A text from a message, fit for a terminal: no control characters, one line."""
    cleaned = "".join(letter if letter.isprintable() else " " for letter in text)
    return cleaned if len(cleaned) <= width else cleaned[: width - 1] + "…"


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (set, frozenset, tuple)):
        return sorted(value) if isinstance(value, (set, frozenset)) else list(value)
    return str(value)
