"""Catalog → index: what was admitted becomes findable, and stays so.

The follower takes what is above the index's own watermark, in batches; the
documents and the new watermark are one commit, so it may die at any moment and
goes on where it was. The archive is only read. One message that cannot be read
becomes a document with what the catalog knows of it, and never stops the rest.
The index is disposable: a damaged one is named, put aside and built again while
the old one, as far as it can, keeps answering.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import zstandard

from appliance.bell import Bell, Listener
from appliance.errors import ApplianceError, DiskFull, StoreError
from appliance.mail.attachment import Abandoned, Extractor
from appliance.mail.types import Seq
from appliance.search.extracted import Extracted
from appliance.search.headers import Headers
from appliance.search.shelf import WORDS, Reader, Shelf
from appliance.search.words import document_of, header_text, poor_document
from appliance.store import Archive, Message
from appliance.store.spooled import whole
from index import Document, Index, IndexBusy, IndexDamaged, IndexFault, fold

_LOG = logging.getLogger("hauspost.follow")

BATCH_DOCUMENTS: Final = 500
BATCH_CHARACTERS: Final = 8 << 20
BATCH_S: Final = 5.0
_LOOK_S: Final = 1.0
_PATIENCE_S: Final = 30.0
_GLANCE_S: Final = 0.2
_STALLED_S: Final = 60.0
_GIVE_UP_S: Final = 1.0
"""How long a file that is being read may keep us from stopping."""
_HEADER_FAULTS: Final = (StoreError, sqlite3.DatabaseError, zstandard.ZstdError)


@dataclass(frozen=True, slots=True)
class FollowProgress:
    """Where the follower stands: ``done`` of ``total`` messages since it began."""

    done: int
    total: int
    watermark: int
    seconds: float


Report = Callable[[FollowProgress], None]


class Follower:
    """The only writer of the index; a context manager.

    ``index_path`` is the folder with everything that can be built again.
    ``extractor`` reads the text inside attachments; without one it has its own.
    """

    def __init__(
        self,
        archive: Archive,
        index_path: Path,
        bell: Bell | None = None,
        extractor: Extractor | None = None,
    ) -> None:
        self._archive = archive
        self._shelf = Shelf(index_path)
        self._bell = bell
        self._extractor = extractor if extractor is not None else Extractor()
        self._own_extractor = extractor is None
        self._open: _Volume | None = None
        self._stop = threading.Event()
        self.problem: str | None = None
        """Why the index is behind, for the status page; None when all is well."""

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the index; what was taken in is durable."""
        if self._open is not None:
            self._open.close()
            self._open = None
        self._rest()

    def watermark(self) -> int:
        """The seq up to which everything is inside; opens the index."""
        return self._volume().index.watermark()

    def step(self, limit: int = BATCH_DOCUMENTS) -> int:
        """Take in one batch of at most ``limit`` messages; how many there were, 0 when idle.

        A damaged index is started over here. Raises IndexBusy when another
        process follows, IndexDiskFull, StoreError.
        """
        try:
            return self._take(self._volume(), limit)
        except IndexDamaged as error:
            _LOG.warning("%s: %s; the index is built again", error.path, error.reason)
        self.close()
        self._shelf.switch(self._shelf.fresh())
        return self._take(self._volume(), limit)

    def until_idle(self, report: Report | None = None, stop: threading.Event | None = None) -> int:
        """Take in everything there is; how many documents that were.

        When another process follows, its work is watched until all is in;
        raises IndexBusy if it takes in nothing for a minute.
        """
        try:
            return self._all(self.step, self.watermark, report, stop)
        except IndexBusy:
            with closing(Reader(self._shelf.path)) as reader:
                return self._watch(reader, report, stop or threading.Event())

    def run(self, stop: threading.Event, report: Report | None = None) -> None:
        """Follow until told to stop: at once when the bell rings, else every second.

        Nothing but a bug ends it: a full disk, a busy index and a damaged
        archive are waited out and named in ``problem``.
        """
        listener = self._bell.listen("follow") if self._bell is not None else None
        ended = threading.Event()
        threading.Thread(target=self._give_up, args=(stop, ended), daemon=True).start()
        try:
            while not stop.is_set():
                wait_s = _LOOK_S
                try:
                    self.until_idle(report, stop)
                    self._rest()
                    self.problem = None
                except Abandoned:
                    break
                except (IndexFault, ApplianceError, OSError, sqlite3.Error) as error:
                    self._say(str(error))
                    self.close()
                    wait_s = _PATIENCE_S
                self._wait(listener, stop, wait_s)
        finally:
            ended.set()
            if listener is not None:
                listener.close()
            self.close()

    def _give_up(self, stop: threading.Event, ended: threading.Event) -> None:
        """Told to stop, wait a little for the file being read; its batch is read again later."""
        stop.wait()
        if not ended.wait(_GIVE_UP_S):
            self._extractor.abandon()

    def reindex(self, report: Report | None = None, stop: threading.Event | None = None) -> int:
        """Build the index anew beside the old one and put it in its place; how many documents.

        The old one answers until then; a follower in another process goes on
        with the new one. Stopped before the end, nothing has changed.
        """
        folder = self._shelf.fresh()
        fresh: _Volume | None = None
        try:
            fresh = _Volume(folder)
            step = partial(self._take, fresh, BATCH_DOCUMENTS)
            taken = self._all(step, fresh.index.watermark, report, stop)
            fresh.close()
            if stop is not None and stop.is_set():
                self._shelf.discard(folder)
                return taken
            self.close()
            self._shelf.switch(folder)
        except BaseException:
            if fresh is not None:
                fresh.close()
            self._shelf.discard(folder)
            raise
        return taken

    # ---- inside -------------------------------------------------------------------------

    def _all(
        self,
        step: Callable[[], int],
        watermark: Callable[[], int],
        report: Report | None,
        stop: threading.Event | None,
    ) -> int:
        started = time.monotonic()
        done = 0
        # A batch that is being read looks at it too.
        self._stop = stop if stop is not None else threading.Event()
        try:
            while not self._stop.is_set():
                taken = step()
                done += taken
                if report is not None and (taken or not done):
                    at = watermark()
                    left = self._archive.count_after(at)
                    report(FollowProgress(done, done + left, at, time.monotonic() - started))
                if not taken:
                    break
        finally:
            self._stop = threading.Event()
        return done

    def _watch(self, reader: Reader, report: Report | None, stop: threading.Event) -> int:
        """Wait for the follower of another process; how many messages it took in meanwhile."""
        started = moved = time.monotonic()
        first = last = -1
        while not stop.wait(_GLANCE_S):
            with reader.opened() as (opened, _):
                at = opened.index.watermark() if opened is not None else 0
            first = at if first < 0 else first
            if at != last:
                last, moved = at, time.monotonic()
            left = self._archive.count_after(at)
            if report is not None:
                done = max(0, self._archive.count_after(first) - left)
                report(FollowProgress(done, done + left, at, time.monotonic() - started))
            if not left:
                break
            if time.monotonic() - moved > _STALLED_S:
                raise IndexBusy(self._shelf.path)
        return max(0, self._archive.count_after(first) - self._archive.count_after(last))

    def _volume(self) -> _Volume:
        """The index that answers, open for writing; a new one when there is none."""
        current = self._shelf.current()
        if self._open is not None and self._open.folder != current:
            self.close()  # another process built a new one, or somebody deleted it
        if self._open is None:
            if current is None:
                current = self._shelf.fresh()
                self._shelf.switch(current)
            self._open = _Volume(current)
        return self._open

    def _take(self, volume: _Volume, limit: int) -> int:
        """One batch into the index: headers first, they are good without the rest."""
        watermark = volume.index.watermark()
        if volume.headers.watermark() < watermark:
            self._mend_headers(volume.headers, watermark)
        seqs = self._archive.seqs_after(watermark, max(1, limit))
        if not seqs:
            return 0
        extracted = Extracted(self._shelf.path, self._extractor)
        try:
            batch = list(self._batch(seqs, extracted))
        finally:
            extracted.close()
        self._pack(volume, watermark, [(document.seq, header) for document, header in batch])
        volume.index.add((document for document, _ in batch), batch[-1][0].seq)
        return len(batch)

    def _batch(self, seqs: list[Seq], extracted: Extracted) -> Iterator[tuple[Document, str]]:
        """Documents and folded headers of the first seqs, until they are enough for a commit.

        Enough is also what took long, so that a slow machine shows what it has
        and stops soon when told to.
        """
        rows = self._archive.messages(seqs)
        size = 0
        until = time.monotonic() + BATCH_S
        for seq in seqs:
            document, header = self._read(rows[seq], extracted)
            yield document, header
            size += len(document.text) + sum(len(one.text) for one in document.attachments)
            if size >= BATCH_CHARACTERS or time.monotonic() > until or self._stop.is_set():
                return

    def _read(self, message: Message, extracted: Extracted) -> tuple[Document, str]:
        try:
            octets = whole(self._archive, message)
            root = self._archive.structure(message.seq)
            document = document_of(message, octets, root, extracted.text)
            return document, fold(header_text(bytes(octets[: message.header_size])))
        except Abandoned:
            raise
        except Exception as error:  # one failure stays one failure: it is found by what is known
            _LOG.warning("message %d is indexed by its list entry alone: %s", message.seq, error)
            return poor_document(message), ""

    def _pack(self, volume: _Volume, watermark: int, headers: list[tuple[int, str]]) -> None:
        try:
            volume.headers.add(headers)
        except DiskFull:
            raise
        except _HEADER_FAULTS as error:
            _LOG.warning("%s: the packed headers are built again: %s", volume.folder, error)
            volume.renew_headers()
            self._mend_headers(volume.headers, watermark)
            volume.headers.add(headers)

    def _mend_headers(self, headers: Headers, watermark: int) -> None:
        """Pack the headers of what is in the index, when their file was lost."""
        while seqs := [
            seq
            for seq in self._archive.seqs_after(headers.watermark(), BATCH_DOCUMENTS)
            if seq <= watermark
        ]:
            headers.add([(seq, self._header(seq)) for seq in seqs])

    def _header(self, seq: Seq) -> str:
        try:
            return fold(header_text(self._archive.header(seq)))
        except ApplianceError:
            return ""

    def _wait(self, listener: Listener | None, stop: threading.Event, wait_s: float) -> None:
        """Until the bell rings or the time is over; never deaf to ``stop`` for over a second."""
        until = time.monotonic() + wait_s
        while not stop.is_set() and (left := until - time.monotonic()) > 0:
            if listener is None:
                stop.wait(min(left, _LOOK_S))
            elif listener.wait(min(left, _LOOK_S)) and wait_s == _LOOK_S:
                return

    def _rest(self) -> None:
        """End the child that reads attachments; the next one starts another."""
        if self._own_extractor:
            self._extractor.close()

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            _LOG.warning("%s", problem)
        self.problem = problem


class _Volume:
    """One index with the headers beside it, open for writing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = Index(folder / WORDS, writable=True)
        try:
            self.headers = _headers(folder)
        except BaseException:
            self.index.close()
            raise

    def renew_headers(self) -> None:
        """Begin the packed headers again, empty."""
        self.headers.close()
        Headers.destroy(self.folder)
        self.headers = Headers(self.folder)

    def close(self) -> None:
        """Close both."""
        self.headers.close()
        self.index.close()


def _headers(folder: Path) -> Headers:
    try:
        headers = Headers(folder)
        headers.check()
        return headers
    except _HEADER_FAULTS as error:
        _LOG.warning("%s: the packed headers are built again", error)
        Headers.destroy(folder)
        return Headers(folder)
