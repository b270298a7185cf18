"""What can go wrong with an index, in words fit for a person.

An index is never the only copy of anything: whatever is wrong with it is put
right by building it again from the archive, and the messages say so.
"""

from __future__ import annotations

from pathlib import Path


class IndexFault(Exception):
    """Anything the index reports instead of crashing."""


class IndexBusy(IndexFault):
    """Another process holds the writer's lock."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: another process is writing this index; wait until it is done")
        self.path = path


class IndexDamaged(IndexFault):
    """A file of the index is missing, torn or altered; ``path`` names it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path}: {reason}; nothing is lost, run hauspost reindex to build the index again"
        )
        self.path = path
        self.reason = reason


class IndexDiskFull(IndexFault):
    """No room to write; what was committed before is untouched."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: no room left on the disk for the index; make room and try again")
        self.path = path
