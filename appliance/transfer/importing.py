"""Files → archive: found, admitted, and what could not be read, named.

Every message gets an origin made of its source (path, owner, mailbox) and its
place in it, so an import that was stopped goes on where it was, and one that
is run twice admits nothing the second time, even after the person moved or
threw away what came in the first time. One bad file or message never stops the
rest; a full disk or a damaged archive does (StoreError), and what was admitted
until then stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from appliance.errors import ApplianceError, StoreError, UsageError
from appliance.mail.types import SEEN, Delivery, Flag, Origin, digest_of
from appliance.store import Archive
from appliance.transfer import eml, maildir, mbox
from appliance.transfer.loose import Loose, Unreadable, changed
from appliance.transfer.status import flags_in

ACCOUNT: Final = "import"
"""The account of every origin made here."""
DEFAULT_MAILBOX: Final = "Imported"
"""Where single files go when no mailbox is named."""

_BATCH_MESSAGES = 200
_BATCH_OCTETS = 8 << 20
_SNIFF_OCTETS = 2_000
_REPORT_EVERY_S = 0.2
_NAME_OCTETS = 200


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """Where an import stands. ``done`` and ``total`` are octets of files; total 0: not known."""

    source: str
    found: int
    admitted: int
    duplicates: int
    failed: int
    done: int
    total: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did; found = admitted + duplicates + failed.

    ``admitted`` are messages that were not in the archive, ``duplicates`` those
    that were (they still get their place in the mailbox, once), ``octets``
    those of the admitted. ``failed`` has (path, reason).
    """

    found: int
    admitted: int
    duplicates: int
    failed: tuple[tuple[str, str], ...]
    octets: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Source:
    """A file or folder that is read as one, and the mailbox it goes into."""

    path: Path
    mailbox: str
    messages: Iterable[Loose | Unreadable]


def import_paths(
    paths: Sequence[Path],
    archive: Archive,
    owner: str,
    mailbox: str | None = None,
    report: Callable[[ImportProgress], None] | None = None,
    *,
    seen: bool = False,
) -> ImportResult:
    """Take in every message of the files and folders named.

    What a path is, is seen from what is in it: an mbox, a Maildir with those
    below it, a single message, or a folder with any of them. With ``mailbox``
    everything goes there and below; without, a Maildir goes to INBOX, an mbox
    to a mailbox of its name, single files to "Imported". ``seen`` marks
    everything as read, else only what its source says. Raises UsageError for a
    path that is not there, StoreError when the archive cannot be written.
    """
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: there is no such file or folder")
    run = _Run(archive, owner, report, frozenset({SEEN}) if seen else frozenset())
    run.total = sum(_size(path) for path in paths)
    for path in paths:
        for source in _sources(path.absolute(), mailbox):
            run.take(source)
    return run.result()


def mailbox_name(levels: Iterable[str]) -> str:
    """A mailbox name of these levels that every mail program can show; INBOX is upper case."""
    cleaned = [_level(level) for level in levels]
    name = "/".join(level for level in cleaned if level)
    while len(name.encode()) > _NAME_OCTETS:
        name = name[:-1]
    first, slash, rest = name.strip("/ ").partition("/")
    return ("INBOX" if first.upper() == "INBOX" else first) + slash + rest


def _level(text: str) -> str:
    # Surrogates are octets of a file name that was not UTF-8.
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join("_" if not c.isprintable() or c in '/\\*%"' else c for c in text).strip(" .")


def _tellable(name: str) -> str:
    """A name the ledger can keep: octets that were not UTF-8 (surrogates) are spelled out."""
    return name.encode("utf-8", "surrogatepass").decode("utf-8", "backslashreplace")


# ---- what there is to read ----------------------------------------------------------------


def _sources(path: Path, mailbox: str | None) -> Iterator[_Source]:
    """What a path named by a person holds."""
    if path.is_dir():
        if maildir.holds_maildirs(path):
            yield _Source(path, mailbox or "INBOX", maildir.read_maildir(path))
        # Beside Maildirs there may be other mail: nobody should have to notice that it stayed out.
        yield from _tree(path, mailbox)
    elif not path.is_file():
        where = [Unreadable(str(path), "neither a file nor a folder")]
        yield _Source(path, mailbox or DEFAULT_MAILBOX, where)
    elif (kind := _kind(path)) == "mbox":
        yield _Source(path, mailbox or _mbox_name(path), _mbox(path))
    elif kind == "eml":
        yield _Source(path, mailbox or DEFAULT_MAILBOX, _single(path))
    else:
        where = [Unreadable(str(path), kind or "neither a message nor an mbox")]
        yield _Source(path, mailbox or DEFAULT_MAILBOX, where)


def _tree(root: Path, mailbox: str | None) -> Iterator[_Source]:
    """A folder but for its Maildirs: messages as one source, each mbox as one of its own."""
    base = mailbox or mailbox_name([root.name]) or DEFAULT_MAILBOX
    boxes: list[Path] = []

    def singles() -> Iterator[Loose | Unreadable]:
        for path in eml.files_below(root, but=maildir.parts_of):
            if isinstance(path, Unreadable):
                yield path
                continue
            kind = _kind(path)
            if kind == "mbox":
                boxes.append(path)
            elif kind == "eml":
                below = path.relative_to(root)
                yield eml.read_eml(path, below.parent.parts, str(below))
            elif kind is not None:
                yield Unreadable(str(path), kind)

    yield _Source(root, base, singles())
    for path in boxes:
        levels = [
            # Thunderbird keeps the mailboxes below "Work" in a folder "Work.sbd".
            level.removesuffix(".sbd")
            for level in path.relative_to(root).parent.parts
        ]
        yield _Source(
            path, mailbox_name([*base.split("/"), *levels, _mbox_name(path)]), _mbox(path)
        )


def _kind(path: Path) -> str | None:
    """``mbox``, ``eml``, None for what is no mail, or the reason why it cannot be read."""
    suffix = path.suffix.lower()
    try:
        with path.open("rb") as file:
            first = file.read(_SNIFF_OCTETS)
    except OSError as error:
        return error.strerror or str(error)
    if suffix == ".eml":
        return "eml"
    if mbox.looks_like_mbox(first):
        return "mbox"
    if suffix in (".mbox", ".mbx"):
        return "the file is empty" if not first else "not an mbox: it does not begin with From"
    return "eml" if eml.looks_like_message(first) else None


def _mbox_name(path: Path) -> str:
    name = path.stem if path.suffix.lower() in (".mbox", ".mbx") else path.name
    if name.lower() == "mbox" and path.parent.suffix.lower() == ".mbox":
        name = path.parent.stem  # Apple Mail exports "Work.mbox/mbox"
    return mailbox_name([name]) or DEFAULT_MAILBOX


def _single(path: Path) -> Iterator[Loose | Unreadable]:
    yield eml.read_eml(path)


def _mbox(path: Path) -> Iterator[Loose | Unreadable]:
    try:
        arrived = changed(path)
        for message in mbox.read_mbox(path):
            where = f"{path}:{message.start}"
            if len(message.octets) == 0:
                yield Unreadable(where, "a separator with no message after it")
                continue
            # The offset alone would name another message once the file was compacted.
            uid = f"{message.start}:{digest_of(message.octets).hex()[:32]}"
            when, flags = message.arrived or arrived, flags_in(message.octets)
            yield Loose(where, uid, message.octets, (), when, flags)
    except (OSError, ValueError) as error:
        yield Unreadable(str(path), str(error))


def _size(path: Path) -> int:
    """The octets of all files below a path, as far as they can be seen."""
    try:
        if path.is_file():
            return path.stat().st_size
        found = (each for each in eml.files_below(path) if isinstance(each, Path))
        return sum(each.stat().st_size for each in found)
    except OSError:
        return 0


# ---- taking it in -------------------------------------------------------------------------


@dataclass(slots=True)
class _Run:
    """One import: counts, and the batch that waits to be admitted."""

    archive: Archive
    owner: str
    report: Callable[[ImportProgress], None] | None
    flags: frozenset[Flag]
    found: int = 0
    admitted: int = 0
    duplicates: int = 0
    octets: int = 0
    done: int = 0
    total: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    batch: list[tuple[str, Delivery]] = field(default_factory=list)
    waiting: int = 0
    started: float = field(default_factory=time.monotonic)
    reported: float = 0.0

    def take(self, source: _Source) -> None:
        # Two imports of one file for two people, or into two mailboxes, are two things.
        name = _tellable(f"{self.owner}/{source.mailbox}:{source.path}")
        known = self.archive.known_uids(ACCOUNT, name, 0)
        for message in source.messages:
            self.found += 1
            if isinstance(message, Unreadable):
                self.failed.append((message.where, message.reason))
            else:
                size = len(message.octets)
                self.done += size
                uid = _tellable(message.uid)
                if uid in known:
                    self.duplicates += 1
                else:
                    known.add(uid)
                    self.add(message, source.mailbox, Origin(ACCOUNT, name, 0, uid))
            self.tell(str(source.path))
        self.admit()
        self.tell(str(source.path), now=True)

    def add(self, message: Loose, mailbox: str, origin: Origin) -> None:
        size = len(message.octets)
        if self.waiting + size > _BATCH_OCTETS:
            self.admit()
        delivery = Delivery(
            octets=message.octets,
            origin=origin,
            owner=self.owner,
            mailbox=mailbox_name([*mailbox.split("/"), *message.below]),
            internal_date=message.arrived or datetime.now(UTC),
            flags=message.flags | self.flags,
        )
        self.batch.append((message.where, delivery))
        self.waiting += size
        if len(self.batch) >= _BATCH_MESSAGES or self.waiting >= _BATCH_OCTETS:
            self.admit()  # a large message at once: its view is good only until the next

    def admit(self) -> None:
        """Admit what waits; a batch that is refused goes again one by one."""
        batch, self.batch, self.waiting = self.batch, [], 0
        if not batch:
            return
        try:
            self.count(batch)
        except StoreError:
            raise
        except (ApplianceError, ValueError):
            for where, delivery in batch:
                try:
                    self.count([(where, delivery)])
                except StoreError:
                    raise
                except (ApplianceError, ValueError) as error:
                    self.failed.append((where, str(error)))

    def count(self, batch: list[tuple[str, Delivery]]) -> None:
        receipts = self.archive.admit([delivery for _, delivery in batch])
        for receipt, (_, delivery) in zip(receipts, batch, strict=True):
            if receipt.duplicate:
                self.duplicates += 1
            else:
                self.admitted += 1
                self.octets += len(delivery.octets)

    def tell(self, source: str, *, now: bool = False) -> None:
        at = time.monotonic()
        if self.report is None or (not now and at - self.reported < _REPORT_EVERY_S):
            return
        self.reported = at
        self.report(
            ImportProgress(
                source,
                self.found,
                self.admitted,
                self.duplicates,
                len(self.failed),
                min(self.done, self.total),
                self.total,
                at - self.started,
            )
        )

    def result(self) -> ImportResult:
        return ImportResult(
            self.found,
            self.admitted,
            self.duplicates,
            tuple(self.failed),
            self.octets,
            time.monotonic() - self.started,
        )
