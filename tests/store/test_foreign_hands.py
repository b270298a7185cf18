"""Files of the archive that were lost, damaged or put back by somebody: never made worse."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from appliance.errors import StoreError
from appliance.store import Archive, MailboxExists
from tests.store.conftest import delivery, letter

FIRST = "00000001.hpv"


def _filled(root: Path, *numbers: int) -> None:
    with Archive(root) as archive:
        for n in numbers:
            archive.admit([delivery(letter(n), uid=str(n))])


def _catalogs(root: Path) -> list[Path]:
    return list(root.glob("catalog.sqlite3*"))


def test_a_lost_volume_stops_writing_and_nothing_takes_its_place(tmp_path: Path) -> None:
    _filled(tmp_path, 1)
    volume = tmp_path / "volumes" / FIRST
    volume.rename(tmp_path / "kept")
    with Archive(tmp_path) as archive:
        with pytest.raises(StoreError, match="gone"):
            archive.admit([delivery(letter(2), uid="2")])
        assert not volume.exists()
        (tmp_path / "kept").rename(volume)
        archive.admit([delivery(letter(2), uid="2")])
        assert archive.verify(deep=True).clean


def test_volumes_without_their_catalog_are_not_opened_as_an_empty_archive(tmp_path: Path) -> None:
    _filled(tmp_path, 1, 2)
    for path in _catalogs(tmp_path):
        path.rename(tmp_path / f"kept-{path.name}")
    with pytest.raises(StoreError, match="catalog is gone"):
        Archive(tmp_path)
    assert not _catalogs(tmp_path)


def test_a_catalog_of_another_archive_never_touches_the_volumes(tmp_path: Path) -> None:
    _filled(tmp_path / "ours", 1, 2)
    with Archive(tmp_path / "other"):
        pass
    for path in _catalogs(tmp_path / "ours"):
        path.unlink()
    for path in _catalogs(tmp_path / "other"):
        path.rename(tmp_path / "ours" / path.name)
    volume = tmp_path / "ours" / "volumes" / FIRST
    before = volume.read_bytes()
    with Archive(tmp_path / "ours") as archive, pytest.raises(StoreError, match="another archive"):
        archive.admit([delivery(letter(3), uid="3")])
    assert volume.read_bytes() == before


def test_an_older_catalog_takes_in_what_the_volume_has_beyond_it(tmp_path: Path) -> None:
    _put_back_an_older_catalog(tmp_path)
    with Archive(tmp_path) as archive:
        archive.admit([delivery(letter(99), uid="99")])
        assert archive.totals().messages == 10
        assert archive.verify(deep=True).clean


def test_damage_beyond_an_older_catalog_loses_no_whole_record(tmp_path: Path) -> None:
    _put_back_an_older_catalog(tmp_path)
    volume = tmp_path / "volumes" / FIRST
    octets = bytearray(volume.read_bytes())
    octets[len(octets) // 2] ^= 1
    volume.write_bytes(octets)
    with Archive(tmp_path) as archive:
        archive.admit([delivery(letter(99), uid="99")])
        assert archive.verify(deep=True).clean
    (aside,) = (tmp_path / "volumes").glob("*.aside")
    start = int(aside.stem.rpartition("-")[2])
    assert aside.read_bytes() == bytes(octets[start:])
    assert start < len(octets) // 2
    assert aside.stat().st_mode & 0o777 == 0o600


def test_a_torn_end_is_cut_off_without_a_word(tmp_path: Path) -> None:
    _filled(tmp_path, 1)
    volume = tmp_path / "volumes" / FIRST
    whole = volume.read_bytes()
    volume.write_bytes(whole + whole[32:100])
    _filled(tmp_path, 2)
    assert [path.name for path in (tmp_path / "volumes").iterdir()] == [FIRST]


def _put_back_an_older_catalog(root: Path) -> None:
    _filled(root, 1)
    shutil.copy(root / "catalog.sqlite3", root / "older")
    _filled(root, *range(2, 10))
    for path in _catalogs(root):
        path.unlink()
    (root / "older").rename(root / "catalog.sqlite3")


def test_a_disk_that_cannot_be_read_is_named_and_nothing_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put_back_an_older_catalog(tmp_path)
    volume = tmp_path / "volumes" / FIRST
    before = volume.read_bytes()
    pread = os.pread

    def failing(fd: int, length: int, at: int) -> bytes:
        if at > len(before) // 2:
            raise OSError(5, "Input/output error")
        return pread(fd, length, at)

    with Archive(tmp_path) as archive:
        monkeypatch.setattr(os, "pread", failing)
        with pytest.raises(StoreError, match="cannot be read: Input/output error"):
            archive.admit([delivery(letter(99), uid="99")])
        monkeypatch.undo()
        assert volume.read_bytes() == before
        archive.admit([delivery(letter(99), uid="99")])
        assert archive.totals().messages == 10
        monkeypatch.setattr(os, "pread", failing)
        report = archive.verify(deep=True)
        assert 0 < len(report.damaged) < 10
        assert all("cannot be read" in one.reason for one in report.damaged)


def test_nobody_takes_the_name_of_the_mailbox_of_all_mail(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        with pytest.raises(MailboxExists):
            archive.create("anna", "All Mail")
        archive.admit([delivery(letter(1))])
        assert archive.totals("anna").messages == 1


def test_a_damaged_catalog_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    _filled(tmp_path, 1)
    catalog = tmp_path / "catalog.sqlite3"
    with Archive(tmp_path) as archive:
        (page,) = (
            archive._db.read()
            .execute("SELECT rootpage FROM sqlite_master WHERE name='message'")
            .fetchone()
        )
    octets = bytearray(catalog.read_bytes())
    at = (page - 1) * 4096
    octets[at : at + 64] = b"\xff" * 64
    catalog.write_bytes(octets)
    before = (tmp_path / "volumes" / FIRST).read_bytes()
    with Archive(tmp_path) as archive:
        with pytest.raises(StoreError, match="bring it back from a backup"):
            archive.verify()
        with pytest.raises(StoreError, match="bring it back from a backup"):
            archive.admit([delivery(letter(99), uid="99")])
    assert (tmp_path / "volumes" / FIRST).read_bytes() == before
