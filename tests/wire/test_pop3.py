"""The POP3 machine: sessions as files, octets that must not change, servers that lie."""

from __future__ import annotations

import itertools
import os
import random
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import (
    CredentialsRejected,
    RemoteError,
    RemoteProtocolError,
    TryLater,
    UsageError,
)
from appliance.wire import pop3
from appliance.wire.buffer import LocalProtocolError
from appliance.wire.pop3 import (
    Err,
    Event,
    MessageChunk,
    MessageEnd,
    Ok,
    Pop3Limits,
    Pop3Machine,
    refusal,
    sasl_plain,
    sasl_xoauth2,
)
from tests.wire.playing import Step, steady, steps, transcripts

Cut = Callable[[bytes], Iterable[bytes]]


def whole(octets: bytes) -> Iterable[bytes]:
    return [octets]


def by_octet(octets: bytes) -> Iterable[bytes]:
    return [octets[at : at + 1] for at in range(len(octets))]


def by_hundred(octets: bytes) -> Iterable[bytes]:
    return [octets[at : at + 100] for at in range(0, len(octets), 100)]


def send(machine: Pop3Machine, line: bytes) -> bytes:
    """What the machine sends for a line of the client."""
    text = line.decode().removesuffix("\r\n")
    word, _, rest = text.partition(" ")
    arguments = rest.split()
    match word:
        case "USER" | "PASS":
            return getattr(machine, f"send_{word.lower()}")(rest)  # type: ignore[no-any-return]
        case "AUTH":
            initial = b"test\0test\0test" if len(arguments) > 1 else None
            return machine.send_auth(arguments[0], initial)
        case "*":
            return machine.send_response(None)
        case "" | "dXNlcg==":
            return machine.send_response(b"user" if word else b"")
    arguments_ = [int(argument) for argument in arguments]
    return getattr(machine, f"send_{word.lower()}")(*arguments_)  # type: ignore[no-any-return]


def gathered(events: Iterable[Event]) -> list[Event]:
    """Chunks joined: how a message was cut says nothing."""
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        if isinstance(event, MessageChunk) and isinstance(last, MessageChunk):
            assert event.msn == last.msn
            joined[-1] = MessageChunk(event.msn, last.octets + event.octets)
        else:
            joined.append(event)
    return joined


def expected(script: Iterable[Step]) -> list[Event]:
    return [eval(step.text, vars(pop3)) for step in script if step.kind == "="]  # noqa: S307 our own files


def play(
    script: list[Step], cut: Cut, stop_after: int = 1 << 30
) -> tuple[Pop3Machine, list[Event]]:
    """Plays a session until so many octets came from the server; errors leave with the events."""
    machine = Pop3Machine()
    events: list[Event] = []
    for step in script:
        if step.kind == "C":
            assert send(machine, step.octets) == step.octets
        elif step.kind == "@":
            getattr(machine, step.text)()
        elif step.kind == "S":
            octets = step.octets[:stop_after]
            stop_after -= len(octets)
            for piece in cut(octets):
                try:
                    events.extend(machine.receive(piece))
                except RemoteProtocolError as error:
                    return machine, [*events, Refused(str(error))]  # type: ignore[list-item]
            if not stop_after:
                break
    return machine, events


class Refused(str):
    """Stands for the error in a list of events."""


@pytest.mark.parametrize("cut", [whole, by_octet], ids=["whole", "octet by octet"])
@pytest.mark.parametrize("path", transcripts("pop3"), ids=lambda path: path.stem)
def test_a_session_gives_its_events(path: Path, cut: Cut) -> None:
    script = list(steps(path))
    machine, events = play(script, cut)
    refusals = [step.text for step in script if step.kind == "!"]
    if refusals:
        last = events.pop()
        assert isinstance(last, Refused)
        assert refusals[0] in last
        with pytest.raises(RemoteProtocolError):
            list(machine.receive(b""))
    assert gathered(events) == expected(script)
    if not refusals:
        machine.receive_eof()


SOUND = [path for path in transcripts("pop3") if not path.stem.startswith("error-")]


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.stem)
def test_a_lost_connection_is_never_taken_for_an_answer(path: Path) -> None:
    script = list(steps(path))
    golden = expected(script)
    total = sum(len(step.octets) for step in script if step.kind == "S")
    for cut_at in range(1, total):
        machine, events = play(script, whole, cut_at)
        seen = gathered(events)
        if machine.outstanding:
            with pytest.raises(TryLater):
                machine.receive_eof()
        complete = [event for event in seen if not isinstance(event, MessageChunk)]
        ends = [event for event in golden if not isinstance(event, MessageChunk)]
        assert complete == ends[: len(complete)]
        if seen and isinstance(seen[-1], MessageChunk):
            whole_message = golden[len(seen) - 1]
            assert isinstance(whole_message, MessageChunk)
            assert whole_message.octets.startswith(seen[-1].octets)


def greeted(limits: Pop3Limits | None = None) -> Pop3Machine:
    machine = Pop3Machine(limits)
    list(machine.receive(b"+OK\r\n"))
    return machine


def stuffed(octets: bytes) -> bytes:
    """As a sound server sends it (RFC 1939 §3)."""
    if octets.startswith(b"."):
        octets = b"." + octets
    return octets.replace(b"\r\n.", b"\r\n..") + b".\r\n"


@steady
@given(
    lines=st.lists(st.text(alphabet=".\r\n\0aÿ", max_size=6)),
    sizes=st.lists(st.integers(1, 5), min_size=1),
)
def test_any_message_comes_out_as_it_was_however_it_was_cut(
    lines: list[str], sizes: list[int]
) -> None:
    message = b"".join(line.encode("latin-1") + b"\r\n" for line in lines)
    wire = b"+OK\r\n" + stuffed(message) + b"+OK next\r\n"
    machine = greeted()
    machine.send_retr(1)
    machine.send_noop()
    events: list[Event] = []
    at, turn = 0, 0
    while at < len(wire):
        size = sizes[turn % len(sizes)]
        events.extend(machine.receive(wire[at : at + size]))
        at, turn = at + size, turn + 1
    chunks = [MessageChunk(1, message)] if message else []
    assert gathered(events) == [*chunks, MessageEnd(1, len(message)), Ok("NOOP", "next")]


@steady
@given(st.binary(max_size=300), st.integers(0, 10))
def test_arbitrary_octets_never_crash_the_machine(octets: bytes, pick: int) -> None:
    machine = greeted()
    (machine.send_retr, machine.send_list, machine.send_uidl)[pick % 3](*((1,) * (pick % 3 == 0)))
    try:
        events = list(machine.receive(b"+OK\r\n" + octets))
    except RemoteProtocolError as error:
        events, said = [], str(error)
        assert said.isprintable()
    assert all(repr(event) for event in events)


def test_a_message_of_200_megabytes_is_never_held() -> None:
    machine = greeted()
    machine.send_retr(1)
    piece = (b"x" * 70 + b"\r\n..\r\n") * 850
    list(machine.receive(b"+OK\r\n"))
    total = 0
    for _ in range(200_000_000 // len(piece)):
        for event in machine.receive(piece):
            assert isinstance(event, MessageChunk)
            total += len(event.octets)
        assert len(machine._buffer) <= 4
    last, end = machine.receive(b".\r\n")
    assert last == MessageChunk(1, b"\r\n")
    assert end == MessageEnd(1, total + 2)


def test_a_line_of_any_length_is_content() -> None:
    machine = greeted()
    machine.send_retr(1)
    events = list(machine.receive(b"+OK\r\n" + b"x" * 3_000_000 + b"\r\n.\r\n"))
    assert events[-1] == MessageEnd(1, 3_000_002)


def test_feeding_octet_by_octet_takes_linear_time() -> None:
    machine = greeted(Pop3Limits(status_octets=1 << 20))
    machine.send_noop()
    began = time.process_time()
    for _ in range(300_000):
        list(machine.receive(b"x"))
    # Searching from the front each time would be 4.5e10 octets, more than a minute.
    assert time.process_time() - began < 10


def test_many_small_messages_in_one_piece_take_linear_time() -> None:
    machine = greeted()
    for msn in range(1, 20_001):
        machine.send_retr(msn)
    began = time.process_time()
    events = list(machine.receive((b"+OK\r\n" + b"x" * 100 + b"\r\n.\r\n") * 20_000))
    assert time.process_time() - began < 10
    assert sum(isinstance(event, MessageEnd) for event in events) == 20_000


@pytest.mark.parametrize(
    ("limits", "said", "reason"),
    [
        (Pop3Limits(status_octets=20), b"+OK " + b"x" * 20, "longer than 20 octets"),
        (Pop3Limits(line_octets=20), b"+OK\r\n1 " + b"x" * 20, "longer than 20 octets"),
        (Pop3Limits(entries=3), b"+OK\r\n" + b"1 x\r\n" * 4, "more than 3 lines"),
    ],
    ids=["a status line without end", "a list line without end", "a list without end"],
)
def test_what_a_server_sends_is_limited_before_it_is_held(
    limits: Pop3Limits, said: bytes, reason: str
) -> None:
    machine = greeted(limits)
    machine.send_uidl()
    with pytest.raises(RemoteProtocolError, match=reason):
        list(machine.receive(said))


@pytest.mark.parametrize("bad", ["", "a\rQUIT", "a\nQUIT", "a\0b", "\ud800"])
def test_an_argument_cannot_smuggle_a_command(bad: str) -> None:
    machine = greeted()
    for speak in (machine.send_user, machine.send_pass, machine.send_auth):
        with pytest.raises(UsageError) as caught:
            speak(bad)
        assert "QUIT" not in str(caught.value)
    assert machine.outstanding == 0


def test_the_machine_keeps_its_order() -> None:
    with pytest.raises(LocalProtocolError, match="before the greeting"):
        Pop3Machine().send_noop()
    machine = greeted()
    with pytest.raises(LocalProtocolError, match="without a challenge"):
        machine.send_response(b"")
    with pytest.raises(LocalProtocolError, match="without an answered STLS"):
        machine.tls_started()
    with pytest.raises(LocalProtocolError, match="count from 1"):
        machine.send_retr(0)
    machine.send_noop()
    with pytest.raises(LocalProtocolError, match="other commands"):
        machine.send_stls()
    list(machine.receive(b"+OK\r\n"))
    machine.send_stls()
    with pytest.raises(LocalProtocolError, match="between STLS and TLS"):
        machine.send_user("me")
    list(machine.receive(b"-ERR no\r\n"))
    machine.send_quit()
    with pytest.raises(LocalProtocolError, match="before QUIT is answered"):
        machine.send_noop()


@pytest.mark.parametrize("cut", [whole, by_octet], ids=["whole", "octet by octet"])
def test_octets_behind_the_answer_to_stls_are_refused(cut: Cut) -> None:
    machine = greeted()
    machine.send_stls()
    pieces = cut(b"+OK go\r\n+OK injected\r\n")
    with pytest.raises(RemoteProtocolError, match="between STLS and TLS"):
        list(itertools.chain.from_iterable(machine.receive(piece) for piece in pieces))
    with pytest.raises(RemoteProtocolError):
        machine.tls_started()


def test_octets_fed_and_not_looked_at_do_not_slip_into_tls() -> None:
    machine = greeted()
    machine.send_stls()
    assert list(machine.receive(b"+OK\r\n")) == [Ok("STLS")]
    machine.receive(b"+OK injected\r\n")
    with pytest.raises(RemoteProtocolError, match="between STLS and TLS"):
        machine.tls_started()


def test_a_server_that_goes_on_during_a_challenge_is_refused() -> None:
    machine = greeted()
    machine.send_auth("PLAIN")
    with pytest.raises(RemoteProtocolError, match="without our response"):
        list(machine.receive(b"+ \r\n+OK\r\n"))


@pytest.mark.parametrize(
    ("err", "error"),
    [
        (Err("PASS", "wrong password"), CredentialsRejected),
        (Err("AUTH", "", "AUTH"), CredentialsRejected),
        (Err("PASS", "x", "IN-USE"), TryLater),
        (Err("USER", "x", "LOGIN-DELAY"), TryLater),
        (Err("PASS", "x", "SYS/TEMP"), TryLater),
        (Err("PASS", "x", "SYS/PERM"), RemoteError),
        (Err("PASS", "maildrop already locked"), TryLater),
        (Err("PASS", "Mailbox in use, try again later"), TryLater),
        (Err("PASS", "Invalid login or password, please try again"), CredentialsRejected),
        (Err("PASS", "Server unavailable. 21"), TryLater),
        (Err("", "too many connections"), TryLater),
        (Err("", "go away"), TryLater),
        (Err("RETR", "no such message"), RemoteError),
    ],
    ids=lambda value: repr(value) if isinstance(value, Err) else "",
)
def test_a_refusal_says_who_must_act(err: Err, error: type[RemoteError]) -> None:
    assert type(refusal(err)) is error


def test_no_password_is_in_a_repr() -> None:
    machine = greeted()
    machine.send_user("me")
    machine.send_pass("hunter2")
    assert "hunter2" not in repr(machine) + repr(vars(machine))


def test_a_password_the_server_repeats_is_in_no_event() -> None:
    machine = greeted()
    machine.send_pass("hunter2")
    (err,) = machine.receive(b"-ERR [AUTH] unknown: PASS hunter2\r\n")
    assert err == Err("PASS", "unknown: PASS …", "AUTH")
    sent = machine.send_auth("PLAIN", sasl_plain("me", "hunter2"))
    (ok,) = machine.receive(b"+OK to" + sent[4:])
    assert ok == Ok("AUTH", "to PLAIN …")


def test_sasl_responses_are_as_their_documents_say() -> None:
    assert sasl_plain("tim", "tanstaaftanstaaf") == b"\0tim\0tanstaaftanstaaf"
    assert sasl_xoauth2("a@b", "t") == b"user=a@b\x01auth=Bearer t\x01\x01"
    with pytest.raises(UsageError):
        sasl_plain("a\0b", "x")
    with pytest.raises(UsageError):
        sasl_xoauth2("a", "x\x01y")


def test_random_maildrops_come_out_whole() -> None:
    rng = random.Random(1939)
    for _ in range(50):
        machine = greeted()
        messages = [
            b"".join(
                rng.choice((b".", b"\r\n", b"\n", b"\r", b"..", b"x", b"\r\n.")) for _ in range(40)
            )
            + b"\r\n"
            for _ in range(rng.randrange(1, 8))
        ]
        for msn in range(1, len(messages) + 1):
            machine.send_retr(msn)
        wire = b"".join(b"+OK\r\n" + stuffed(message) for message in messages)
        events: list[Event] = []
        while wire:
            size = rng.randrange(1, 60)
            events.extend(machine.receive(wire[:size]))
            wire = wire[size:]
        out = [event.octets for event in gathered(events) if isinstance(event, MessageChunk)]
        assert out == messages


@pytest.mark.corpora
@pytest.mark.parametrize("cut", [whole, by_octet], ids=["whole", "octet by octet"])
def test_responses_of_real_servers_are_read(cut: Cut) -> None:
    """MailKit's recorded responses; the files hold LF, a server sends CR LF."""
    found = sorted((corpora() / "torture/mailkit/expected").glob("Pop3__*.txt"))
    assert len(found) > 50
    read = {path.name: answered(path, cut) for path in found if asked_by(path)}
    assert len(read) > 30
    ends = [event for events in read.values() for event in events]
    assert [event for event in ends if isinstance(event, Refused)] == []
    assert Err("LIST") not in ends
    assert any(isinstance(event, MessageEnd) and event.octets_total > 1000 for event in ends)


def corpora() -> Path:
    beside = Path(__file__).parents[2].parent / "shared" / "corpora"
    path = Path(os.environ.get("HAUSPOST_CORPORA", beside))
    if not path.is_dir():
        pytest.skip("the mail corpora are not beside the checkout")
    return path


def asked_by(path: Path) -> str | None:
    """The command a file answers, by its name; None for those whose fault is their point."""
    what = path.stem.rpartition("__")[2]
    found = re.fullmatch(r"(capa|list|uidl|retr|top|dele|noop|rset|quit)(\d*)", what)
    if found is None:
        return None
    return found[1]


def answered(path: Path, cut: Cut) -> list[Event]:
    octets = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    command = asked_by(path)
    machine = greeted()
    one = command in ("list", "uidl") and not octets.endswith(b".\r\n")
    match command:
        case "retr" | "dele" | "top":
            # "123" in a name: three commands under way.
            for msn in range(1, 4 if path.stem.endswith("123") else 2):
                getattr(machine, f"send_{command}")(msn, *((0,) * (command == "top")))
        case "list" | "uidl" if one:
            getattr(machine, f"send_{command}")(1)
        case _:
            getattr(machine, f"send_{command}")()
    events: list[Event] = []
    # The few long ones are cut no smaller than into 100 octets, for the sake of time.
    for piece in cut(octets) if len(octets) < 20_000 else by_hundred(octets):
        try:
            events.extend(machine.receive(piece))
        except RemoteProtocolError as error:
            return [Refused(f"{path.name}: {error}")]  # type: ignore[list-item]
    return gathered(events)
