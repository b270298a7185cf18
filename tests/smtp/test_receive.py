"""Whole conversations with the receiver: what is taken, from whom, for whom, and what is not."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import smtplib
import ssl
import threading
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from appliance.certificate import ensure_certificate, server_context
from appliance.config import Config
from appliance.errors import ConfigError, DiskFull, StoreError
from appliance.mail.types import Origin
from appliance.smtp.receive import CLIENTS_PER_PEER_LIMIT, Receiver
from tests.smtp.conftest import LIMIT, NOW, Client, FakeArchive, FakeHousehold, content

MESSAGE = b"From: Carl <carl@example.net>\r\nSubject: hello\r\n\r\nDear Anna,\r\n.dot\r\n"
STUFFED = MESSAGE.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def test_a_message_is_kept_with_its_trace_and_not_an_octet_else(
    client: Client, archive: FakeArchive
) -> None:
    client.begin("Anna@hauspost.local")
    client.send(STUFFED)
    reply = client.reply()
    assert reply.startswith("250 2.0.0 OK: kept as ")
    queue_id = reply.split()[-1]
    ((delivery, octets),) = archive.kept
    assert octets == (
        b"Return-Path: <carl@example.net>\r\n"
        b"Received: from laptop.lan ([127.0.0.1])\r\n"
        b"\tby hauspost.local with ESMTP id " + queue_id.encode() + b"\r\n"
        b"\tfor <Anna@hauspost.local>;\r\n"
        b"\tWed, 02 Jan 2030 03:04:05 +0000\r\n" + MESSAGE
    )
    assert delivery.origin == Origin("smtp", "anna", 0, queue_id)
    assert (delivery.owner, delivery.mailbox, delivery.internal_date) == ("anna", "INBOX", NOW)
    assert delivery.flags == frozenset()


def test_ehlo_offers_what_we_have_and_no_sign_in(client: Client) -> None:
    assert client.say("EHLO laptop.lan").splitlines() == [
        "250-hauspost.local",
        f"250-SIZE {LIMIT}",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-PIPELINING",
        "250-ENHANCEDSTATUSCODES",
        "250 HELP",
    ]
    assert client.say("AUTH PLAIN AGEAYg==") == '500 5.5.2 Error: command "AUTH" not recognized'


def test_one_message_for_two_people_is_one_message_in_two_places(
    client: Client, archive: FakeArchive
) -> None:
    client.begin("anna@hauspost.local", "ben@hauspost.local", "anna.b@example.org")
    client.send(STUFFED)
    assert client.reply().startswith("250 ")
    (anna, first), (ben, second) = archive.kept
    assert (anna.owner, ben.owner) == ("anna", "ben")
    assert first == second
    assert anna.origin.uid == ben.origin.uid
    assert b"for <" not in first, "nobody learns of a blind copy"


@pytest.mark.parametrize(
    ("recipient", "reply"),
    [
        ("<carl@example.net>", "550 5.7.1 Relaying denied"),
        ("<anna@example.org>", "550 5.7.1 Relaying denied"),
        ("<anna%example.net@example.com>", "550 5.7.1 Relaying denied"),
        ("<@hauspost.local:carl@example.net>", "55"),
        ("<carl@hauspost.local>", "550 5.1.1 No such person here"),
        ("<>", "550 5.7.1"),
        ("<anna@hauspost.local\x01>", "553 5.1.3"),
        ("<jürgen@hauspost.local>", "553 5.6.7"),
        ("<anna@hauspost.local> NOTIFY=NEVER", "555 5.5.4"),
        ("nonsense <", "501 5.5.4"),
        ("<" + "a" * 400 + "@hauspost.local>", "550 5.1.1"),
        ("<" + "a" * 1500 + "@hauspost.local>", "553 5.1.3"),
        ("<" + "a" * 3000 + "@hauspost.local>", "500 5.5.2 Command line too long"),
        ("", "501 5.5.4"),
    ],
)
def test_nobody_elses_mail_is_taken(
    client: Client, archive: FakeArchive, recipient: str, reply: str
) -> None:
    assert client.say("MAIL FROM:<carl@example.net>") == "250 2.1.0 OK"
    assert client.say(f"RCPT TO:{recipient}").startswith(reply)
    assert client.say("DATA") == "503 5.5.1 Error: need RCPT command"
    assert archive.kept == []


def test_octets_that_are_no_text_are_answered_and_the_conversation_goes_on(
    client: Client, archive: FakeArchive
) -> None:
    client.send(b"MAIL FROM:<\xff\xfe@example.net> SMTPUTF8\r\n")
    assert client.reply().startswith("553 5.1.3")
    client.send(b"\xff\xfe\r\n")
    assert client.reply().startswith("500 5.5.2")
    client.send(b"VRFY \xff\r\n")
    assert client.reply().startswith("252 2.1.5")
    client.send(b"HELP \xff\r\n")
    assert client.reply().startswith("501 5.5.4")
    client.send(b"\r\n")
    assert client.reply().startswith("500 5.5.2")
    client.begin()
    client.send(STUFFED)
    assert client.reply().startswith("250 ")


def test_a_bounce_has_an_empty_return_path(client: Client, archive: FakeArchive) -> None:
    client.begin(sender="<>")
    client.send(STUFFED)
    assert client.reply().startswith("250 ")
    assert archive.kept[0][1].startswith(b"Return-Path: <>\r\nReceived: ")


def test_an_internationalized_address_needs_smtputf8(client: Client, archive: FakeArchive) -> None:
    assert client.say("MAIL FROM:<jürgen@example.net>").startswith("553 5.6.7")
    assert client.say("MAIL FROM:<jürgen@example.net> SMTPUTF8 BODY=8BITMIME") == "250 2.1.0 OK"
    assert client.say("RCPT TO:<jürgen@hauspost.local>") == "250 2.1.5 OK"
    assert client.say("DATA").startswith("354")
    client.send(STUFFED)
    assert client.reply().startswith("250 ")
    octets = archive.kept[0][1]
    assert octets.startswith("Return-Path: <jürgen@example.net>\r\n".encode())
    assert b" with UTF8SMTP id " in octets


def test_what_a_client_calls_itself_cannot_write_fields(
    client: Client, archive: FakeArchive
) -> None:
    assert client.say("EHLO evil)\rBcc: x (").startswith("250-")
    client.begin()
    client.send(STUFFED)
    assert client.reply().startswith("250 ")
    assert b"Received: from unknown ([127.0.0.1])\r\n" in archive.kept[0][1]


SMUGGLED = b"a{}MAIL FROM:<evil@example.net>\r\nRCPT TO:<ben@hauspost.local>\r\nDATA\r\nb\r\n"


@pytest.mark.parametrize(
    "end",
    [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\r\n\x00.\r\n"],
    ids=["LF.LF", "LF.CRLF", "CR.CR", "CRLF.LF", "CRLF.CR", "CR.CRLF", "CRLF NUL . CRLF"],
)
def test_a_smuggled_message_stays_inside_the_first(
    client: Client, archive: FakeArchive, end: bytes
) -> None:
    sent = b"Subject: x\r\n\r\n" + SMUGGLED.replace(b"{}", end)
    client.begin()
    client.send(sent + b".\r\n")
    assert client.reply().startswith("250 ")
    ((delivery, octets),) = archive.kept
    assert delivery.owner == "anna"
    assert content(octets) == sent.replace(b"\r\n.", b"\r\n")
    assert client.say("NOOP") == "250 2.0.0 OK"


def test_pipelined_commands_are_answered_in_turn(client: Client, archive: FakeArchive) -> None:
    client.send(
        b"MAIL FROM:<carl@example.net>\r\nRCPT TO:<nobody@hauspost.local>\r\n"
        b"RCPT TO:<anna@hauspost.local>\r\nDATA\r\n"
    )
    assert [client.reply()[:3] for _ in range(4)] == ["250", "550", "250", "354"]
    client.send(STUFFED + b"MAIL FROM:<>\r\nRCPT TO:<ben@hauspost.local>\r\nDATA\r\n")
    assert [client.reply()[:3] for _ in range(4)] == ["250", "250", "250", "354"]
    client.send(b".\r\nQUIT\r\n")
    assert [client.reply()[:3] for _ in range(3)] == ["250", "221", ""]
    assert [(d.owner, content(octets)) for d, octets in archive.kept] == [
        ("anna", MESSAGE),
        ("ben", b""),
    ]


@pytest.mark.parametrize("size", [1001, 2048, 100_000, 3 << 20], ids=str)
def test_a_line_may_be_as_long_as_the_message(
    client: Client, archive: FakeArchive, size: int
) -> None:
    message = b"Subject: long\r\n\r\n" + b"x" * size + b"\r\n"
    client.begin()
    client.send(message + b".\r\n")
    assert client.reply().startswith("250 ")
    assert content(archive.kept[0][1]) == message


def test_every_octet_comes_through_in_pieces_of_any_size(
    client: Client, archive: FakeArchive
) -> None:
    message = bytes(range(256)) * 40 + b"\r\n"
    client.begin()
    stuffed = message.replace(b"\r\n.", b"\r\n..") + b".\r\n"
    for at in range(0, len(stuffed), 777):
        client.send(stuffed[at : at + 777])
    assert client.reply().startswith("250 ")
    assert content(archive.kept[0][1]) == message


def test_a_large_message_goes_by_the_disk_and_leaves_nothing_there(
    client: Client, archive: FakeArchive, config: Config
) -> None:
    message = b"Subject: large\r\n\r\n" + (b"y" * 76 + b"\r\n") * 40_000
    client.begin("anna@hauspost.local", "ben@hauspost.local")
    client.send(message + b".\r\n")
    assert client.reply().startswith("250 ")
    assert archive.views == 2
    assert {content(octets) for _, octets in archive.kept} == {message}
    assert list(config.spool.iterdir()) == []
    assert config.spool.stat().st_mode & 0o077 == 0


def test_a_size_that_is_announced_is_refused_at_once(client: Client) -> None:
    assert client.say(f"MAIL FROM:<c@example.net> SIZE={LIMIT + 1}").startswith("552 5.3.4")
    assert client.say("MAIL FROM:<c@example.net> SIZE=x").startswith("501 5.5.4")
    assert client.say(f"MAIL FROM:<c@example.net> SIZE={LIMIT}") == "250 2.1.0 OK"


def test_a_size_the_disk_cannot_take_is_refused_for_now(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 33 << 20})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert client.say("MAIL FROM:<c@example.net> SIZE=2000000").startswith("452 4.3.1")
    assert client.say("MAIL FROM:<c@example.net>") == "250 2.1.0 OK"


def test_the_limit_is_exact_and_counts_what_the_client_sent(
    client: Client, archive: FakeArchive
) -> None:
    head = b"Subject: x\r\n\r\n"
    for excess, reply in ((0, "250 "), (1, "552 5.3.4 Message too large: at most 4194304 octets")):
        body = b"z" * (LIMIT - len(head) - 2 + excess) + b"\r\n"
        client.begin()
        client.send(head + body + b".\r\n")
        assert client.reply().startswith(reply)
    assert len(archive.kept) == 1
    assert len(content(archive.kept[0][1])) == LIMIT
    assert client.say("NOOP") == "250 2.0.0 OK"


@pytest.mark.parametrize(
    ("failure", "reply"),
    [
        (DiskFull("catalog.sqlite3: no room"), "452 4.3.1 Insufficient system storage"),
        (StoreError("catalog.sqlite3: damaged"), "451 4.3.0 The archive cannot take mail now"),
        (RuntimeError("a bug"), "451 4.3.0 Local error"),
    ],
)
def test_what_the_archive_did_not_take_is_not_acknowledged(
    client: Client, archive: FakeArchive, failure: Exception, reply: str
) -> None:
    archive.failure = failure
    client.begin()
    client.send(STUFFED)
    answer = client.reply()
    assert answer.startswith(reply)
    assert str(failure) not in answer
    archive.failure = None
    client.begin()
    client.send(STUFFED)
    assert client.reply().startswith("250 ")
    assert len(archive.kept) == 1


@pytest.mark.parametrize(
    ("number", "reply"), [(errno.ENOSPC, "452 4.3.1"), (errno.EIO, "451 4.3.0")]
)
def test_a_spool_that_cannot_be_written_is_said_after_the_data(
    client: Client,
    archive: FakeArchive,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    reply: str,
) -> None:
    def broken(_: Path) -> object:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("appliance.smtp.incoming._nameless", broken)
    client.begin()
    client.send(b"x" * (2 << 20) + b"\r\n.\r\n")
    assert client.reply().startswith(reply)
    assert client.say("NOOP") == "250 2.0.0 OK"
    assert archive.kept == []


def test_250_waits_for_the_archive_and_others_do_not(
    client: Client, receiver: Receiver, archive: FakeArchive
) -> None:
    storing, may_finish = threading.Event(), threading.Event()

    def slow() -> None:
        storing.set()
        assert may_finish.wait(10)

    archive.before = slow
    client.begin()
    client.send(STUFFED)
    assert storing.wait(10)
    other = Client(receiver.address)
    assert other.reply().startswith("220 ")
    assert other.say("EHLO other").startswith("250-")
    other.close()
    client.socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        client.socket.recv(1)
    assert archive.kept == []
    may_finish.set()
    client.socket.settimeout(10)
    assert client.socket.recv(4) == b"250 "
    assert len(archive.kept) == 1


def test_a_client_that_leaves_in_the_middle_leaves_nothing(
    client: Client, receiver: Receiver, archive: FakeArchive, config: Config
) -> None:
    client.begin()
    client.send(b"Subject: half\r\n\r\n" + b"x" * (2 << 20))
    client.close()
    receiver.stop()
    assert archive.kept == []
    assert list(config.spool.glob("*")) == []


def test_stopping_finishes_what_is_being_stored_and_says_goodbye(
    client: Client, receiver: Receiver, archive: FakeArchive
) -> None:
    idle = Client(receiver.address)
    idle.reply()
    storing, may_finish = threading.Event(), threading.Event()

    def slow() -> None:
        storing.set()
        assert may_finish.wait(10)

    archive.before = slow
    client.begin()
    client.send(STUFFED)
    assert storing.wait(10)
    stopping = threading.Thread(target=receiver.stop)
    stopping.start()
    assert idle.reply() == "421 4.3.2 Shutting down; try again later"
    assert idle.reply() == ""
    may_finish.set()
    assert client.reply().startswith("250 ")
    assert client.reply().startswith("421 ")
    stopping.join(10)
    assert not stopping.is_alive()
    receiver.stop()
    idle.close()


def test_somebody_who_tries_names_is_sent_away(client: Client) -> None:
    assert client.say("MAIL FROM:<carl@example.net>") == "250 2.1.0 OK"
    for number in range(20):
        assert client.say(f"RCPT TO:<n{number}@hauspost.local>").startswith("550 5.1.1")
    assert client.say("RCPT TO:<n20@hauspost.local>").startswith("550 5.7.1")
    assert client.reply().startswith("421 4.7.0 Too many unknown recipients")
    assert client.reply() == ""


def test_a_hundred_recipients_are_taken_and_no_more(client: Client) -> None:
    assert client.say("MAIL FROM:<carl@example.net>") == "250 2.1.0 OK"
    for _ in range(100):
        assert client.say("RCPT TO:<anna@hauspost.local>") == "250 2.1.5 OK"
    assert client.say("RCPT TO:<ben@hauspost.local>") == "452 4.5.3 Too many recipients"


def test_one_peer_has_only_so_many_connections(client: Client, receiver: Receiver) -> None:
    others = [Client(receiver.address) for _ in range(CLIENTS_PER_PEER_LIMIT - 1)]
    assert all(other.reply().startswith("220 ") for other in others)
    refused = Client(receiver.address)
    assert refused.reply() == "421 4.7.0 Too many connections; try again later"
    assert refused.reply() == ""
    refused.close()
    assert others[0].say("QUIT").startswith("221 ")
    assert others[0].reply() == ""
    again = Client(receiver.address)
    assert again.reply().startswith("220 ")
    for other in [*others, again]:
        other.close()


def test_a_command_line_without_end_is_not_kept(client: Client) -> None:
    client.send(b"NOOP " + b"x" * 2_000_000 + b"\r\nNOOP\r\n")
    assert client.reply() == "500 5.5.2 Command line too long"
    assert client.reply() == "250 2.0.0 OK"


def test_starttls_starts_afresh_and_the_trace_says_so(
    archive: FakeArchive, config: Config, tmp_path: Path
) -> None:
    files = ensure_certificate(tmp_path / "tls", ["localhost"])
    trusting = ssl.create_default_context(cafile=str(files.certificate))
    with (
        Receiver(
            archive, FakeHousehold(), config, config.spool, tls=server_context(files)
        ) as receiver,
        smtplib.SMTP(*receiver.address, timeout=20) as sender,
    ):
        sender.ehlo("laptop.lan")
        assert sender.has_extn("starttls")
        sender._host = "localhost"  # type: ignore[attr-defined] # the name in the certificate
        sender.starttls(context=trusting)
        assert sender.docmd("MAIL FROM:<a@example.net>")[0] == 503, "EHLO again, RFC 3207 4.2"
        sender.ehlo("laptop.lan")
        assert not sender.has_extn("starttls")
        assert not sender.has_extn("auth")
        assert sender.sendmail("a@example.net", ["anna@hauspost.local"], MESSAGE) == {}
    assert b" with ESMTPS id " in archive.kept[0][1]
    assert content(archive.kept[0][1]) == MESSAGE


def test_commands_sent_before_the_handshake_are_dropped(
    archive: FakeArchive, config: Config, tmp_path: Path
) -> None:
    files = ensure_certificate(tmp_path / "tls", ["localhost"])
    trusting = ssl.create_default_context(cafile=str(files.certificate))
    tls = server_context(files)
    with Receiver(archive, FakeHousehold(), config, config.spool, tls=tls) as receiver:
        client = Client(receiver.address)
        client.reply()
        client.say("EHLO laptop.lan")
        client.send(b"STARTTLS\r\nNOOP injected\r\n")
        assert client.reply() == "220 2.0.0 Ready to start TLS"
        # The injected octets are where a TLS record should be: the handshake fails, or they
        # are dropped; they are never answered as a command.
        with trusting.wrap_socket(
            client.socket, server_hostname="localhost", do_handshake_on_connect=False
        ) as wrapped:
            try:
                wrapped.do_handshake()
                wrapped.send(b"QUIT\r\n")
                assert wrapped.recv(100).startswith(b"221 ")
            except (ssl.SSLError, ConnectionResetError):
                pass
    assert archive.kept == []


def test_a_handshake_that_fails_frees_the_place_and_is_one_line_in_the_log(
    archive: FakeArchive, config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tls = server_context(ensure_certificate(tmp_path / "tls", ["localhost"]))
    with Receiver(archive, FakeHousehold(), config, config.spool, tls=tls) as receiver:
        for number in range(CLIENTS_PER_PEER_LIMIT + 2):
            client = Client(receiver.address)
            assert client.reply().startswith("220 "), number
            client.say("EHLO laptop.lan")
            assert client.say("STARTTLS").startswith("220 ")
            client.send(b"GET / HTTP/1.0\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                while client.socket.recv(1000):
                    pass
            client.close()
    assert "gave up the TLS handshake" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_person_removed_while_their_message_comes_in_is_not_acknowledged(
    archive: FakeArchive, config: Config
) -> None:
    class Leaving(FakeHousehold):
        asked = 0

        def owner_of(self, address: str, domain: str) -> str | None:
            self.asked += 1
            return "anna" if self.asked == 1 else None

    with Receiver(archive, Leaving(), config, config.spool) as receiver:
        client = Client(receiver.address)
        client.reply()
        client.say("EHLO laptop.lan")
        client.begin()
        client.send(STUFFED)
        assert client.reply().startswith("451 4.3.0")
        client.close()
    assert archive.kept == []


def test_a_real_client_sends_a_real_message(receiver: Receiver, archive: FakeArchive) -> None:
    message = EmailMessage()
    message["From"] = "carl@example.net"
    message["To"] = "anna@hauspost.local"
    message["Subject"] = "Grüße"
    message.set_content("..\n.\nschöne Grüße\n")
    with smtplib.SMTP(*receiver.address, timeout=20) as sender:
        assert sender.send_message(message) == {}
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            sender.sendmail("carl@example.net", ["x@example.com"], b"x")
    assert b"\r\n\r\n..\r\n.\r\n" in archive.kept[0][1]


def test_helo_without_extensions_is_enough(receiver: Receiver, archive: FakeArchive) -> None:
    client = Client(receiver.address)
    client.reply()
    assert client.say("MAIL FROM:<a@example.net>") == "503 Error: send HELO first"
    assert client.say("HELO old.lan") == "250 hauspost.local"
    client.begin()
    client.send(STUFFED)
    assert client.reply().startswith("250 ")
    assert b" with SMTP id " in archive.kept[0][1]
    client.close()


def test_a_port_that_is_taken_is_a_clear_error(receiver: Receiver, config: Config) -> None:
    taken = replace(config, smtp_port=receiver.address[1])
    second = Receiver(FakeArchive(), FakeHousehold(), taken, taken.spool)
    with pytest.raises(ConfigError, match=r"^smtp_port: cannot listen on 127\.0\.0\.1 port \d+:"):
        second.start()
    second.stop()


def test_a_household_that_cannot_answer_is_no_refusal_for_good(
    archive: FakeArchive, config: Config
) -> None:
    class Broken(FakeHousehold):
        def owner_of(self, address: str, domain: str) -> str | None:
            raise StoreError("household.sqlite3: damaged")

    with Receiver(archive, Broken(), config, config.spool) as receiver:
        client = Client(receiver.address)
        client.reply()
        client.say("EHLO laptop.lan")
        client.say("MAIL FROM:<a@example.net>")
        assert client.say("RCPT TO:<anna@hauspost.local>") == "451 4.3.0 Try again later"
        client.close()


def test_every_message_has_a_queue_id_of_its_own(client: Client, archive: FakeArchive) -> None:
    for _ in range(5):
        client.begin()
        client.send(STUFFED)
        assert client.reply().startswith("250 ")
    assert len({delivery.origin.uid for delivery, _ in archive.kept}) == 5
