"""The index: one process writes, many read; every commit is durable or did not happen.

A commit is made in this order, each step on the disk before the next: segments, their
words in the dictionary, the table of contents. A crash leaves files that nothing names;
the next commit takes them away. Small segments are merged in commits of their own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from index import contents, merging
from index.analysis import fold, skeleton, words
from index.building import batches, build
from index.contents import Contents, Entry, number_of, segment_name
from index.document import Cursor, Document, Order, Page, Word
from index.durable import Disk, Fuse, no_fuse
from index.errors import IndexBusy, IndexDamaged, IndexDiskFull, IndexFault
from index.plan import Step, mask_of, plan
from index.query import Query
from index.segment import Segment
from index.seqset import SeqSet
from index.snapshot import Snapshot, load, stamp_of
from index.vocabulary import NAME as VOCABULARY
from index.vocabulary import Vocabulary, as_words

_LOCK = "writer.lock"
_SUGGESTIONS = 5


class Index:
    """The index in a folder; a context manager.

    ``writable`` takes the writer's lock (IndexBusy if another has it) and creates the
    folder. A reader of a folder that is not there sees an empty index. What is damaged
    raises IndexDamaged. A reader sees one generation until ``refresh``.
    """

    def __init__(self, path: Path | str, *, writable: bool = False, fuse: Fuse = no_fuse) -> None:
        self.path = Path(path)
        self._disk: Disk | None = None
        self._lock: int | None = None
        self._vocabulary: Vocabulary | None = None
        self._fuse = fuse
        if writable:
            self._disk = Disk(self.path, fuse)
            self._lock = _locked(self.path)
        try:
            self._snapshot = load(self.path, None)
            self._open_vocabulary()
            if self._disk is not None:
                self._catch_up()
                self._sweep(self._disk)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of files and lock; the index is not used afterwards."""
        if self._vocabulary is not None:
            self._vocabulary.close()
            self._vocabulary = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self._snapshot = Snapshot(Contents(), None, {})

    def refresh(self) -> bool:
        """See what was committed since; True if there was something. Costs a directory listing."""
        numbers = contents.generations(self.path)
        stamp = stamp_of(self.path, numbers[0]) if numbers else None
        if stamp == self._snapshot.stamp:
            return False
        # A torn newest generation is looked at anew each time: somebody may mend it.
        self._snapshot = load(self.path, self._snapshot)
        self._open_vocabulary()
        return True

    # -- state -------------------------------------------------------------

    def watermark(self) -> int:
        """The seq up to which everything is inside."""
        return self._snapshot.contents.watermark

    def __len__(self) -> int:
        """How many documents are inside."""
        table = self._snapshot.contents
        return sum(entry.documents - len(entry.removed) for entry in table.segments)

    def verify(self) -> None:
        """Read every file of this generation and compare the checksums; raises IndexDamaged."""
        for part in self._snapshot.parts:
            part.segment.verify()

    # -- writing -----------------------------------------------------------

    def add(self, documents: Iterable[Document], watermark: int) -> None:
        """Take in documents and say that all up to ``watermark`` are inside; one durable commit.

        A seq that is inside already is replaced. The watermark never falls.
        """
        disk = self._writing()
        table = self._snapshot.contents
        number = self._next_number()
        entries = list(table.segments)
        opened = dict(self._snapshot.opened)
        assert self._vocabulary is not None
        for batch in batches(documents):
            seqs = SeqSet.from_iterable(document.seq for document in batch)
            entries = _without(entries, opened, seqs)
            name = segment_name(number)
            number += 1
            counts = build(disk, name, batch)
            # Words first: a dictionary that knows more than the index does no harm.
            self._vocabulary.learn([name], [counts])
            opened[name] = Segment(self.path / name)
            entries.append(Entry(name, len(batch)))
        self._commit(entries, opened, max(watermark, table.watermark))
        self._tidy()

    def remove(self, seqs: Iterable[int]) -> None:
        """Take documents out; seqs that are not inside are no error. One durable commit."""
        self._writing()
        table = self._snapshot.contents
        opened = dict(self._snapshot.opened)
        entries = _without(table.segments, opened, SeqSet.from_iterable(seqs))
        if tuple(entries) != table.segments:
            self._commit(entries, opened, table.watermark)
            self._tidy()

    # -- asking ------------------------------------------------------------

    def search(
        self,
        query: Query,
        *,
        order: Order = Order.NEWEST,
        limit: int = 50,
        after: Cursor | None = None,
        within: SeqSet,
    ) -> Page:
        """A page of what matches among ``within``, the documents this person may see."""
        return self._snapshot.page(self._plan(query), order, max(1, limit), after, within)

    def matching(self, query: Query, within: SeqSet) -> SeqSet:
        """Everything that matches."""
        return self._snapshot.seqs(self._plan(query), within)

    def count(self, query: Query, within: SeqSet) -> int:
        """How many match, exactly."""
        return self._snapshot.count(self._plan(query), within)

    def facets(self, query: Query, within: SeqSet, by: str = "year") -> dict[str, int]:
        """How many match in each ``year`` or ``month`` (UTC), newest first."""
        return self._snapshot.facets(self._plan(query), within, by)

    def expand(
        self,
        field: str | None = None,
        *,
        infix: str | None = None,
        prefix: str | None = None,
        suffix: str | None = None,
        near: str | None = None,
    ) -> list[Word]:
        """The words of the dictionary that contain, begin with, end with or are near this.

        Exactly one of them is given; it is folded, not taken apart. Most frequent first.
        """
        given = [one for one in (infix, prefix, suffix, near) if one is not None]
        if len(given) != 1:
            raise TypeError("give one of infix, prefix, suffix and near")
        mask = mask_of(field)
        piece = fold(given[0])
        vocabulary = self._vocabulary
        if vocabulary is None or not piece:
            return []
        if prefix is not None:
            return as_words(vocabulary.beginning(piece), mask)
        if near is not None:
            return as_words((found[1:] for found in vocabulary.near(piece)), mask)
        rows = vocabulary.containing(piece)
        if suffix is not None:
            rows = [row for row in rows if row[0].endswith(piece)]
        return as_words(rows, mask)

    def suggest(self, word: str) -> list[str]:
        """Better spellings of a word, the likeliest first; empty if it is fine or hopeless."""
        parts = words(word)
        if len(parts) != 1 or self._vocabulary is None:
            return []
        (asked,) = parts
        near = self._vocabulary.near(asked, 1 if len(asked) < 5 else 2)
        known = sum(count for changes, _, count, _ in near if changes == 0)
        better = [
            (changes, -count, found)
            for changes, found, count, _ in near
            if changes and count > known * 10 and skeleton(found) != skeleton(asked)
        ]
        return [found for _, _, found in sorted(better)[:_SUGGESTIONS]]

    # -- inside ------------------------------------------------------------

    def _plan(self, query: Query) -> Step:
        if self._vocabulary is None:
            # No dictionary, so no words; what is wrong with the query is said all the same.
            return plan(query, _EMPTY)
        return plan(query, self._vocabulary)

    def _writing(self) -> Disk:
        if self._disk is None or self._lock is None:
            raise IndexFault(f"{self.path}: this index was opened for reading only")
        return self._disk

    def _open_vocabulary(self) -> None:
        path = self.path / VOCABULARY
        if self._vocabulary is not None and self._vocabulary.is_still(path):
            return
        if self._vocabulary is not None:
            self._vocabulary.close()
            self._vocabulary = None
        if self._disk is not None or path.exists():
            writable = self._disk is not None
            self._vocabulary = Vocabulary(self.path, writable=writable, fuse=self._fuse)
        elif self._snapshot.parts:
            raise IndexDamaged(path, "the dictionary is missing")

    def _catch_up(self) -> None:
        """Teach the dictionary the segments it does not know (it was lost or put back)."""
        assert self._vocabulary is not None
        for part in self._snapshot.parts:
            name = part.segment.name
            if not self._vocabulary.knows(name):
                self._vocabulary.learn([name], [part.segment.words()])

    def _sweep(self, disk: Disk) -> None:
        """Take away what a crash left; nothing, while a newer generation waits to be mended."""
        generation = self._snapshot.contents.generation
        if contents.generations(self.path)[:1] in ([], [generation]):
            contents.clean(disk, generation)

    def _next_number(self) -> int:
        return 1 + max(
            (number_of(entry.name) for entry in self.path.iterdir()),
            default=0,
        )

    def _commit(self, entries: list[Entry], opened: dict[str, Segment], watermark: int) -> None:
        disk = self._writing()
        entries = [entry for entry in entries if len(entry.removed) < entry.documents]
        disk.sync()
        # Above any file there is, so that a torn newest generation is not taken for ours.
        newest = max(contents.generations(self.path), default=0)
        table = Contents(newest + 1, watermark, tuple(entries))
        contents.write(disk, table)
        contents.clean(disk, table.generation)
        kept = {entry.name: opened[entry.name] for entry in entries}
        self._snapshot = load(self.path, Snapshot(table, None, kept))

    def _tidy(self) -> None:
        """Merge what is due, in commits of their own: nobody waits for them to find a document."""
        disk = self._writing()
        assert self._vocabulary is not None
        while chosen := merging.due(self._snapshot.contents.segments):
            opened = dict(self._snapshot.opened)
            name = segment_name(self._next_number())
            parts = [(opened[entry.name], frozenset(entry.removed)) for entry in chosen]
            try:
                documents = merging.merge(disk, name, parts)
            except IndexDiskFull:
                # Everything is inside and can be found; there will be room another time.
                disk.remove(name)
                return
            self._vocabulary.learn([name], [])
            opened[name] = Segment(self.path / name)
            entries = [one for one in self._snapshot.contents.segments if one not in chosen]
            self._commit([*entries, Entry(name, documents)], opened, self.watermark())


_EMPTY = Vocabulary(None, writable=True)


def destroy(path: Path | str) -> None:
    """Take the whole index away, to build it again; raises IndexBusy while one writes."""
    folder = Path(path)
    if not folder.exists():
        return
    lock = _locked(folder)
    try:
        shutil.rmtree(folder)
    finally:
        os.close(lock)


def _locked(folder: Path) -> int:
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise IndexBusy(folder) from None
    return lock


def _without(entries: Iterable[Entry], opened: dict[str, Segment], seqs: SeqSet) -> list[Entry]:
    """The entries with these seqs marked as removed."""
    left = []
    for entry in entries:
        segment = opened[entry.name]
        part = seqs.between(segment.lowest, segment.highest + 1)
        if part:
            gone = frozenset(part)
            found = {number for number, seq in enumerate(segment.seqs) if seq in gone}
            if not found.issubset(entry.removed):
                removed = tuple(sorted(found.union(entry.removed)))
                entry = Entry(entry.name, entry.documents, removed)
        left.append(entry)
    return left
