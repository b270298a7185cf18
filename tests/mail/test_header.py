"""Header sections, encoded words, dates, message-ids and parameters."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.mail.charset import codec_of, decode_text
from appliance.mail.header import (
    MAX_FIELDS,
    date_of,
    decode,
    fields,
    first,
    header_end,
    message_ids,
    parameterised,
    unfold,
)

SECTIONS = [
    pytest.param(b"", [], 0, id="nothing"),
    pytest.param(b"A: 1\r\nB: 2\r\n\r\nbody", [("A", b" 1"), ("B", b" 2")], 14, id="CRLF"),
    pytest.param(b"A: 1\nB: 2\n\nbody", [("A", b" 1"), ("B", b" 2")], 11, id="bare LF"),
    pytest.param(b"A: 1\rB: 2\r\rbody", [("A", b" 1"), ("B", b" 2")], 11, id="bare CR"),
    pytest.param(b"A: 1\r\r\nB: 2\r\r\n\r\r\nx", [("A", b" 1"), ("B", b" 2")], 17, id="CR CR LF"),
    pytest.param(b"A: 1\r\nB: 2\n\r\nx", [("A", b" 1"), ("B", b" 2")], 13, id="mixed"),
    pytest.param(b"A: 1", [("A", b" 1")], 4, id="no line end"),
    pytest.param(b"\r\nbody: x", [], 2, id="an empty section"),
    pytest.param(b"A: 1\n 2\n\t3\n\n", [("A", b" 1\n 2\n\t3")], 12, id="RFC 5322 §2.2.3"),
    pytest.param(b"A: 1\n \nB: 2\n\n", [("A", b" 1\n "), ("B", b" 2")], 13, id="RFC 5322 §4.2"),
    pytest.param(b"A : 1\n\n", [("A", b" 1")], 7, id="white space before the colon"),
    pytest.param(b"From x Mon Jan 1 10:00\nA: 1\n\n", [("A", b" 1")], 29, id="mbox From_ line"),
    pytest.param(b">From x 1:2\nA: 1\n\n", [("A", b" 1")], 18, id="a quoted From_ line"),
    pytest.param(b"A: 1\ngarbage\nB: 2\n\n", [("A", b" 1"), ("B", b" 2")], 19, id="no colon"),
    pytest.param(b"words\nand words\n\nmore", [], 0, id="no field at all: all of it is body"),
    pytest.param(b"\xef\xbb\xbfA: 1\n\nx", [("A", b" 1")], 9, id="byte order mark"),
    pytest.param(b" A: 1\nB: 2\n\n", [("A", b" 1"), ("B", b" 2")], 12, id="a folded first line"),
    pytest.param(b"\r\n\nTo: 1\n\nx", [("To", b" 1")], 10, id="blank lines before the header"),
    pytest.param(b"A:\0\n\n", [("A", b"\0")], 5, id="NUL"),
    pytest.param(b"\xc3\xa4: 1\n\n", [("\xc3\xa4", b" 1")], 7, id="8-bit name"),
    pytest.param(b"a b: 1\n: 2\n\n", [], 0, id="names that are none"),
]


@pytest.mark.parametrize(("octets", "expected", "body_at"), SECTIONS)
def test_a_header_section_is_read_as_it_comes(
    octets: bytes, expected: list[tuple[str, bytes]], body_at: int
) -> None:
    found = fields(octets)
    assert [(field.name, field.body) for field in found] == expected
    assert header_end(octets) == body_at
    for field in found:
        whole = octets[field.start : field.end]
        assert field.body in whole
        assert whole.rstrip(b"\r\n").endswith(field.body)
    assert fields(memoryview(octets)) == found
    # Only a message as a whole may begin with blank lines or a byte order mark.
    shifted = b"x: y\n\n" + octets
    assert [field.start - 6 for field in fields(shifted, 6)] == [
        field.start for field in found
    ] or octets.startswith((b"\r\n\n", b"\xef\xbb"))


def test_the_first_field_of_a_name_counts_whatever_its_case() -> None:
    found = fields(b"SUBJECT: a\n b\nSubject: c\n\n")
    assert first(found, "subject") == b"a b"
    assert first(found, "date") is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b" a\r\n b", b"a b"), (b"a\n\tb\n", b"a\tb"), (b"a\rb", b"a b"), (b"\r\n \r\n", b"")],
)
def test_unfolding_leaves_one_line(body: bytes, expected: bytes) -> None:
    assert unfold(body) == expected


WORDS = [
    # RFC 2047 §8
    (b"=?US-ASCII?Q?Keith_Moore?=", "Keith Moore"),
    (b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo"),
    (b"(=?ISO-8859-1?Q?a?=)", "(a)"),
    (b"(=?ISO-8859-1?Q?a?= b)", "(a b)"),
    (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
    (b"(=?ISO-8859-1?Q?a?=\r\n       =?ISO-8859-1?Q?b?=)", "(ab)"),
    (b"(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
    (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
    # and what is sent against it
    (b"=?utf-8?Q?=C3?= =?utf-8?Q?=BC?=", "ü"),
    (b"=?utf-8?B?w7w?=", "ü"),
    (b"=?utf-8?B?w7w==?= x", "ü x"),
    (b"=?utf-8?Q?M=c3=bcller und Sohn?=", "Müller und Sohn"),
    (b"=?utf-8?Q?a?==?utf-8?Q?b?=", "ab"),
    (b"=?utf-8*de?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
    (b"=?utf-8?Q?Gr=C3=BC", "=?utf-8?Q?Gr=C3=BC"),
    (b"=?utf-8?Q??= x", "x"),
    (b"=?x-nobody?Q?a=FCb?=", "aüb"),
    (b"=?utf-8?Q?a=FCb?=", "aüb"),
    (b"=?utf-8?Q?a=0D=0ABcc:_x?=", "a Bcc: x"),
    (b"=?utf-16?B?2D0=?=", "\ufffd"),
    (b"=?utf-8?Q?a=00b?=", "ab"),
    ("Grüße".encode(), "Grüße"),
    ("Grüße".encode("latin-1"), "Grüße"),
    (b"a\0b\x07c", "ab c"),
    (b"=?iso-2022-jp?B?GyRCRnxLXDhsGyhC?=", "日本語"),
    (b"=?gb2312?B?1tDOxA==?=", "中文"),
    (b"=?ks_c_5601-1987?B?x9GxuQ==?=", "한국"),
    (b"=?utf-7?Q?Gr+APwA3w-e?=", "Grüße"),
    (b"=?rot13?Q?uryyb?=", "uryyb"),
]


@pytest.mark.parametrize(("body", "expected"), WORDS, ids=[repr(body) for body, _ in WORDS])
def test_encoded_words_are_decoded(body: bytes, expected: str) -> None:
    assert decode(body) == expected


DATES = [
    # RFC 5322 appendix A
    ("Fri, 21 Nov 1997 09:55:06 -0600", (1997, 11, 21, 15, 55, 6)),
    ("Tue, 1 Jul 2003 10:52:37 +0200", (2003, 7, 1, 8, 52, 37)),
    ("Thu, 13 Feb 1969 23:32:54 -0330", (1969, 2, 14, 3, 2, 54)),
    (
        "Thu,\r\n 13\r\n   Feb\r\n  1969\r\n 23:32\r\n  -0330 (Newfoundland Time)",
        (1969, 2, 14, 3, 2),
    ),
    ("21 Nov 97 09:55:06 GMT", (1997, 11, 21, 9, 55, 6)),
    ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", (1997, 11, 21, 15, 55, 6)),
    # and what is sent
    ("Wed, 04 Nov 2026 11:22:33 +01:00", (2026, 11, 4, 10, 22, 33)),
    ("Wed, 04 Nov 2026 11:22:33 GMT+0100", (2026, 11, 4, 10, 22, 33)),
    ("Wed, 04 Nov 2026 11:22:33", (2026, 11, 4, 11, 22, 33)),
    ("Wed, 04 Nov 2026 11:22:33 -0000", (2026, 11, 4, 11, 22, 33)),
    ("Mi, 4 Nov 2026 11:22:33 MEZ", (2026, 11, 4, 10, 22, 33)),
    ("Mi., 4. März 2026 11.22.33 +0100", (2026, 3, 4, 10, 22, 33)),
    ("4-Nov-2026 11:22:33 +0100", (2026, 11, 4, 10, 22, 33)),
    ("Wed Nov  4 10:22:33 2026", (2026, 11, 4, 10, 22, 33)),
    ("Wed Nov  4 10:22:33 EST 2026", (2026, 11, 4, 15, 22, 33)),
    ("2026-11-04T10:22:33.123+01:00", (2026, 11, 4, 9, 22, 33)),
    ("Wed, 4 Nov 2026 10:22:33 PM +0000", (2026, 11, 4, 22, 22, 33)),
    ("Sat, 31 Dec 2016 23:59:60 +0000", (2016, 12, 31, 23, 59, 59)),
    ("4 Nov 102 10:22:33 +0000", (2002, 11, 4, 10, 22, 33)),
    ("Mon, 30 Feb 2026 11:22:33 +0000", None),
    ("Wed, 4 Nov 2026 25:00:00 +0000", None),
    ("Wed, 4 Nov 2026 11:22:33 +9999", None),
    ("Wed, 4 Nov 10000 11:22:33 +0000", None),
    ("Fri, 31 Dec 9999 23:59:59 -2300", None),
    ("Sat, 0 Jan 0000 00:00:00 +0000", None),
    ("yesterday", None),
    ("", None),
]


@pytest.mark.parametrize(("body", "expected"), DATES, ids=[body for body, _ in DATES])
def test_a_date_is_read_or_is_none(body: str, expected: tuple[int, ...] | None) -> None:
    wanted = datetime(*expected, tzinfo=UTC) if expected else None  # type: ignore[arg-type, misc]  # tzinfo follows six ints at most
    assert date_of(body.encode("latin-1")) == wanted


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"<a@b>", ("<a@b>",)),
        (b"<a@b>\r\n <c@d>\t<e@f>", ("<a@b>", "<c@d>", "<e@f>")),
        (b"<\r\n a@b >", ("<a@b>",)),
        (b"a@b", ("<a@b>",)),
        (b'Message of "Monday" <a@b> from x@y', ("<a@b>",)),
        (b"<>", ()),
        (b"", ()),
        (b"<\xc3\xa4@b>", ("<ä@b>",)),
    ],
)
def test_message_ids_stand_in_angle_brackets(body: bytes, expected: tuple[str, ...]) -> None:
    assert message_ids(body) == expected


PARAMETERS = [
    # RFC 2231 §3, §4, §4.1
    (
        b'message/external-body; access-type=URL;\r\n URL*0="ftp://";\r\n'
        b' URL*1="cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"',
        {
            "access-type": "URL",
            "url": "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar",
        },
    ),
    (
        b"application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
        {"title": "This is ***fun***"},
    ),
    (
        b"application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20;\r\n"
        b' title*1*=%2A%2A%2Afun%2A%2A%2A%20;\r\n title*2="isn\'t it!"',
        {"title": "This is even more ***fun*** isn't it!"},
    ),
    (b"a/b; x*1=b; x*0=a", {"x": "ab"}),
    (b"a/b; x*0*=utf-8''%C3; x*1*=%A4", {"x": "ä"}),
    (b"a/b; x=plain; x*=utf-8''%C3%A4", {"x": "ä"}),
    (b"a/b; x*=utf-8''%ZZ%C3%A4%", {"x": "%ZZä%"}),
    (b"a/b; x*=%C3%A4", {"x": "ä"}),
    (b"text/plain; charset=us-ascii (Plain text)", {"charset": "us-ascii"}),
    (b'text/plain; charset="us-ascii"', {"charset": "us-ascii"}),
    (b'text/plain; charset=(x)"utf-8"', {"charset": "utf-8"}),
    (b"text/plain; charset=(a (b)) utf-8 (c)", {"charset": "utf-8"}),
    (b"text/plain; charset=(never closed", {"charset": ""}),
    (b'text/plain; charset=" utf-8 "', {"charset": "utf-8"}),
    (b'a/b; name="a\\"b\\\\c"', {"name": 'a"b\\c'}),
    (b'a/b; name="C:\\dir\\file"', {"name": "C:\\dir\\file"}),
    (b'a/b; name="=?utf-8?Q?=C3=A4?="', {"name": "ä"}),
    (b"a/b; name=photo (1).jpg; x=1", {"name": "photo (1).jpg", "x": "1"}),
    (b'a/b; name="a;b=c"; x=1', {"name": "a;b=c", "x": "1"}),
    (b'a/b; name="never closed; x=1', {"name": "never closed", "x": "1"}),
    (b"a/b;;; x = 1 ; =2; y", {"x": "1"}),
    (b"a/b; x=1; X=2", {"x": "1"}),
    (b"a/b; x*=utf-8''a%00b", {"x": "ab"}),
    (b"", {}),
]


@pytest.mark.parametrize(("body", "expected"), PARAMETERS, ids=[repr(b) for b, _ in PARAMETERS])
def test_parameters_are_read(body: bytes, expected: dict[str, str]) -> None:
    assert dict(parameterised(body)[1]) == expected


def test_the_value_stands_without_comments() -> None:
    assert parameterised(b"text/plain (a (b) ;c); x=1")[0] in ("text/plain", "text/plain (a (b)")
    assert parameterised(b"(nested (deep)) inline ; x=1")[0] == "inline"


@pytest.mark.parametrize(
    ("octets", "charset", "expected"),
    [
        (b"Gr\xfc\xdfe", None, "Grüße"),
        ("Grüße".encode(), None, "Grüße"),
        ("Grüße".encode(), "us-ascii", "Grüße"),
        (b"Gr\xfc\xdfe", "utf-8", "Grüße"),
        (b"\x80 5", "iso-8859-1", "€ 5"),
        ("Привет".encode("koi8-r"), "KOI8-R", "Привет"),
        ("繁體".encode("big5"), "Big5", "繁體"),
        ("㐀中".encode("gb18030"), "gb2312", "㐀中"),
        ("日本".encode("iso2022_jp"), "ISO-2022-JP", "日本"),
        ("漢字ああ".encode() + b"\xe6", "utf-8", "漢字ああ\ufffd"),
        ("häß".encode("utf-16"), "utf-16", "häß"),
        ("häß".encode("utf-16-le"), "utf-16", "häß"),
        (b"plain", "utf-16", "plain"),
        (b"+2D3eAA-", "utf-7", "😀"),
        (b"a\0b", None, "ab"),
        (b"\x81\x8d", "windows-1252", "\x81\x8d"),
        (b"x", "zip", "x"),
        (b"x", "a" * 1000, "x"),
    ],
)
def test_a_charset_is_believed_only_as_far_as_it_fits(
    octets: bytes, charset: str | None, expected: str
) -> None:
    assert decode_text(octets, charset) == expected


def test_only_codecs_of_the_table_are_used() -> None:
    for label in ("rot13", "zlib", "base64", "idna", "punycode", "unicode_escape", "mbcs", ""):
        assert codec_of(label) is None


BOMBS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "unfinished words": (decode, b"=?x?q?" * 80_000),
    "one end for many": (decode, b"=?x?q?" * 80_000 + b"?="),
    "words": (decode, b"=?utf-8?q?abc?= " * 30_000),
    "5 000 parameters": (parameterised, b"a" + b"; x%d=y" * 5_000 % tuple(range(5_000))),
    "5 000 continuations": (
        parameterised,
        b"a" + b"; x*%d*=utf-8''y" * 5_000 % tuple(range(5_000)),
    ),
    "open quotes": (parameterised, b"a;" + b'x="\\"' * 100_000),
    "white space": (parameterised, b"a;" + b" " * 1_000_000),
    "comments": (parameterised, b"(" * 500_000),
    "angles": (message_ids, b"<" * 1_000_000),
    "dates": (date_of, b"(" * 1_000_000),
    "fields": (fields, b"a:\n" * 300_000),
    "folds": (fields, b"a:" + b"\n x" * 300_000),
    "CR": (unfold, b"\r" * 1_000_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_less_than_a_second(name: str) -> None:
    reads, octets = BOMBS[name]
    begun = time.process_time()
    reads(octets)
    assert time.process_time() - begun < 1


def test_more_fields_than_the_limit_stay_octets() -> None:
    assert len(fields(b"a:\n" * (MAX_FIELDS + 10))) == MAX_FIELDS


LABELS = st.sampled_from(["utf-7", "utf-16", "hz", "iso-2022-jp", "gb2312", "big5", "utf-8", "x"])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60), LABELS)
def test_any_octets_decode_to_clean_text(octets: bytes, label: str) -> None:
    text = decode_text(octets, label)
    assert "\0" not in text
    text.encode("utf-8")  # no surrogates
    for body in (octets, b"=?%s?q?%s?=" % (label.encode(), octets)):
        shown = decode(body)
        assert not {"\0", "\r", "\n"} & set(shown)
        shown.encode("utf-8")
        date_of(body)
        message_ids(body)
        for name, value in parameterised(b"a;" + body)[1]:
            (name + value).encode("utf-8")
            assert not {"\0", "\r", "\n"} & set(value)
