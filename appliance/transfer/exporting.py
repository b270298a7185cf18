"""Archive → files: one mbox (mboxrd), or a folder with a file a message.

Beside the messages stands a manifest, one JSON object a line: seq, SHA-256 and
size of the octets, the file, and for an mbox the offset and length of the
message in it, its internal date and flags. ``.eml`` files hold the octets as
they came; an mbox holds them too, with mboxrd's quoting (see ``mbox.py``).

Nothing that is there is overwritten unless told. A file appears under its name
when it is whole and on the disk. File names are made here: date, seq and what
is left of the subject when only letters, digits and ``-`` may stay.
"""

from __future__ import annotations

import json
import os
import re
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal
from uuid import uuid4

from appliance.errors import ApplianceError, DiskFull, RecordDamaged, UsageError
from appliance.mail.types import Flag, Octets, Seq, digest_of
from appliance.store import Archive, Message
from appliance.store.spooled import whole
from appliance.transfer.mbox import mboxrd

Format = Literal["mbox", "eml"]

_PAGE = 200
_REPORT_EVERY_S = 0.2
_ENOSPC = 28
_SLUG_LENGTH = 40


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """Where an export stands, in messages and octets."""

    done: int
    total: int
    failed: int
    octets: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What an export wrote; ``failed`` has (seq, reason) of what it could not."""

    exported: int
    failed: tuple[tuple[Seq, str], ...]
    octets: int
    seconds: float
    dest: Path
    manifest: Path


def export(
    archive: Archive,
    owner: str,
    what: Sequence[Seq] | str,
    format: Format,
    dest: Path,
    report: Callable[[ExportProgress], None] | None = None,
    *,
    overwrite: bool = False,
) -> ExportResult:
    """Write messages of ``owner`` to ``dest``: the mailbox of that name, or the seqs in order.

    ``dest`` is a file for "mbox", a folder for "eml". A message that cannot be
    read, or is not the owner's to see, is named in the result and the rest goes
    on. Raises UsageError when something is there already, NoSuchMailbox,
    DiskFull; then nothing is left under ``dest`` but whole .eml files.
    """
    if format not in ("mbox", "eml"):
        raise UsageError(f"{format}: not a format; mbox or eml")
    if format == "mbox" and not dest.name:
        raise UsageError(f"{dest}: is a folder; name a file")
    chosen = _chosen(archive, owner, what)
    manifest = (
        dest / "manifest.jsonl"
        if format == "eml"
        else dest.with_name(dest.name + ".manifest.jsonl")
    )
    _refuse_to_overwrite(dest, manifest, format, overwrite)
    folder = dest if format == "eml" else dest.parent
    run = _Run(archive, owner, len(chosen), folder, report)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if format == "mbox":
            with _arriving(manifest) as lines, _arriving(dest) as file:
                run.mbox(chosen, file, lines, dest.name)
        else:
            with _arriving(manifest) as lines:
                run.eml(chosen, dest, lines)
    except OSError as error:
        if error.errno == _ENOSPC:
            raise DiskFull(
                f"{dest}: no room left on the disk; make room or choose another"
            ) from error
        raise UsageError(f"{error.filename or dest}: {error.strerror or error}") from error
    run.tell(now=True)
    seconds = time.monotonic() - run.started
    return ExportResult(run.exported, tuple(run.failed), run.octets, seconds, dest, manifest)


def file_name(message: Message) -> str:
    """The name of a message's file: nothing in it was chosen by its sender but ASCII letters."""
    plain = unicodedata.normalize("NFKD", message.subject).encode("ascii", "ignore").decode("ascii")
    slug = re.sub(r"[^A-Za-z0-9]+", "-", plain)[:_SLUG_LENGTH].strip("-")
    name = f"{message.internal_date:%Y-%m-%d}_{message.seq:08d}"
    return f"{name}_{slug}.eml" if slug else f"{name}.eml"


def _chosen(archive: Archive, owner: str, what: Sequence[Seq] | str) -> dict[Seq, frozenset[Flag]]:
    """seq → flags, in the order of the export."""
    if isinstance(what, str):
        snapshot = archive.snapshot(archive.mailbox(owner, what).id)
        seqs = (Seq(seq) for seq in snapshot.seqs)
        return dict(zip(seqs, snapshot.flags, strict=True))
    return dict.fromkeys(what, frozenset())


def _refuse_to_overwrite(dest: Path, manifest: Path, format: Format, overwrite: bool) -> None:
    if format == "mbox" and dest.is_dir():
        raise UsageError(f"{dest}: is a folder; name a file")
    if format == "eml" and dest.exists() and not dest.is_dir():
        raise UsageError(f"{dest}: is a file; name a folder")
    if overwrite:
        return
    if format == "eml" and dest.is_dir() and any(dest.iterdir()):
        raise UsageError(f"{dest}: is not empty; name another folder")
    for path in (dest, manifest):
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path}: is there already; name another file")


@dataclass(slots=True)
class _Run:
    """One export and its counts."""

    archive: Archive
    owner: str
    total: int
    spool: Path
    report: Callable[[ExportProgress], None] | None
    exported: int = 0
    octets: int = 0
    failed: list[tuple[Seq, str]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    reported: float = 0.0

    def mbox(
        self, chosen: dict[Seq, frozenset[Flag]], file: BinaryIO, lines: BinaryIO, name: str
    ) -> None:
        for message, octets in self.messages(chosen):
            pieces = mboxrd(octets, message.internal_date)
            file.write(next(pieces))
            offset = file.tell()
            for piece in pieces:
                file.write(piece)
            place: dict[str, str | int] = {
                "file": name,
                "offset": offset,
                "length": file.tell() - offset - 1,
            }
            self.wrote(message, chosen, lines, place)

    def eml(self, chosen: dict[Seq, frozenset[Flag]], dest: Path, lines: BinaryIO) -> None:
        for message, octets in self.messages(chosen):
            name = file_name(message)
            with _arriving(dest / name) as file:
                file.write(octets)
            stamp = message.internal_date.timestamp()
            os.utime(dest / name, (stamp, stamp))
            self.wrote(message, chosen, lines, {"file": name})

    def messages(self, chosen: dict[Seq, frozenset[Flag]]) -> Iterator[tuple[Message, Octets]]:
        """Every message with its octets, compared with its digest; the others go to ``failed``."""
        seqs = list(chosen)
        for start in range(0, len(seqs), _PAGE):
            page = seqs[start : start + _PAGE]
            rows = self.archive.messages(page)
            for seq in page:
                try:
                    # One answer for "not there" and "not yours": it tells nothing of others.
                    if seq not in rows or not self.archive.visible(self.owner, seq):
                        raise UsageError(f"there is no message {seq}")
                    octets = whole(self.archive, rows[seq], self.spool)
                    if digest_of(octets) != rows[seq].digest:
                        raise RecordDamaged(f"message {seq} is damaged; run hauspost verify --deep")
                except ApplianceError as error:
                    self.failed.append((seq, str(error)))
                else:
                    yield rows[seq], octets
                self.tell()

    def wrote(
        self,
        message: Message,
        chosen: dict[Seq, frozenset[Flag]],
        lines: BinaryIO,
        place: dict[str, str | int],
    ) -> None:
        self.exported += 1
        self.octets += message.size
        entry = {
            "seq": message.seq,
            "sha256": message.digest.hex(),
            "size": message.size,
            **place,
            "internal_date": message.internal_date.isoformat(),
            "flags": sorted(chosen[message.seq]) or self.flags(message.seq),
        }
        lines.write(json.dumps(entry, ensure_ascii=True).encode("ascii") + b"\n")

    def flags(self, seq: Seq) -> list[str]:
        return sorted(
            {flag for place in self.archive.places_of(self.owner, seq) for flag in place.flags}
        )

    def tell(self, *, now: bool = False) -> None:
        at = time.monotonic()
        if self.report is None or (not now and at - self.reported < _REPORT_EVERY_S):
            return
        self.reported = at
        done = self.exported + len(self.failed)
        self.report(
            ExportProgress(done, self.total, len(self.failed), self.octets, at - self.started)
        )


@contextmanager
def _arriving(path: Path) -> Iterator[BinaryIO]:
    """A file that has its name once it is whole and durable, and is nowhere if that fails."""
    partial = path.with_name(f".{uuid4().hex}.partial")
    try:
        # Private mail: nobody else reads it, whatever the umask.
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_directory(path.parent)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def _sync_directory(path: Path) -> None:
    # Not every file system lets a directory be synced (network shares): the file itself was.
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
