"""mbox: every format's octets come out as they went in, as far as the format allows."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.transfer.mbox import asctime, looks_like_mbox, mboxrd, read_mbox, separator_date

WHEN = datetime(2019, 3, 4, 5, 6, 7, tzinfo=UTC)


def written(messages: list[bytes], path: Path) -> Path:
    path.write_bytes(b"".join(piece for octets in messages for piece in mboxrd(octets, WHEN)))
    return path


def read(path: Path) -> list[bytes]:
    return [bytes(message.octets) for message in read_mbox(path)]


EXACT = {
    "LF": b"Subject: a\n\nbody\n",
    "CRLF": b"Subject: a\r\n\r\nbody\r\n",
    "both line ends": b"Subject: a\r\n\nbody\r\nmore\n",
    "no line end at the end": b"Subject: a\n\nbody",
    "CR at the end": b"Subject: a\n\nbody\n\r",
    "blank lines at the end": b"Subject: a\n\nbody\n\n\n",
    "CRLF blank lines at the end": b"Subject: a\r\n\r\nbody\r\n\r\n\r\n",
    "LF then a CRLF blank line": b"Subject: a\n\nbody\n\r\n",
    "nothing": b"",
    "one line end": b"\n",
    "only CR": b"\r",
    "From at the start": b"From here on\nSubject: a\n\n",
    "From in the body": b"Subject: a\n\nFrom here\n>From there\n>>From nowhere\n",
    "From in the body, CRLF": b"Subject: a\r\n\r\nFrom here\r\n\r\nFrom there\r\n",
    "a separator in the body": b"Subject: a\n\nFrom a@b Thu Aug 22 12:36:23 2002\nTo: x\n\n",
    "our separator in the body": b"A: b\n\nFrom hauspost-mboxrd Thu Aug 22 12:36:23 2002\nTo: x\n",
    "a false Content-Length": b"Content-Length: 500\n\nbody\n",
    "NUL and 8-bit octets": b"Subject: \xff\x00\n\n\x00\x80\xfe\n",
}


@pytest.mark.parametrize("octets", EXACT.values(), ids=EXACT.keys())
def test_what_is_written_is_read_octet_for_octet(octets: bytes, tmp_path: Path) -> None:
    assert read(written([octets], tmp_path / "one")) == [octets]
    around = [b"To: first\n\n1\n", octets, b"To: last\r\n\r\n3"]
    assert read(written(around, tmp_path / "three")) == around


def test_random_octets_round_trip(tmp_path: Path) -> None:
    chosen = random.Random(5)
    pieces = [
        b"From ",
        b">",
        b"\n",
        b"\r\n",
        b"\r",
        b"a",
        b"Content-Length: 3",
        b": ",
        b"12:30 2001",
    ]
    for history in range(150):
        messages = [
            b"".join(chosen.choices(pieces, k=chosen.randrange(25)))
            for _ in range(chosen.randrange(1, 6))
        ]
        assert read(written(messages, tmp_path / str(history))) == messages


def test_large_messages_are_views_and_still_exact(tmp_path: Path) -> None:
    line = b"x" * 1000 + b"\r\n"
    plain = b"Subject: large\r\n\r\n" + line * 9_000
    quoted = plain + b"From here\r\n>From there\r\n" + line * 9_000 + b"From the end"
    path = written([plain, quoted, b"To: small\n\n"], tmp_path / "large")
    kinds = []
    for message, octets in zip(read_mbox(path), [plain, quoted, b"To: small\n\n"], strict=True):
        kinds.append(type(message.octets))
        assert message.octets == octets
    assert kinds == [memoryview, memoryview, bytes]


FOREIGN = {
    "mboxo": (
        b"From a@b.example Thu Aug 22 12:36:23 2002\nTo: x\n\n>From here\n\n"
        b"From c@d.example Thu Aug 22 12:36:24 2002\nTo: y\n\n2\n",
        [b"To: x\n\nFrom here\n", b"To: y\n\n2\n"],
    ),
    "mboxcl2 with a separator in a body": (
        b"From a@b.example Thu Aug 22 12:36:23 2002\nContent-Length: 49\n\n"
        b"From a@b.example Thu Aug 22 12:36:24 2002\n>From \n\n"
        b"From c@d.example Thu Aug 22 12:36:24 2002\nContent-Length: 2\n\n2\n",
        [
            b"Content-Length: 49\n\nFrom a@b.example Thu Aug 22 12:36:24 2002\n>From \n",
            b"Content-Length: 2\n\n2\n",
        ],
    ),
    "one message's length would hide the next": (
        b"From a@b.example Thu Aug 22 12:36:23 2002\nContent-Length: 54\n\n1\n\n"
        b"From c@d.example Thu Aug 22 12:36:24 2002\nTo: y\n\n2\n\n"
        b"From e@f.example Thu Aug 22 12:36:25 2002\nTo: z\n\n3\n",
        [b"Content-Length: 54\n\n1\n", b"To: y\n\n2\n", b"To: z\n\n3\n"],
    ),
    "Thunderbird, CRLF": (
        b"From - Thu Aug 22 12:36:23 2002\r\nTo: x\r\n\r\n1\r\n\r\n"
        b"From - Thu Aug 22 12:36:24 2002\r\nTo: y\r\n\r\n2\r\n\r\n",
        [b"To: x\r\n\r\n1\r\n", b"To: y\r\n\r\n2\r\n"],
    ),
    "Takeout": (
        b"From 18443@xxx Sat Nov 23 10:00:00 +0000 2019\r\nTo: x\r\n\r\n1\r\n\r\n",
        [b"To: x\r\n\r\n1\r\n"],
    ),
    "no date, and prose that begins with From": (
        b"\xef\xbb\xbfFrom -\nTo: x\n\nbody:\n\nFrom Russia with love\nYear: 1963\n\n"
        b"From -\nTo: y\n\n2\n",
        [b"To: x\n\nbody:\n\nFrom Russia with love\nYear: 1963\n", b"To: y\n\n2\n"],
    ),
    "a date in prose without a header after it": (
        b"From a@b Thu Aug 22 12:36:23 2002\nTo: x\n\nsee\nFrom 12:30 in 2002 on\nwe do\n",
        [b"To: x\n\nsee\nFrom 12:30 in 2002 on\nwe do\n"],
    ),
    "no blank line between": (
        b"From a@b Thu Aug 22 12:36:23 2002\nTo: x\n\n1\n"
        b"From a@b Thu Aug 22 12:36:23 2002\nTo: y\n\n2",
        [b"To: x\n\n1\n", b"To: y\n\n2"],
    ),
    "not an mbox": (b"Subject: x\n\nFrom a@b Thu Aug 22 12:36:23 2002\nTo: x\n", []),
    "empty": (b"", []),
}


@pytest.mark.parametrize(("file", "messages"), FOREIGN.values(), ids=FOREIGN.keys())
def test_files_of_other_programs(file: bytes, messages: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(file)
    assert read(tmp_path / "box") == messages


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"From a@b Thu Aug 22 12:36:23 2002", datetime(2002, 8, 22, 12, 36, 23, tzinfo=UTC)),
        (b"From a@b  Thu Aug  2 12:36 2002", datetime(2002, 8, 2, 12, 36, tzinfo=UTC)),
        (b"From a Thu Aug 22 12:36:23 CET 2002", datetime(2002, 8, 22, 12, 36, 23, tzinfo=UTC)),
        (b"From a Thu Aug 22 12:36:23 +0200 2002", datetime(2002, 8, 22, 10, 36, 23, tzinfo=UTC)),
        (b"From a Thu Aug 22 12:36:23 2002 -0130", datetime(2002, 8, 22, 14, 6, 23, tzinfo=UTC)),
        (b"From - ", None),
        (b"From a Mon Jan 00 00:00:00 0000", None),
        (b"From a Thu Aug 22 12:36:23 9999", None),
        (b"From a Thu Aug 22 12:36:23 +9999 2002", None),
        (b"From " + asctime(WHEN), WHEN),
    ],
)
def test_the_date_of_a_separator(line: bytes, expected: datetime | None) -> None:
    assert separator_date(line) == expected


def test_a_message_is_not_taken_for_an_mbox() -> None:
    assert looks_like_mbox(b"From - Thu Aug 22 12:36:23 2002\nTo: x\n")
    assert not looks_like_mbox(b"From: a@b.example\n\nFrom - Thu Aug 22 12:36:23 2002\n")
    assert not looks_like_mbox(b"From now on we write letters\n")
