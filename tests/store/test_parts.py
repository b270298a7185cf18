"""A message taken apart comes back octet for octet, or is not taken apart."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import RecordDamaged
from appliance.mail.structure import structure_of
from appliance.mail.types import Digest
from appliance.store.parts import Literal, Reference, assembled, dismantle, pack, unpack
from tests.store.conftest import noise, with_file


def again(octets: bytes) -> tuple[bytes, list[Reference]]:
    """The message through skeleton and back, its parts coming in odd pieces."""
    apart = dismantle(octets, structure_of(octets))
    items = unpack(pack(apart.items))

    def pieces(name: Digest) -> Iterator[bytes]:
        plain = bytes(apart.parts[name])
        for at in range(0, len(plain), 1001):
            yield plain[at : at + 1001]

    whole = b"".join(assembled(items, pieces))
    assert sum(item.size for item in items) == len(octets)
    return whole, [item for item in items if isinstance(item, Reference)]


FILE = noise(5000)


@pytest.mark.parametrize("line", [4, 60, 64, 72, 76, 988])
@pytest.mark.parametrize("eol", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("size", [4998, 4999, 5000])
def test_regular_base64_is_taken_out_and_comes_back(line: int, eol: bytes, size: int) -> None:
    octets = with_file(1, FILE[:size], line, eol)
    whole, taken = again(octets)
    assert whole == octets
    assert [reference.line for reference in taken] == [line]


def test_the_same_file_in_other_lines_is_one_part_and_two_messages() -> None:
    one, two = with_file(1, FILE, 76), with_file(1, FILE, 60)
    (whole_one, (first,)), (whole_two, (second,)) = again(one), again(two)
    assert (whole_one, whole_two) == (one, two)
    assert first.digest == second.digest


IRREGULAR: dict[str, Callable[[bytes], bytes]] = {
    "a line of another length": lambda b: b.replace(b"\r\n", b"", 1),
    "line ends mixed": lambda b: b.replace(b"\r\n", b"\n", 1),
    "a space at a line's end": lambda b: b.replace(b"\r\n", b" \r\n", 1),
    "padding in the middle": lambda b: b[:74] + b"==" + b[76:],
    "bits set that padding drops": lambda b: b.rstrip(b"=\r\n")[:-1] + b"/==\r\n",
    "a letter that is none": lambda b: b"*" + b[1:],
    "lines no multiple of four": lambda b: b"\r\n".join(
        b.replace(b"\r\n", b"")[at : at + 70] for at in range(0, len(b), 70)
    ),
    "an empty line within": lambda b: b.replace(b"\r\n", b"\r\n\r\n", 1),
    "no line at all": lambda b: b"",
    "line ends at the end": lambda b: b + b"\r\n\r\n\n\r",
    "one line": lambda b: b.replace(b"\r\n", b""),
}


@pytest.mark.parametrize("fault", IRREGULAR)
def test_irregular_base64_comes_back_as_it_was(fault: str) -> None:
    octets = with_file(1, FILE)
    body = base64.encodebytes(FILE).replace(b"\n", b"\r\n")
    assert body in octets
    odd = octets.replace(body, IRREGULAR[fault](body))
    assert again(odd)[0] == odd


@given(st.binary(min_size=0, max_size=4000), st.sampled_from([b"\n", b"\r\n"]))
def test_whatever_stands_in_a_base64_part_comes_back(body: bytes, eol: bytes) -> None:
    octets = with_file(2, FILE, 76, eol)
    at = octets.index(eol * 2, octets.index(b"base64")) + len(eol) * 2
    odd = octets[:at] + base64.b64encode(FILE)[:1000] + body + octets[at:]
    assert again(odd)[0] == odd


def test_a_large_plain_part_is_shared_as_it_is() -> None:
    octets = b"Subject: long\r\n\r\n" + b"All work and no play.\r\n" * 1000
    whole, (taken,) = again(octets)
    assert whole == octets
    assert taken.line is None


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x02\x00",
        b"\x01\x01",
        b"\x01\x01\x00\x05abc",
        b"\x01\x00x",
        b"\x01\x01\x09",
        b"\x01\x80",
    ],
)
def test_a_skeleton_that_is_none_is_damage(octets: bytes) -> None:
    with pytest.raises(RecordDamaged):
        unpack(octets)


def test_an_empty_message_is_one_empty_literal() -> None:
    assert unpack(pack([Literal(b"")])) == (Literal(memoryview(b"")),)


def test_octets_that_stay_in_the_skeleton_come_in_small_pieces_too() -> None:
    octets = bytes(range(256)) * 4000
    for held in (octets, memoryview(octets)):
        items = unpack(pack([Literal(held)]))
        pieces = list(assembled(items, lambda _: iter(())))
        assert b"".join(pieces) == octets
        assert max(map(len, pieces)) <= 1 << 18
