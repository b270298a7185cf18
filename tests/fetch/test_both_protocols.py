"""What a run promises, over POP3 and over IMAP alike."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.errors import DiskFull
from appliance.fetch import Progress
from appliance.fetch.run import STOPPED
from appliance.mail.types import Delivery, Receipt
from appliance.store import Archive
from tests.fetch.world import World, letter

MIB = 1024 * 1024


def test_a_run_takes_what_the_server_lists_and_a_second_takes_nothing(world: World) -> None:
    for number in range(30):
        world.maildrop.inbox.arrive(letter(number))

    first = world.fetch()
    handed_out = world.server.seen.message_octets
    second = world.fetch()

    assert (first.error, first.listed, first.admitted, first.failed) == (None, 30, 30, ())
    assert first.octets == sum(map(len, world.messages()))
    assert (second.error, second.listed, second.admitted, second.octets) == (None, 30, 0, 0)
    assert world.server.seen.message_octets == handed_out
    assert world.kept() == world.messages()


def test_nothing_is_changed_on_the_server(world: World) -> None:
    world.maildrop.inbox.arrive(letter(1))
    world.fetch()
    forbidden = ("DELE", "RSET", "SELECT", "STORE", "UID STORE", "EXPUNGE", "CLOSE", "UID MOVE")
    assert not [word for word in forbidden if world.server.seen.count(word)]
    assert not [line for line in world.server.seen.commands if "BODY[" in line]


def test_a_run_ends_with_a_goodbye(world: World) -> None:
    world.fetch()
    assert world.server.seen.commands[-1].upper() in ("QUIT", "LOGOUT")


def test_an_empty_maildrop_is_no_error(world: World) -> None:
    run = world.fetch()
    assert (run.error, run.listed, run.admitted) == (None, 0, 0)


def test_a_large_message_goes_through_the_spool_and_leaves_nothing_there(world: World) -> None:
    world.maildrop.inbox.arrive(letter(1))
    world.maildrop.inbox.arrive(letter(2, 3 * MIB + 17))
    world.maildrop.inbox.arrive(letter(3))
    run = world.fetch()
    assert (run.error, run.admitted) == (None, 3)
    assert world.kept() == world.messages()
    assert not list(world.spool.glob("*"))


@pytest.mark.parametrize("claimed", [1, 10 * MIB], ids=["too small", "too large"])
@pytest.mark.parametrize("size", [300, 2 * MIB], ids=["small", "large"])
def test_a_size_is_only_a_hint(world: World, claimed: int, size: int) -> None:
    held = world.maildrop.inbox.arrive(letter(1, size))
    world.maildrop.inbox.arrive(letter(2))
    world.faults.size_lies[held.uid] = claimed
    run = world.fetch()
    assert (run.error, run.admitted) == (None, 2)
    assert world.kept() == world.messages()


def test_an_oversized_message_is_refused_with_a_reason_and_not_downloaded(world: World) -> None:
    world.maildrop.inbox.arrive(letter(1))
    held = world.maildrop.inbox.arrive(letter(2, 3 * MIB))
    run = world.fetch(limit_octets=2 * MIB)
    assert (run.error, run.admitted) == (None, 1)
    (failed,) = run.failed
    assert "more than the limit" in failed.reason
    assert str(len(held.octets)) in failed.reason
    assert world.server.seen.message_octets < MIB


def test_a_message_that_grows_over_the_limit_is_refused_too(world: World) -> None:
    held = world.maildrop.inbox.arrive(letter(2, 3 * MIB))
    world.maildrop.inbox.arrive(letter(1))
    world.faults.size_lies[held.uid] = 100
    run = world.fetch(limit_octets=2 * MIB)
    assert (run.error, run.admitted, len(run.failed)) == (None, 1, 1)


def test_a_message_without_octets_is_not_taken_for_a_message(world: World) -> None:
    world.maildrop.inbox.arrive(letter(1))
    held = world.maildrop.inbox.arrive(letter(2))
    world.faults.empty.add(held.uid)
    run = world.fetch()
    assert (run.error, run.admitted) == (None, 1)
    (failed,) = run.failed
    assert "hand" in failed.reason


def test_a_failed_message_is_tried_again_later_and_never_blocks(world: World) -> None:
    held = world.maildrop.inbox.arrive(letter(1))
    world.maildrop.inbox.arrive(letter(2))
    world.faults.refuse_message.add(held.uid)

    first = world.fetch()
    second = world.fetch()
    (failure,) = world.archive.failures("home")
    world.faults.refuse_message.clear()
    world.archive.clear_failure(failure.origin)  # as if its time had come
    third = world.fetch()

    assert [run.admitted for run in (first, second, third)] == [1, 0, 1]
    assert [len(run.failed) for run in (first, second, third)] == [1, 1, 0]
    assert (failure.tries, failure.next_try > datetime.now(UTC)) == (1, True)
    assert world.archive.failures("home") == []
    assert world.kept() == world.messages()


def test_a_failure_is_forgotten_when_its_message_is_gone(world: World) -> None:
    held = world.maildrop.inbox.arrive(letter(1))
    world.faults.refuse_message.add(held.uid)
    world.fetch()
    assert len(world.archive.failures("home")) == 1
    world.maildrop.inbox.vanish(held.uid)
    run = world.fetch()
    assert (run.failed, world.archive.failures("home")) == ((), [])


def test_a_connection_cut_in_a_message_is_opened_again(world: World) -> None:
    for number in range(10):
        world.maildrop.inbox.arrive(letter(number))
    world.faults.cut[5] = 1
    run = world.fetch()
    assert (run.error, run.admitted, run.failed) == (None, 10, ())
    assert world.kept() == world.messages()
    assert world.server.connections == 2


def test_a_lost_connection_is_never_taken_for_a_message(world: World) -> None:
    world.maildrop.inbox.arrive(letter(1, 2 * MIB))
    world.faults.cut[1] = 100
    run = world.fetch()
    assert run.admitted == 0
    assert world.kept() == []


def test_one_message_that_always_breaks_the_connection_does_not_block_the_others(
    world: World,
) -> None:
    for number in range(10):
        world.maildrop.inbox.arrive(letter(number))
    world.faults.cut[5] = 1000
    run = world.fetch()
    assert (run.error, run.admitted) == (None, 9)
    (failed,) = run.failed
    assert "connection was lost at this message" in failed.reason
    assert failed.origin.uid in ("5", "v1-5")


def test_a_server_that_cuts_every_connection_is_given_up_after_a_few(world: World) -> None:
    for number in range(10):
        world.maildrop.inbox.arrive(letter(number))
    for number in range(1, 11):
        world.faults.cut[number] = 1000
    run = world.fetch()
    assert run.error is not None
    assert (run.admitted, run.failed) == (0, ())  # an outage is no message's fault
    assert world.archive.failures("home") == []
    assert world.server.connections <= 5


def test_a_server_that_allows_few_octets_a_connection_is_emptied_all_the_same(
    world: World,
) -> None:
    for number in range(20):
        world.maildrop.inbox.arrive(letter(number, 1000))
    world.faults.cut_after_octets = 5000
    run = world.fetch()
    assert (run.error, run.admitted, run.failed) == (None, 20, ())
    assert world.kept() == world.messages()


def test_a_wrong_password_ends_the_run_in_plain_words(world: World) -> None:
    world.faults.refuse_sign_in = "[AUTHENTICATIONFAILED] No such user or wrong password"
    run = world.fetch()
    assert run.error is not None
    assert "wrong password" in run.error
    assert world.maildrop.password not in run.error
    assert world.server.connections == 1


@pytest.mark.parametrize("said", ["[IN-USE] maildrop is locked", "[INUSE] Too many connections"])
def test_a_busy_server_is_said_to_be_busy(world: World, said: str) -> None:
    world.faults.busy = said
    run = world.fetch()
    assert run.error is not None
    assert said.split("] ")[1] in run.error


def test_a_maildrop_still_locked_for_the_lost_session_is_waited_for(world: World) -> None:
    for number in range(5):
        world.maildrop.inbox.arrive(letter(number))
    world.faults.cut[3] = 1
    world.faults.busy, world.faults.busy_on = "[IN-USE] locked, try again", frozenset({2})
    run = world.fetch()
    assert (run.error, run.admitted) == (None, 5)
    assert world.server.connections == 3


def test_a_new_uidvalidity_loses_nothing_and_stores_nothing_twice(world: World) -> None:
    for number in range(5):
        world.maildrop.inbox.arrive(letter(number))
    world.fetch()
    world.maildrop.inbox.renumber()
    world.maildrop.inbox.arrive(letter(99))
    run = world.fetch()
    assert (run.error, run.admitted, run.duplicates) == (None, 1, 5)
    assert world.kept() == world.messages()


def test_two_copies_in_one_maildrop_are_one_message(world: World) -> None:
    world.maildrop.inbox.arrive(letter(1))
    world.maildrop.inbox.arrive(letter(1))
    first, second = world.fetch(), world.fetch()
    assert (first.admitted, first.duplicates) == (1, 1)
    assert (second.admitted, second.octets) == (0, 0)


def test_uids_that_start_high_and_have_gaps_cost_nothing(world: World) -> None:
    inbox = world.maildrop.inbox
    for number in range(20):
        inbox.uidnext = 743_000_000 + number * 1_000_003
        inbox.arrive(letter(number))
    run = world.fetch()
    assert (run.error, run.admitted) == (None, 20)
    assert len(world.server.seen.commands) < 60


def test_a_stop_is_honoured_while_the_server_says_nothing(world: World) -> None:
    world.maildrop.inbox.arrive(letter(1))
    world.faults.stall = threading.Event()
    stop = threading.Event()
    began = threading.Event()
    runs = []

    def report(progress: Progress) -> None:
        if progress.phase == "fetching":
            began.set()

    thread = threading.Thread(target=lambda: runs.append(world.fetch(stop=stop, report=report)))
    thread.start()
    assert began.wait(5)
    asked = time.monotonic()
    stop.set()
    thread.join(5)
    assert time.monotonic() - asked < 2
    assert runs[0].error == STOPPED


def test_progress_tells_what_is_done_and_how_long_it_takes(world: World) -> None:
    for number in range(5):
        world.maildrop.inbox.arrive(letter(number))
    told: list[Progress] = []
    world.fetch(report=told.append)
    assert [one.phase for one in told][:2] == ["connecting", "listing"]
    last = told[-1]
    assert (last.phase, last.listed, last.total, last.done, last.admitted) == ("done", 5, 5, 5, 5)
    assert last.octets == sum(map(len, world.messages()))


def test_the_date_it_came_in_is_kept(world: World) -> None:
    world.maildrop.inbox.arrive(letter(7))
    world.fetch()
    expected = {
        "imap": datetime(2020, 7, 17, 0, 44, 25, tzinfo=UTC),
        "pop3": datetime(2020, 1, 6, 9, 7, tzinfo=UTC),  # its topmost Received field
    }
    (date,) = world.archive.snapshot(world.archive.mailbox("anna", "INBOX").id).dates
    assert datetime.fromtimestamp(date / 1e6, UTC) == expected[world.protocol]


class _Picky(Archive):
    """Refuses one message as a parser's bug would."""

    def admit(self, deliveries: Iterable[Delivery]) -> list[Receipt]:
        deliveries = list(deliveries)
        if any(b"Subject: letter 3" in bytes(one.octets) for one in deliveries):
            raise RecursionError("too deep")
        return super().admit(deliveries)


def test_a_message_the_archive_cannot_take_keeps_no_other_out(world: World, tmp_path: Path) -> None:
    for number in range(6):
        world.maildrop.inbox.arrive(letter(number))
    with _Picky(tmp_path / "archive") as picky:
        run = world.fetch(archive=picky)
    assert (run.error, run.admitted) == (None, 5)
    (failed,) = run.failed
    assert "too deep" in failed.reason


class _Full(Archive):
    """Has no room left after the first messages."""

    def admit(self, deliveries: Iterable[Delivery]) -> list[Receipt]:
        raise DiskFull("no room to write")


def test_a_full_disk_ends_the_run_with_its_reason_and_blames_no_message(
    world: World, tmp_path: Path
) -> None:
    world.maildrop.inbox.arrive(letter(1))
    with _Full(tmp_path / "archive") as full:
        run = world.fetch(archive=full)
    assert (run.error, run.admitted, run.failed) == ("no room to write", 0, ())
    assert world.fetch().admitted == 1
