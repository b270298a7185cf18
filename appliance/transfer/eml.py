"""One message a file: a single file, or every message in a tree of folders.

A file named ``.eml`` is a message whatever is in it. Other files of a tree are
taken when they begin like one (an mbox when they begin with its separator), and
left alone otherwise: mail programs keep indexes beside their mail. Symbolic
links inside a tree are not followed, and named.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.transfer.loose import Loose, Unreadable, changed, octets_of

_FIELD_LINE = re.compile(rb"(?:\xef\xbb\xbf)?([!-9;-~]{1,76})[ \t]*:")
_MAIL_FIELDS = frozenset(
    b"return-path received delivered-to from to cc bcc subject date message-id mime-version sender"
    b" reply-to content-type content-transfer-encoding dkim-signature authentication-results"
    b" arc-seal arc-authentication-results envelope-to list-id list-unsubscribe user-agent status"
    b" in-reply-to references x-mozilla-status x-mozilla-keys x-account-key x-apparently-to"
    b" x-gmail-labels x-gm-thrid x-original-to x-envelope-from x-received x-uidl x-priority"
    b" x-spam-status x-spam-checker-version x-store-info received-spf".split()
)
"""Field names a message may begin with, so that ``Note: buy milk`` in a text file is none."""


def looks_like_message(first: bytes) -> bool:
    """Whether a file that begins with these octets is a message."""
    field = _FIELD_LINE.match(first)
    return field is not None and field[1].lower() in _MAIL_FIELDS


def read_eml(path: Path, below: tuple[str, ...] = (), uid: str | None = None) -> Loose | Unreadable:
    """The message in a file; its arrival is when the file was written."""
    try:
        state = path.stat()
        octets = octets_of(path)
    except OSError as error:
        return Unreadable(str(path), error.strerror or str(error))
    if len(octets) == 0:
        return Unreadable(str(path), "the file is empty")
    # Another message may be saved under the same name later: size and time tell them apart.
    name = f"{uid if uid is not None else path.name}:{state.st_size}:{state.st_mtime_ns}"
    return Loose(str(path), name, octets, below, changed(path))


def files_below(
    root: Path, but: Callable[[Path], frozenset[str]] = lambda _: frozenset()
) -> Iterator[Path | Unreadable]:
    """Every regular file below ``root``, in name order, folder by folder.

    ``but`` names the folders in a folder that are passed over.
    """
    unreadable: list[Unreadable] = []

    def refuse(error: OSError) -> None:
        unreadable.append(Unreadable(str(error.filename), error.strerror or str(error)))

    for folder, names, files in os.walk(root, onerror=refuse):
        passed_over = but(Path(folder))
        names[:] = sorted(name for name in names if name not in passed_over)
        links = [Path(folder) / name for name in names if (Path(folder) / name).is_symlink()]
        unreadable += (Unreadable(str(link), "a symbolic link; not followed") for link in links)
        for name in sorted(files):
            path = Path(folder) / name
            try:
                mode = path.lstat().st_mode
            except OSError as error:
                yield Unreadable(str(path), error.strerror or str(error))
                continue
            if stat.S_ISREG(mode):
                yield path
            elif stat.S_ISLNK(mode):
                yield Unreadable(str(path), "a symbolic link; not followed")
        yield from unreadable
        unreadable.clear()
    yield from unreadable
