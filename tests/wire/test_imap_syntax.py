"""Framing: limits, hostile clients, literals too large to hold."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.wire.buffer import LineTooLong, LocalProtocolError, ReceiveBuffer
from appliance.wire.imap_commands import Append, BadCharset, BadCommand, Literal
from appliance.wire.imap_grammar import append_mailbox, parse
from appliance.wire.imap_syntax import (
    AFTER_LOGIN,
    BEFORE_LOGIN,
    BadLine,
    Command,
    CommandReader,
    Event,
    ImapLimits,
    Line,
    LiteralChunk,
    LiteralEnd,
    LiteralWanted,
)
from tests.wire.playing import steady

SMALL = ImapLimits(
    line_octets=64,
    literal_octets=32,
    nonsync_octets=16,
    command_octets=1000,
    message_octets=200,
    held_message_octets=50,
    skip_octets=400,
    tag_octets=8,
)


def heard(reader: CommandReader, octets: bytes) -> Iterator[Event]:
    """The events of these octets; every literal is accepted."""
    reader.feed(octets)
    while (event := reader.next_event()) is not None:
        yield event
        if isinstance(event, LiteralWanted):
            reader.accept()


@pytest.mark.parametrize(
    ("octets", "event"),
    [
        (b"a NOOP " + b"x" * 60, BadLine("a", "a line is longer than 64 octets", "NOOP")),
        (b"x" * 65, BadLine(None, "a line is longer than 64 octets")),
        (b"123456789 NOOP\r\n", BadLine(None, "no tag")),
        (b"a LOGIN {33}\r\n", BadLine("a", "more than 32 octets in a literal", "LOGIN", True)),
        (b"a LOGIN {17+}\r\n", BadLine("a", "more than 16 octets in a literal", "LOGIN", True)),
        (
            b"a APPEND x {201}\r\n",
            BadLine("a", "more than 200 octets in a literal", "APPEND", True),
        ),
        (
            b"a LOGIN {401+}\r\n",
            BadLine("a", "more than 16 octets in a literal", "LOGIN", True, fatal=True),
        ),
    ],
    ids=["line", "line without a tag", "tag", "literal", "literal unasked", "message", "fatal"],
)
def test_a_limit_is_kept_before_anything_is_held(octets: bytes, event: BadLine) -> None:
    assert next(heard(CommandReader(SMALL), octets)) == event


def test_before_login_little_is_taken() -> None:
    reader = CommandReader(BEFORE_LOGIN)
    (event,) = heard(reader, b"a LOGIN joe {4097+}\r\n" + b"x" * 4097 + b"\r\n")
    assert event == BadLine("a", "more than 4096 octets in a literal", "LOGIN", too_big=True)
    (event,) = heard(reader, b"b APPEND INBOX {1}\r\n")
    assert isinstance(event, BadLine)
    assert event.too_big
    assert heard(reader, b"c NOOP\r\n").__next__() == Command("c", "NOOP", (b"",))


def test_after_a_line_too_long_the_next_one_is_a_command() -> None:
    reader = CommandReader(SMALL)
    events = list(heard(reader, b"a X " + b"y" * 500))
    assert len(events) == 1
    # The line announces a literal at its end: that is thrown away as well.
    events = list(heard(reader, b"z" * 500 + b"{11+}\r\nb NOOP\r\nxyz\r\nc NOOP\r\n"))
    assert events == [Command("c", "NOOP", (b"",))]


def test_many_small_literals_are_not_free() -> None:
    reader = CommandReader(replace(SMALL, line_octets=1000))
    events: list[Event] = []
    for _ in range(200):
        events += heard(reader, b"{0+}\r\n" if events else b"a SEARCH {0+}\r\n")
        if isinstance(events[-1], BadLine):
            break
    assert isinstance(events[-1], BadLine)
    assert events[-1].too_big
    assert len(events) < 20


def test_a_message_too_large_to_hold_passes_in_pieces() -> None:
    reader = CommandReader(AFTER_LOGIN)
    size = 200_000_000
    (wanted,) = heard(reader, b"a APPEND &AOk- (\\Seen) {%d}\r\n" % size)
    assert isinstance(wanted, LiteralWanted)
    assert (wanted.size, wanted.sync, wanted.streamed) == (size, True, True)
    assert append_mailbox(wanted) == "é"
    piece, total, others = b"x\0\r\n" * 16384, 0, []
    while total < size:
        for event in heard(reader, piece[: size - total]):
            if isinstance(event, LiteralChunk):
                total += len(event.octets)
            else:
                others.append(event)
        assert len(reader._buffer) == 0
    assert others == [LiteralEnd(size)]
    append, noop = heard(reader, b"\r\nb NOOP\r\n")
    assert isinstance(append, Command)
    assert append.pieces == (b"&AOk- (\\Seen) ", Literal(size, None), b"")
    assert noop == Command("b", "NOOP", (b"",))


def test_a_streamed_append_ends_in_its_command() -> None:
    reader = CommandReader(replace(SMALL, nonsync_octets=100))
    events = list(heard(reader, b"a APPEND {1+}\r\nx {60+}\r\n" + b"m" * 60 + b"\r\n"))
    *_, chunk, end, command = events
    assert (chunk, end) == (LiteralChunk(b"m" * 60), LiteralEnd(60))
    assert isinstance(command, Command)
    value = parse(command)
    assert isinstance(value, Append)
    assert value.messages[0].literal == Literal(60, None)


def test_held_messages_of_one_append_are_limited_together() -> None:
    reader = CommandReader(replace(SMALL, nonsync_octets=50, command_octets=530))
    events = heard(reader, b"a APPEND x {50+}\r\n" + (b"m" * 50 + b" {50+}\r\n") * 2)
    streamed = [event.streamed for event in events if isinstance(event, LiteralWanted)]
    assert streamed == [False, False, True]


def test_a_line_that_is_no_command_is_asked_for_and_limited() -> None:
    reader = CommandReader(SMALL)
    reader.expect_line(limit_octets=10)
    assert list(heard(reader, b"a {3+}\r\nb NOOP\r\n")) == [
        Line(b"a {3+}"),
        Command("b", "NOOP", (b"",)),
    ]
    reader.expect_line(limit_octets=10)
    events = list(heard(reader, b"x" * 20 + b"\r\nc NOOP\r\n"))
    assert events == [
        BadLine(None, "a line is longer than 10 octets"),
        Command("c", "NOOP", (b"",)),
    ]


def test_what_came_before_tls_can_be_found_and_refused() -> None:
    reader = CommandReader()
    reader.feed(b"a STARTTLS\r\nb LOGIN joe secret\r\n")
    assert reader.next_event() == Command("a", "STARTTLS", (b"",))
    assert reader.unread() == b"b LOGIN joe secret\r\n"
    assert reader.next_event() is None


def test_the_reader_keeps_its_order() -> None:
    reader = CommandReader()
    with pytest.raises(LocalProtocolError, match="no literal"):
        reader.accept()
    reader.feed(b"a LOGIN {3}\r\n")
    reader.next_event()
    with pytest.raises(LocalProtocolError, match="neither accepted nor refused"):
        reader.next_event()
    with pytest.raises(LocalProtocolError, match="inside a command"):
        reader.expect_line()
    assert not reader.between_commands
    reader.refuse()
    assert reader.between_commands


def test_no_password_is_in_a_repr() -> None:
    reader = CommandReader()
    events = list(heard(reader, b"a LOGIN joe hunter2\r\nb LOGIN joe {7+}\r\nhunter2\r\n"))
    events += list(heard(reader, b"c AUTHENTICATE PLAIN aHVudGVyMg==\r\n"))
    values = [parse(event) for event in events if isinstance(event, Command)]
    assert len(values) == 3
    shown = repr(events) + repr(values)
    assert "hunter2" not in shown
    assert "aHVudGVyMg" not in shown


@pytest.mark.parametrize("opening", [b"", b"a APPEND x {300000+}\r\n", b"a LOGIN {4000+}\r\n"])
def test_feeding_octet_by_octet_takes_linear_time(opening: bytes) -> None:
    reader = CommandReader(replace(AFTER_LOGIN, line_octets=1 << 20))
    list(heard(reader, opening))
    began = time.process_time()
    for _ in range(300_000):
        list(heard(reader, b"x"))
    # Searching from the front each time would be 4.5e10 octets, more than a minute.
    assert time.process_time() - began < 10


def test_skipping_a_chain_of_literals_takes_no_recursion() -> None:
    reader = CommandReader(SMALL)
    chain = b"* BAD {0+}\r\n" + b"{0+}\r\n" * 100_000 + b"\r\na NOOP\r\n"
    assert list(heard(reader, chain)) == [BadLine(None, "no tag"), Command("a", "NOOP", (b"",))]


FRAGMENTS = st.sampled_from(
    b'a |UID |FETCH |SEARCH |APPEND |LOGIN |LIST |STORE |SELECT |ID |(|)|"|\\|{3+}\r\n|{3}\r\n|'
    b"~{2+}\r\n|\r\n|\n|1:*|BODY[|]|<0.5>| |\0|INBOX |OR |NOT |RETURN |FLAGS |$|\xff|*|NIL |"
    b"{|}|QRESYNC |&|-|UTF8 (".split(b"|")
)


@steady
@given(
    st.lists(FRAGMENTS | st.binary(max_size=5), max_size=60).map(b"".join),
    st.integers(1, 40),
    st.integers(0, 2**32),
)
def test_arbitrary_octets_never_crash_nor_depend_on_the_cuts(
    octets: bytes, size: int, refusing: int
) -> None:
    def told(cut: int) -> list[object]:
        reader = CommandReader(SMALL)
        told: list[object] = []
        turn = refusing
        for start in range(0, len(octets), cut):
            reader.feed(octets[start : start + cut])
            while (event := reader.next_event()) is not None:
                if isinstance(event, LiteralWanted):
                    (reader.accept if turn & 1 else reader.refuse)()
                    turn >>= 1
                if isinstance(event, Command):
                    try:
                        told.append(parse(event))
                    except (BadCommand, BadCharset) as error:
                        told.append(str(error))
                elif not isinstance(event, LiteralChunk):
                    told.append(event)
        return told

    assert told(size) == told(len(octets) or 1)


def test_a_buffer_answers_lines_and_forgets_them() -> None:
    buffer = ReceiveBuffer()
    buffer.feed(b"one\r\ntwo\nthr")
    assert (buffer.line(10), buffer.line(10), buffer.line(10)) == (b"one\r\n", b"two\n", None)
    buffer.feed(b"ee\n")
    with pytest.raises(LineTooLong):
        buffer.line(5)
    assert buffer.line(6) == b"three\n"
    buffer.feed(b"x" * 50)
    assert buffer.skip_line(4) is None
    assert len(buffer) == 4
    buffer.feed(b"abcdef\r\nrest")
    assert buffer.skip_line(4) == b"ef\r\n"
    assert buffer.take_all() == b"rest"
