"""Killed at every durable step, torn, altered: what was acknowledged is there, or it is said."""

from __future__ import annotations

import errno
import os
import random
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from index import (
    All,
    Document,
    Index,
    IndexBusy,
    IndexDamaged,
    IndexDiskFull,
    IndexFault,
    SeqSet,
    Term,
    destroy,
)
from index.vocabulary import NAME as WORDS
from tests.index.model import Model, document

EVERYONE = SeqSet.from_iterable(range(1000))

Step = Callable[[Index], None]


def steps() -> list[tuple[Callable[[Index], None], Callable[[Model], None]]]:
    """A short history: additions (enough for a merge), replacements, removals."""
    rng = random.Random(5)
    made: list[tuple[Callable[[Index], None], Callable[[Model], None]]] = []
    for seq in range(1, 10):
        documents = [document(rng, seq), document(rng, max(1, seq - 3))]
        made.append(
            (
                lambda index, d=documents, s=seq: index.add(d, s),  # type: ignore[misc]
                lambda model, d=documents, s=seq: model.add(d, s),  # type: ignore[misc]
            )
        )
    made.append((lambda index: index.remove([2, 5]), lambda model: model.remove([2, 5])))
    return made


def golden() -> list[tuple[int, list[int]]]:
    """(watermark, seqs) before and after each step."""
    model = Model()
    states = [(0, list[int]())]
    for _, change in steps():
        change(model)
        states.append((model.watermark, sorted(model.inside)))
    return states


def state(index: Index) -> tuple[int, list[int]]:
    return index.watermark(), list(index.matching(All(), EVERYONE))


def unsynced(index: Index) -> None:
    """SQLite without its waiting for the disk, for processes that are only killed."""
    assert index._vocabulary is not None
    index._vocabulary._db.execute("PRAGMA synchronous=OFF")


def run_until_killed(folder: Path, fuse_at: int) -> tuple[int, bool]:
    """Play the history in a child that is killed at a durable step; (acknowledged, killed)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            left = fuse_at

            def fuse(_: str) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            with Index(folder, writable=True, fuse=fuse) as index:
                unsynced(index)
                for step, _ in steps():
                    step(index)
                    os.write(writing, b".")
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as acknowledged:
        count = len(acknowledged.read())
    _, status = os.waitpid(child, 0)
    return count, os.WIFSIGNALED(status)


def test_killed_at_every_durable_step_it_opens_with_all_that_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A killed process loses nothing that it wrote; the power cut below is about syncing.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    states = golden()
    last = Model()
    for _, change in steps():
        change(last)
    rechnungen = sorted(last.matching(Term(None, "rechnung"), EVERYONE))
    fuse_at, killed = 0, True
    while killed:
        fuse_at += 1
        folder = tmp_path / str(fuse_at)
        acknowledged, killed = run_until_killed(folder, fuse_at)
        with Index(folder) as reader:
            found = state(reader)
        # The step that was under way happened whole or not at all.
        assert found in states[acknowledged : acknowledged + 2], fuse_at
        done = states.index(found, acknowledged)
        with Index(folder, writable=True) as index:
            assert state(index) == found
            index.verify()
            if fuse_at % 4 == 0:
                unsynced(index)
                for step, _ in steps()[done:]:
                    step(index)
                assert state(index) == states[-1], fuse_at
                assert list(index.matching(Term(None, "rechnung"), EVERYONE)) == rechnungen
        assert len(list(folder.glob("*.new"))) == 0
    assert fuse_at > 70


def test_the_order_of_durable_steps_is_segment_words_contents(tmp_path: Path) -> None:
    order: list[str] = []
    with Index(tmp_path, writable=True, fuse=order.append) as index:
        index.add([Document(1, 0, text="word")], 1)
    assert order == [
        "write segment-0000000001.hpx",
        "sync segment-0000000001.hpx",
        "commit words",
        "sync folder",
        "write toc-0000000001.new",
        "sync toc-0000000001.new",
        "rename toc-0000000001",
        "sync folder",
    ]


def test_a_full_disk_at_any_step_is_said_and_loses_nothing(tmp_path: Path) -> None:
    steps = 0
    left = 10**9

    def fuse(_: str) -> None:
        nonlocal left, steps
        steps += 1
        left -= 1
        if left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    with Index(tmp_path, writable=True, fuse=fuse) as index:
        index.add([Document(1, 0, text="first")], 1)
        for number in range(1, steps + 1):
            left = number
            with pytest.raises(IndexDiskFull, match="make room"):
                index.add([Document(2, 0, text="second")], 2)
            assert state(index) == (1, [1])
            assert index.count(Term(None, "first"), EVERYONE) == 1
        index.add([Document(2, 0, text="second")], 2)
        assert state(index) == (2, [1, 2])
    with Index(tmp_path) as reader:
        assert state(reader) == (2, [1, 2])
        reader.verify()


def test_the_folder_and_its_files_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    with Index(folder, writable=True) as index:
        index.add([Document(1, 0, text="word")], 1)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {file.stat().st_mode & 0o077 for file in folder.iterdir()} == {0}


def test_a_second_writer_is_refused_until_the_first_is_closed(tmp_path: Path) -> None:
    with Index(tmp_path, writable=True), pytest.raises(IndexBusy, match="another process"):
        Index(tmp_path, writable=True)
    Index(tmp_path, writable=True).close()


def test_a_reader_may_not_write(tmp_path: Path) -> None:
    with Index(tmp_path) as index, pytest.raises(IndexFault, match="reading only"):
        index.add([Document(1, 0)], 1)


def test_a_reader_sees_a_generation_until_it_refreshes(tmp_path: Path) -> None:
    with Index(tmp_path, writable=True) as writer, Index(tmp_path) as reader:
        assert not reader.refresh()
        for seq in range(1, 40):
            writer.add([Document(seq, seq, text="word")], seq)
            assert reader.watermark() == seq - 1
            assert reader.count(Term(None, "word"), EVERYONE) == seq - 1
            assert reader.refresh()
            assert reader.watermark() == seq
        assert not reader.refresh()


def test_many_refreshes_leave_no_descriptor_behind(tmp_path: Path) -> None:
    with Index(tmp_path, writable=True) as writer, Index(tmp_path) as reader:
        for seq in range(1, 60):
            writer.add([Document(seq, seq, text="word")], seq)
            reader.refresh()
            assert reader.count(All(), EVERYONE) == seq
        assert len(os.listdir("/proc/self/fd")) < 100


def test_a_folder_that_is_not_there_reads_as_empty_and_is_picked_up_later(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    with Index(folder) as reader:
        assert reader.count(Term(None, "word"), EVERYONE) == 0
        assert not folder.exists()
        with Index(folder, writable=True) as writer:
            writer.add([Document(1, 0, text="word")], 1)
        assert reader.refresh()
        assert reader.count(Term(None, "word"), EVERYONE) == 1


def test_an_index_built_anew_is_seen_by_a_reader_that_stayed_open(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    with Index(folder, writable=True) as writer:
        writer.add([Document(1, 0, text="before")], 1)
    with Index(folder) as reader:
        destroy(folder)
        with Index(folder, writable=True) as writer:
            writer.add([Document(1, 0, text="after")], 1)
        assert reader.refresh()
        assert reader.count(Term(None, "after"), EVERYONE) == 1
        assert reader.count(Term(None, "before"), EVERYONE) == 0


def test_destroying_is_refused_while_somebody_writes(tmp_path: Path) -> None:
    with Index(tmp_path, writable=True), pytest.raises(IndexBusy):
        destroy(tmp_path)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """An index of two generations: seq 1, then seqs 1 and 2."""
    with Index(tmp_path, writable=True) as index:
        index.add([Document(1, 0, text="first")], 1)
        index.add([Document(2, 0, text="second")], 2)
    return tmp_path


def newest(folder: Path, pattern: str) -> Path:
    return max(folder.glob(pattern))


@pytest.mark.parametrize("pattern", ["toc-*", "segment-*"])
@pytest.mark.parametrize("cut", [0, 1, 20])
def test_a_torn_newest_generation_falls_back_to_the_one_before(
    two: Path, pattern: str, cut: int
) -> None:
    os.truncate(newest(two, pattern), cut)
    with Index(two) as reader:
        assert state(reader) == (1, [1])
    with Index(two, writable=True) as writer:
        assert state(writer) == (1, [1])
        writer.add([Document(2, 0, text="second")], 2)
        assert state(writer) == (2, [1, 2])
    with Index(two) as reader:
        assert state(reader) == (2, [1, 2])


@pytest.mark.parametrize("pattern", ["toc-*", "segment-*"])
def test_a_missing_newest_generation_falls_back_too(two: Path, pattern: str) -> None:
    newest(two, pattern).unlink()
    with Index(two) as reader:
        assert state(reader) == (1, [1])


@pytest.mark.parametrize("pattern", ["toc-*", "segment-*"])
def test_without_any_whole_generation_it_says_reindex(two: Path, pattern: str) -> None:
    for file in two.glob(pattern):
        os.truncate(file, 10)
    for writable in (False, True):
        with pytest.raises(IndexDamaged, match="reindex"):
            Index(two, writable=writable)
    destroy(two)
    with Index(two, writable=True) as index:
        assert state(index) == (0, [])


def test_any_altered_octet_of_a_segment_is_noticed(tmp_path: Path) -> None:
    rng = random.Random(3)
    with Index(tmp_path, writable=True) as index:
        index.add([document(rng, seq) for seq in range(1, 9)], 8)
    path = newest(tmp_path, "segment-*")
    whole = path.read_bytes()
    for at in rng.sample(range(len(whole)), 150):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 0x55,)) + whole[at + 1 :])
        try:
            with Index(tmp_path) as reader:
                reader.verify()
        except IndexDamaged as damage:
            assert "reindex" in str(damage)  # noqa: PT017 - padding may change unnoticed
            continue
        padding = whole[at] == 0
        assert padding, f"octet {at} changed and nobody noticed"


def test_a_search_says_so_when_what_it_needs_is_damaged(tmp_path: Path) -> None:
    with Index(tmp_path, writable=True) as index:
        index.add([Document(1, 0, text="word")], 1)
    path = newest(tmp_path, "segment-*")
    octets = bytearray(path.read_bytes())
    octets[12] ^= 1
    path.write_bytes(octets)
    with Index(tmp_path) as index, pytest.raises(IndexDamaged, match=r"segment.*reindex"):
        index.count(Term(None, "word"), EVERYONE)


def test_a_writer_teaches_a_lost_dictionary_all_words_again(two: Path) -> None:
    for file in two.glob(f"{WORDS}*"):
        file.unlink()
    with pytest.raises(IndexDamaged, match=r"dictionary.*reindex"):
        Index(two)
    Index(two, writable=True).close()
    with Index(two) as reader:
        assert reader.count(Term(None, "seconds"), EVERYONE) == 1
        assert [word.text for word in reader.expand(infix="irs")] == ["first"]


def test_a_dictionary_put_back_from_before_catches_up(tmp_path: Path) -> None:
    with Index(tmp_path, writable=True) as index:
        index.add([Document(1, 0, text="first")], 1)
    before = (tmp_path / WORDS).read_bytes()
    with Index(tmp_path, writable=True) as index:
        index.add([Document(2, 0, text="seconds")], 2)
    for file in tmp_path.glob(f"{WORDS}*"):
        file.unlink()
    (tmp_path / WORDS).write_bytes(before)
    with Index(tmp_path, writable=True) as index:
        assert index.count(Term(None, "second"), EVERYONE) == 1


def test_a_dictionary_that_is_no_database_says_reindex(two: Path) -> None:
    for file in two.glob(f"{WORDS}*"):
        file.unlink()
    (two / WORDS).write_bytes(b"not a database, by no means" * 100)
    for writable in (False, True):
        with pytest.raises(IndexDamaged, match="reindex"):
            Index(two, writable=writable)


def test_documents_that_fail_half_way_leave_nothing_behind(two: Path) -> None:
    def failing() -> object:
        yield Document(3, 0, text="third")
        raise ValueError("no more")

    with Index(two, writable=True) as index:
        with pytest.raises(ValueError, match="no more"):
            index.add(failing(), 3)  # type: ignore[arg-type]  # a generator is what fails
        assert state(index) == (2, [1, 2])
        index.add([Document(3, 0, text="third")], 3)
        assert state(index) == (3, [1, 2, 3])


def test_the_database_of_words_is_durable(two: Path) -> None:
    with Index(two, writable=True) as index:
        assert index._vocabulary is not None
        connection: sqlite3.Connection = index._vocabulary._db
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_power_cut_that_loses_all_that_was_not_synced_loses_nothing_acknowledged(
    tmp_path: Path,
) -> None:
    """At every step the disk holds: names of the last sync of the folder, octets of the last
    sync of each file. SQLite's files are as SQLite left them: it syncs for itself."""
    folder = tmp_path / "index"
    synced: dict[str, bytes] = {}
    names: set[str] = set()
    before = ""
    acknowledged = 0
    cuts = 0
    states = golden()

    def note() -> None:
        nonlocal names
        match before.split(" ", 1):
            case ["sync", "folder"]:
                names = {file.name for file in folder.iterdir()}
            case ["sync", name]:
                synced[name] = (folder / name).read_bytes()
            case ["rename", name]:
                synced[name] = synced[f"{name}.new"]
            case _:
                pass

    def fuse(step: str) -> None:
        nonlocal before, cuts
        note()
        before = step
        cuts += 1
        after = tmp_path / f"cut {cuts}"
        after.mkdir()
        for name in names:
            (after / name).write_bytes(synced.get(name, b""))
        for file in folder.glob(f"{WORDS}*"):
            (after / file.name).write_bytes(file.read_bytes())
        with Index(after) as reader:
            assert state(reader) in states[acknowledged : acknowledged + 2], step
            reader.verify()
        with Index(after, writable=True) as writer:
            writer.add([Document(900, 0, text="afterwards")], 900)
            assert writer.count(Term(None, "afterwards"), EVERYONE) == 1

    with Index(folder, writable=True, fuse=fuse) as index:
        for step, _ in steps():
            step(index)
            acknowledged += 1
    assert cuts > 70
