"""The schedule: each account at its pace, at once when asked, and after any jump of the clock."""

from __future__ import annotations

import dataclasses
import queue
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance.bell import Bell
from appliance.errors import StoreError
from appliance.household import Account, Household
from appliance.household.passwords import Scrypt
from appliance.schedule import Schedule

LATER = datetime(2100, 1, 1, tzinfo=UTC)


class Runs:
    """Notes what was fetched, in place of the fetcher."""

    def __init__(self) -> None:
        self.fetched: queue.Queue[str] = queue.Queue()
        self.error: Exception | None = None

    def run(self, names: Sequence[str] | None = None) -> object:
        assert names is not None
        for name in names:
            self.fetched.put(name)
        if self.error is not None:
            raise self.error
        return []


class Clock:
    """Wall and monotonic seconds that tests put where they like."""

    def __init__(self) -> None:
        self.wall_s, self.monotonic_s = 1_700_000_000.0, 50.0

    def wall(self) -> float:
        return self.wall_s

    def monotonic(self) -> float:
        return self.monotonic_s


@dataclasses.dataclass
class Set:
    schedule: Schedule
    household: Household
    runs: Runs
    bell: Bell
    clock: Clock
    resting: set[str]
    left_alone: queue.Queue[str]

    def add(self, name: str, every_s: int = 3600) -> Account:
        account = Account(name, "anna", "imap", "127.0.0.1", 1, "none", "anna", every_s=every_s)
        self.household.add_account(account, "pretend")
        return account


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Set]:
    (tmp_path / "secrets").mkdir(mode=0o700)
    with Household(tmp_path, cost=Scrypt(log_n=4)) as household:
        household.add_person("anna", "not-a-real-one")
        bell, runs, clock = Bell(tmp_path / "run"), Runs(), Clock()
        resting: set[str] = set()
        left_alone: queue.Queue[str] = queue.Queue()

        def until(account: Account) -> datetime | None:
            if account.name not in resting:
                return None
            left_alone.put(account.name)
            return LATER

        schedule = Schedule(
            household,
            runs,
            bell,
            wall=clock.wall,
            monotonic=clock.monotonic,
            first_within_s=0.05,
            resting=until,
        )
        schedule.start()
        yield Set(schedule, household, runs, bell, clock, resting, left_alone)
        schedule.stop()
        bell.close()


def test_a_new_account_is_fetched_soon_and_then_at_its_pace(house: Set) -> None:
    house.add("gmx", every_s=3600)
    house.schedule.look()
    assert house.runs.fetched.get(timeout=10) == "gmx"
    due = house.schedule.next_run("gmx")
    assert due is not None
    assert timedelta(minutes=50) < due - datetime.now(UTC) < timedelta(minutes=70)


def test_a_request_is_heard_through_the_bell(house: Set) -> None:
    account = house.add("gmx")
    house.household.update_account(dataclasses.replace(account, enabled=False))
    house.schedule.look()
    house.household.request_fetch("gmx")
    house.bell.ring()
    assert house.runs.fetched.get(timeout=10) == "gmx"


def test_an_account_that_is_off_or_gone_is_left_alone(house: Set) -> None:
    account = house.add("gmx")
    house.schedule.look()
    assert house.runs.fetched.get(timeout=10) == "gmx"
    house.household.update_account(dataclasses.replace(account, enabled=False))
    house.schedule.look()
    assert house.schedule.next_run("gmx") is None
    house.household.remove_account("gmx")
    house.schedule.look()
    assert house.schedule.next_run("gmx") is None


@pytest.mark.parametrize(
    "jump_s", [-3600.0, 3600.0, -315e6, 315e6], ids=["-1h", "+1h", "-10y", "+10y"]
)
def test_after_a_jump_of_the_clock_every_account_is_fetched_anew(house: Set, jump_s: float) -> None:
    house.add("gmx", every_s=86400)
    house.schedule.look()
    assert house.runs.fetched.get(timeout=10) == "gmx"
    house.clock.wall_s += jump_s
    house.schedule.look()
    assert house.runs.fetched.get(timeout=10) == "gmx"


def test_time_that_merely_passes_is_no_jump(house: Set) -> None:
    house.add("gmx", every_s=86400)
    house.schedule.look()
    assert house.runs.fetched.get(timeout=10) == "gmx"
    house.clock.wall_s += 5000
    house.clock.monotonic_s += 5000
    before = house.schedule.next_run("gmx")
    house.schedule.look()
    assert house.schedule.next_run("gmx") == before


def test_a_run_that_fails_is_run_again_when_it_is_due(house: Set) -> None:
    house.runs.error = StoreError("the disk is full")
    house.add("gmx", every_s=10)
    house.schedule.look()
    assert house.runs.fetched.get(timeout=10) == "gmx"
    assert house.schedule.next_run("gmx") is not None


def test_an_account_that_rests_is_fetched_only_when_asked_or_changed(house: Set) -> None:
    house.resting.add("wrong")
    account = house.add("wrong")
    house.schedule.look()
    assert house.left_alone.get(timeout=10) == "wrong"
    assert house.runs.fetched.empty()
    house.household.request_fetch("wrong")
    house.schedule.look()
    assert house.runs.fetched.get(timeout=10) == "wrong"
    house.household.update_account(dataclasses.replace(account, user="other"))
    house.schedule.look()
    assert house.runs.fetched.get(timeout=10) == "wrong"
