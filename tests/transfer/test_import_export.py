"""Files into a real archive and out again."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.errors import ClientError, DiskFull, UsageError
from appliance.mail.types import FLAGGED, SEEN, Delivery, Digest, Origin, Receipt, Seq, digest_of
from appliance.store import Archive
from appliance.transfer import ExportProgress, ImportProgress, export, import_paths
from appliance.transfer.exporting import file_name
from appliance.transfer.importing import mailbox_name
from appliance.transfer.mbox import mboxrd, read_mbox

WHEN = datetime(2019, 3, 4, 5, 6, 7, tzinfo=UTC)
LETTERS = [
    b"Subject: one\r\nMessage-ID: <1@x>\r\n\r\nFrom here\r\n",
    b"Subject: two\nStatus: RO\n\n>From there\n",
    b"Subject: three\nX-Status: F\n\nno line end",
]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive") as opened:
        opened.provision("anna")
        opened.provision("ben")
        yield opened


@pytest.fixture
def mbox(tmp_path: Path) -> Path:
    path = tmp_path / "Steuer 2019.mbox"
    path.write_bytes(b"".join(piece for octets in LETTERS for piece in mboxrd(octets, WHEN)))
    return path


def stored(archive: Archive, owner: str, mailbox: str) -> list[bytes]:
    snapshot = archive.snapshot(archive.mailbox(owner, mailbox).id)
    return [archive.octets(Seq(seq)) for seq in snapshot.seqs]


def test_an_mbox_comes_in_octet_for_octet_with_flags_and_dates(
    archive: Archive, mbox: Path
) -> None:
    result = import_paths([mbox], archive, "anna")
    assert (result.found, result.admitted, result.duplicates, result.failed) == (3, 3, 0, ())
    assert result.octets == sum(map(len, LETTERS))
    snapshot = archive.snapshot(archive.mailbox("anna", "Steuer 2019").id)
    assert [archive.octets(Seq(seq)) for seq in snapshot.seqs] == LETTERS
    assert snapshot.flags == [frozenset(), {SEEN}, {FLAGGED}]
    dates = {archive.message(Seq(seq)).internal_date for seq in snapshot.seqs}
    assert dates == {WHEN}


def test_a_second_run_admits_nothing_even_after_the_mail_was_moved(
    archive: Archive, mbox: Path
) -> None:
    import_paths([mbox], archive, "anna", "Old")
    old, trash = archive.mailbox("anna", "Old"), archive.mailbox("anna", "Trash")
    archive.move(old.id, [archive.snapshot(old.id).uids[0]], trash.id)  # type: ignore[list-item]  # a Uid is an int
    again = import_paths([mbox], archive, "anna", "Old")
    assert (again.found, again.admitted, again.duplicates) == (3, 0, 3)
    assert len(stored(archive, "anna", "Old")) == 2
    assert len(stored(archive, "anna", "Trash")) == 1


def test_an_import_cut_short_by_a_full_disk_goes_on_where_it_was(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = [b"Subject: %d\n\n%d\n" % (n, n) for n in range(450)]
    path = tmp_path / "many"
    path.write_bytes(b"".join(piece for octets in letters for piece in mboxrd(octets, WHEN)))
    honest = archive.admit
    calls = 0

    def full(deliveries: Iterable[Delivery]) -> list[Receipt]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise DiskFull("no room")
        return honest(deliveries)

    with monkeypatch.context() as patch:
        patch.setattr(archive, "admit", full)
        with pytest.raises(DiskFull):
            import_paths([path], archive, "anna", "Old")
    assert archive.totals().messages == 200
    result = import_paths([path], archive, "anna", "Old")
    assert (result.found, result.admitted, result.duplicates) == (450, 250, 200)
    assert stored(archive, "anna", "Old") == letters


def test_one_bad_message_does_not_take_its_batch_with_it(
    archive: Archive, mbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = archive.admit

    def picky(deliveries: Iterable[Delivery]) -> list[Receipt]:
        batch = list(deliveries)
        if any(b"two" in bytes(delivery.octets) for delivery in batch):
            raise ClientError("not this one")
        return honest(batch)

    monkeypatch.setattr(archive, "admit", picky)
    result = import_paths([mbox], archive, "anna", "Old")
    assert (result.found, result.admitted) == (3, 2)
    ((where, reason),) = result.failed
    assert where.startswith(f"{mbox}:")
    assert reason == "not this one"


def test_one_file_for_two_people_is_stored_once_and_seen_by_both(
    archive: Archive, mbox: Path
) -> None:
    import_paths([mbox], archive, "anna", "Old")
    result = import_paths([mbox], archive, "ben", "Old")
    assert (result.admitted, result.duplicates) == (0, 3)
    assert stored(archive, "ben", "Old") == LETTERS
    assert archive.totals().messages == 3


def test_an_import_that_grows_takes_only_what_is_new(archive: Archive, mbox: Path) -> None:
    import_paths([mbox], archive, "anna")
    with mbox.open("ab") as file:
        file.writelines(mboxrd(b"Subject: four\n\n4\n", WHEN))
    result = import_paths([mbox], archive, "anna")
    assert (result.found, result.admitted, result.duplicates) == (4, 1, 3)


def test_a_folder_with_everything_in_it(archive: Archive, tmp_path: Path, mbox: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "Work.sbd").mkdir(parents=True)
    (tree / "Reise").mkdir()
    mbox.rename(tree / "Work.sbd" / "Rechnungen")
    (tree / "Work.sbd" / "Rechnungen.msf").write_bytes(b'// <!-- <mdb:mork:z v="1.4"/> -->')
    (tree / "Reise" / "a.eml").write_bytes(b"Subject: a\n\n")
    (tree / "b.eml").write_bytes(b"")
    (tree / "notes.txt").write_bytes(b"Note: buy milk\n")
    (tree / "link.eml").symlink_to(tree / "Reise" / "a.eml")
    result = import_paths([tree], archive, "anna")
    assert (result.found, result.admitted) == (6, 4)
    assert {(os.path.basename(path), reason) for path, reason in result.failed} == {
        ("b.eml", "the file is empty"),
        ("link.eml", "a symbolic link; not followed"),
    }
    assert stored(archive, "anna", "tree/Work/Rechnungen") == LETTERS
    assert stored(archive, "anna", "tree/Reise") == [b"Subject: a\n\n"]
    assert import_paths([tree], archive, "anna").admitted == 0


def test_a_maildir_with_mailboxes_below_a_named_mailbox(archive: Archive, tmp_path: Path) -> None:
    for folder in ("", ".Archiv.M&APw-ll"):
        for name in ("cur", "new", "tmp"):
            (tmp_path / "Maildir" / folder / name).mkdir(parents=True)
    (tmp_path / "Maildir" / "cur" / "1.h:2,S").write_bytes(LETTERS[0])
    (tmp_path / "Maildir" / ".Archiv.M&APw-ll" / "new" / "2.h").write_bytes(LETTERS[1])
    result = import_paths([tmp_path / "Maildir"], archive, "anna", "Alt")
    assert (result.found, result.admitted) == (2, 2)
    assert stored(archive, "anna", "Alt") == [LETTERS[0]]
    assert stored(archive, "anna", "Alt/Archiv/Müll") == [LETTERS[1]]


def test_progress_tells_and_seen_marks_as_read(archive: Archive, mbox: Path) -> None:
    told: list[ImportProgress] = []
    import_paths([mbox], archive, "anna", "Old", told.append, seen=True)
    assert (told[-1].found, told[-1].admitted, told[-1].failed) == (3, 3, 0)
    assert 0 < told[-1].done <= told[-1].total == mbox.stat().st_size
    flags = archive.snapshot(archive.mailbox("anna", "Old").id).flags
    assert all(SEEN in each for each in flags)


def test_what_cannot_be_imported_says_why(archive: Archive, tmp_path: Path, mbox: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        import_paths([tmp_path / "gone"], archive, "anna")
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "x.mbox").write_bytes(b"hello")
    result = import_paths([tmp_path / "x.png", tmp_path / "x.mbox"], archive, "anna")
    assert [reason for _, reason in result.failed] == [
        "neither a message nor an mbox",
        "not an mbox: it does not begin with From",
    ]
    refused = import_paths([mbox], archive, "anna", "bad\x00name/../x")
    assert refused.failed or stored(archive, "anna", "bad_name/x") == LETTERS


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (["inbox"], "INBOX"),
        (["a/b", "c\x07"], "a_b/c_"),
        (["..", "x"], "x"),
        (["*", "%"], "_/_"),
        (["ü" * 200], "ü" * 100),
        (["", " "], ""),
        (["\udcff"], "?"),
    ],
)
def test_mailbox_names_of_any_file_name(levels: list[str], expected: str) -> None:
    assert mailbox_name(levels) == expected


def test_an_mbox_goes_out_and_comes_in_again(archive: Archive, mbox: Path, tmp_path: Path) -> None:
    import_paths([mbox], archive, "anna", "Old")
    told: list[ExportProgress] = []
    result = export(archive, "anna", "Old", "mbox", tmp_path / "out.mbox", told.append)
    assert (result.exported, result.failed) == (3, ())
    assert (told[-1].done, told[-1].total) == (3, 3)
    assert [bytes(m.octets) for m in read_mbox(tmp_path / "out.mbox")] == LETTERS
    file = (tmp_path / "out.mbox").read_bytes()
    entries = [json.loads(line) for line in result.manifest.read_text().splitlines()]
    assert [entry["sha256"] for entry in entries] == [digest_of(o).hex() for o in LETTERS]
    assert [entry["flags"] for entry in entries] == [[], ["\\Seen"], ["\\Flagged"]]
    for entry, octets in zip(entries, LETTERS, strict=True):
        there = file[entry["offset"] : entry["offset"] + entry["length"]]
        assert re.sub(rb"(?m)^>(>*From )", rb"\1", there).startswith(octets)


def test_eml_files_are_exact_and_named_safely(archive: Archive, tmp_path: Path) -> None:
    nasty = b"Subject: ../../etc/passwd \x00 =?utf-8?q?M=C3=BCller?= CON.\r\n\r\nbody"
    origin = Origin("home", "INBOX", 1, "1")
    (receipt,) = archive.admit([Delivery(nasty, origin, "anna", "INBOX", WHEN)])
    result = export(archive, "anna", [receipt.seq], "eml", tmp_path / "out")
    (path,) = (tmp_path / "out").glob("*.eml")
    assert path.read_bytes() == nasty
    assert re.fullmatch(r"2019-03-04_\d{8}_[A-Za-z0-9-]{1,40}\.eml", path.name)
    assert path.stat().st_mtime == WHEN.timestamp()
    assert path.stat().st_mode & 0o077 == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(
        [path.name, result.manifest.name]
    )


def test_a_large_message_goes_out_exactly(archive: Archive, tmp_path: Path) -> None:
    large = b"Subject: large\r\n\r\n" + b"From here\r\n" + b"x" * 900 + b"\r\n" * (9 << 19)
    origin = Origin("home", "INBOX", 1, "1")
    (receipt,) = archive.admit([Delivery(large, origin, "anna", "INBOX", WHEN)])
    export(archive, "anna", [receipt.seq], "eml", tmp_path / "out")
    (path,) = (tmp_path / "out").glob("*.eml")
    assert path.read_bytes() == large
    export(archive, "anna", [receipt.seq], "mbox", tmp_path / "out.mbox")
    assert [bytes(m.octets) for m in read_mbox(tmp_path / "out.mbox")] == [large]


def test_nothing_is_overwritten_unless_told(archive: Archive, mbox: Path, tmp_path: Path) -> None:
    import_paths([mbox], archive, "anna", "Old")
    before = mbox.read_bytes()
    with pytest.raises(UsageError, match="there already"):
        export(archive, "anna", "Old", "mbox", mbox)
    with pytest.raises(UsageError, match="not empty"):
        export(archive, "anna", "Old", "eml", tmp_path)
    with pytest.raises(UsageError, match="is a folder"):
        export(archive, "anna", "Old", "mbox", tmp_path)
    with pytest.raises(UsageError, match="not a format"):
        export(archive, "anna", "Old", "pst", tmp_path / "x")  # type: ignore[arg-type]  # wrong on purpose
    assert mbox.read_bytes() == before
    export(archive, "anna", "Old", "mbox", mbox, overwrite=True)
    assert [bytes(m.octets) for m in read_mbox(mbox)] == LETTERS


def test_nobody_exports_the_mail_of_somebody_else(archive: Archive, tmp_path: Path) -> None:
    origin = Origin("home", "INBOX", 1, "1")
    (receipt,) = archive.admit([Delivery(LETTERS[0], origin, "anna", "INBOX", WHEN)])
    wanted = [receipt.seq, Seq(999)]
    result = export(archive, "ben", wanted, "eml", tmp_path / "out")
    assert result.exported == 0
    assert result.failed == tuple((seq, f"there is no message {seq}") for seq in wanted)
    assert list((tmp_path / "out").glob("*.eml")) == []


def test_a_damaged_message_is_named_and_the_rest_goes_out(
    archive: Archive, mbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_paths([mbox], archive, "anna", "Old")
    honest = archive.octets

    def torn(seq: Seq) -> bytes:
        return b"altered" if seq == 2 else honest(seq)

    monkeypatch.setattr(archive, "octets", torn)
    result = export(archive, "anna", "Old", "mbox", tmp_path / "out.mbox")
    assert [(seq, "damaged" in reason) for seq, reason in result.failed] == [(2, True)]
    assert [bytes(m.octets) for m in read_mbox(tmp_path / "out.mbox")] == [LETTERS[0], LETTERS[2]]


def test_the_file_name_holds_nothing_but_plain_letters(archive: Archive) -> None:
    origin = Origin("home", "INBOX", 1, "1")
    octets = b"Subject: =?utf-8?b?8J+YgC8uLlxcCg==?=\n\n"
    (receipt,) = archive.admit([Delivery(octets, origin, "anna", "INBOX", WHEN)])
    message = archive.message(receipt.seq)
    assert message.digest == Digest(digest_of(octets))
    assert re.fullmatch(r"[A-Za-z0-9_-]+\.eml", file_name(message))


def test_file_names_that_are_not_utf_8_come_in_and_are_known_again(
    archive: Archive, tmp_path: Path
) -> None:
    folder = tmp_path / os.fsdecode(b"old \xfc")
    folder.mkdir()
    for name in (b"Gr\xfc\xdfe.eml", b"Gr\xfc\xdee.eml"):
        (folder / os.fsdecode(name)).write_bytes(LETTERS[0] + name)
    (folder / os.fsdecode(b"M\xfcll.mbox")).write_bytes(b"".join(mboxrd(LETTERS[1], WHEN)))
    first = import_paths([folder], archive, "anna")
    assert (first.admitted, first.failed) == (3, ())
    second = import_paths([folder], archive, "anna")
    assert (second.admitted, second.duplicates, second.failed) == (0, 3, ())


def test_mail_beside_a_maildir_is_not_passed_over(archive: Archive, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    for name in ("cur", "new", "tmp"):
        (folder / "Maildir" / name).mkdir(parents=True)
    (folder / "Maildir" / "cur" / "1.h:2,S").write_bytes(LETTERS[0])
    (folder / "Maildir" / "tmp" / "2.h").write_bytes(b"Subject: never delivered\n\n")
    (folder / "single.eml").write_bytes(LETTERS[1])
    (folder / "deep").mkdir()
    (folder / "deep" / "Old.mbox").write_bytes(b"".join(mboxrd(LETTERS[2], WHEN)))
    first = import_paths([folder], archive, "anna")
    assert (first.found, first.admitted, first.failed) == (3, 3, ())
    assert stored(archive, "anna", "INBOX/Maildir") == [LETTERS[0]]
    assert import_paths([folder], archive, "anna").duplicates == 3
