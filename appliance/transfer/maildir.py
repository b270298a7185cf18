"""Maildir read: a file a message, flags in its name, mailboxes as folders.

    <maildir>/cur/1234.host:2,RS    <maildir>/new/1235.host
    <maildir>/.Archive.2019/cur/…   Maildir++: levels joined by dots, modified UTF-7
    <maildir>/Archive/2019/cur/…    the same as plain folders (mbsync "Verbatim")

Octets are the file's, line ends as they are there. The internal date is the
file's modification time, as every Maildir server has it. ``tmp/`` is never
read: what is there was never delivered.
"""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from appliance.mail.types import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Flag
from appliance.transfer.loose import Loose, Unreadable, changed, octets_of

_FLAGS = {
    "S": SEEN,
    "R": ANSWERED,
    "F": FLAGGED,
    "T": DELETED,
    "D": DRAFT,
    "P": Flag("$Forwarded"),
}
_PARTS = frozenset({"cur", "new", "tmp"})
# ":" cannot be in a file name on Windows and some network shares; ";" and "!" stand in for it.
_INFO = re.compile(r"[:;!]2,([A-Za-z]*)$")
_KEYWORD = re.compile(r"(\d+) ([^\s(){%*\"\\\]]+)$")


def is_maildir(path: Path) -> bool:
    """Whether the folder is a Maildir."""
    return (path / "cur").is_dir() and (path / "new").is_dir()


def parts_of(folder: Path) -> frozenset[str]:
    """The folders in which a Maildir keeps its messages; none if it is not one."""
    return _PARTS if is_maildir(folder) else frozenset()


def holds_maildirs(path: Path) -> bool:
    """Whether the folder is a Maildir or has some below."""
    return is_maildir(path) or next(_maildirs(path, ()), None) is not None


def read_maildir(root: Path) -> Iterator[Loose | Unreadable]:
    """The messages of a Maildir and of every one below it; one in memory at a time."""
    for folder, below in _maildirs(root, ()):
        keywords = _keywords(folder)
        for name in ("cur", "new"):
            yield from _messages(folder / name, "/".join(below), below, keywords)


def flags_of(file_name: str, keywords: dict[str, Flag]) -> frozenset[Flag]:
    """The flags in a file name; letters that mean nothing here are left out."""
    info = _INFO.search(file_name)
    known = {**_FLAGS, **keywords}
    return (
        frozenset(known[letter] for letter in info[1] if letter in known) if info else frozenset()
    )


def modified_utf7(name: str) -> str:
    """A mailbox name decoded from modified UTF-7 (RFC 3501 §5.1.3); as it is if it is not that."""

    def decode(match: re.Match[str]) -> str:
        if not match[1]:
            return "&"
        padded = match[1].replace(",", "/") + "=" * (-len(match[1]) % 4)
        return base64.b64decode(padded, validate=True).decode("utf-16-be")

    try:
        return re.sub(r"&([A-Za-z0-9+,]*)-", decode, name)
    except ValueError:  # also binascii.Error and UnicodeDecodeError
        return name


def _maildirs(root: Path, below: tuple[str, ...]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """(folder, mailbox below the root) of every Maildir, the root's own first."""
    if is_maildir(root):
        yield root, below
    try:
        folders = sorted(
            entry.name for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)
        )
    except OSError:
        return
    for name in folders:
        if name in _PARTS and is_maildir(root):
            continue
        if name.startswith("."):
            levels = tuple(modified_utf7(level) for level in name[1:].split(".") if level)
        else:
            levels = (modified_utf7(name),)
        if levels and len(below) < 30:
            yield from _maildirs(root / name, (*below, *levels))


def _messages(
    folder: Path, prefix: str, below: tuple[str, ...], keywords: dict[str, Flag]
) -> Iterator[Loose | Unreadable]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        yield Unreadable(str(folder), error.strerror or str(error))
        return
    for name in names:
        path = folder / name
        if name.startswith("."):
            continue
        # The name up to the flags stays when flags change: it names the message for ever.
        uid = f"{prefix}/{_INFO.sub('', name)}"
        try:
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                yield Unreadable(str(path), "a symbolic link; not followed")
            if not stat.S_ISREG(mode):
                continue  # a pipe would never come to its end
            octets = octets_of(path)
            if len(octets) == 0:
                yield Unreadable(str(path), "the file is empty")
                continue
            yield Loose(str(path), uid, octets, below, changed(path), flags_of(name, keywords))
        except OSError as error:
            yield Unreadable(str(path), error.strerror or str(error))


def _keywords(folder: Path) -> dict[str, Flag]:
    """Dovecot's ``dovecot-keywords``: ``0 $Forwarded`` means letter ``a`` is $Forwarded."""
    try:
        lines = (folder / "dovecot-keywords").read_text("utf-8", "replace").splitlines()[:26]
    except OSError:
        return {}
    found = (_KEYWORD.match(line) for line in lines)
    return {
        chr(ord("a") + int(match[1])): Flag(match[2])
        for match in found
        if match and int(match[1]) < 26
    }
