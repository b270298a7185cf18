"""What the archive remembers of fetching, and how it audits itself."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance.errors import CatalogTooNew, StoreError
from appliance.mail.types import FetchRun, Origin, RunFailure
from appliance.store import Archive
from appliance.store.volume import FILE_HEADER, RECORD_HEADER, Kind
from tests.store.conftest import START, delivery, letter, noise, with_file


def test_a_failure_waits_longer_each_time_and_ends_when_the_message_comes(archive: Archive) -> None:
    origin = Origin("home", "INBOX", 7, "1")
    waits = []
    for _ in range(10):
        archive.record_failure(origin, "the server gave no octets")
        (failure,) = archive.failures("home")
        waits.append(failure.next_try - datetime.now(UTC))
    assert failure.tries == 10
    assert [round(wait / timedelta(minutes=15)) for wait in waits] == [
        *(1, 2, 4, 8, 16, 32, 64),
        *(96, 96, 96),
    ]
    assert timedelta(minutes=14) < waits[0] < timedelta(minutes=16)
    assert waits[-1] <= timedelta(days=1)
    archive.admit([delivery(letter(1), "1")])
    assert archive.failures("home") == []


def test_runs_are_kept_newest_first(archive: Archive) -> None:
    failed = (RunFailure(Origin("home", "INBOX", 7, "3"), "too large"),)
    one = FetchRun("home", START, 1.5, 10, 8, 1, 0, 12345, failed, None)
    two = FetchRun("work", START, error="the server refused the password")
    archive.record_run(one)
    archive.record_run(two)
    assert archive.runs() == [two, one]
    assert archive.runs("home") == [one]


def test_the_feed_for_followers_has_every_message_once(archive: Archive) -> None:
    archive.admit(delivery(letter(n), str(n)) for n in range(7))
    assert archive.seqs_after(0, 3) == [1, 2, 3]
    assert archive.seqs_after(3, 100) == [4, 5, 6, 7]
    assert archive.newest() == 7


def test_a_flipped_octet_is_found_and_its_message_named(tmp_path: Path) -> None:
    rnd = random.Random(1)
    with Archive(tmp_path) as archive:
        archive.admit(delivery(with_file(n, noise(3000, n)), str(n)) for n in range(20))
        assert archive.verify(deep=True).clean
    path = tmp_path / "volumes" / "00000001.hpv"
    good = path.read_bytes()
    for _ in range(120):
        at = rnd.randrange(len(good))
        bad = bytearray(good)
        bad[at] ^= 1 << rnd.randrange(8)
        path.write_bytes(bad)
        with Archive(tmp_path) as archive:
            report = archive.verify(deep=True)
            named = {*report.damaged, *report.missing}
            if at < FILE_HEADER.size:
                assert "volume 1: its first octets are damaged" in report.problems[0]
                continue
            if kind_at(good, at) is Kind.RECEIPT:
                # Receipts are for rebuilding; what people read is untouched.
                assert not named
                assert "volume 1" in " ".join(report.problems)
                continue
            assert named, at
            for damage in named:
                assert damage.subject.startswith("File ")
                assert damage.mailboxes == ("anna: INBOX",)
            unhurt = set(range(1, 21)) - {damage.seq for damage in named}
            assert len(unhurt) >= 19
            for seq in unhurt:
                archive.octets(archive.seqs_after(seq - 1, 1)[0])
    path.write_bytes(good)


def kind_at(good: bytes, at: int) -> Kind:
    """The kind of record that an octet of an undamaged volume belongs to."""
    start = FILE_HEADER.size
    while True:
        _, kind, _, _, _, _, length, *_ = RECORD_HEADER.unpack_from(good, start)
        start += RECORD_HEADER.size + length
        if at < start:
            return Kind(kind)


def test_a_lost_volume_is_named(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.admit([delivery(letter(1), "1")])
    (tmp_path / "volumes" / "00000001.hpv").unlink()
    with Archive(tmp_path) as archive:
        report = archive.verify()
    assert [damage.subject for damage in report.missing] == ["Letter 1"]
    assert "volume 1 is gone" in report.problems[0]


def test_wrong_counts_are_noticed(archive: Archive) -> None:
    archive.admit([delivery(letter(1), "1")])
    with archive._db.write() as tx:
        tx.execute("UPDATE mailbox SET messages = 5 WHERE name = 'INBOX'")
    assert archive.verify().problems == ("catalog: the counts of anna's INBOX are wrong",)


def test_a_catalog_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive, archive._db.write() as tx:
        tx.execute("PRAGMA user_version=99")
    with pytest.raises(CatalogTooNew, match="newer Hauspost"):
        Archive(tmp_path)


def test_a_catalog_that_is_none_is_reported_not_replaced(tmp_path: Path) -> None:
    tmp_path.joinpath("catalog.sqlite3").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(StoreError, match=r"catalog\.sqlite3"):
        Archive(tmp_path)


def test_volumes_newer_than_the_catalog_are_not_written_over(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.admit([delivery(letter(1), "1")])
    volumes = tmp_path / "volumes"
    (volumes / "00000003.hpv").write_bytes((volumes / "00000001.hpv").read_bytes())
    with Archive(tmp_path) as archive, pytest.raises(StoreError, match="newer than the catalog"):
        archive.admit([delivery(letter(2), "2")])
