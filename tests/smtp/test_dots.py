"""Dot-stuffing undone: exactly, in pieces of any size, and only CRLF.CRLF is the end."""

from __future__ import annotations

import random

import pytest

from appliance.smtp.dots import DotStuffed

CASES = [
    pytest.param(b".\r\n", b"", b"", id="nothing at all"),
    pytest.param(b"a\r\n.\r\n", b"a\r\n", b"", id="a line"),
    pytest.param(b"..\r\n.\r\n", b".\r\n", b"", id="RFC 5321 4.5.2 a dot alone"),
    pytest.param(b"..a\r\n...\r\n.\r\n", b".a\r\n..\r\n", b"", id="dots"),
    pytest.param(b".a\r\n.\r\n", b"a\r\n", b"", id="a client that does not stuff"),
    pytest.param(b"a\r\n.\r\nQUIT\r\n", b"a\r\n", b"QUIT\r\n", id="a command behind"),
    pytest.param(b"a\r\n.\r\n.\r\n", b"a\r\n", b".\r\n", id="the first end counts"),
    pytest.param(b"\r\n\r\n.\r\n", b"\r\n\r\n", b"", id="empty lines"),
    pytest.param(b"\r\r\n.\r\n", b"\r\r\n", b"", id="CR before CRLF"),
    pytest.param(b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n", b"", id="LF.LF is content"),
    pytest.param(b"a\n.\r\nb\r\n.\r\n", b"a\n.\r\nb\r\n", b"", id="LF.CRLF is content"),
    pytest.param(b"a\r.\rb\r\n.\r\n", b"a\r.\rb\r\n", b"", id="CR.CR is content"),
    pytest.param(b"a\r\n.\nb\r\n.\r\n", b"a\r\n\nb\r\n", b"", id="CRLF.LF: the dot is stuffing"),
    pytest.param(b"a\r\n.\rb\r\n.\r\n", b"a\r\n\rb\r\n", b"", id="CRLF.CR: the dot is stuffing"),
    pytest.param(b"a\r.\r\nb\r\n.\r\n", b"a\r.\r\nb\r\n", b"", id="CR.CRLF is content"),
    pytest.param(b"a\0\r\n.\0\r\n.\r\n", b"a\0\r\n\0\r\n", b"", id="NUL is an octet"),
    pytest.param(b"\xff\n\n.\r\n.\r\n", b"\xff\n\n.\r\n", b"", id="8 bit, LFLF.CRLF"),
]


@pytest.mark.parametrize(("sent", "message", "rest"), CASES)
def test_it_is_the_same_whole_octet_by_octet_and_cut_anywhere(
    sent: bytes, message: bytes, rest: bytes
) -> None:
    pieces = [[sent], [sent[i : i + 1] for i in range(len(sent))]]
    pieces += [[sent[:cut], sent[cut:]] for cut in range(1, len(sent))]
    for fed in pieces:
        machine = DotStuffed()
        got = b""
        later = b""
        for piece in fed:
            if machine.ended:
                later += piece
            else:
                got += machine.feed(piece)
        assert machine.ended
        assert (got, machine.rest + later) == (message, rest), fed


@pytest.mark.parametrize(("sent", "message", "rest"), CASES)
def test_cut_short_it_has_not_ended(sent: bytes, message: bytes, rest: bytes) -> None:
    whole = sent[: len(sent) - len(rest)]
    for cut in range(len(whole)):
        machine = DotStuffed()
        got = machine.feed(whole[:cut])
        assert not machine.ended
        assert message.startswith(got)


def test_what_is_stuffed_comes_back_whatever_it_is() -> None:
    seeded = random.Random(5321)
    for _ in range(3000):
        octets = bytes(seeded.choices(b"\r\n.a", weights=(3, 3, 3, 1), k=seeded.randrange(40)))
        message = octets + b"\r\n"
        stuffed = message.replace(b"\r\n.", b"\r\n..")
        stuffed = b"." + stuffed if stuffed.startswith(b".") else stuffed
        machine = DotStuffed()
        got = b""
        left = stuffed + b".\r\nNOOP\r\n"
        while left and not machine.ended:
            size = seeded.randrange(1, 9)
            got += machine.feed(left[:size])
            left = left[size:]
        assert got == message
        assert machine.rest + left == b"NOOP\r\n"


def test_a_line_without_end_is_passed_on_and_not_gathered() -> None:
    machine = DotStuffed()
    for _ in range(100):
        assert len(machine.feed(b"x" * 65536)) == 65536
    assert len(machine.feed(b"\r\n.\r")) == 0
    assert machine.feed(b"\n") == b"\r\n"
