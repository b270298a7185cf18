"""A clock that was wrong, and a fault of our own: neither may cost mail, now or later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import appliance.store.ledger as ledger_module
from appliance.fetch.intake import date_in, sane
from appliance.store import Archive
from tests.fetch.world import World, letter

NOT_SET = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)
NOW = datetime(2026, 8, 1, tzinfo=UTC)


def test_a_clock_that_was_not_set_yet_judges_no_date() -> None:
    date = datetime(2026, 7, 31, 12, 0, tzinfo=UTC)
    assert sane(date, NOT_SET) == date
    octets = b"Received: from a by b; Fri, 31 Jul 2026 12:00:00 +0000\r\n\r\n"
    assert date_in(octets, NOT_SET) == date


@pytest.mark.parametrize("year", [1970, 2027, 2096])
def test_a_clock_that_is_set_refuses_dates_that_cannot_be(year: int) -> None:
    assert sane(datetime(year, 9, 1, tzinfo=UTC), NOW) is None


def test_a_failure_noted_under_a_clock_far_ahead_is_tried_again(
    imap: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = imap.maildrop.inbox.arrive(letter(1))
    imap.faults.hide.add(held.uid)

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: object = None) -> Ahead:
            return cls(2096, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(ledger_module, "datetime", Ahead)
    assert len(imap.fetch().failed) == 1
    monkeypatch.undo()
    assert imap.archive.failures("home")[0].next_try > datetime.now(UTC) + timedelta(days=9000)
    imap.faults.hide.clear()
    run = imap.fetch()
    assert (run.error, run.failed, run.admitted) == (None, (), 1)


def test_a_fault_of_our_own_ends_the_run_with_a_word_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.maildrop.inbox.arrive(letter(1))

    def broken(*_: object) -> set[str]:
        raise ValueError("never thought of")

    monkeypatch.setattr(Archive, "known_uids", broken)
    run = world.fetch()
    assert run.error is not None
    assert "never thought of" in run.error
    monkeypatch.undo()
    assert world.fetch().admitted == 1
