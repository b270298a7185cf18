"""The MIME tree: RFC cases, broken mail, bombs, and every public message."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.mail.structure import MAX_DEPTH, MAX_PARTS, pack, section, structure_of, unpack
from appliance.mail.types import Part

MIXED = b"Content-Type: multipart/mixed; boundary=b\n\n"


def tree(octets: bytes) -> list[tuple[tuple[int, ...], str, bytes]]:
    """Number, type and body of every node."""
    return [
        (number, f"{part.media_type}/{part.subtype}", octets[part.body_at : part.end_at])
        for number, part in structure_of(octets).walk()
        if not part.parts
    ]


CASES = [
    pytest.param(b"", [((), "text/plain", b"")], id="no octets"),
    pytest.param(b"\0\0", [((), "text/plain", b"\0\0")], id="only NUL"),
    pytest.param(b"just words\n", [((), "text/plain", b"just words\n")], id="no header at all"),
    pytest.param(b"\nbody", [((), "text/plain", b"body")], id="an empty header"),
    pytest.param(b"Subject: x", [((), "text/plain", b"")], id="no blank line"),
    pytest.param(
        MIXED + b"pre\n--b\n\none\n--b\n\ntwo\n--b--\nepi\n",
        [((1,), "text/plain", b"one"), ((2,), "text/plain", b"two")],
        id="RFC 2046 §5.1.1",
    ),
    pytest.param(
        (MIXED + b"--b\n\none\n\n--b--\n").replace(b"\n", b"\r\n"),
        [((1,), "text/plain", b"one\r\n")],
        id="the line end before a delimiter belongs to it",
    ),
    pytest.param(MIXED + b"--b\n\none", [((1,), "text/plain", b"one")], id="no close delimiter"),
    pytest.param(
        MIXED + b"--b  \t\r\n\r\none\r\n--b-- \n",
        [((1,), "text/plain", b"one")],
        id="white space after a delimiter, mixed line ends",
    ),
    pytest.param(
        MIXED + b"--bb\n--b\n\none\n--bb\n-b\n --b\n--b--x\n--b--",
        [((1,), "text/plain", b"one\n--bb\n-b\n --b\n--b--x")],
        id="lines that only look like delimiters",
    ),
    pytest.param(
        MIXED + b"no part here\n",
        [((), "text/plain", b"no part here\n")],
        id="boundary never occurs: the raw text",
    ),
    pytest.param(
        MIXED + b"--q\nContent-Type: text/html\n\none\n--q--\n",
        [((1,), "text/html", b"one")],
        id="another boundary than the one in the header",
    ),
    pytest.param(
        b"Content-Type: multipart/mixed\n\n--q\n\none\n--q--\n",
        [((1,), "text/plain", b"one")],
        id="no boundary parameter: the first line is the delimiter",
    ),
    pytest.param(
        MIXED + b"--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nin\n--b--\n--b\n\nout\n",
        [((1, 1), "text/plain", b"in"), ((2,), "text/plain", b"out\n")],
        id="the same boundary inside itself",
    ),
    pytest.param(
        MIXED + b"--b\nContent-Type: multipart/mixed; boundary=bc\n\n--bc\n\nin\n--b\n\nout\n--b--",
        [((1, 1), "text/plain", b"in"), ((2,), "text/plain", b"out")],
        id="outer boundary is a prefix of the inner; inner is never closed",
    ),
    pytest.param(
        MIXED + b"--b\nContent-Type: text/html\n--b\nhi\n--b\n--b--",
        [
            ((1,), "text/html", b""),
            ((2,), "text/plain", b"hi"),
            ((3,), "text/plain", b""),
        ],
        id="parts without a blank line",
    ),
    pytest.param(
        b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: a\n\nA\n--b\n"
        b"Content-Type: text/plain\n\nB\n--b--",
        [((1, 1), "text/plain", b"A"), ((2,), "text/plain", b"B")],
        id="RFC 2046 §5.1.5 digest",
    ),
    pytest.param(
        MIXED + b"--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3Vi\n"
        b"--b--",
        [((1,), "message/rfc822", b"U3Vi")],
        id="an encoded message is a leaf (against RFC 2046 §5.2.1)",
    ),
    pytest.param(
        b"Content-Type: message/rfc822\n\nSubject: in\n\nhi",
        [((1, 1), "text/plain", b"hi")],
        id="a message that is a message",
    ),
    pytest.param(
        MIXED + b"--b\nContent-Type: message/rfc822\n\nSubject: in\n--b\n\nout\n--b--",
        [((1, 1), "text/plain", b""), ((2,), "text/plain", b"out")],
        id="a delimiter ends the header inside",
    ),
    pytest.param(
        b"Subject: x\rContent-Type: multipart/mixed; boundary=b\r\r--b\r\rone\r--b--\r",
        [((1,), "text/plain", b"one")],
        id="bare CR throughout",
    ),
    pytest.param(
        b"Content-Type: text/html; (x)\r\r\nSubject: y\r\r\n\r\r\nhi\r\r\n",
        [((), "text/html", b"hi\r\r\n")],
        id="CR CR LF throughout",
    ),
    pytest.param(
        b"Content-Type: nonsense\n\nhi", [((), "text/plain", b"hi")], id="RFC 2045 §5.2 no type"
    ),
    pytest.param(
        b"Content-Type: multipart; boundary=b\n\n--b\n\nhi\n--b--",
        [((1,), "text/plain", b"hi")],
        id="a type without a subtype",
    ),
]


@pytest.mark.parametrize(("octets", "expected"), CASES)
def test_any_octets_give_a_usable_tree(
    octets: bytes, expected: list[tuple[tuple[int, ...], str, bytes]]
) -> None:
    assert tree(octets) == expected
    assert tree(bytes(memoryview(octets))) == expected
    assert structure_of(memoryview(octets)) == structure_of(octets)


def test_a_part_says_what_its_header_says() -> None:
    octets = (
        b"Content-Type: TEXT/Html; charset=UTF-8; name*=utf-8''%C3%A4\n"
        b"Content-Transfer-Encoding: Quoted-Printable (x)\n"
        b'Content-Disposition: ATTACHMENT; filename="=?utf-8?q?=C3=A4?=.html"\n'
        b"Content-ID: <a@b>\nContent-Description: =?utf-8?q?=C3=BC?=\n"
        b"Content-Language: de, en\nContent-Location: http://x/y\nContent-MD5: abc=\n\none\ntwo"
    )
    part = structure_of(octets)
    assert part == Part(
        "text",
        "html",
        (("charset", "UTF-8"), ("name", "ä")),
        "quoted-printable",
        0,
        octets.index(b"one"),
        len(octets),
        2,
        disposition="attachment",
        disposition_params=(("filename", "ä.html"),),
        content_id="<a@b>",
        description="ü",
        language=("de", "en"),
        location="http://x/y",
        md5="abc=",
    )
    assert part.filename == "ä.html"


def rfc_3501_example() -> bytes:
    """The message of RFC 9051 §6.4.5's table of part numbers."""

    def multi(boundary: str, kind: str, *parts: str) -> str:
        inside = "".join(f"--{boundary}\n{part}\n" for part in parts)
        return f"Content-Type: multipart/{kind}; boundary={boundary}\n\n{inside}--{boundary}--"

    octet = "Content-Type: application/octet-stream\n\n"
    message = "Content-Type: message/rfc822\n\n"
    plain = "Content-Type: text/plain\n\n"
    third = multi("m3", "mixed", plain + "3.1", octet + "3.2")
    related = multi("m422", "alternative", plain + "4.2.2.1", "Content-Type: text/richtext\n\nr")
    inner = multi("m42", "mixed", plain + "4.2.1", related)
    fourth = multi(
        "m4", "mixed", "Content-Type: image/gif\n\n4.1", message + "Subject: 4.2\n" + inner
    )
    return multi(
        "m",
        "mixed",
        plain + "1",
        octet + "2",
        message + "Subject: 3\n" + third,
        fourth,
    ).encode()


def test_part_numbers_are_those_of_rfc_9051() -> None:
    octets = rfc_3501_example()
    root = structure_of(octets)
    types = {number: f"{part.media_type}/{part.subtype}" for number, part in root.walk()}
    assert types == {
        (): "multipart/mixed",
        (1,): "text/plain",
        (2,): "application/octet-stream",
        (3,): "message/rfc822",
        (3, 1): "text/plain",
        (3, 2): "application/octet-stream",
        (4,): "multipart/mixed",
        (4, 1): "image/gif",
        (4, 2): "message/rfc822",
        (4, 2, 1): "text/plain",
        (4, 2, 2): "multipart/alternative",
        (4, 2, 2, 1): "text/plain",
        (4, 2, 2, 2): "text/richtext",
    }
    for number, part in root.walk():
        assert section(octets, root, number) is part
    for missing in [(0,), (5,), (1, 1), (3, 3), (4, 2, 2, 3), (3, 1, 1)]:
        assert section(octets, root, missing) is None


def test_a_message_that_is_not_multipart_has_a_part_1() -> None:
    octets = b"Subject: x\n\nbody"
    root = structure_of(octets)
    assert section(octets, root, (1,)) is root
    assert section(octets, root, (1, 1)) is None
    assert section(octets, root, (2,)) is None


def test_nesting_ends_at_the_documented_depth_and_loses_nothing() -> None:
    level = b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n"
    octets = b"".join(level % (n, n) for n in range(2000)) + b"\nbottom"
    nodes = [part for _, part in structure_of(octets).walk()]
    assert len(nodes) == MAX_DEPTH
    assert (nodes[-1].media_type, nodes[-1].subtype) == ("application", "octet-stream")
    assert nodes[-1].end_at == len(octets)


def test_parts_end_at_the_documented_number_and_nothing_is_lost() -> None:
    octets = MIXED + b"--b\n\nx\n" * (MAX_PARTS + 500)
    root = structure_of(octets)
    assert len(root.parts) == MAX_PARTS
    assert root.parts[-1].subtype == "octet-stream"
    assert root.parts[-1].end_at == len(octets)
    assert [part.lines for part in root.parts[:2]] == [1, 1]


BOMBS = {
    "100 000 parts": MIXED + b"--b\n\nx\n" * 100_000,
    "100 000 parts without a blank line": MIXED + b"--b\nx\n" * 100_000,
    "2 000 multiparts deep": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(2000)
    ),
    "2 000 messages deep": b"Content-Type: message/rfc822\n\n" * 2000,
    "a line of 1 MB": b"Subject: " + b"x" * 1_000_000 + b"\n\nhi",
    "a subject of 500 kB": b"Subject:" + b" =?utf-8?q?abc?=\n" * 30_000 + b"\nhi",
    "a Content-Type of 1 MB": b"Content-Type: multipart/mixed;" + b" x=y;" * 200_000 + b"\n\nhi",
    "lines like delimiters": MIXED + b"--bc\n" * 250_000,
    "delimiters of an outer level": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(100)
    )
    + b"--b5\nx\n" * 150_000,
    "blank lines": MIXED + b"--b" + b"\n" * 1_000_000,
    "CR": MIXED + b"\r" * 1_000_000,
    "CR CR LF": MIXED + b"--b\n" + b"\r\r\n" * 300_000,
    "header of hyphens": MIXED + b"--b\n" + b"--x\n" * 250_000,
    "no colon": b"x\n" * 500_000,
    "fields": b"a:\n" * 300_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_parsed_within_a_second(name: str) -> None:
    begun = time.process_time()
    structure_of(BOMBS[name])
    assert time.process_time() - begun < 1


def covers(octets: bytes, root: Part) -> str | None:
    """None if header, preamble, delimiters, parts and epilogue make up the octets, in order."""
    if (root.header_at, root.end_at) != (0, len(octets)):
        return "the root is not the whole message"
    for number, part in root.walk():
        if not part.header_at <= part.body_at <= part.end_at:
            return f"{number}: offsets descend"
        nodes = list(part.parts)
        if part.media_type == "message" and nodes:
            if (nodes[0].header_at, nodes[0].end_at) != (part.body_at, part.end_at):
                return f"{number}: the message inside is not the body"
            nodes = list(nodes[0].parts)
        for before, after in pairwise(nodes):
            if before.end_at > after.header_at:
                return f"{number}: parts overlap"
            if not octets[before.end_at : after.header_at].lstrip(b"\r\n").startswith(b"--"):
                return f"{number}: no delimiter between parts"
        if nodes and not part.body_at <= nodes[0].header_at <= nodes[-1].end_at <= part.end_at:
            return f"{number}: parts outside the body"
    return None


def test_the_slices_of_every_public_message_make_up_its_octets(
    messages: list[tuple[str, bytes]],
) -> None:
    failures = []
    for name, octets in messages:
        root = structure_of(octets)
        if problem := covers(octets, root):
            failures.append((name, problem))
        if unpack(pack(root)) != root:
            failures.append((name, "does not survive packing"))
        for number, part in root.walk():
            if section(octets, root, number) is not part:
                failures.append((name, f"{number} is not found by its number"))
    assert failures == []
    assert len(messages) > 4000


def test_cut_anywhere_a_message_still_gives_a_tree() -> None:
    octets = rfc_3501_example()
    for end in range(len(octets)):
        cut = octets[:end]
        assert covers(cut, structure_of(cut)) is None


def test_damaged_messages_still_give_a_tree(messages: list[tuple[str, bytes]]) -> None:
    chance = random.Random(9051)
    small = [octets for _, octets in messages if 200 < len(octets) < 4000]
    for octets in chance.sample(small, 300):
        damaged = bytearray(octets)
        for _ in range(10):
            at = chance.randrange(len(damaged))
            damaged[at : at + chance.randrange(30)] = chance.choice(
                [b"\n", b"\r", b"\0", b"--", b"\n\n", b"boundary=", b"\xff", b";", b'"']
            )
        whole = bytes(damaged)
        root = structure_of(whole)
        assert covers(whole, root) is None
        assert unpack(pack(root)) == root


PIECES = st.sampled_from(
    [
        b"\n",
        b"\r\n",
        b"\r",
        b"--b",
        b"--",
        b"--c--",
        b"Content-Type: multipart/mixed; boundary=b\n\n",
        b"Content-Type: message/rfc822\n",
        b"Content-Type: multipart/digest; boundary=c",
        b" ",
        b"x",
        b":",
        b"\0",
        b'"',
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES | st.binary(max_size=6), max_size=40).map(b"".join))
def test_no_octets_are_refused(octets: bytes) -> None:
    root = structure_of(octets)
    assert covers(octets, root) is None
    assert unpack(pack(root)) == root
    assert structure_of(memoryview(octets)) == root


@pytest.mark.parametrize(
    "octets", [b"", b"\x07[]", b"\x01{", b"\x02x", b"\x01[]", b"\x01[[1]]"], ids=repr
)
def test_octets_nobody_packed_are_an_error(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"structure|[Ee]xpect|value"):
        unpack(octets)


def offsets(part: dict[str, Any]) -> Iterator[tuple[str, int, int, int]]:
    """Type, header, body and end of every leaf in MimeKit's account of a message."""
    inside = part.get("message", {}).get("body")
    below = [*part.get("children", ()), *([inside] if inside else ())]
    if not below:
        kind = part["mimeType"].lower()
        yield kind, part["beginOffset"], part["headersEndOffset"], part["endOffset"]
    for one in below:
        yield from offsets(one)


@pytest.mark.parametrize("line_end", ["unix", "dos"])
@pytest.mark.parametrize("name", ["content-length", "issue1189"])
def test_leaves_are_where_mimekit_finds_them(corpora: Path, name: str, line_end: str) -> None:
    folder = corpora / "torture" / "mimekit"
    data = (folder / f"mbox__{name}.mbox.txt.mbox").read_bytes().replace(b"\r\n", b"\n")
    if line_end == "dos":
        data = data.replace(b"\n", b"\r\n")
    expected = json.loads(
        (folder / "expected" / f"mbox__{name}.{line_end}-offsets.json").read_text()
    )
    for message in expected:
        at = message["beginOffset"]
        root = structure_of(data[at : message["endOffset"]])
        found = [
            (f"{p.media_type}/{p.subtype}", p.header_at + at, p.body_at + at, p.end_at + at)
            for _, p in root.walk()
            if not p.parts
        ]
        for ours, theirs in zip(found, offsets(message["body"]), strict=True):
            # A header section that runs into a delimiter keeps its last line end with us.
            cut_short = ours[2] == ours[3] and data[theirs[2] : ours[2]].strip(b"\r\n") == b""
            assert ours == theirs or (cut_short and ours[:2] == theirs[:2])
