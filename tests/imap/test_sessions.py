"""Sessions that go wrong, end, push and share: what no transcript can say."""

from __future__ import annotations

import asyncio
import base64
import errno
import logging
import random
import re
import resource
import socket
import tempfile
import time
from pathlib import Path

import pytest

from appliance.errors import ConfigError
from appliance.imap import Doors, ImapServer, connection, session, signing_in
from appliance.store import Archive
from tests.imap.house import MIXED, SIMPLE, House, Wire
from tests.imap.house import house as a_house


def test_without_tls_a_password_is_taken_from_this_machine_only(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "is_loopback", lambda peer: False)
    with Wire(house.port) as wire:
        greeting = wire.line()
        assert b"LOGINDISABLED" in greeting
        assert b"AUTH=PLAIN" not in greeting
        assert wire.command(b"LOGIN maria x")[-1].startswith(b"NO [PRIVACYREQUIRED]")
        assert wire.command(b"AUTHENTICATE PLAIN")[-1].startswith(b"NO [PRIVACYREQUIRED]")


@pytest.mark.parametrize(
    ("peer", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.168.1.20", False),
        ("fe80::1%eth0", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_in_every_spelling(peer: str, loopback: bool) -> None:
    assert connection.is_loopback(peer) is loopback


def test_one_person_has_twenty_connections_and_no_more(house: House) -> None:
    wires = [house.signed_in() for _ in range(signing_in.CONNECTIONS_PER_PERSON)]
    login = f"LOGIN maria {house.passwords['maria']}".encode()
    with house.connect() as late:
        assert late.command(login)[-1].startswith(b"NO [LIMIT]")
        # Another person is not kept out, and a closed connection makes room.
        house.signed_in("otto").close()
        wires.pop().ok(b"LOGOUT")
        deadline = time.monotonic() + 5
        while not late.command(login)[-1].startswith(b"OK"):
            assert time.monotonic() < deadline
    for wire in wires:
        wire.close()


def test_guessing_is_slowed_down_but_not_called_a_wrong_password(house: House) -> None:
    house.server._services.refusal_delay_s = 0.0
    with house.connect() as wire:
        answers = [wire.command(b"LOGIN maria wrong")[-1] for _ in range(5)]
    assert answers[0].startswith(b"NO [AUTHENTICATIONFAILED]")
    assert answers[-1].startswith(b"NO [UNAVAILABLE] too many tries")


def test_no_password_is_ever_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    password = house.passwords["maria"]
    plain = base64.b64encode(f"\0maria\0{password}".encode())
    with house.connect() as wire:
        wire.command(b"LOGIN maria {%d+}\r\nbad%b" % (len(password) + 3, password.encode()))
        wire.command(b"LOGIN maria " + password.encode() + b" more")
        wire.command(b"AUTHENTICATE PLAIN " + plain + b" x")
        wire.ok(b"AUTHENTICATE PLAIN " + plain)
    text = caplog.text
    assert password not in text
    assert plain.decode() not in text


@pytest.mark.parametrize(
    "octets",
    [
        b"x" * 9000 + b"\r\n",
        b"a1 LOGIN {5000}\r\n",
        b"a1 LOGIN {99999+}\r\n",
        b"a1 APPEND INBOX {100000}\r\n",
    ],
    ids=["a line of 9 kB", "a literal of 5 kB", "an unasked literal", "a message"],
)
def test_before_sign_in_little_is_taken(house: House, octets: bytes) -> None:
    with house.connect() as wire:
        wire.send(octets)
        assert re.match(rb"(\*|a1) (BAD|NO) ", wire.line())


def test_who_says_nothing_is_sent_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SIGN_IN_S", 0.05)
    with house.connect() as wire:
        assert wire.line().startswith(b"* BYE")
        assert wire.line() == b""


def test_who_sends_nonsense_only_is_sent_away(house: House) -> None:
    with house.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\n" * 40)
        lines = list(iter(wire.line, b""))
    assert len(lines) <= 11


def test_a_session_lives_on_after_anything_wrong(house: House) -> None:
    house.deliver()
    with house.signed_in() as wire:
        wire.ok(b"SELECT INBOX")
        for wrong in (
            b"FETCH 1 BODY[HEADER.FIELDS ()]",
            b"FETCH 0 FLAGS",
            b"SEARCH (((((",
            b"APPEND",
            b"\xff\xfe",
            b"UID",
            b"UID NOOP",
            b"SELECT {3+}\r\nabc extra",
            b"COPY 1:999999999999 INBOX",
            b"SEARCH " + b"NOT " * 5000 + b"ALL",
            b"x" * 70_000,
        ):
            answer = wire.command(wrong)[-1]
            assert answer.startswith((b"BAD", b"NO")), (wrong[:40], answer)
        assert wire.ok(b"FETCH 1 UID") == [b"* 1 FETCH (UID 1)"]


def test_an_error_of_ours_is_a_sentence_and_the_session_lives(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a secret inside")

    monkeypatch.setattr(house.archive, "statuses", broken)
    with house.signed_in() as wire:
        answer = wire.command(b'LIST "" * RETURN (STATUS (MESSAGES))')[-1]
        assert answer.startswith(b"NO [SERVERBUG]")
        assert b"secret" not in answer
        wire.ok(b"NOOP")


def test_another_persons_mailboxes_are_not_there(house: House) -> None:
    house.deliver(SIMPLE, "INBOX", owner="otto")
    house.archive.create("otto", "Diary")
    with house.signed_in("maria") as wire:
        assert wire.command(b"SELECT Diary")[-1].startswith(b"NO [NONEXISTENT]")
        assert not any(b"Diary" in line for line in wire.ok(b'LIST "" *'))
        assert wire.ok(b"STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 0)"]
        wire.ok(b'SELECT "All Mail"')
        assert wire.ok(b"SEARCH TEXT chair") == [b"* SEARCH"]


def test_a_change_by_another_process_is_pushed(house: House) -> None:
    with house.signed_in() as wire, Archive(house.config.archive, house.bell) as other:
        wire.ok(b"SELECT INBOX")
        wire.send(b"i1 IDLE\r\n")
        assert wire.line().startswith(b"+")
        started = time.monotonic()
        other.subscribe("maria", "Elsewhere", True)
        house_archive, house.archive = house.archive, other
        house.deliver(SIMPLE)
        house.archive = house_archive
        assert wire.line() == b"* 1 EXISTS"
        assert time.monotonic() - started < 2
        wire.send(b"DONE\r\n")
        wire.until(b"i1")


def test_a_change_is_seen_even_when_nobody_rings(tmp_path: Path) -> None:
    with a_house(tmp_path) as house, house.signed_in() as wire:
        wire.ok(b"SELECT INBOX")
        with Archive(house.config.archive) as silent:
            loud, house.archive = house.archive, silent
            house.deliver(SIMPLE)
            house.archive = loud
        assert b"* 1 EXISTS" in wire.ok(b"NOOP")


def test_stopping_says_bye_and_ends_every_session(house: House) -> None:
    idle, plain = house.signed_in(), house.connect()
    idle.ok(b"SELECT INBOX")
    idle.send(b"i1 IDLE\r\n")
    idle.line()
    house.stop_server()
    assert idle.line().startswith(b"* BYE")
    assert idle.line() == b""
    assert plain.line().startswith(b"* BYE")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", house.port), timeout=2)


def test_a_client_that_vanishes_in_an_append_leaves_nothing(house: House) -> None:
    wire = house.signed_in()
    wire.send(b"a1 APPEND INBOX {3000000}\r\n")
    assert wire.line().startswith(b"+")
    wire.send(SIMPLE)
    wire.close()
    with house.signed_in() as second:
        assert second.ok(b"STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 0)"]
    assert list(house.config.spool.iterdir()) == []


def test_a_large_message_streams_in_and_out_octet_for_octet(house: House) -> None:
    lines = random.Random(5).randbytes(3 << 20).hex().encode()
    large = b"Subject: large\r\n\r\n" + b"\r\n".join(
        lines[at : at + 76] for at in range(0, len(lines), 76)
    )
    with house.signed_in() as wire:
        tagged = wire.append(b"INBOX", large, b"(\\Seen) ")
        assert re.match(rb"OK \[APPENDUID \d+ 1\]", tagged)
        wire.ok(b"SELECT INBOX")
        [line] = wire.ok(b"FETCH 1 BODY[]")
        assert line == b"* 1 FETCH (BODY[] {%d}\r\n%b)" % (len(large), large)
        [line] = wire.ok(b"FETCH 1 BODY[TEXT]<1000000.70000>")
        assert line.endswith(large[1_000_018:1_070_018] + b")")
    assert house.archive.octets(house.archive.newest()) == large
    assert list(house.config.spool.iterdir()) == []


def test_a_message_over_the_limit_is_refused_before_it_is_sent(house: House) -> None:
    with house.signed_in() as wire:
        assert wire.command(b"APPEND INBOX {8388609}")[-1].startswith(b"NO [TOOBIG]")
        # One that comes unasked is skipped, and what follows is understood.
        answer = wire.append(b"INBOX", b"x" * 8_388_609)
        assert answer.startswith(b"NO [TOOBIG]")
        wire.ok(b"NOOP")


def test_others_are_answered_while_one_pulls_everything(house: House) -> None:
    for n in range(60):
        house.deliver(SIMPLE + b"%d filler\r\n" % n * 15_000)
    with house.signed_in() as slow, house.signed_in() as quick:
        slow.ok(b"SELECT INBOX")
        slow.send(b"f1 UID FETCH 1:* BODY.PEEK[]\r\n")  # and does not read: it is paused
        waits = []
        for _ in range(50):
            started = time.perf_counter()
            quick.ok(b"NOOP")
            waits.append(time.perf_counter() - started)
        assert sorted(waits)[47] < 0.5  # a few ms on an idle machine
        assert len(slow.until(b"f1")) == 61


def test_reads_go_on_while_many_writes_wait(house: House) -> None:
    house.deliver()
    writers = [house.signed_in() for _ in range(12)]
    reader = house.signed_in()
    for wire in (*writers, reader):
        wire.ok(b"SELECT INBOX")
    with house.archive._db.write():  # somebody writes for long
        for wire in writers:
            wire.send(b"s1 STORE 1 +FLAGS (\\Flagged)\r\n")
        for _ in range(5):
            reader.ok(b"FETCH 1 (FLAGS BODY.PEEK[])")
            reader.ok(b"NOOP")
            reader.ok(b"STATUS INBOX (MESSAGES)")
    for wire in writers:
        assert wire.until(b"s1")[-1].startswith(b"s1 OK")
        wire.close()
    reader.close()


def test_memory_does_not_grow_with_what_a_client_does_not_read(house: House) -> None:
    for n in range(40):
        house.deliver(SIMPLE + b"%d " % n + b"0123456789abcdef" * 65_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with house.signed_in() as slow, house.signed_in() as quick:
        slow.ok(b"SELECT INBOX")
        slow.send(b"f1 FETCH 1:* BODY.PEEK[]\r\n" * 5)
        for _ in range(20):
            quick.ok(b"NOOP")
    # 200 MB are asked for; a few messages and buffers are held.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000


def test_a_damaged_message_is_left_out_and_the_others_come(house: House) -> None:
    house.deliver(SIMPLE)
    house.deliver(MIXED)
    volume = house.config.archive / "volumes" / "00000001.hpv"
    octets = bytearray(volume.read_bytes())
    at = house.archive._db.read().execute("SELECT at, length FROM message WHERE seq=1").fetchone()
    octets[at[0] + at[1] - 8] ^= 0xFF
    volume.write_bytes(octets)
    with house.signed_in() as wire:
        wire.ok(b"SELECT INBOX")
        *untagged, tagged = wire.command(b"FETCH 1:2 (UID BODY.PEEK[])")
        assert len(untagged) == 1
        assert untagged[0].startswith(b"* 2 FETCH (UID 2 BODY[] {")
        assert tagged.startswith(b"NO [SERVERBUG] 1 message(s) could not be read (UID 1)")
        # BODY is made from the octets; BODYSTRUCTURE is in the catalog and sound.
        *untagged, tagged = wire.command(b"FETCH 1:2 (UID BODY)")
        assert [line[:18] for line in untagged] == [b"* 2 FETCH (UID 2 B"]
        assert tagged.startswith(b"NO [SERVERBUG]")
        assert b"ENVELOPE" in wire.ok(b"FETCH 1 ENVELOPE")[0]


def test_a_large_damaged_message_ends_the_connection_once_and_is_left_out_then(
    house: House,
) -> None:
    house.deliver(b"Subject: large\r\n\r\n" + random.Random(1).randbytes(3 << 20))
    house.deliver(SIMPLE)
    volume = house.config.archive / "volumes" / "00000001.hpv"
    octets = bytearray(volume.read_bytes())
    octets[2 << 20] ^= 0xFF
    volume.write_bytes(octets)
    with house.signed_in() as wire:
        wire.ok(b"SELECT INBOX")
        wire.send(b"f1 FETCH 1:2 (UID BODY.PEEK[])\r\n")
        assert not wire.line().endswith(b")")
        assert wire.line() == b""
    with house.signed_in() as wire:
        wire.ok(b"SELECT INBOX")
        *untagged, tagged = wire.command(b"FETCH 1:2 (UID BODY.PEEK[])")
        assert [line[:18] for line in untagged] == [b"* 2 FETCH (UID 2 B"]
        assert tagged.startswith(b"NO [SERVERBUG]")


def test_a_port_that_is_taken_is_named(house: House) -> None:
    async def second() -> None:
        server = ImapServer(
            house.archive, house.household, None, house.config, house.bell, house.config.spool
        )
        await server.start(Doors(house.port, None))

    with pytest.raises(ConfigError, match=f"imap_port: 127.0.0.1:{house.port} cannot be used"):
        asyncio.run(second())


def test_a_full_disk_refuses_a_large_message_and_the_session_lives(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with house.signed_in() as wire:
        answer = wire.append(b"INBOX", b"x" * 3_000_000)
        assert answer.startswith(b"NO [UNAVAILABLE] a large message could not be kept")
        assert wire.ok(b"STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 0)"]


def test_a_large_message_for_no_mailbox_is_skipped(house: House) -> None:
    with house.signed_in() as wire:
        assert wire.append(b"Nowhere", b"x" * 3_000_000).startswith(b"NO [TRYCREATE]")
        wire.ok(b"NOOP")
