"""ENVELOPE and BODYSTRUCTURE: addresses of any quality, texts an IMAP client can parse."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.mail.bodystructure import body_octets
from appliance.mail.envelope import (
    MAX_ADDRESSES,
    addresses,
    display,
    envelope_octets,
    envelope_of,
    nstring,
)
from appliance.mail.header import fields
from appliance.mail.structure import structure_of
from appliance.mail.types import Address, Envelope

Parsed = bytes | int | None | list["Parsed"]
_ATOM = re.compile(rb"[^\s()\"{]+")
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\0\x80-\xff]|\\["\\])*)"')
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")


def parsed(octets: bytes) -> Parsed:
    """What an IMAP client reads: strings, numbers, NIL and lists, strictly by RFC 9051 §4."""
    stack: list[list[Parsed]] = [[]]
    position = 0
    while position < len(octets):
        octet = octets[position : position + 1]
        if octet == b"(":
            stack.append([])
            position += 1
        elif octet == b")":
            done = stack.pop()
            stack[-1].append(done)
            position += 1
        elif octet == b" ":
            assert octets[position + 1 : position + 2] not in (b" ", b")", b"")
            position += 1
        elif match := _QUOTED.match(octets, position):
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", match.group(1)))
            position = match.end()
        elif match := _LITERAL.match(octets, position):
            position = match.end() + int(match.group(1))
            literal = octets[match.end() : position]
            assert b"\0" not in literal
            stack[-1].append(literal)
        else:
            match = _ATOM.match(octets, position)
            assert match, octets[position : position + 40]
            word = match.group()
            stack[-1].append(None if word == b"NIL" else int(word))
            position = match.end()
    ((whole,),) = stack
    return whole


def short(found: tuple[Address, ...]) -> list[str]:
    """name|route|local|domain, - for None."""
    return [
        "|".join(
            "-" if octets is None else octets.decode()
            for octets in (one.display_name, one.route, one.local_part, one.domain)
        )
        for one in found
    ]


ADDRESSES = [
    # RFC 5322 appendix A
    (b"John Doe <jdoe@machine.example>", ["John Doe|-|jdoe|machine.example"]),
    (b'"Joe Q. Public" <john.q@example.com>', ["Joe Q. Public|-|john.q|example.com"]),
    (
        b'Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>, "A \\"B\\" C" <s@n.test>',
        [
            "Mary Smith|-|mary|x.test",
            "-|-|jdoe|example.org",
            "Who?|-|one|y.test",
            'A "B" C|-|s|n.test',
        ],
    ),
    (
        b"A Group:Ed Jones <joe@where.test>,John <jdoe@one.test>;",
        ["-|-|A Group|-", "Ed Jones|-|joe|where.test", "John|-|jdoe|one.test", "-|-|-|-"],
    ),
    (b"Undisclosed recipients:;", ["-|-|Undisclosed recipients|-", "-|-|-|-"]),
    (
        b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
        ["Pete|-|pete|silly.test"],
    ),
    (b"Joe Q. Public <john.q.public@example.com>", ["Joe Q. Public|-|john.q.public|example.com"]),
    (b"<@node.test,@b.test:mary@x.test>", ["-|@node.test,@b.test|mary|x.test"]),
    (
        b"<boss@nil.test>, \"Giant; 'Big'\" <s@e.net>",
        ["-|-|boss|nil.test", "Giant; 'Big'|-|s|e.net"],
    ),
    (b"jdoe@test   . example", ["-|-|jdoe|test.example"]),
    (b'"john doe"@x.test', ["-|-|john doe|x.test"]),
    (b"jd@[192.0.2.1]", ["-|-|jd|[192.0.2.1]"]),
    # and what is sent
    (b"a@x b@y", ["-|-|a|x", "-|-|b|y"]),
    (b"<a@x> <b@y> Eve <c@z>", ["-|-|a|x", "-|-|b|y", "Eve|-|c|z"]),
    (b"a@x,, ,b@y,", ["-|-|a|x", "-|-|b|y"]),
    (b"a@x; b@y", ["-|-|a|x", "-|-|b|y"]),
    (b"jd@x.test (John (Q.) Doe)", ["John (Q.) Doe|-|jd|x.test"]),
    (b"John Doe jd@x.test", ["John Doe|-|jd|x.test"]),
    (b"Bob <bob@x.test", ["Bob|-|bob|x.test"]),
    (b"Bob <bob@x.test, a@y", ["Bob|-|bob|x.test", "-|-|a|y"]),
    (b'"Bob <bob@x.test>, a@y', ["Bob|-|bob|x.test", "-|-|a|y"]),
    (b"(never closed <a@b>", []),
    (b"root", ["-|-|root|"]),
    (b"Root <root>", ["Root|-|root|"]),
    (b"Nobody <>", ["Nobody|-||"]),
    (b"<>", []),
    (b"a@b@c", ["-|-|a@b|c"]),
    (b"G: a@b", ["-|-|G|-", "-|-|a|b", "-|-|-|-"]),
    (b"=?utf-8?Q?Doe,_J?= <j@x>", ["=?utf-8?Q?Doe,_J?=|-|j|x"]),
    ("Jörg <jörg@köln.test>".encode(), ["Jörg|-|jörg|köln.test"]),
    (b"", []),
    (b" , ;", []),
]


@pytest.mark.parametrize(("body", "expected"), ADDRESSES, ids=[repr(b) for b, _ in ADDRESSES])
def test_addresses_are_read_as_they_come(body: bytes, expected: list[str]) -> None:
    assert short(addresses(body)) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (Address(b"=?utf-8?q?J=C3=BC?=", None, b"j", b"x.test"), "Jü <j@x.test>"),
        (Address(None, None, b"j d", b"x.test"), '"j d"@x.test'),
        (Address(b"Nobody", None, b"", b""), "Nobody"),
        (Address(None, None, b"Family", None), "Family"),
        (Address(None, None, None, None), ""),
        (Address(b"=?utf-8?q?a=0D=0Ab?=", None, b"a", b"b"), "a b <a@b>"),
    ],
)
def test_an_address_is_shown_to_people(address: Address, expected: str) -> None:
    assert display(address) == expected


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (None, b"NIL"),
        (b"", b'""'),
        (b"plain", b'"plain"'),
        (b'a"b\\c', b'"a\\"b\\\\c"'),
        (b"a\0b", b"{2}\r\nab"),
        (b"a\tb", b"{3}\r\na\tb"),
        ("ü".encode(), b"{2}\r\n\xc3\xbc"),
        (b"x" * 2000, b"{2000}\r\n" + b"x" * 2000),
    ],
)
def test_a_string_is_quoted_only_where_it_may_be(octets: bytes | None, expected: bytes) -> None:
    assert nstring(octets) == expected


def test_the_envelope_of_rfc_9051() -> None:
    octets = (
        b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
        b"From: Terry Gray <gray@cac.washington.edu>\r\n"
        b"Subject: IMAP4rev2 WG mtg summary and minutes\r\n"
        b"To: imap@cac.washington.edu\r\n"
        b"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
        b"Message-Id: <B27397-0100000@cac.washington.ed>\r\n\r\n"
    )
    gray = b'(("Terry Gray" NIL "gray" "cac.washington.edu"))'
    assert envelope_octets(envelope_of(fields(octets))) == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" '
        b'"IMAP4rev2 WG mtg summary and minutes" ' + b" ".join([gray] * 3) + b" "
        b'((NIL NIL "imap" "cac.washington.edu")) '
        b'((NIL NIL "minutes" "CNRI.Reston.VA.US")'
        b'("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL '
        b'"<B27397-0100000@cac.washington.ed>")'
    )


def test_no_fields_give_an_envelope_of_nothing() -> None:
    assert envelope_of(()) == Envelope()
    assert envelope_octets(Envelope()) == b"(" + b" ".join([b"NIL"] * 10) + b")"


def test_fields_that_stand_twice_are_joined_if_they_hold_addresses() -> None:
    found = envelope_of(fields(b"To: a@x\nTo: b@y\nSubject: 1\nSubject: 2\nSender:\nFrom: c@z\n\n"))
    assert short(found.to) == ["-|-|a|x", "-|-|b|y"]
    assert found.subject == b"1"
    assert found.sender == found.reply_to == found.from_


def test_body_and_bodystructure_of_a_multipart() -> None:
    octets = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b'Content-Type: text/plain; charset=us-ascii; name="n\xc3\xa4.txt"\r\n'
        b"Content-Disposition: attachment; filename*=utf-8''%C3%A4\r\n"
        b"Content-Language: de, en\r\n\r\none\r\ntwo\r\n--b\r\n"
        b"Content-Type: message/rfc822\r\nContent-Description: in\r\n\r\nSubject: s\r\n\r\nhi\r\n"
        b"--b\r\nContent-Type: image/gif\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-MD5: m\r\nContent-ID: <i>\r\nContent-Location: l\r\n\r\nR0lG\r\n--b--\r\n"
    )
    root = structure_of(octets)
    envelope = b'(NIL "s" NIL NIL NIL NIL NIL NIL NIL NIL)'
    text = b'("charset" "us-ascii" "name*" "utf-8\'\'n%C3%A4.txt") NIL NIL "7bit" 8 2'
    gif = b'"image" "gif" NIL "<i>" NIL "base64" 4'
    inner = b'"text" "plain" NIL NIL NIL "7bit" 2 1'
    assert body_octets(octets, root, extended=False) == (
        b'(("text" "plain" ' + text + b')("message" "rfc822" NIL NIL "in" "7bit" 16 '
        + envelope + b" (" + inner + b") 3)(" + gif + b') "mixed")'
    )  # fmt: skip
    disposition = b'("attachment" ("filename*" "utf-8\'\'%C3%A4"))'
    assert body_octets(octets, root, extended=True) == (
        b'(("text" "plain" ' + text + b" NIL " + disposition + b' ("de" "en") NIL)'
        b'("message" "rfc822" NIL NIL "in" "7bit" 16 ' + envelope
        + b" (" + inner + b" NIL NIL NIL NIL) 3 NIL NIL NIL NIL)(" + gif
        + b' "m" NIL NIL "l") "mixed" ("boundary" "b") NIL NIL NIL)'
    )  # fmt: skip


def test_a_leaf_that_has_no_grammar_is_an_octet_stream() -> None:
    octets = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3Vi"
    assert body_octets(octets, structure_of(octets), extended=False) == (
        b'("application" "octet-stream" NIL NIL NIL "base64" 4)'
    )
    octets = b"Content-Type: message/delivery-status\n\nx: y"
    assert body_octets(octets, structure_of(octets), extended=False) == (
        b'("message" "delivery-status" NIL NIL NIL "7bit" 4)'
    )


def well_formed(body: Parsed, extended: bool) -> bool:
    """RFC 9051 §9 ``body``; without recursion."""
    waiting = [body]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, list) or not one:
            return False
        if isinstance(one[0], list):
            parts = [part for part in one if isinstance(part, list)]
            count = next(n for n, part in enumerate(one) if not isinstance(part, list))
            if len(one) != count + (5 if extended else 1):
                return False
            waiting.extend(parts[:count])
            continue
        kind = (one[0], one[1])
        plain = 7
        if one[0] == b"text":
            plain = 8
        elif kind in ((b"message", b"rfc822"), (b"message", b"global")):
            plain = 10
            envelope = one[7]
            if not isinstance(envelope, list) or len(envelope) != 10:
                return False
            waiting.append(one[8])
        if len(one) != plain + (4 if extended else 0) or not isinstance(one[6], int):
            return False
    return True


def test_a_client_can_parse_what_every_public_message_gives(
    messages: list[tuple[str, bytes]],
) -> None:
    failures = []
    for n, (name, octets) in enumerate(messages):
        root = structure_of(octets)
        envelope = parsed(envelope_octets(envelope_of(fields(octets, 0, root.body_at))))
        if not isinstance(envelope, list) or len(envelope) != 10:
            failures.append((name, "envelope"))
        failures += [
            (name, f"body, extended {extended}")
            for extended in ((True, False) if n % 5 == 0 else (True,))
            if not well_formed(parsed(body_octets(octets, root, extended)), extended)
        ]
    assert failures == []


BOMBS = {
    "100 000 addresses": b", ".join(b"N %d <a%d@x.test>" % (n, n) for n in range(100_000)),
    **{
        repr(piece): piece * (1_000_000 // len(piece))
        for piece in (b"(", b'"', b"<", b"@", b"a@", b"[", b":", b",", b"<@a,", b'\\"', b"=?a?q?")
    },
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_addresses_takes_less_than_a_second(name: str) -> None:
    begun = time.process_time()
    found = addresses(BOMBS[name])
    assert time.process_time() - begun < 1
    assert len(found) <= MAX_ADDRESSES + 2


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"<", b">", b"@", b":", b";", b",", b"(", b")", b'"', b"\\", b"a", b" "])
        | st.binary(max_size=3),
        max_size=30,
    ).map(b"".join)
)
def test_any_octets_are_an_address_list(body: bytes) -> None:
    found = envelope_of(fields(b"To: " + body.replace(b"\n", b"\n ") + b"\n\n"))
    text = envelope_octets(found)
    assert isinstance(parsed(text), list)
    for one in found.to:
        display(one).encode("utf-8")
