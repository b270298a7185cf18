"""The desk: exact, once, durable before it is answered, and whole after any crash."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import appliance.store.volume as volume_module
from appliance.errors import DiskFull, StoreError
from appliance.mail.types import SEEN, Delivery, Flag, Placing, Seq, digest_of
from appliance.store import Archive, NotAllowed
from appliance.store.preparation import prepare
from tests.store.conftest import delivery, letter, noise, with_file


def contents(archive: Archive, owner: str = "anna", mailbox: str = "INBOX") -> list[bytes]:
    snapshot = archive.snapshot(archive.mailbox(owner, mailbox).id)
    return [archive.octets(Seq(seq)) for seq in snapshot.seqs]


def test_what_comes_in_comes_out(archive: Archive) -> None:
    messages = [letter(1), with_file(2, noise(9000)), b"", b"\n", b"no header at all", b"\0\xff\r"]
    receipts = archive.admit(delivery(m, str(n)) for n, m in enumerate(messages))
    assert [archive.octets(receipt.seq) for receipt in receipts] == messages
    assert [receipt.digest for receipt in receipts] == [digest_of(m) for m in messages]
    assert contents(archive) == messages
    assert archive.verify(deep=True).clean


def test_a_place_has_flags_date_and_ascending_uids(archive: Archive) -> None:
    flags = frozenset({SEEN, Flag("$Forwarded")})
    one, two = archive.admit(
        [delivery(letter(1), "1", flags=flags, minutes=5), delivery(letter(2), "2")]
    )
    assert one.place is not None
    assert two.place is not None
    assert one.place.flags == flags
    assert one.place.internal_date.minute == 5
    assert two.place.uid == one.place.uid + 1


def test_the_same_octets_are_stored_once_and_have_many_places(archive: Archive) -> None:
    octets = with_file(1, noise(50_000))
    archive.admit([delivery(octets, "1")])
    volume = archive.root / "volumes" / "00000001.hpv"
    stored = volume.stat().st_size
    again = archive.admit(
        [delivery(octets, "9", account="work", mailbox="Work"), delivery(octets, "3", owner="ben")]
    )
    assert [receipt.duplicate for receipt in again] == [True, True]
    assert archive.totals().messages == 1
    assert volume.stat().st_size < stored + 1000  # two receipts
    assert contents(archive, "anna", "Work") == contents(archive, "ben") == [octets]


def test_the_same_origin_again_adds_nothing(archive: Archive) -> None:
    first = archive.admit([delivery(letter(1))])
    again = archive.admit([delivery(letter(1))])
    assert again[0].seq == first[0].seq
    assert again[0].duplicate
    assert again[0].place is None
    assert len(contents(archive)) == 1


def test_the_same_file_in_other_lines_is_one_part_and_comes_back_as_it_was(
    archive: Archive,
) -> None:
    one, two = with_file(1, noise(9000), 76), with_file(2, noise(9000), 60)
    receipts = archive.admit([delivery(one, "1"), delivery(two, "2")])
    assert [archive.octets(receipt.seq) for receipt in receipts] == [one, two]
    assert archive.verify(deep=True).parts == 1


def test_what_a_person_removed_does_not_come_back_by_another_account(archive: Archive) -> None:
    (receipt,) = archive.admit([delivery(letter(1))])
    inbox = archive.mailbox("anna", "INBOX").id
    assert receipt.place is not None
    archive.remove(inbox, [receipt.place.uid])
    (again,) = archive.admit([delivery(letter(1), "77", account="other")])
    assert again.place is None
    assert contents(archive) == []


def test_what_was_deleted_with_its_mailbox_does_not_come_back(archive: Archive) -> None:
    archive.admit([delivery(letter(1), uid="1", mailbox="Zoo")])
    archive.delete(archive.mailbox("anna", "Zoo").id)
    # A new UIDVALIDITY at the provider: everything there is listed anew.
    old, new = archive.admit(
        [
            delivery(letter(1), uid="7", mailbox="Zoo"),
            delivery(letter(2), uid="8", mailbox="Zoo"),
        ]
    )
    assert old.place is None
    assert new.place is not None
    (ben,) = archive.admit([delivery(letter(1), uid="1", mailbox="Zoo", owner="ben")])
    assert ben.place is not None


def test_the_larger_thread_keeps_its_number_when_two_become_one(archive: Archive) -> None:
    small = archive.admit([delivery(letter(1), uid="1")])[0].seq
    large = [
        archive.admit([delivery(letter(n, References="<big@x>"), uid=str(n))])[0].seq
        for n in (2, 3, 4)
    ]
    number = archive.message(large[0]).thread
    joined = letter(5, References="<big@x> <letter.1@example.org>")
    archive.admit([delivery(joined, uid="5")])
    assert {archive.message(seq).thread for seq in (small, *large)} == {number}


def test_an_append_always_makes_a_place(archive: Archive) -> None:
    receipts = archive.admit(
        [delivery(letter(1), str(n), placing=Placing.ALWAYS) for n in range(2)]
    )
    assert all(receipt.place for receipt in receipts)
    assert len(contents(archive)) == 2


def test_the_mailbox_of_all_mail_has_each_message_once_and_takes_none(archive: Archive) -> None:
    archive.admit([delivery(letter(1), "1"), delivery(letter(1), "2", mailbox="Work")])
    assert contents(archive, mailbox="All Mail") == [letter(1)]
    with pytest.raises(NotAllowed, match="holds every message"):
        archive.admit([delivery(letter(2), "3", mailbox="All Mail")])
    assert archive.totals().messages == 1


def test_a_mailbox_made_by_a_delivery_is_subscribed(archive: Archive) -> None:
    archive.admit([delivery(letter(1), mailbox="Lists/python")])
    assert archive.mailbox("anna", "Lists/python").subscribed


def test_the_ledger_knows_where_everything_was_found(archive: Archive) -> None:
    archive.admit([delivery(letter(1), "41"), delivery(letter(2), "43")])
    assert archive.known_uids("home", "INBOX", 7) == {"41", "43"}
    assert archive.known_uids("home", "INBOX", 8) == set()
    assert archive.known_uidvalidities("home", "INBOX") == [7]


def test_threads_join_when_a_message_refers_to_both(archive: Archive) -> None:
    one, two = archive.admit([delivery(letter(1), "1"), delivery(letter(2), "2")])
    assert archive.message(one.seq).thread != archive.message(two.seq).thread
    reply = letter(3, References="<letter.1@example.org> <letter.2@example.org>")
    (three,) = archive.admit([delivery(reply, "3")])
    threads = {archive.message(receipt.seq).thread for receipt in (one, two, three)}
    assert len(threads) == 1
    assert archive.thread_of("anna", threads.pop()) == [one.seq, two.seq, three.seq]


def test_a_reply_without_references_joins_by_its_subject(archive: Archive) -> None:
    one, two, three = archive.admit(
        [
            delivery(letter(1, Subject="Sommerfest"), "1"),
            delivery(letter(2, Subject="AW: Sommerfest"), "2"),
            delivery(letter(3, Subject="Sommerfest"), "3"),
        ]
    )
    assert archive.message(one.seq).thread == archive.message(two.seq).thread
    assert archive.message(one.seq).thread != archive.message(three.seq).thread


def test_a_dictionary_packs_what_comes_after_it(archive: Archive) -> None:
    archive.admit([delivery(letter(1), "1")])
    number = archive.use_dictionary(letter(5, "dictionary words " * 50))
    assert number == 1
    (two,) = archive.admit([delivery(letter(2), "2")])
    where = sqlite3.connect(archive.root / "catalog.sqlite3").execute(
        "SELECT volume, at FROM message WHERE seq=?", (two.seq,)
    )
    header = archive._volumes.header(*where.fetchone())
    assert (header.codec, header.dictionary) == (2, 1)
    assert archive.octets(two.seq) == letter(2)


def test_a_full_volume_is_sealed_with_the_list_of_what_it_holds(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.seal_at_octets = 20_000
        for n in range(8):
            archive.admit([delivery(with_file(n, noise(9000, n)), str(n))])
        sealed = sorted((tmp_path / "volumes").glob("*.hpv"))[:-1]
        assert len(sealed) == 2
        for path in sealed:
            assert path.stat().st_mode & 0o777 == 0o444
            *held, (seal, header) = archive._volumes.headers(
                int(path.stem), 32, path.stat().st_size
            )
            assert header.kind is volume_module.Kind.SEAL
            listed = b"".join(archive._plain(seal))
            entry = volume_module.SEAL_ENTRY
            assert [entry.unpack_from(listed, at) for at in range(0, len(listed), entry.size)] == [
                (where.at, head.kind, head.digest) for where, head in held
            ]
        assert archive.verify(deep=True).clean
        assert len(contents(archive)) == 8


# -- power cuts: stop before the n-th durable call, open again, finish


class Cut(BaseException):
    """The power went: nothing after it runs, not even the error handling of the store."""


@pytest.fixture
def fuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Arms every durable call of the store to stop before the n-th of them."""

    def arm(n: int) -> None:
        left = [n]

        def burn(real: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    raise Cut
                return real(*arguments)

            return call

        for name in ("fdatasync", "fsync", "pwrite", "ftruncate", "fchmod"):
            monkeypatch.setattr(os, name, burn(getattr(os, name)))

    return arm


def workload() -> list[Delivery]:
    return [
        delivery(letter(1), "1"),
        delivery(with_file(2, noise(9000)), "2"),
        delivery(with_file(3, noise(9000), 60), "3", mailbox="Work"),
        delivery(letter(1), "4", owner="ben"),
        delivery(with_file(5, b"long " * 300_000), "5"),
    ]


def test_a_cut_before_any_durable_call_leaves_the_state_before_or_after(
    tmp_path: Path, fuse: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts = 0
    for n in range(200):
        root = tmp_path / str(n)
        acknowledged: list[bytes] = []
        archive = Archive(root)
        archive.seal_at_octets = 25_000
        try:
            fuse(n)
            for one in workload():
                archive.admit([one])
                acknowledged.append(bytes(one.octets))
        except Cut:
            cuts += 1
        finally:
            monkeypatch.undo()
            archive.close()
        with Archive(root) as again:
            assert [d for d in acknowledged if again.of_digest(digest_of(d)) is None] == []
            again.seal_at_octets = 25_000
            for one in workload():
                again.admit([one])
            assert contents(again) == [bytes(workload()[i].octets) for i in (0, 1, 4)]
            assert contents(again, mailbox="Work") == [bytes(workload()[2].octets)]
            assert contents(again, "ben") == [bytes(workload()[0].octets)]
            report = again.verify(deep=True)
            assert report.clean, report
            assert report.messages == 4
        if len(acknowledged) == len(workload()):
            assert cuts == n
            return
    pytest.fail("the sweep did not come to an end")


def test_records_written_but_never_committed_are_adopted_where_they_stand(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.admit([delivery(letter(1), "1")])
    octets = with_file(2, noise(9000))
    ready = prepare(delivery(octets, "2"), archive._codecs, 0, archive._has)

    def die_before_the_commit() -> None:
        with archive._db.write() as tx, archive._appending(tx) as appender:
            archive._settle(tx, appender, ready)
            appender.sync()
            appender._durable = appender.end  # a dead process cuts nothing off
            raise Cut

    with pytest.raises(Cut):
        die_before_the_commit()
    archive.close()
    size = (tmp_path / "volumes" / "00000001.hpv").stat().st_size
    with Archive(tmp_path) as again:
        again.admit([delivery(letter(3), "3")])
        assert sorted(contents(again)) == sorted([letter(1), octets, letter(3)])
        assert again.known_uids("home", "INBOX", 7) == {"1", "2", "3"}
        assert (tmp_path / "volumes" / "00000001.hpv").stat().st_size < size + 3000
        assert again.verify(deep=True).clean


def test_a_full_disk_takes_nothing_and_says_so(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.admit([delivery(letter(1), "1")])

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DiskFull, match="make room"):
        archive.admit([delivery(letter(2), "2")])
    monkeypatch.undo()
    assert contents(archive) == [letter(1)]
    archive.admit([delivery(letter(2), "2")])
    assert contents(archive) == [letter(1), letter(2)]
    assert archive.verify(deep=True).clean


def test_a_volume_that_cannot_be_begun_leaves_no_file_open(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk lasts for days, and every try for mail would take a descriptor for good."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    archive.totals()
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "pwrite", full)
    for _ in range(5):
        with pytest.raises(DiskFull):
            archive.admit([delivery(letter(1))])
    monkeypatch.undo()
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # the volume, open for reading
    archive.admit([delivery(letter(1))])
    assert archive.verify(deep=True).clean


def test_a_sync_that_fails_is_never_taken_for_one_that_did_not(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    with pytest.raises(StoreError, match="cannot be written"):
        archive.admit([delivery(letter(1), "1")])
    monkeypatch.undo()
    assert archive.totals().messages == 0


def test_a_volume_shorter_than_the_catalog_knows_stops_writing(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.admit([delivery(letter(1), "1")])
    path = tmp_path / "volumes" / "00000001.hpv"
    path.write_bytes(path.read_bytes()[:-10])
    with Archive(tmp_path) as archive:
        with pytest.raises(StoreError, match="run hauspost verify"):
            archive.admit([delivery(letter(2), "2")])
        assert not archive.verify().clean
