"""IMAP only: listings that lie, odd FETCH answers, mailboxes and where they go."""

from __future__ import annotations

import base64
import logging

import pytest

from appliance.fetch.imap import uid_sets
from appliance.mail.types import FLAGGED, SEEN
from tests.fetch.world import World, letter
from tests.servers.imap_server import ScriptedImap

MIB = 1024 * 1024


def test_a_truncated_search_is_noticed_and_made_up_for(imap: World) -> None:
    for number in range(30):
        imap.maildrop.inbox.arrive(letter(number))
    imap.faults.truncate_search = 10
    run = imap.fetch()
    assert (run.error, run.listed, run.admitted) == (None, 30, 30)


def test_uidvalidity_left_out_counts_as_always_the_same(imap: World) -> None:
    imap.faults.omit_uidvalidity = True
    imap.maildrop.inbox.arrive(letter(1))
    first, second = imap.fetch(), imap.fetch()
    assert (first.admitted, second.admitted, second.octets) == (1, 0, 0)
    assert imap.archive.known_uids("home", "INBOX", 0) == {"1"}


def test_a_message_listed_and_not_handed_out_is_recorded(imap: World) -> None:
    held = imap.maildrop.inbox.arrive(letter(1))
    imap.maildrop.inbox.arrive(letter(2))
    imap.faults.hide.add(held.uid)
    run = imap.fetch()
    assert (run.error, run.admitted) == (None, 1)
    assert [failed.origin.uid for failed in run.failed] == [str(held.uid)]


def test_unsolicited_answers_are_not_taken_for_ours(imap: World) -> None:
    # "* 1 FETCH (FLAGS (\Answered))" speaks of message 1, which is uid 50 here.
    imap.maildrop.inbox.uidnext = 50
    for number in range(3):
        imap.maildrop.inbox.arrive(letter(number), ("\\Seen",))
    imap.faults.unsolicited = True
    run = imap.fetch()
    assert (run.error, run.admitted) == (None, 3)
    snapshot = imap.archive.snapshot(imap.archive.mailbox("anna", "INBOX").id)
    assert set(snapshot.flags) == {frozenset({SEEN})}


def test_flags_are_kept_but_recent(imap: World) -> None:
    imap.maildrop.inbox.arrive(letter(1), ("\\seen", "\\Flagged", "$Forwarded", "Wichtig"))
    imap.fetch()
    snapshot = imap.archive.snapshot(imap.archive.mailbox("anna", "INBOX").id)
    assert set(snapshot.flags) == {frozenset({SEEN, FLAGGED, "$Forwarded", "Wichtig"})}


def test_a_literal_of_a_size_that_cannot_be_held_is_refused(imap: World) -> None:
    held = imap.maildrop.inbox.arrive(letter(1))
    imap.maildrop.inbox.arrive(letter(2))
    imap.faults.announce_literal[held.uid] = 4_000_000_000
    run = imap.fetch()
    assert run.admitted == 1
    (failed,) = run.failed
    assert "4000000000" in failed.reason


@pytest.mark.parametrize("size", [300, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1])
def test_pieces_of_any_length_come_together(imap: World, size: int) -> None:
    octets = letter(1, size)
    octets += b"x" * (size - len(octets))
    imap.maildrop.inbox.arrive(octets)
    run = imap.fetch()
    assert (run.error, run.admitted) == (None, 1)
    assert imap.kept() == [octets]


def test_a_server_without_partial_fetch_hands_out_whole_messages_or_none(imap: World) -> None:
    imap.faults.whole_instead_of_piece = True
    for number, size in enumerate((300, 700_000, 3 * MIB)):
        imap.maildrop.inbox.arrive(letter(number, size))
    run = imap.fetch()
    assert (run.error, run.admitted) == (None, 3)
    assert imap.kept() == imap.messages()


def test_a_whole_message_is_never_taken_for_its_second_piece(imap: World) -> None:
    held = imap.maildrop.inbox.arrive(letter(1, 700_000))
    imap.faults.whole_instead_of_piece = True
    imap.faults.size_lies[held.uid] = 900_000  # so a second piece is asked for
    run = imap.fetch()
    assert (run.error, run.admitted) == (None, 0)
    assert "another piece" in run.failed[0].reason


@pytest.mark.parametrize("said", [600_000, 700_000, 900_000, 1_000_000])
def test_short_pieces_of_a_message_of_a_false_size_come_together(imap: World, said: int) -> None:
    held = imap.maildrop.inbox.arrive(letter(1, 900_000))
    imap.faults.size_lies[held.uid] = said
    imap.faults.piece_octets = 650_000
    run = imap.fetch()
    assert (run.error, run.admitted) == (None, 1)
    assert imap.kept() == imap.messages()


def test_a_server_without_partial_fetch_may_be_wrong_about_sizes(imap: World) -> None:
    held = imap.maildrop.inbox.arrive(letter(1, 700_000))
    imap.faults.whole_instead_of_piece = True
    imap.faults.size_lies[held.uid] = 600_000
    run = imap.fetch()
    assert (run.error, run.admitted) == (None, 1)
    assert imap.kept() == imap.messages()


def test_a_uidvalidity_beyond_all_bounds_refuses_its_mailbox_alone(imap: World) -> None:
    imap.maildrop.inbox.arrive(letter(1))
    imap.maildrop.box("Zoo").arrive(letter(2))
    imap.maildrop.box("Zoo").uidvalidity = 1 << 70
    run = imap.fetch()
    assert run.admitted == 1
    assert run.error is not None
    assert run.error.startswith("Zoo: ")


def test_mail_in_mailboxes_of_endless_names_comes_in(imap: World) -> None:
    for number, end in enumerate("ab"):
        imap.maildrop.box("Zoo/" + "long" * 400 + end).arrive(letter(number))
    run = imap.fetch()
    assert (run.error, run.failed, run.admitted) == (None, (), 2)
    ours = [m.name for m in imap.archive.mailboxes("anna") if m.name.startswith("Zoo/long")]
    assert len(ours) == 2


def test_one_refused_mailbox_keeps_no_other_out(imap: World) -> None:
    imap.maildrop.inbox.arrive(letter(1))
    imap.maildrop.box("Kaputt").arrive(letter(2))
    imap.maildrop.box("Zoo").arrive(letter(3))
    imap.faults.refuse_mailbox.add("Kaputt")
    run = imap.fetch()
    assert run.admitted == 2
    assert run.error is not None
    assert run.error.startswith("Kaputt: ")
    assert "mailbox is broken" in run.error


def test_a_message_in_two_mailboxes_is_stored_once_and_found_in_both(imap: World) -> None:
    imap.maildrop.inbox.arrive(letter(1))
    imap.maildrop.box("Familie").arrive(letter(1))
    run = imap.fetch()
    assert (run.listed, run.admitted, run.duplicates) == (2, 1, 1)
    assert imap.kept("INBOX") == imap.kept("Familie") == [letter(1)]
    assert imap.fetch().octets == 0


def test_mailboxes_go_where_they_belong(imap: World) -> None:
    boxes = {
        "Gesendete Objekte": ("\\Sent", "\\HasNoChildren"),
        "Papierkorb": (),
        "Alle": ("\\All",),
        "Nur Ordner": ("\\Noselect",),
        "Entw&APw-rfe": (),
        "Listen/Python": (),
    }
    for number, (name, attributes) in enumerate(boxes.items()):
        imap.maildrop.box(name, *attributes).arrive(letter(number))
    run = imap.fetch()
    assert (run.error, run.admitted) == (None, 4)
    for ours, number in {"Sent": 0, "Trash": 1, "Drafts": 4, "Listen/Python": 5}.items():
        assert imap.kept(ours) == [letter(number)]


def test_mail_archived_at_gmail_is_fetched_once_and_into_archive(imap: World) -> None:
    assert isinstance(imap.server, ScriptedImap)
    imap.server.capabilities += " X-GM-EXT-1"
    imap.maildrop.inbox.arrive(letter(1))
    every = imap.maildrop.box("[Gmail]/Alle Nachrichten", "\\All")
    every.arrive(letter(1))
    archived = every.arrive(letter(2))
    imap.server.unlabelled = frozenset({archived.uid})
    first, second = imap.fetch(), imap.fetch()
    assert (first.error, first.admitted, first.duplicates) == (None, 2, 0)
    assert imap.kept("Archive") == [letter(2)]
    assert (second.admitted, second.octets) == (0, 0)


def test_only_the_mailboxes_asked_for_are_fetched(imap: World) -> None:
    for number, name in enumerate(("Listen", "Listen/Python", "Alle", "Spam")):
        imap.maildrop.box(name, *(("\\All",) if name == "Alle" else ())).arrive(letter(number))
    imap.maildrop.inbox.arrive(letter(9))
    run = imap.fetch(mailboxes=("inbox", "Listen/*", "Alle"))
    assert (run.error, run.listed) == (None, 3)
    assert imap.kept_anywhere() == {letter(9), letter(1), letter(2)}


def test_mailboxes_below_inbox_are_found_with_their_prefix_off(imap: World) -> None:
    assert isinstance(imap.server, ScriptedImap)
    imap.server.delimiter, imap.server.prefix = ".", "INBOX."
    imap.maildrop.box("INBOX.Sent").arrive(letter(1))
    imap.maildrop.box("INBOX.Kinder.Schule").arrive(letter(2))
    run = imap.fetch()
    assert run.error is None
    assert imap.kept("Sent") == [letter(1)]
    assert imap.kept("Kinder/Schule") == [letter(2)]


@pytest.mark.parametrize(
    ("password", "capabilities"),
    [
        ('gehe"im\\', "IMAP4rev1"),
        ("pässwörd 1", "IMAP4rev1 AUTH=PLAIN"),
        ("{5}", "IMAP4rev1"),
    ],
    ids=["quoted", "utf-8", "no literal"],
)
def test_any_password_arrives_as_it_is(imap: World, password: str, capabilities: str) -> None:
    assert isinstance(imap.server, ScriptedImap)
    imap.maildrop.password, imap.maildrop.user = password, 'anna "a" mail'
    imap.server.capabilities = capabilities
    assert imap.fetch().error is None


def test_a_password_that_would_be_a_second_command_is_not_sent(imap: World) -> None:
    imap.maildrop.password = "a\r\nA1 DELETE INBOX"
    run = imap.fetch()
    assert run.error is not None
    assert "DELETE" not in run.error
    assert not imap.server.seen.count("DELETE")


def test_logindisabled_is_obeyed(imap: World) -> None:
    assert isinstance(imap.server, ScriptedImap)
    imap.server.capabilities = "IMAP4rev1 LOGINDISABLED"
    run = imap.fetch()
    assert run.error is not None
    assert "choose TLS" in run.error


@pytest.mark.parametrize(
    ("uids", "sets"),
    [
        ([], []),
        (["7"], ["7"]),
        (["3", "2", "1"], ["1:3"]),
        (["9", "1", "2", "743000000"], ["1:2,9,743000000"]),
    ],
)
def test_sets_name_these_uids_and_no_other(uids: list[str], sets: list[str]) -> None:
    assert list(uid_sets(uids)) == sets


def test_sets_stay_fit_for_a_command_line() -> None:
    sets = list(uid_sets(str(uid) for uid in range(700_000_000, 700_002_000, 2)))
    assert max(map(len, sets)) <= 900
    assert sum(one.count(",") + 1 for one in sets) == 1000


def test_no_password_is_in_any_log(imap: World, caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(imap.server, ScriptedImap)
    caplog.set_level(logging.DEBUG)
    imap.maildrop.password = "Sesam-oeffne-dich"
    for capabilities in ("IMAP4rev1", "IMAP4rev1 AUTH=PLAIN"):
        imap.server.capabilities = capabilities
        assert imap.fetch().error is None
    plain = base64.b64encode(b"\0anna\0Sesam-oeffne-dich").decode()
    assert "Sesam" not in caplog.text
    assert plain not in caplog.text
