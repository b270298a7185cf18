"""What the fetchers are doing now, in small files that every process can read.

    <data>/run/progress-<account>.json

Written at most twice a second an account, replaced as a whole, never synced: it is
news, not state. What a dead process left behind is not shown as going on.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

__all__ = ["ENDED", "Progress", "ProgressBoard"]

ENDED: Final = ("done", "failed")
_APART_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Progress:
    """One run so far. ``phase`` is waiting, connecting, listing, fetching, done or failed.

    ``listed`` messages stand on the server, ``total`` of them were not in the
    archive; ``done`` = admitted + duplicates + failed. ``eta_s`` is None until a rate is known.
    """

    account: str
    phase: str
    listed: int = 0
    done: int = 0
    total: int = 0
    admitted: int = 0
    duplicates: int = 0
    failed: int = 0
    octets: int = 0
    seconds: float = 0.0
    eta_s: float | None = None


class ProgressBoard:
    """The files below ``run``; thread-safe. ``post`` never raises: news must not stop a fetch."""

    def __init__(self, run: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._clock = clock
        self._lock = threading.Lock()
        self._posted: dict[str, tuple[str, float]] = {}

    def post(self, progress: Progress) -> None:
        """Show it, unless the same phase was shown less than half a second ago."""
        now = self._clock()
        with self._lock:
            phase, when = self._posted.get(progress.account, ("", 0.0))
            if phase == progress.phase and progress.phase not in ENDED and now - when < _APART_S:
                return
            self._posted[progress.account] = (progress.phase, now)
            with contextlib.suppress(OSError):
                self._write(progress)

    def _write(self, progress: Progress) -> None:
        path = self._path(progress.account)
        fresh = path.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(json.dumps({**asdict(progress), "pid": os.getpid()}), encoding="utf-8")
        fresh.replace(path)

    def read(self) -> dict[str, Progress]:
        """Account → its latest progress, of every process that is still there."""
        found: dict[str, Progress] = {}
        for path in sorted(self._run.glob("progress-*.json")):
            progress = _read(path)
            if progress is not None:
                found[progress.account] = progress
        return found

    def clear(self, account: str) -> None:
        """Forget an account that is gone."""
        with self._lock:
            self._posted.pop(account, None)
            with contextlib.suppress(OSError):
                self._path(account).unlink()

    def _path(self, account: str) -> Path:
        return self._run / f"progress-{quote(account, safe='')}.json"


def _read(path: Path) -> Progress | None:
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        progress = Progress(**{one.name: told[one.name] for one in fields(Progress)})
        pid = int(told["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # gone meanwhile, or of another version
    return progress if progress.phase in ENDED or _alive(pid) else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
