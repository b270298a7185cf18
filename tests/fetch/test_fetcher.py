"""Accounts side by side, one run at a time each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.bell import Bell
from appliance.config import Config
from appliance.errors import UsageError
from appliance.fetch import AccountLock, Fetcher, Progress, ProgressBoard, check_account
from appliance.fetch.fetcher import BUSY
from appliance.fetch.link import Stopped
from appliance.fetch.run import STOPPED
from appliance.household import Household, Scrypt
from appliance.store import Archive
from tests.fetch.world import QUICK, World, letter


@pytest.fixture
def config(tmp_path: Path) -> Config:
    config = Config(data=tmp_path / "data")
    config.prepare()
    return config


@pytest.fixture
def household(config: Config) -> Iterator[Household]:
    with Household(config.data, cost=Scrypt(log_n=4)) as opened:
        opened.add_person("anna", "a long password")
        yield opened


@pytest.fixture
def fetcher(household: Household, archive: Archive, config: Config) -> Iterator[Fetcher]:
    with Fetcher(household, archive, config, Bell(config.run), patience=QUICK) as opened:
        yield opened


@pytest.fixture
def both(household: Household, imap: World, pop3: World) -> tuple[World, World]:
    for world, name in ((imap, "by-imap"), (pop3, "by-pop3")):
        world.maildrop.inbox.arrive(letter(1 if world is imap else 2))
        household.add_account(world.account(name=name), "secret")
    return imap, pop3


def test_all_accounts_are_fetched_and_their_runs_kept(
    fetcher: Fetcher, both: tuple[World, World], archive: Archive, config: Config
) -> None:
    runs = fetcher.run()
    assert [(run.account, run.error, run.admitted) for run in runs] == [
        ("by-imap", None, 1),
        ("by-pop3", None, 1),
    ]
    assert {run.account for run in archive.runs()} == {"by-imap", "by-pop3"}
    assert {p.phase for p in ProgressBoard(config.run).read().values()} == {"done"}


def test_one_failing_account_stops_no_other(fetcher: Fetcher, both: tuple[World, World]) -> None:
    both[0].faults.refuse_sign_in = "[AUTHENTICATIONFAILED] wrong"
    by_imap, by_pop3 = fetcher.run()
    assert by_imap.error is not None
    assert (by_pop3.error, by_pop3.admitted) == (None, 1)


def test_only_the_named_accounts_are_fetched_also_disabled_ones(
    fetcher: Fetcher, both: tuple[World, World], household: Household
) -> None:
    household.update_account(replace(household.account("by-pop3"), enabled=False))
    assert [run.account for run in fetcher.run()] == ["by-imap"]
    assert [run.account for run in fetcher.run(["by-pop3", "by-pop3"])] == ["by-pop3"]
    with pytest.raises(UsageError, match="nobody"):
        fetcher.run(["by-imap", "nobody"])


def test_no_accounts_is_no_runs(fetcher: Fetcher) -> None:
    assert fetcher.run() == []


def test_an_account_somebody_else_fetches_is_left_alone(
    fetcher: Fetcher, both: tuple[World, World], config: Config
) -> None:
    with AccountLock(config.run, "by-imap") as lock:
        assert lock.acquire()
        (run,) = fetcher.run(["by-imap"], wait=False)
    assert run.error == BUSY
    assert both[0].server.connections == 0


def test_an_account_somebody_else_fetches_is_waited_for(
    fetcher: Fetcher, both: tuple[World, World], config: Config
) -> None:
    lock = AccountLock(config.run, "by-imap")
    assert lock.acquire()
    told: list[Progress] = []

    def report(progress: Progress) -> None:
        told.append(progress)
        if progress.phase == "waiting":
            lock.release()

    (run,) = fetcher.run(["by-imap"], wait=True, report=report)
    assert (run.error, run.admitted) == (None, 1)
    assert told[0].phase == "waiting"


def test_a_lock_is_let_go_when_its_holder_closes_it(config: Config) -> None:
    with AccountLock(config.run, "a/b") as first, AccountLock(config.run, "a/b") as second:
        assert first.acquire()
        assert not second.acquire()
        first.release()
        assert second.acquire()


def test_waiting_for_a_lock_can_be_stopped(config: Config) -> None:
    stop = threading.Event()
    stop.set()
    with AccountLock(config.run, "a") as first, AccountLock(config.run, "a") as second:
        assert first.acquire()
        with pytest.raises(Stopped):
            second.acquire(wait=True, stop=stop)


def test_a_stopped_fetcher_begins_nothing(fetcher: Fetcher, both: tuple[World, World]) -> None:
    fetcher.stop()
    assert {run.error for run in fetcher.run()} == {STOPPED}
    fetcher.close()
    assert {run.error for run in fetcher.run()} == {STOPPED}
    assert [world.server.connections for world in both] == [0, 0]


def test_removal_from_the_server_is_refused_and_not_silently_left_out(imap: World) -> None:
    with pytest.raises(UsageError, match="does not remove mail from the server"):
        check_account(imap.account(remove_after_days=0))
    run = imap.fetch(remove_after_days=30)
    assert run.error is not None
    assert imap.server.connections == 0


@pytest.mark.parametrize(
    "changes",
    [{"protocol": "ftp"}, {"tls": "maybe"}, {"host": " "}, {"port": 0}, {"user": ""}],
)
def test_what_cannot_be_fetched_is_said_before_connecting(
    imap: World, changes: dict[str, object]
) -> None:
    with pytest.raises(UsageError, match="account home: "):
        check_account(imap.account(**changes))
