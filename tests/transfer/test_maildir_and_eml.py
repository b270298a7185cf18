"""Maildir and single files: names, flags, mailboxes, and what is left alone."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.mail.types import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Flag
from appliance.transfer.eml import files_below, looks_like_message, read_eml
from appliance.transfer.loose import Loose, Unreadable
from appliance.transfer.maildir import flags_of, is_maildir, modified_utf7, read_maildir
from appliance.transfer.status import flags_in

OCTETS = b"Subject: x\r\n\r\nbody\n"


def maildir(path: Path) -> Path:
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True)
    return path


def test_a_maildir_gives_octets_flags_dates_and_mailboxes(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Maildir")
    (root / "cur" / "1.host:2,RS").write_bytes(OCTETS)
    os.utime(root / "cur" / "1.host:2,RS", (1e9, 1e9))
    (root / "new" / "2.host").write_bytes(b"To: new\n\n")
    (root / "tmp" / "3.host").write_bytes(b"never delivered")
    sub = maildir(root / ".Archiv.M&APw-ll")
    (sub / "cur" / "4.host:2,ab").write_bytes(b"To: sub\n\n")
    (sub / "dovecot-keywords").write_text("0 $Junk\n1 Steuer\n")
    (maildir(root / "Work") / "cur" / "5.host:2,").write_bytes(b"")

    found = list(read_maildir(root))

    assert [m for m in found if isinstance(m, Unreadable)] == [
        Unreadable(str(root / "Work" / "cur" / "5.host:2,"), "the file is empty")
    ]
    loose = [m for m in found if isinstance(m, Loose)]
    assert [(m.octets, m.below, m.flags) for m in loose] == [
        (OCTETS, (), {SEEN, ANSWERED}),
        (b"To: new\n\n", (), frozenset()),
        (b"To: sub\n\n", ("Archiv", "Müll"), {Flag("$Junk"), Flag("Steuer")}),
    ]
    assert loose[0].arrived == datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)


def test_the_name_of_a_message_outlives_its_flags(tmp_path: Path) -> None:
    root = maildir(tmp_path)
    (root / "new" / "1.host").write_bytes(OCTETS)
    before = [m.uid for m in read_maildir(root) if isinstance(m, Loose)]
    (root / "new" / "1.host").rename(root / "cur" / "1.host:2,FS")
    assert [m.uid for m in read_maildir(root) if isinstance(m, Loose)] == before


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("1.h:2,DFPRST", {DRAFT, FLAGGED, Flag("$Forwarded"), ANSWERED, SEEN, DELETED}),
        ("1.h;2,S", {SEEN}),
        ("1.h!2,F", {FLAGGED}),
        ("1.h,S=12:2,Sxyz", {SEEN}),
        ("1.h", set()),
        ("1.h:2,", set()),
    ],
)
def test_flags_in_file_names(name: str, flags: set[Flag]) -> None:
    assert flags_of(name, {}) == flags


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("M&APw-ll", "Müll"),
        ("A&-B", "A&B"),
        ("&U,BTF2XlZyyKng-", "台北日本語"),
        ("R&D", "R&D"),
        ("&AP-", "&AP-"),
    ],
)
def test_modified_utf7(name: str, expected: str) -> None:
    assert modified_utf7(name) == expected


def test_a_tree_is_walked_in_order_and_links_are_named(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.eml", "1.eml"):
        (tmp_path / name).write_bytes(OCTETS)
    (tmp_path / "link.eml").symlink_to(tmp_path / "1.eml")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = list(files_below(tmp_path))
    paths = [path for path in found if isinstance(path, Path)]
    assert paths == [tmp_path / "1.eml", tmp_path / "b" / "2.eml"]
    assert {u.where for u in found if isinstance(u, Unreadable)} == {
        str(tmp_path / "link.eml"),
        str(tmp_path / "loop"),
    }


def test_a_changed_file_is_another_message(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(OCTETS)
    first = read_eml(path)
    path.write_bytes(OCTETS + b"more")
    second = read_eml(path)
    assert isinstance(first, Loose)
    assert isinstance(second, Loose)
    assert first.uid != second.uid
    assert second.octets == OCTETS + b"more"


def test_a_file_that_is_not_there_is_a_reason(tmp_path: Path) -> None:
    gone = read_eml(tmp_path / "gone.eml")
    assert gone == Unreadable(str(tmp_path / "gone.eml"), "No such file or directory")


def test_what_begins_like_a_message() -> None:
    assert looks_like_message(b"Received: from x\r\n")
    assert looks_like_message(b"\xef\xbb\xbfsubject : x\n")
    assert not looks_like_message(b"Note: buy milk\n")
    assert not looks_like_message(b"\x89PNG\r\n")


def test_a_folder_without_new_is_no_maildir(tmp_path: Path) -> None:
    (tmp_path / "cur").mkdir()
    assert not is_maildir(tmp_path)


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        (b"Status: RO\nX-Status: AF\n", {SEEN, ANSWERED, FLAGGED}),
        (b"Status: O\n", set()),
        (b"X-Mozilla-Status: 0005\r\n", {SEEN, FLAGGED}),
        (b"X-Mozilla-Status: 000g\n", set()),
        (b"X-Gmail-Labels: Inbox,Starred\n", {SEEN, FLAGGED}),
        (b"X-Gmail-Labels: Inbox, Unread\n", set()),
        (b"Subject: x\n\nStatus: RO\n", set()),
        (b"", set()),
    ],
)
def test_flags_a_mail_program_left_in_the_header(header: bytes, flags: set[Flag]) -> None:
    assert flags_in(header + b"\nbody\n") == flags


def test_a_pipe_or_a_link_in_a_maildir_holds_nothing_up(tmp_path: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "new" / "1.h")
    (tmp_path / "cur" / "2.h:2,S").symlink_to("/dev/zero")
    (tmp_path / "cur" / "3.h:2,S").write_bytes(OCTETS)
    found = list(read_maildir(tmp_path))
    assert [type(one) for one in found] == [Unreadable, Loose]
