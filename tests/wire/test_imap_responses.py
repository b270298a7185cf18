"""Response octets, sets, names and dates: known answers, and both ways."""

from __future__ import annotations

import base64
import imaplib
import itertools
import random
import time
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.types import SEEN, Flag
from appliance.wire import imap_responses as r
from appliance.wire import imap_utf7
from appliance.wire.imap_commands import Literal
from appliance.wire.imap_dates import date_octets, date_time_octets, parse_date, parse_date_time
from appliance.wire.imap_scanner import Scanner
from appliance.wire.imap_sets import SequenceSet, merged
from appliance.wire.imap_syntax import Pieces
from tests.wire.playing import steady

NOON = datetime(1996, 7, 7, 2, 44, 25, tzinfo=timezone(timedelta(hours=-7)))


@pytest.mark.parametrize(
    ("written", "octets"),
    [
        (r.string(b""), b'""'),
        (r.string(b'a "b" \\'), b'"a \\"b\\" \\\\"'),
        (r.string(b"a\r\nb"), b"{4}\r\na\r\nb"),
        (r.string(b"\xff"), b"{1}\r\n\xff"),
        (r.string(b"x" * 1001), b"{1001}\r\n" + b"x" * 1001),
        (r.nstring(None), b"NIL"),
        (r.nstring(b"NIL"), b'"NIL"'),
        (r.astring(b"nil"), b'"nil"'),
        (r.astring(b"INBOX/a-b"), b"INBOX/a-b"),
        (r.astring(b"a b"), b'"a b"'),
        (r.astring(b"a]b"), b'"a]b"'),
        (r.astring(b""), b'""'),
        (r.mailbox("Entwürfe"), b"Entw&APw-rfe"),
        (r.mailbox("Entwürfe", utf8=True), '"Entwürfe"'.encode()),
        (r.mailbox('R&D "x"'), b'"R&-D \\"x\\""'),
        (r.mailbox("R&D", utf8=True), b"R&D"),
        (r.flag_list([SEEN, Flag("$Junk")]), b"(\\Seen $Junk)"),
        (r.flag_list([]), b"()"),
        (r.date_time(NOON), b'" 7-Jul-1996 02:44:25 -0700"'),
        (r.condition("a1", "NO", "böse\r\nx", b"TRYCREATE"), b"a1 NO [TRYCREATE] b?se??x\r\n"),
        (r.condition("*", "BYE", ""), b"* BYE -\r\n"),
        (r.continuation(), b"+ \r\n"),
        (r.continuation("idling"), b"+ idling\r\n"),
        (r.append_uid(38505, [3955]), b"APPENDUID 38505 3955"),
        (
            r.copy_uid(38505, [304, 319, 320], [3956, 3957, 3958]),
            b"COPYUID 38505 304,319:320 3956:3958",
        ),
        (r.permanent_flags([SEEN]), b"PERMANENTFLAGS (\\Seen \\*)"),
        (r.permanent_flags([], new_keywords=False), b"PERMANENTFLAGS ()"),
        (r.modified([7, 9]), b"MODIFIED 7,9"),
        (r.bad_charset(["US-ASCII", "UTF-8"]), b"BADCHARSET (US-ASCII UTF-8)"),
        (r.listed(["\\Noselect"], "/", "~/Mail/foo"), b'* LIST (\\Noselect) "/" ~/Mail/foo\r\n'),
        (
            r.listed([], None, "a", kind="LSUB", child_info=["SUBSCRIBED"]),
            b'* LSUB () NIL a ("CHILDINFO" ("SUBSCRIBED"))\r\n',
        ),
        (
            r.status("INBOX", {"MESSAGES": 231, "MAILBOXID": "F1", "APPENDLIMIT": None}),
            b"* STATUS INBOX (MESSAGES 231 MAILBOXID (F1) APPENDLIMIT NIL)\r\n",
        ),
        (r.search([2, 84, 882]), b"* SEARCH 2 84 882\r\n"),
        (r.search([]), b"* SEARCH\r\n"),
        (r.search([2, 5], 917162500), b"* SEARCH 2 5 (MODSEQ 917162500)\r\n"),
        (
            r.esearch("A285", uid=True, minimum=7, maximum=3800, count=15),
            b'* ESEARCH (TAG "A285") UID MIN 7 MAX 3800 COUNT 15\r\n',
        ),
        (
            r.esearch("A283", uid=False, all_=[2, 10, 11, 12], modseq=9),
            b'* ESEARCH (TAG "A283") ALL 2,10:12 MODSEQ 9\r\n',
        ),
        (r.esearch("a", uid=False, all_=[], count=0), b'* ESEARCH (TAG "a") COUNT 0\r\n'),
        (
            r.esearch("A01", uid=True, partial=((-1, -100), [])),
            b'* ESEARCH (TAG "A01") UID PARTIAL (-1:-100 NIL)\r\n',
        ),
        (r.vanished([41, 42], earlier=True), b"* VANISHED (EARLIER) 41:42\r\n"),
        (r.vanished([]), b""),
        (
            r.fetched(3, [r.uid_item(7), r.flags_item([SEEN]), r.modseq_item(9), r.size_item(4)]),
            b"* 3 FETCH (UID 7 FLAGS (\\Seen) MODSEQ (9) RFC822.SIZE 4)\r\n",
        ),
        (r.section_item(b"BODY[1]<0>", b"ab"), b"BODY[1]<0> {2}\r\nab"),
        (r.section_item(b"BODY[9]", None), b"BODY[9] NIL"),
        (r.binary_item(b"BINARY[1]", b"a\0"), b"BINARY[1] ~{2}\r\na\0"),
        (r.binary_item(b"BINARY[1]", b"ab"), b"BINARY[1] {2}\r\nab"),
        (r.object_id_item("THREADID", None), b"THREADID NIL"),
        (r.object_id_item("EMAILID", "M1"), b"EMAILID (M1)"),
        (r.save_date_item(None), b"SAVEDATE NIL"),
        (r.internal_date_item(NOON), b'INTERNALDATE " 7-Jul-1996 02:44:25 -0700"'),
        (r.capability(["IMAP4rev1", "IDLE"]), b"CAPABILITY IMAP4rev1 IDLE"),
    ],
    ids=lambda value: None if not isinstance(value, bytes) else value[:20].decode("latin-1"),
)
def test_a_response_is_written_as_the_documents_write_it(written: bytes, octets: bytes) -> None:
    assert written == octets


def scanner_of(octets: bytes) -> Scanner:
    """A scanner of one argument as a response writes it."""
    pieces: Pieces = (octets,)
    if octets.startswith(b"{"):
        text = octets[octets.index(b"\n") + 1 :]
        pieces = (b"", Literal(len(text), text), b"")
    return Scanner("a", pieces)


@steady
@given(st.binary().filter(lambda octets: b"\0" not in octets))
def test_a_string_comes_back_as_it_was(octets: bytes) -> None:
    assert scanner_of(r.string(octets)).string("it") == octets
    assert scanner_of(r.astring(octets)).astring("it") == octets


@steady
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_mailbox_name_comes_back_as_it_was(name: str) -> None:
    octets = imap_utf7.encode(name)
    assert octets.isascii()
    assert all(0x20 <= octet <= 0x7E for octet in octets)
    assert imap_utf7.decode(octets) == name
    if "\0" not in name and name.partition("/")[0].upper() != "INBOX":
        assert scanner_of(r.mailbox(name)).mailbox() == name


@steady
@given(st.binary())
def test_no_octets_of_a_name_are_lost(octets: bytes) -> None:
    name = imap_utf7.decode(octets)
    again = imap_utf7.encode(name)
    assert imap_utf7.decode(again) == name


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),  # RFC 3501 §5.1.3
        (b"&Jjo-!", "☺!"),
        (b"&-", "&"),
        (b"&", "&"),
        (b"A & B", "A & B"),
        (b"&AGE-", "&AGE-"),  # "a", which may not be written so
        (b"&AC8-", "&AC8-"),  # nor "/"
        (b"&2AA-", "&2AA-"),  # half a surrogate pair
        (b"&ZeV-", "&ZeV-"),  # bits left over
        (b"\xff", "\udcff"),
        ("Entwürfe".encode(), "Entwürfe"),
    ],
)
def test_a_name_that_is_not_modified_utf7_stays_as_written(octets: bytes, name: str) -> None:
    assert imap_utf7.decode(octets) == name


SPANS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=6).map(tuple)


@steady
@given(SPANS, st.integers(0, 10))
def test_ranges_hold_the_numbers_of_the_set(
    spans: tuple[tuple[int, int], ...], highest: int
) -> None:
    numbers: set[int] = set()
    for one, other in spans:
        if 0 in (one, other) and not highest:
            continue
        low, high = sorted((one or highest, other or highest))
        numbers.update(range(low, high + 1))
    ranges = SequenceSet(spans).ranges(highest)
    assert [number for low, high in ranges for number in range(low, high + 1)] == sorted(numbers)
    assert all(b[0] > a[1] + 1 for a, b in itertools.pairwise(ranges))
    there = SequenceSet(spans).existing(highest)
    assert {number for low, high in there for number in range(low, high + 1)} == {
        number for number in numbers if number <= highest
    }


def test_a_set_is_never_expanded() -> None:
    began = time.process_time()
    huge = SequenceSet(((1, 2**32 - 1),) * 10_000)
    assert huge.ranges(5) == [(1, 2**32 - 1)]
    assert huge.existing(5) == [(1, 5)]
    assert time.process_time() - began < 5


def test_an_empty_mailbox_has_nothing_in_any_set_with_a_star() -> None:
    assert SequenceSet(((1, 0),)).ranges(0) == []
    assert SequenceSet(((559, 0),)).ranges(100) == [(100, 559)]
    assert SequenceSet(((559, 0),)).existing(100) == [(100, 100)]


@steady
@given(st.sets(st.integers(1, 60)))
def test_a_written_set_is_read_as_the_same_numbers(numbers: set[int]) -> None:
    octets = r.sequence_set(sorted(numbers))
    if not numbers:
        assert octets == b""
        return
    read = Scanner("a", (octets,)).numbers()
    assert read.ranges(60) == merged((number, number) for number in numbers)
    assert Scanner("a", (read.octets(),)).numbers() == read


def test_a_set_of_a_large_mailbox_is_written_in_linear_time() -> None:
    rng = random.Random(4315)
    numbers = sorted(rng.sample(range(1, 2_000_000), 500_000))
    began = time.process_time()
    assert len(r.sequence_set(numbers)) > 500_000
    assert time.process_time() - began < 5


@steady
@given(
    st.dates(),
    # A day from either end of the calendar: the moment is one in UTC too.
    st.datetimes(
        datetime(1, 1, 2),  # noqa: DTZ001 - Hypothesis takes naive bounds
        datetime(9999, 12, 30),  # noqa: DTZ001
        timezones=st.just(UTC),
    ),
    st.integers(-1439, 1439),
)
def test_dates_come_back_as_they_were(day: date, moment: datetime, minutes: int) -> None:
    assert parse_date(date_octets(day)) == day
    there = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    read = parse_date_time(date_time_octets(there).strip(b'"'))
    assert read == there
    assert read is not None
    assert read.utcoffset() == there.utcoffset()


def test_a_moment_beyond_the_calendar_is_none() -> None:
    assert parse_date_time(b" 1-Jan-0001 00:00:00 +0000") is not None
    assert parse_date_time(b" 1-Jan-0001 00:00:00 +1400") is None
    assert parse_date_time(b"31-Dec-9999 23:59:59 -1200") is None


def test_pythons_own_client_reads_our_internal_date() -> None:
    item = r.internal_date_item(NOON)
    parsed = imaplib.Internaldate2tuple(item)
    assert parsed is not None
    assert time.mktime(parsed) == NOON.timestamp()


def test_the_names_agree_with_an_older_codec() -> None:
    # A run is UTF-16 in base64 without padding: known answer made by hand.
    run = base64.b64encode("€".encode("utf-16-be")).rstrip(b"=")
    assert imap_utf7.encode("€") == b"&" + run + b"-"
