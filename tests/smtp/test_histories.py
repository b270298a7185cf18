"""Random conversations: whatever clients do, 250 after DATA means kept, and exactly that."""

from __future__ import annotations

import logging
import random
from dataclasses import replace

import pytest

from appliance.config import Config
from appliance.smtp.receive import Receiver
from tests.smtp.conftest import Client, FakeArchive, FakeHousehold, content

COMMANDS = [
    b"NOOP",
    b"RSET",
    b"HELO old",
    b"EHLO new",
    b"VRFY anna",
    b"HELP",
    b"MAIL FROM:<a@example.net>",
    b"MAIL FROM:<> BODY=8BITMIME SMTPUTF8",
    b"MAIL FROM:<a@example.net> SIZE=99999999999",
    b"MAIL FROM:",
    b"RCPT TO:<anna@hauspost.local>",
    b"RCPT TO:<ben@hauspost.local>",
    b"RCPT TO:<x@example.com>",
    b"RCPT TO:<\xff\xfe@>",
    b'RCPT TO:<"a\\"@b"@c>',
    b"RCPT TO:(((((",
    b"DATA",
    b"DATA now",
    b"STARTTLS",
    b"\x00\x01\x02",
    b"M" * 5000,
    b"",
]


@pytest.mark.parametrize("seed", range(8))
def test_250_after_data_means_kept_and_nothing_else_is(
    receiver: Receiver, archive: FakeArchive, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    seeded = random.Random(seed)
    caplog.set_level(logging.WARNING)
    acknowledged = []
    for _ in range(6):
        client = Client(receiver.address)
        assert client.reply().startswith("220 ")
        client.say("EHLO new")
        for _ in range(40):
            likely = COMMANDS[6:7] + COMMANDS[10:12] + COMMANDS[16:17]
            command = seeded.choice(COMMANDS if seeded.random() < 0.4 else likely)
            client.send(command + b"\r\n")
            reply = client.reply()
            if not reply or reply.startswith(("421", "502 5.5.1 Too many")):
                break
            assert reply[:3].isdigit(), reply
            if not reply.startswith("354"):
                continue
            alphabet = [b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"x", b"\x00", b"\xff" * 700]
            message = b"".join(seeded.choices(alphabet, k=seeded.randrange(200))) + b"\r\n"
            stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
            if seeded.random() < 0.15:
                client.send(stuffed[: seeded.randrange(len(stuffed))])
                break
            archive.failure = RuntimeError("now and then") if seeded.random() < 0.2 else None
            for piece in range(0, len(stuffed), 97):
                client.send(stuffed[piece : piece + 97])
            reply = client.reply()
            assert reply.startswith("451" if archive.failure else "250"), reply
            if reply.startswith("250"):
                acknowledged.append((reply.split()[-1], message))
        client.close()
    receiver.stop()
    kept = dict.fromkeys((d.origin.uid, content(octets)) for d, octets in archive.kept)
    assert list(kept) == acknowledged
    assert acknowledged
    surprises = [r.getMessage() for r in caplog.records if "a command failed" in r.getMessage()]
    assert surprises == []


def test_a_client_that_says_nothing_is_told_so_and_sent_away(
    archive: FakeArchive, config: Config
) -> None:
    receiver = Receiver(archive, FakeHousehold(), config, config.spool)
    receiver._manner = replace(receiver._manner, idle_s=0.05)
    with receiver:
        client = Client(receiver.address)
        assert client.reply().startswith("220 ")
        assert client.reply() == "421 4.4.2 Nothing was heard for too long; try again later"
        assert client.reply() == ""
        client.close()


def test_a_client_that_drips_is_sent_away_and_nothing_is_kept(
    archive: FakeArchive, config: Config
) -> None:
    hours = iter(range(0, 3600 * 1000, 3600))
    receiver = Receiver(archive, FakeHousehold(), config, config.spool)
    receiver._manner = replace(receiver._manner, clock_s=lambda: float(next(hours)))
    with receiver:
        client = Client(receiver.address)
        client.reply()
        client.say("EHLO slow")
        client.begin()
        client.send(b"Subject: drip\r\n")
        assert client.reply() == "421 4.4.2 Too slow; try again later"
        assert client.reply() == ""
        client.close()
    assert archive.kept == []
