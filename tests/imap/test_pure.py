"""What needs no socket: sequence numbers, changes, patterns, sections, dates."""

from __future__ import annotations

import random
import re
from array import array
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.database import stamp
from appliance.imap.appending import Spool
from appliance.imap.fetching import internal_date
from appliance.imap.listing import matches
from appliance.imap.sections import bounds, fields, part_of
from appliance.imap.selected import NoSuchNumber, Selected
from appliance.mail.structure import structure_of
from appliance.mail.types import FLAGGED, SEEN, Flag, Mailbox, Place, Seq, Uid
from appliance.store import Changes, Snapshot
from appliance.wire.imap_fetch_items import BodySection, SectionText
from appliance.wire.imap_sets import STAR, SequenceSet
from tests.imap.house import BARE, MIXED, SIMPLE

BOX = Mailbox(1, "maria", "INBOX", None, 7, 10, 3, True)
WHEN = datetime(2022, 3, 1, tzinfo=UTC)


def selected(*uids: int) -> Selected:
    count = len(uids)
    return Selected(
        BOX,
        Snapshot(
            modseq=3,
            uidnext=10,
            uids=array("Q", uids),
            seqs=array("Q", (100 + uid for uid in uids)),
            flags=[frozenset()] * count,
            modseqs=array("Q", [1] * count),
            dates=array("q", [0] * count),
        ),
        read_only=False,
    )


def place(uid: int, modseq: int, *flags: Flag) -> Place:
    return Place(1, Uid(uid), Seq(100 + uid), frozenset(flags), modseq, WHEN)


def spans(*pairs: tuple[int, int]) -> SequenceSet:
    return SequenceSet(pairs)


@pytest.mark.parametrize(
    ("uids", "numbers", "uid", "expected"),
    [
        ((2, 4, 9), spans((1, 3)), False, [0, 1, 2]),
        ((2, 4, 9), spans((3, 1), (2, 2)), False, [0, 1, 2]),
        ((2, 4, 9), spans((STAR, STAR)), False, [2]),
        ((2, 4, 9), spans((3, 8)), True, [1]),
        ((2, 4, 9), spans((559, STAR)), True, [2]),
        ((2, 4, 9), spans((STAR, 5)), True, [2]),
        ((2, 4, 9), spans((1, 2**32 - 1)), True, [0, 1, 2]),
        ((2, 4, 9), spans((5, 8)), True, []),
        ((), spans((1, STAR)), False, []),
        ((), spans((1, STAR)), True, []),
        ((), spans((4, 4)), True, []),
    ],
)
def test_a_set_names_what_is_there(
    uids: tuple[int, ...], numbers: SequenceSet, uid: bool, expected: list[int]
) -> None:
    found = selected(*uids).spans(numbers, uid)
    assert [at for span in found for at in span] == expected


@pytest.mark.parametrize("uids", [(), (2, 4, 9)])
def test_a_number_beyond_the_last_message_is_refused(uids: tuple[int, ...]) -> None:
    with pytest.raises(NoSuchNumber):
        selected(*uids).spans(spans((4, 4)), uid=False)


def test_what_vanished_keeps_its_number_until_it_may_be_told() -> None:
    box = selected(1, 2, 3, 4)
    news = box.take(Changes(9, 10, (place(5, 9),), (Uid(2), Uid(4))), expunge=False)
    assert (news.expunged, news.appeared, len(box)) == ((), 1, 5)
    assert box.waiting
    news = box.take(Changes(9, 10, (), ()), expunge=True)
    assert news.expunged == (4, 2)  # descending: each is right when it is sent
    assert list(box.uids) == [1, 3, 5]
    assert not box.waiting


def test_a_change_is_told_once() -> None:
    box = selected(1, 2)
    change = place(2, 5, SEEN)
    assert box.set(change) == 1
    # The feed brings it again after this session's own STORE: nothing new.
    assert box.take(Changes(5, 10, (change,), ()), expunge=True).flags == ()
    assert box.take(Changes(6, 10, (place(2, 6, FLAGGED),), ()), expunge=True).flags == (1,)


def test_numbers_stay_right_through_random_changes() -> None:
    source = random.Random(3)
    box = selected(*range(1, 30))
    told = list(range(1, 30))
    there, uidnext, modseq = set(told), 30, 3
    for _ in range(300):
        modseq += 1
        gone = source.sample(sorted(there), min(len(there), source.randint(0, 2)))
        there.difference_update(gone)
        new = range(uidnext, uidnext + source.randint(0, 2))
        uidnext = new.stop
        there.update(new)
        changes = Changes(
            modseq, uidnext, tuple(place(uid, modseq) for uid in new), tuple(map(Uid, gone))
        )
        news = box.take(changes, expunge=source.random() < 0.4)
        for msn in news.expunged:
            assert told.pop(msn - 1) not in there
        told += new
        assert list(box.uids) == told
    box.take(Changes(modseq, uidnext, (), ()), expunge=True)
    assert set(box.uids) == there
    assert len(box.seqs) == len(box.flags) == len(box.modseqs) == len(box.dates) == len(there)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "a/b", True),
        ("%", "a", True),
        ("%", "a/b", False),
        ("%/%", "a/b", True),
        ("a/%", "a", False),
        ("a*", "a", True),
        ("*b", "a/b", True),
        ("a%c*e", "abc/d/e", True),
        ("inbox", "INBOX", True),
        ("inbox", "inbox2", False),
        ("INBOX/%", "INBOX/a", True),
        ("a.c", "abc", False),
        ("", "a", False),
        ("ü%", "übung", True),
    ],
)
def test_a_pattern_matches_as_rfc_9051_says(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


def test_patterns_agree_with_regular_expressions() -> None:
    source = random.Random(4)
    for _ in range(2000):
        pattern = "".join(source.choices("ab/*%", k=source.randint(1, 7)))
        name = "".join(source.choices("ab/", k=source.randint(1, 7)))
        parts = {"*": ".*", "%": "[^/]*"}
        regex = "".join(parts.get(letter, re.escape(letter)) for letter in pattern)
        assert matches(pattern, name) is (re.fullmatch(regex, name) is not None), (pattern, name)


def test_many_wildcards_take_no_longer_than_few() -> None:
    assert not matches("*a" * 200 + "b", "a" * 900)


def section(part: tuple[int, ...], text: SectionText | None = None, *names: bytes) -> BodySection:
    return BodySection(part, text, names, None, True, b"")


@pytest.mark.parametrize(
    ("octets", "item", "expected"),
    [
        (SIMPLE, section(()), SIMPLE),
        (SIMPLE, section((1,)), b"Bring a chair.\r\n"),
        (SIMPLE, section((), SectionText.TEXT), b"Bring a chair.\r\n"),
        (SIMPLE, section((2,)), None),
        (SIMPLE, section((1, 1)), None),
        (BARE, section((), SectionText.TEXT), b"no CR here\n"),
        (MIXED, section((2, 1)), b"inside"),
        (
            MIXED,
            section((2, 1), SectionText.MIME),
            b"Subject: inner\r\nFrom: inner@example.org\r\n\r\n",
        ),
        (MIXED, section((3,)), b"AAECAwQ="),
        (MIXED, section((4,)), None),
        (MIXED, section((0,)), None),
        (MIXED, section((1,), SectionText.HEADER), None),
    ],
)
def test_a_section_is_a_slice(octets: bytes, item: BodySection, expected: bytes | None) -> None:
    where = bounds(structure_of(octets), item)
    assert (octets[where[0] : where[1]] if where else None) == expected


def test_every_part_of_the_tree_has_the_number_the_tree_says() -> None:
    root = structure_of(MIXED)
    for number, part in root.walk():
        assert part_of(root, number) is part or part.media_type == "message"


@pytest.mark.parametrize(
    ("header", "names", "expected"),
    [
        (b"A: 1\r\nB: 2\r\n\r\n", [b"b"], b"B: 2\r\n\r\n"),
        (b"A: 1\r\n folded\r\nB: 2\r\n\r\n", [b"A"], b"A: 1\r\n folded\r\n\r\n"),
        (b"A : 1\r\nAB: 2\r\n\r\n", [b"A"], b"A : 1\r\n\r\n"),
        (b"A: 1\nB: 2\n\n", [b"A"], b"A: 1\n\r\n"),
        (b"A: 1\r\nA: 2\r\n\r\n", [b"A"], b"A: 1\r\nA: 2\r\n\r\n"),
        (b"A: no end", [b"A"], b"A: no end\r\n"),
        (b"X.Y: 1\r\nXaY: 2\r\n\r\n", [b"x.y"], b"X.Y: 1\r\n\r\n"),
        (b"", [b"A"], b"\r\n"),
    ],
    ids=["case", "folded", "blank before colon", "LF", "twice", "no end", "dot", "empty"],
)
def test_header_fields_by_name(header: bytes, names: list[bytes], expected: bytes) -> None:
    assert fields(header, section((), SectionText.HEADER_FIELDS, *names)) == expected


def test_the_fields_wanted_and_the_others_are_all_fields() -> None:
    for octets in (SIMPLE, MIXED, BARE):
        header = octets[: structure_of(octets).body_at]
        names = (b"subject", b"To")
        wanted = fields(header, section((), SectionText.HEADER_FIELDS, *names))
        others = fields(header, section((), SectionText.HEADER_FIELDS_NOT, *names))
        both = wanted.removesuffix(b"\r\n") + others.removesuffix(b"\r\n")
        assert sorted(both.splitlines()) == sorted(filter(None, header.splitlines()))


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(1994, 2, 7, 21, 52, 25, tzinfo=UTC), b" 7-Feb-1994 21:52:25 +0000"),
        (datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), b"31-Dec-1969 23:59:59 +0000"),
        (datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC), b"19-Jan-2038 03:14:08 +0000"),
        (datetime(1, 1, 1, tzinfo=UTC), b" 1-Jan-0001 00:00:00 +0000"),
    ],
)
def test_an_internal_date_is_written_as_rfc_9051_wants(moment: datetime, expected: bytes) -> None:
    assert internal_date(stamp(moment)) == expected


def test_a_spool_is_closed_while_somebody_still_reads_it(tmp_path: Path) -> None:
    """The client is gone while its message is being admitted: the reader is left alone."""
    spool = Spool(tmp_path)
    spool.add(b"one\r\ntwo\r\n")
    lines = re.finditer(rb"\w+", spool.octets())
    assert next(lines)[0] == b"one"
    spool.close()
    assert next(lines)[0] == b"two"
