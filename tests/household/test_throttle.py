"""Guessing gets slower, waiting always helps, the rest of the house is left alone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from appliance.household import Household, TooManyTries
from appliance.household.throttle import delay_s, network_of
from tests.household.conftest import CHEAP, PASSWORD, Clock

PEER = "192.168.1.20"


def fail(household: Household, times: int, name: str = "anna", peer: str = PEER) -> None:
    for _ in range(times):
        assert household.check_password(name, "not the password", peer) is None


def test_three_tries_are_free_then_the_delay_doubles_up_to_a_quarter_of_an_hour() -> None:
    delays = [delay_s(failures) for failures in range(16)]
    assert delays == [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    assert delay_s(10**6) == 900


def test_too_early_is_refused_even_with_the_right_password(family: Household, clock: Clock) -> None:
    fail(family, 3)
    clock.advance(seconds=1)
    fail(family, 1)
    clock.advance(seconds=0.5)
    with pytest.raises(TooManyTries, match="wait 2 s") as caught:
        family.check_password("anna", PASSWORD, PEER)
    assert caught.value.retry_after_s == 2
    clock.advance(seconds=1.5)
    assert family.check_password("anna", PASSWORD, PEER)
    fail(family, 3)


def test_another_network_and_another_person_are_not_delayed(family: Household) -> None:
    fail(family, 3)
    with pytest.raises(TooManyTries):
        family.check_password("anna", PASSWORD, "192.168.1.99")
    assert family.check_password("anna", PASSWORD, "192.168.2.20")
    assert family.check_password("ben", PASSWORD + "2", PEER)


def test_a_name_nobody_has_is_delayed_just_so(family: Household) -> None:
    fail(family, 3, "carl")
    with pytest.raises(TooManyTries):
        fail(family, 1, "CARL")


def test_an_hour_without_a_try_forgets(tmp_path: Path, family: Household, clock: Clock) -> None:
    fail(family, 3)
    fail(family, 1, "carl")
    clock.advance(minutes=61)
    fail(family, 3)
    with sqlite3.connect(tmp_path / "household.sqlite3") as connection:
        rows = connection.execute("SELECT name, failures FROM throttle").fetchall()
    assert rows == [("anna", 3)]


def test_a_clock_set_back_locks_nobody_out(family: Household, clock: Clock) -> None:
    fail(family, 3)
    clock.advance(days=-400)
    assert family.check_password("anna", PASSWORD, PEER)


def test_the_table_is_shared_between_processes(
    tmp_path: Path, family: Household, clock: Clock
) -> None:
    fail(family, 3)
    with (
        Household(tmp_path, cost=CHEAP, clock=clock) as other,
        pytest.raises(TooManyTries),
    ):
        other.check_password("anna", PASSWORD, PEER)


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.168.1.20", "192.168.1.0/24"),
        ("::ffff:192.168.1.20", "192.168.1.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_a_network_is_a_24_or_a_64(peer: str, network: str) -> None:
    assert network_of(peer) == network


def test_refusals_are_logged_for_fail2ban_without_what_was_typed(
    family: Household, caplog: pytest.LogCaptureFixture
) -> None:
    family.check_password("anna", "hunter22hunter22", PEER)
    family.check_password("my-secret-in-the-name-field", "hunter22hunter22", PEER)
    family.check_device("anna", "hunter22hunter22", "10.0.0.1\nfake: line")
    assert [record.getMessage() for record in caplog.records] == [
        "sign-in refused: door=password person=anna peer='192.168.1.20'",
        "sign-in refused: door=password person=somebody unknown peer='192.168.1.20'",
        r"sign-in refused: door=device person=anna peer='10.0.0.1\nfake: line'",
    ]
