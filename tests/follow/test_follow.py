"""The follower: everything admitted is findable, whatever dies, is damaged or fills up."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from appliance.bell import Bell
from appliance.errors import RecordDamaged
from appliance.follow import Follower, FollowProgress
from appliance.mail.attachment import AttachmentText, Extractor, Limits
from appliance.mail.types import Delivery, Origin, Seq
from appliance.search import Searcher
from appliance.search.extracted import NAME as EXTRACTED
from appliance.search.headers import NAME as HEADERS
from appliance.search.headers import Headers
from appliance.search.shelf import WORDS, Shelf
from appliance.store import Archive
from index import Document, Index, IndexBusy, IndexDiskFull, SeqSet

WHEN = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Bell]:
    opened = Bell(tmp_path / "run")
    yield opened
    opened.close()


@pytest.fixture
def archive(tmp_path: Path, bell: Bell) -> Iterator[Archive]:
    with Archive(tmp_path / "archive", bell) as opened:
        opened.provision("anna")
        yield opened


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "index"


def admit(archive: Archive, *bodies: bytes) -> list[Seq]:
    deliveries: list[Delivery] = []
    for body in bodies:
        octets = b"From: ben@example.org\r\nSubject: letter\r\n\r\n" + body + b"\r\n"
        uid = str(archive.newest() + len(deliveries))
        origin = Origin("home", "INBOX", 1, uid)
        deliveries.append(Delivery(octets, origin, "anna", "INBOX", WHEN))
    return [receipt.seq for receipt in archive.admit(deliveries)]


def found(archive: Archive, index: Path, text: str) -> list[Seq]:
    searcher = Searcher(archive, index)
    try:
        answer = searcher.find("anna", text, order="oldest", limit=500)
        assert answer.notice is None
        return [hit.seq for hit in answer.hits]
    finally:
        searcher.close()


def with_file(name: bytes, content: bytes) -> bytes:
    disposition = b"Content-Disposition: attachment; filename=" + name + b"\r\n\r\n"
    head = b'Subject: file\r\nContent-Type: multipart/mixed; boundary="cut"\r\n\r\n'
    parts = b"--cut\r\n\r\nsee it\r\n--cut\r\nContent-Type: text/csv\r\n"
    return head + parts + disposition + content + b"\r\n--cut--\r\n"


def test_steps_are_batches_and_a_second_follower_goes_on(archive: Archive, index: Path) -> None:
    seqs = admit(archive, *(b"word %d" % n for n in range(7)))
    with Follower(archive, index) as follower:
        assert follower.step(3) == 3
        assert follower.watermark() == seqs[2]
    assert found(archive, index, "word") == seqs[:3]
    told: list[FollowProgress] = []
    with Follower(archive, index) as follower:
        assert follower.until_idle(told.append) == 4
        assert follower.step() == 0
    assert (told[-1].done, told[-1].total, told[-1].watermark) == (4, 4, seqs[-1])
    assert found(archive, index, "word") == seqs


def test_a_batch_ends_where_its_text_is_enough(
    archive: Archive, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.follow.BATCH_CHARACTERS", 1000)
    admit(archive, *(b"word " * 120 + b"%d" % n for n in range(5)))
    with Follower(archive, index) as follower:
        assert [follower.step(), follower.step(), follower.step()] == [2, 2, 1]


def test_a_stop_ends_a_batch_and_keeps_what_was_read(
    archive: Archive, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seqs = admit(archive, *(b"word %d" % n for n in range(9)))
    stop = threading.Event()
    honest = archive.octets

    def octets(seq: Seq) -> bytes:
        if seq == seqs[3]:
            stop.set()
        return honest(seq)

    monkeypatch.setattr(archive, "octets", octets)
    with Follower(archive, index) as follower:
        assert follower.until_idle(stop=stop) == 4
        assert follower.watermark() == seqs[3]
        assert follower.until_idle() == 5
    assert found(archive, index, "word") == seqs


def test_a_message_that_cannot_be_read_is_found_by_what_the_catalog_knows(
    archive: Archive, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seqs = admit(archive, b"first", b"second", b"third")
    honest = archive.octets

    def torn(seq: Seq) -> bytes:
        if seq == seqs[1]:
            raise RecordDamaged("torn")
        return honest(seq)

    monkeypatch.setattr(archive, "octets", torn)
    with Follower(archive, index) as follower:
        assert follower.until_idle() == 3
    assert found(archive, index, "subject:letter") == seqs
    assert found(archive, index, "third") == [seqs[2]]


def test_the_text_in_attachments_is_found_and_read_once_for_each_file(
    archive: Archive, index: Path
) -> None:
    asked: list[str | None] = []

    class Counting(Extractor):
        def text(self, media_type: str, filename: str | None, octets: bytes) -> AttachmentText:
            asked.append(filename)
            return AttachmentText(octets.decode())

    for n in range(3):
        octets = b"X-Number: %d\r\n" % n + with_file(b"Kosten.csv", b"Quokka;12")
        origin = Origin("home", "INBOX", 1, f"file{n}")
        archive.admit([Delivery(octets, origin, "anna", "INBOX", WHEN)])
    with Counting() as extractor, Follower(archive, index, extractor=extractor) as follower:
        follower.step(1)
        follower.until_idle()
        assert len(found(archive, index, "attachment:quokka")) == 3
        assert len(found(archive, index, "filename:kosten")) == 3
        follower.reindex()
    assert asked == ["Kosten.csv"]
    assert len(found(archive, index, "quokka")) == 3


def test_the_real_extractor_reads_in_its_child(archive: Archive, index: Path) -> None:
    origin = Origin("home", "INBOX", 1, "file")
    archive.admit([Delivery(with_file(b"a.csv", b"Wombat;12"), origin, "anna", "INBOX", WHEN)])
    with Extractor() as extractor, Follower(archive, index, extractor=extractor) as follower:
        follower.until_idle()
    assert len(found(archive, index, "attachment:wombat")) == 1


def test_a_large_message_is_found_by_its_words(archive: Archive, index: Path) -> None:
    octets = with_file(b"large.bin", b"QUJD" * 20 + b"\r\n" + b"A" * (9 << 20)).replace(
        b"text/csv", b"application/octet-stream"
    )
    origin = Origin("home", "INBOX", 1, "large")
    (receipt,) = archive.admit([Delivery(octets, origin, "anna", "INBOX", WHEN)])
    with Follower(archive, index) as follower:
        assert follower.until_idle() == 1
    assert found(archive, index, "filename:large see") == [receipt.seq]
    searcher = Searcher(archive, index)
    assert searcher.containing([receipt.seq], "ee it", where="body") == {receipt.seq}
    assert searcher.containing([receipt.seq], "LARGE.bi", where="body") == {receipt.seq}
    assert searcher.containing([receipt.seq], "QUJD", where="body") == set()
    searcher.close()


def test_a_reindex_answers_the_same_and_the_old_one_answers_meanwhile(
    archive: Archive, index: Path
) -> None:
    seqs = admit(archive, *(b"word %d" % n for n in range(5)))
    with Follower(archive, index) as follower:
        follower.until_idle()
        before = Shelf(index).current()
        answers: list[list[Seq]] = []
        assert follower.reindex(lambda _: answers.append(found(archive, index, "word"))) == 5
        assert answers
        assert all(answer == seqs for answer in answers)
        after = Shelf(index).current()
        assert before is not None
        assert after is not None
        assert after != before
        assert not before.exists()
        assert found(archive, index, "word") == seqs
        late = admit(archive, b"word late")
        assert follower.until_idle() == 1
        assert found(archive, index, "word") == seqs + late


def test_a_running_follower_goes_on_with_the_index_another_built(
    archive: Archive, index: Path
) -> None:
    seqs = admit(archive, b"word 1")
    with Follower(archive, index) as running, Follower(archive, index) as other:
        running.until_idle()
        other.reindex()
        other.close()
        seqs += admit(archive, b"word 2")
        assert running.until_idle() == 1
        assert running.watermark() == seqs[-1]
    assert found(archive, index, "word") == seqs


def test_a_reindex_that_is_stopped_changes_nothing(archive: Archive, index: Path) -> None:
    admit(archive, b"word 1")
    with Follower(archive, index) as follower:
        follower.until_idle()
        before = sorted(path.name for path in index.iterdir())
        stop = threading.Event()
        stop.set()
        follower.reindex(stop=stop)
        assert sorted(path.name for path in index.iterdir()) == before


def test_a_reindex_that_fails_leaves_the_old_one(
    archive: Archive, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seqs = admit(archive, b"word 1")
    with Follower(archive, index) as follower:
        follower.until_idle()
        names = sorted(path.name for path in index.iterdir())

        def full(*_: object) -> NoReturn:
            raise IndexDiskFull(index)

        with monkeypatch.context() as patch:
            patch.setattr(Index, "add", full)
            with pytest.raises(IndexDiskFull):
                follower.reindex()
        assert sorted(path.name for path in index.iterdir()) == names
    assert found(archive, index, "word") == seqs


@pytest.mark.parametrize("damage", ["words", "current", "headers", "everything"])
def test_a_damaged_index_is_built_again_and_the_archive_is_untouched(
    archive: Archive, index: Path, damage: str
) -> None:
    seqs = admit(archive, b"word 1", b"word 2")
    with Follower(archive, index) as follower:
        follower.until_idle()
    folder = Shelf(index).current()
    assert folder is not None
    files = {path: path.read_bytes() for path in archive.root.rglob("*.hpv")}
    if damage == "words":
        for path in (folder / WORDS).iterdir():
            path.write_bytes(b"\x00" * 40)
    elif damage == "current":
        (index / "current").write_bytes(b"../../etc\n")
    elif damage == "headers":
        for path in folder.glob("headers*"):
            path.write_bytes(b"\x00" * 400)
    else:
        shutil.rmtree(index)
    with Follower(archive, index) as follower:
        follower.until_idle()
    assert found(archive, index, "word") == seqs
    searcher = Searcher(archive, index)
    assert searcher.containing(seqs, "ben@exam", where="text") == set(seqs)
    searcher.close()
    assert files == {path: path.read_bytes() for path in archive.root.rglob("*.hpv")}


def test_packed_headers_that_rot_are_packed_again(archive: Archive, index: Path) -> None:
    seqs: list[Seq] = []
    with Follower(archive, index) as follower:
        for n in range(20):
            seqs += admit(archive, b"word %d" % n)
            follower.step()
            if n == 14:
                folder = Shelf(index).current()
                assert folder is not None
                with closing(sqlite3.connect(folder / HEADERS)) as file, file:
                    file.execute("UPDATE block SET texts = x'00112233'")
    folder = Shelf(index).current()
    assert folder is not None
    with closing(Headers(folder)) as headers:
        assert headers.containing("ben@exam", SeqSet.from_iterable(seqs)) == set(seqs)
    assert found(archive, index, "word") == seqs


def test_a_memory_of_attachments_that_rots_is_not_believed(archive: Archive, index: Path) -> None:
    for n in range(2):
        octets = b"X-Number: %d\r\n" % n + with_file(b"Kosten.csv", b"Quokka;12")
        origin = Origin("home", "INBOX", 1, f"file{n}")
        archive.admit([Delivery(octets, origin, "anna", "INBOX", WHEN)])
    with Follower(archive, index) as follower:
        follower.step(1)
        with closing(sqlite3.connect(index / EXTRACTED)) as file, file:
            assert file.execute("UPDATE extracted SET text = x'00112233'").rowcount == 1
        follower.step(1)
    assert len(found(archive, index, "attachment:quokka")) == 2


def test_a_commit_that_never_happened_is_made_again(
    archive: Archive, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seqs = admit(archive, b"word 1", b"word 2")

    def cut(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    with Follower(archive, index) as follower, monkeypatch.context() as patch:
        patch.setattr(Index, "add", cut)
        with pytest.raises(KeyboardInterrupt):
            follower.step()
    with Follower(archive, index) as follower:
        assert follower.until_idle() == 2
    assert found(archive, index, "word") == seqs


def test_two_writers_are_told_apart(archive: Archive, index: Path) -> None:
    admit(archive, b"word")
    with Follower(archive, index) as one, Follower(archive, index) as two:
        one.until_idle()
        with pytest.raises(IndexBusy):
            two.step()


def test_who_comes_second_waits_for_the_first_to_take_everything_in(
    archive: Archive, index: Path, bell: Bell
) -> None:
    follower = Follower(archive, index, bell)
    follower.until_idle()
    seqs = admit(archive, *(b"word %d" % n for n in range(5)))
    stop = threading.Event()
    thread = threading.Thread(target=follower.run, args=(stop,))
    told: list[FollowProgress] = []
    with Follower(archive, index) as second:
        thread.start()
        try:
            second.until_idle(told.append)
        finally:
            stop.set()
            thread.join(5)
    assert told[-1].watermark == seqs[-1]
    assert found(archive, index, "word") == seqs


def test_the_bell_wakes_a_running_follower(archive: Archive, index: Path, bell: Bell) -> None:
    follower = Follower(archive, index, bell)
    stop = threading.Event()
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    try:
        searcher = Searcher(archive, index)
        for n in range(3):
            (seq,) = admit(archive, b"quokka%d" % n)
            admitted = time.monotonic()
            while not (seen := searcher.find("anna", f"quokka{n}").hits):
                assert time.monotonic() - admitted < 2, "not found in 2 s"
                stop.wait(0.02)
            assert seen[0].seq == seq
        searcher.close()
    finally:
        stop.set()
        thread.join(5)
    assert not thread.is_alive()
    assert follower.problem is None


def test_a_full_disk_is_named_and_waited_out(
    archive: Archive, index: Path, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.follow._PATIENCE_S", 0.05)
    full = threading.Event()
    full.set()
    honest = Index.add

    def add(self: Index, documents: list[Document], watermark: int) -> None:
        if full.is_set():
            raise IndexDiskFull(index)
        honest(self, documents, watermark)

    monkeypatch.setattr(Index, "add", add)
    (seq,) = admit(archive, b"word")
    follower = Follower(archive, index, bell)
    stop = threading.Event()
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    try:
        deadline = time.monotonic() + 5
        while follower.problem is None and time.monotonic() < deadline:
            stop.wait(0.01)
        assert follower.problem is not None
        assert "no room left" in follower.problem
        full.clear()
        while follower.problem is not None and time.monotonic() < deadline:
            stop.wait(0.01)
        assert follower.problem is None
    finally:
        stop.set()
        thread.join(5)
    assert found(archive, index, "word") == [seq]


class Stubborn(Extractor):
    """Its child never answers."""

    def __init__(self) -> None:
        super().__init__(Limits(timeout_s=60))
        self.reading = threading.Event()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-c", "import sys; sys.stdin.buffer.read()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        self.reading.set()
        return self._child


def test_a_file_that_takes_long_does_not_keep_it_from_stopping(
    archive: Archive, index: Path
) -> None:
    octets = with_file(b"Kosten.csv", b"Quokka;12")
    archive.admit([Delivery(octets, Origin("home", "INBOX", 1, "1"), "anna", "INBOX", WHEN)])
    stop = threading.Event()
    extractor = Stubborn()
    with extractor, Follower(archive, index, extractor=extractor) as follower:
        running = threading.Thread(target=follower.run, args=(stop,))
        running.start()
        assert extractor.reading.wait(20)
        stop.set()
        running.join(20)
        assert not running.is_alive()
    # Nothing was taken in without its file: the next one reads it.
    with Follower(archive, index) as follower:
        assert follower.watermark() == 0
        assert follower.until_idle() == 1
    with closing(Searcher(archive, index)) as searcher:
        assert searcher.find("anna", "Quokka").total == 1
