"""The body, its text, threads, and a message read whole."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.mail.decoding import (
    decoded,
    decoded_text,
    from_base64,
    from_quoted_printable,
    from_uuencode,
)
from appliance.mail.header import fields
from appliance.mail.html import html_text
from appliance.mail.reading import read_message
from appliance.mail.structure import structure_of
from appliance.mail.text import body_views, has_files, preview, reader_text, unflowed
from appliance.mail.thread import MAX_REFERENCES, base_subject, is_reply, thread_keys


def multipart(kind: str, *parts: str, boundary: str = "b") -> str:
    inside = "".join(f"--{boundary}\n{part}\n" for part in parts)
    return f"Content-Type: multipart/{kind}; boundary={boundary}\n\n{inside}--{boundary}--\n"


PLAIN = "Content-Type: text/plain\n\n"
HTML = "Content-Type: text/html\n\n"
PDF = "Content-Type: application/pdf; name=a.pdf\n\n%PDF"
PIXEL = "Content-Type: image/png\nContent-ID: <pixel>\n\nx"

TEXTS = [
    pytest.param("\njust words", "just words", id="plain"),
    pytest.param(HTML + "<p>Grü&szlig;e<br>b<b>o</b>ld", "Grüße\nbold", id="HTML alone"),
    pytest.param(multipart("alternative", PLAIN + "a", HTML + "b"), "a", id="RFC 2046 §5.1.4"),
    pytest.param(multipart("alternative", PLAIN + " ", HTML + "b"), "b", id="an empty form"),
    pytest.param(
        multipart("alternative", PLAIN + "Your mail program cannot display HTML", HTML + "b"),
        "b",
        id="a form that says see HTML",
    ),
    pytest.param(
        multipart("mixed", PLAIN + "a", PLAIN + "list footer"), "a\nlist footer", id="a footer"
    ),
    pytest.param(
        multipart("mixed", PLAIN + "a", "Content-Type: message/rfc822\n\nSubject: s\n\nin"),
        "a\ns\nin",
        id="a forwarded message",
    ),
    pytest.param(
        multipart("mixed", "Content-Disposition: attachment\n\na", PLAIN + "b"),
        "b",
        id="a text that is an attachment",
    ),
    pytest.param(PLAIN + "<html><p>x</html>", "x", id="HTML called plain"),
    pytest.param(
        "Content-Type: text/plain; format=flowed\n\na \nb\n> q \n> r\n-- \nme",
        "a b\n> q r\n-- \nme",
        id="RFC 3676",
    ),
    pytest.param(
        "Content-Type: text/plain; name=x.txt\n\nbody with a name", "body with a name", id="named"
    ),
]


@pytest.mark.parametrize(("message", "expected"), TEXTS)
def test_a_reader_sees_the_words_once(message: str, expected: str) -> None:
    octets = message.encode()
    text = reader_text(octets, structure_of(octets))
    assert "\n".join(filter(None, text.split("\n"))) == expected


def test_the_parts_of_a_newsletter_are_told_apart() -> None:
    related = multipart("related", HTML + "<img src=cid:pixel>", PIXEL, boundary="r")
    alternative = multipart("alternative", PLAIN + "a", related, boundary="a")
    octets = multipart("mixed", alternative, PDF).encode()
    root = structure_of(octets)
    plain, html, attachments, inline = body_views(root)
    assert plain is root.parts[0].parts[0]
    assert html is root.parts[0].parts[1].parts[0]
    assert attachments == (((2,), root.parts[1]),)
    assert inline == {"pixel": ((1, 2, 2), root.parts[0].parts[1].parts[1])}
    assert has_files(body_views(root))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (PLAIN + "a", False),
        (PDF, True),
        (multipart("mixed", PLAIN + "a", PDF), True),
        (multipart("mixed", PLAIN + "a", PLAIN + "footer"), False),
        (multipart("related", HTML + "a", PIXEL), False),
        (
            multipart("signed", PLAIN + "a", "Content-Type: application/pgp-signature\n\nx"),
            False,
        ),
        (multipart("mixed", PLAIN + "a", "Content-Type: message/rfc822\n\nA: b\n\nc"), True),
        (
            multipart("alternative", PLAIN + "a", "Content-Type: text/calendar; name=i.ics\n\nx"),
            True,
        ),
    ],
)
def test_attachments_are_what_a_person_would_look_for(message: str, expected: bool) -> None:
    octets = message.encode()
    assert has_files(body_views(structure_of(octets))) is expected


def test_a_message_that_is_one_attachment_has_number_1() -> None:
    octets = b"Content-Type: text/plain\nContent-Disposition: attachment; filename=n.txt\n\nx"
    views = body_views(structure_of(octets))
    assert views.plain is None
    assert [number for number, _ in views.attachments] == [(1,)]


PAGES = [
    ("a &amp; b&nbsp;c", "a & b c"),
    ("<p>a</p><p>b</p>", "a\nb"),
    ("un<b>fold</b>ed <i>it</i>", "unfolded it"),
    ("<style>p{}</style>a<script>if (a<b) x()</script>b<!-- c > d -->e", "abe"),
    ("<title>t</title><div style='display:none'>pre</div>x", "pre\nx"),
    ('<img alt="a > b" src="data:x">c', "a > b c"),
    ("<img alt=''>c", "c"),
    ("<td>1</td><td>2</td>", "1 2"),
    ("1 < 2 & 3 > 2", "1 < 2 & 3 > 2"),
    ("<script>never closed", ""),
    ("a<!-- never closed", "a"),
    ("a<!-->b", "ab"),
    ('<a href="never closed>text</a>', "text"),
    ("<!DOCTYPE html><html><body>x", "x"),
    ("Wort\u00adtrennung", "Worttrennung"),
    ("a&#0;b&#xD800;", "ab\ufffd"),
]


@pytest.mark.parametrize(("source", "expected"), PAGES, ids=[source for source, _ in PAGES])
def test_html_becomes_words(source: str, expected: str) -> None:
    assert html_text(source).replace("\ufffdb", "b") == expected


PAGE_BOMBS = {
    "depth": "<div>" * 200_000,
    "comments": "<!--" * 200_000,
    "quotes": '<a b="' * 150_000,
    "brackets": "<" * 1_000_000,
    "tags that never end": "<a " * 300_000,
    "styles": "<style>" * 100_000,
    "entities": "&" * 1_000_000,
    "images": "<img alt=" * 100_000,
    "alts": "<img " + "alt " * 200_000 + ">",
    "space": " " * 1_000_000,
    "breaks": " \n" * 500_000,
    "cells": "<td>" * 200_000,
}


@pytest.mark.parametrize("name", PAGE_BOMBS)
def test_a_bomb_of_html_takes_less_than_a_second(name: str) -> None:
    begun = time.process_time()
    preview(html_text(PAGE_BOMBS[name]))
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello\n\n  world", "Hello world"),
        ("> quoted\nanswer", "answer"),
        ("> only quoted", "> only quoted"),
        ("-------\na\n=====\nb", "a b"),
        ("pre\u034f\u200c \u034f\u200c x", "pre x"),
        ("a\x1b[31mb", "a [31mb"),
    ],
)
def test_a_preview_is_one_line_of_words(text: str, expected: str) -> None:
    assert preview(text) == expected


def test_a_preview_ends_at_a_word() -> None:
    shown = preview("word " * 100)
    assert len(shown) <= 200
    assert shown.endswith("word…")


def test_flowed_text_with_delsp() -> None:
    assert unflowed("ein \nlan \nges\n", delsp=True) == "einlanges\n"


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (b"SGVsbG8=", b"Hello"),
        (b"SGVs\r\nbG8=\r\n", b"Hello"),
        (b"SGVsbG8", b"Hello"),
        (b"S G*V-s!bG8=", b"Hello"),
        (b"SGVsbG8=\nA footer of the list", b"Hello"),
        (b"SGVsbG8hS", b"Hello!"),
        (b"SGVsbG8=\nSGVsbG8gSGVsbG8gSGVsbG8=\n", b"HelloHello Hello Hello"),
        (b"", b""),
        (b"====", b""),
    ],
)
def test_base64_is_read_as_far_as_it_goes(encoded: bytes, expected: bytes) -> None:
    assert from_base64(encoded) == expected


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (b"a=3Db=3d", b"a=b="),
        (b"a=\r\nb=\nc", b"abc"),
        (b"a= \t\r\nb", b"ab"),
        (b"a  \r\nb \n", b"a\r\nb\n"),
        (b"100=% =ZZ", b"100=% =ZZ"),
        (b"end=", b"end"),
        (b"a=\rb", b"ab"),
        (b"\xfc", b"\xfc"),
    ],
)
def test_quoted_printable_is_read_as_far_as_it_goes(encoded: bytes, expected: bytes) -> None:
    assert from_quoted_printable(encoded) == expected


def test_uuencode_finds_its_file() -> None:
    assert from_uuencode(b"see\nbegin 644 a.txt\n%2&5L;&\\\n`\nend\nrest") == b"Hello"
    assert from_uuencode(b"none here") == b"none here"


def test_html_without_a_charset_has_the_one_of_its_meta() -> None:
    body = '<meta charset="koi8-r"><p>Привет'.encode("koi8-r")
    octets = b"Content-Type: text/html\n\n" + body
    assert "Привет" in decoded_text(octets, structure_of(octets))
    given = b"Content-Type: text/html; charset=latin1\n\n" + b'<meta charset="koi8-r">\xfc'
    assert "ü" in decoded_text(given, structure_of(given))


SUBJECTS = [
    # RFC 5256 §2.1
    ("Re: x", "x", True),
    ("RE : x", "x", True),
    ("Fwd: Re: x (fwd)", "x", True),
    ("[list] Re: x", "x", True),
    ("Re: [list] x", "x", True),
    ("[Fwd: Re: x]", "x", True),
    ("[list]", "[list]", False),
    # and what programs write
    ("AW: x", "x", True),
    ("Aw: Antwort: x", "x", True),
    ("WG: x", "x", True),
    ("Re[2]: x", "x", True),
    ("Re^3: x", "x", True),
    ("Re(2): x", "x", True),
    ("SV: VS: x", "x", True),
    ("回复：x", "x", True),
    ("Regarding: x", "Regarding: x", False),
    ("Rezept", "Rezept", False),
    ("  a \t b ", "a b", False),
    ("Re:", "", True),
    ("", "", False),
]


@pytest.mark.parametrize(("subject", "base", "reply"), SUBJECTS)
def test_the_base_subject(subject: str, base: str, reply: bool) -> None:
    assert base_subject(subject) == base
    assert is_reply(subject) is reply


def test_a_bomb_of_subjects_takes_no_time() -> None:
    begun = time.process_time()
    for piece in ("Re: ", "[", "[x] ", "Re[", "(fwd)", "[fwd:", " "):
        base_subject(piece * 100_000)
        is_reply(piece * 100_000)
    assert time.process_time() - begun < 1


def test_references_are_the_oldest_first_and_bounded() -> None:
    found = fields(b"Message-ID: <c@x>\nReferences: <a@x>\n <b@x> <c@x>\nIn-Reply-To: <d@x>\n\n")
    keys = thread_keys(found)
    assert (keys.message_id, keys.references) == ("<c@x>", ("<a@x>", "<b@x>", "<d@x>"))
    many = b" ".join(b"<%d@x>" % n for n in range(5000))
    references = thread_keys(fields(b"References: " + many + b"\n\n")).references
    assert len(references) == MAX_REFERENCES
    assert (references[0], references[-1]) == ("<0@x>", "<4999@x>")


def test_a_message_is_read_whole() -> None:
    octets = (
        b"Received: by x\nFrom: =?utf-8?q?J=C3=BC?= <j@x.test>\nTo: a@x.test, G: b@x.test;\n"
        b"Cc: c@x.test\nBcc: d@x.test\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n"
        b"Date: Wed, 04 Nov 2026 11:22:33 +0100\nMessage-ID: <m@x>\nIn-Reply-To: <p@x>\n"
        b"List-Id: The List <List.x.test>\n\nHello there\n"
    )
    reading = read_message(octets)
    assert (reading.subject, reading.sender) == ("Grüße", "Jü <j@x.test>")
    assert reading.recipients == "a@x.test, G, b@x.test"
    assert (reading.copied, reading.blind) == ("c@x.test", "d@x.test")
    assert reading.sent is not None
    assert reading.sent.isoformat() == "2026-11-04T10:22:33+00:00"
    assert (reading.message_id, reading.thread.references) == ("<m@x>", ("<p@x>",))
    assert (reading.list_id, reading.preview) == ("list.x.test", "Hello there")
    assert (reading.has_attachments, reading.problem) == (False, None)
    assert len(reading.variant) == 16
    again = read_message(octets.replace(b"by x", b"by y"))
    assert again.variant == reading.variant
    assert read_message(octets + b"!").variant != reading.variant
    assert read_message(memoryview(octets)) == reading


def test_every_public_message_is_read(messages: list[tuple[str, bytes]]) -> None:
    failures = []
    for name, octets in messages:
        reading = read_message(octets)
        if reading.problem:
            failures.append((name, reading.problem))
        shown = (reading.subject, reading.sender, reading.recipients, reading.preview)
        for text in shown:
            text.encode("utf-8")
            if {"\0", "\r", "\n"} & set(text):
                failures.append((name, text))
        if len(reading.preview) > 200:
            failures.append((name, "a preview that is too long"))
    assert failures == []


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_no_octets_stop_a_reading(octets: bytes) -> None:
    heads = (
        b"",
        b"Content-Type: text/html; charset=utf-16\n\n",
        b"Content-Transfer-Encoding: base64\n\n",
        b"Content-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n",
        b"Content-Type: text/plain; format=flowed; delsp=yes\n\n",
    )
    for head in heads:
        whole = head + octets
        reading = read_message(whole)
        assert reading.problem is None
        decoded(whole, reading.root)
        reader_text(whole, reading.root).encode("utf-8")
