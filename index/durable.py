"""Writing so that a power cut leaves the state before or after, and nothing between.

Every step that must reach the disk goes through ``Disk``; a test puts a fuse in.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from index.errors import IndexDiskFull

Fuse = Callable[[str], None]
"""Called with the name of a durable step before it is done."""


def no_fuse(step: str) -> None:
    """The fuse of every day: it never blows."""


class Disk:
    """A folder that only its owner may read (0700), and durable steps in it."""

    def __init__(self, path: Path, fuse: Fuse = no_fuse) -> None:
        self.path = path
        self.fuse = fuse
        with self.translated():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        """A new file, on the disk when the block ends; its name is durable after ``sync``."""
        with self.translated():
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            with open(os.open(self.path / name, flags, 0o600), "wb", buffering=1 << 18) as file:
                yield file
                self.fuse(f"write {name}")
                file.flush()
                self.fuse(f"sync {name}")
                os.fsync(file.fileno())

    def sync(self) -> None:
        """The folder's names onto the disk."""
        with self.translated():
            self.fuse("sync folder")
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def replace(self, name: str, octets: bytes) -> None:
        """A small file written whole: durable when this returns, else as it was."""
        with self.create(f"{name}.new") as file:
            file.write(octets)
        with self.translated():
            self.fuse(f"rename {name}")
            os.replace(self.path / f"{name}.new", self.path / name)
        self.sync()

    def remove(self, name: str) -> None:
        """Take a file away; one that is gone already is fine."""
        (self.path / name).unlink(missing_ok=True)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """A full disk as IndexDiskFull."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise IndexDiskFull(self.path) from error
            raise
