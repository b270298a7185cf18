"""POP3 only: names for messages, pipelining, byte-stuffing, servers without UIDL or TOP."""

from __future__ import annotations

import pytest

from tests.fetch.world import World, letter
from tests.servers.pop3_server import CAPABILITIES, ScriptedPop3

MIB = 1024 * 1024


def _server(world: World) -> ScriptedPop3:
    assert isinstance(world.server, ScriptedPop3)
    return world.server


def test_dots_and_odd_lines_come_as_they_are(pop3: World) -> None:
    odd = [
        b".\r\n..\r\n...\r\n\r\n.\r\n",
        b"Subject: cr\r\n\r\na\rb\nc\x00d\r\n.\n.\r\n",
        b"Subject: long\r\n\r\n" + b"." * 100_000 + b"\r\n",
    ]
    for octets in odd:
        pop3.maildrop.inbox.arrive(octets)
    run = pop3.fetch()
    assert (run.error, run.admitted) == (None, 3)
    assert pop3.kept() == sorted(odd)


@pytest.mark.parametrize("top", [True, False], ids=["TOP", "no TOP"])
def test_without_uidl_nothing_is_lost_or_stored_twice(pop3: World, top: bool) -> None:
    pop3.faults.no_uidl, pop3.faults.no_top = True, not top
    for number in range(5):
        pop3.maildrop.inbox.arrive(letter(number))
    first = pop3.fetch()
    pop3.maildrop.inbox.vanish(1)  # message numbers move up
    pop3.maildrop.inbox.arrive(letter(9))
    second = pop3.fetch()
    assert (first.error, first.admitted) == (None, 5)
    assert (second.error, second.admitted) == (None, 1)
    assert pop3.kept() == sorted(map(letter, (0, 1, 2, 3, 4, 9)))
    if top:
        assert pop3.server.seen.count("RETR") == 6


def test_same_header_and_size_but_another_body_are_two_messages(pop3: World) -> None:
    pop3.faults.no_uidl = True
    pop3.maildrop.inbox.arrive(b"Subject: meter\r\n\r\n1234\r\n")
    pop3.maildrop.inbox.arrive(b"Subject: meter\r\n\r\n1235\r\n")
    first, second = pop3.fetch(), pop3.fetch()
    assert (first.error, first.admitted, second.admitted) == (None, 2, 0)
    assert pop3.kept() == pop3.messages()


def test_copies_with_one_unique_id_are_one_message_fetched_once(pop3: World) -> None:
    # RFC 1939 §7: a unique-id may be a hash of the message.
    pop3.maildrop.inbox.arrive(letter(1), unique_id="hash")
    pop3.maildrop.inbox.arrive(letter(1), unique_id="hash")
    first, second = pop3.fetch(), pop3.fetch()
    assert (first.error, first.admitted, second.admitted, second.octets) == (None, 1, 0, 0)


def test_one_unique_id_for_two_messages_loses_neither(pop3: World) -> None:
    pop3.maildrop.inbox.arrive(letter(1), unique_id="same")
    pop3.fetch()
    pop3.maildrop.inbox.arrive(letter(2), unique_id="same")
    pop3.maildrop.inbox.arrive(letter(3), unique_id="same")
    runs = [pop3.fetch(), pop3.fetch()]
    assert [run.error for run in runs] == [None, None]
    assert [run.admitted for run in runs] == [2, 0]
    assert runs[1].octets == 0
    assert pop3.kept() == pop3.messages()


@pytest.mark.parametrize("unique_id", ["!", "~" * 70, "a" * 200, "mit/allem:+{}%\\"])
def test_unique_ids_of_any_kind_are_names(pop3: World, unique_id: str) -> None:
    pop3.maildrop.inbox.arrive(letter(1), unique_id=unique_id)
    assert (pop3.fetch().admitted, pop3.fetch().octets) == (1, 0)
    assert pop3.archive.known_uids("home", "INBOX", 0) == {unique_id}


def test_a_server_older_than_capa_is_asked_one_by_one(pop3: World) -> None:
    _server(pop3).capabilities = None
    for number in range(5):
        pop3.maildrop.inbox.arrive(letter(number))
    assert (pop3.fetch().admitted, pop3.fetch().octets) == (5, 0)


def test_a_server_without_user_is_signed_in_to_by_auth_plain(pop3: World) -> None:
    _server(pop3).capabilities = ["SASL PLAIN LOGIN", "UIDL"]
    pop3.maildrop.password = "pässwörd mit leer zeichen"
    pop3.maildrop.inbox.arrive(letter(1))
    run = pop3.fetch()
    assert (run.error, run.admitted) == (None, 1)
    assert not pop3.server.seen.count("USER")


@pytest.mark.parametrize("said", [True, False])
def test_pipelining_is_used_only_where_the_server_says_so(pop3: World, said: bool) -> None:
    for number in range(200):
        pop3.maildrop.inbox.arrive(letter(number))
    _server(pop3).capabilities = [one for one in CAPABILITIES if said or one != "PIPELINING"]
    assert pop3.fetch().admitted == 200
    assert bool(_server(pop3).pipelined) == said


def test_a_message_without_end_is_given_up(pop3: World) -> None:
    held = pop3.maildrop.inbox.arrive(letter(1))
    pop3.maildrop.inbox.arrive(letter(2))
    pop3.faults.endless.add(held.uid)
    run = pop3.fetch(limit_octets=2 * MIB)
    assert run.admitted == 1
    assert (run.error, len(run.failed)) == (None, 1)


def test_the_session_ends_with_quit(pop3: World) -> None:
    pop3.maildrop.inbox.arrive(letter(1))
    pop3.fetch()
    assert _server(pop3).quits == 1
