"""Where the index stands, so that a new one can be built beside it and take its place.

    <data>/index/current        the name of the folder that answers, e.g. ``g000003``
    <data>/index/g000003/       words/ (the engine's own) and headers.sqlite3

Everything here may be deleted at any time; it is built again from the archive.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.errors import StoreError
from appliance.search.headers import Headers
from index import Index
from index.errors import IndexFault

WORDS: Final = "words"
_CURRENT: Final = "current"
_TRIES: Final = 5
_NAME: Final = re.compile(r"g(\d{6,12})")


class Shelf:
    """The folder with the indexes: which one answers, and how another takes over."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def current(self) -> Path | None:
        """The index that answers; None when there is none (yet, or any more)."""
        try:
            name = (self.path / _CURRENT).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        folder = self.path / name
        return folder if _NAME.fullmatch(name) and folder.is_dir() else None

    def fresh(self) -> Path:
        """A new folder for an index, not answering yet."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        taken = [int(match[1]) for name in self._names() if (match := _NAME.fullmatch(name))]
        number = max(taken, default=0) + 1
        while True:
            folder = self.path / f"g{number:06d}"
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                number += 1
            else:
                return folder

    def switch(self, folder: Path) -> None:
        """Let this index answer from now on, and delete the others. Raises OSError."""
        partial = self.path / f"{_CURRENT}.partial"
        with partial.open("w", encoding="ascii") as file:
            file.write(f"{folder.name}\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path / _CURRENT)
        directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        for name in self._names():
            # Only older ones: a younger may be under construction by somebody else.
            if _NAME.fullmatch(name) and name < folder.name:
                shutil.rmtree(self.path / name, ignore_errors=True)

    def discard(self, folder: Path) -> None:
        """Delete an index that does not answer (any more)."""
        if folder != self.current():
            shutil.rmtree(folder, ignore_errors=True)

    def _names(self) -> list[str]:
        try:
            return os.listdir(self.path)
        except OSError:
            return []


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """An index and the packed headers beside it; ``headers`` None: read them one by one."""

    index: Index
    headers: Headers | None = None

    def close(self) -> None:
        """Close both."""
        self.index.close()
        if self.headers is not None:
            self.headers.close()


class Reader:
    """The answering index, opened for reading and kept up with; safe for many threads."""

    def __init__(self, path: Path) -> None:
        self._shelf = Shelf(path)
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._now: Opened | None = None
        self._users: Counter[Opened] = Counter()
        self._fault: str | None = None

    @contextmanager
    def opened(self) -> Iterator[tuple[Opened | None, str | None]]:
        """(the index as it stands, None) or (None, why there is none to be read).

        The one given stays open until the block ends, even when another takes
        its place meanwhile.
        """
        with self._lock:
            opened, fault = self._look(), self._fault
            if opened is not None:
                self._users[opened] += 1
        try:
            yield opened, fault
        finally:
            if opened is not None:
                with self._lock:
                    self._let_go(opened)

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            self._retire()

    def _look(self) -> Opened | None:
        for _ in range(_TRIES):
            folder = self._shelf.current()
            try:
                self._open(folder)
                self._fault = None if folder else "there is no index yet; it is being built"
            except (IndexFault, OSError) as error:
                self._retire()
                self._fault = str(error)
            # Another may have taken its place, and its files away, while it was opened.
            if folder == self._shelf.current():
                break
        return self._now

    def _open(self, folder: Path | None) -> None:
        if self._now is not None and folder == self._folder:
            self._now.index.refresh()
            return
        self._retire()
        if folder is not None:
            self._now = Opened(Index(folder / WORDS), _headers(folder))
            self._folder = folder

    def _retire(self) -> None:
        """Take the open index away; it is closed when the last who uses it lets go."""
        before, self._now, self._folder = self._now, None, None
        if before is not None and not self._users[before]:
            before.close()

    def _let_go(self, opened: Opened) -> None:
        self._users[opened] -= 1
        if not self._users[opened]:
            del self._users[opened]
            if opened is not self._now:
                opened.close()


def _headers(folder: Path) -> Headers | None:
    try:
        return Headers(folder)
    except StoreError:
        return None  # slower without; the follower puts it right
