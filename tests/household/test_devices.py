"""Devices: a password each, typed by people, shown once, revoked alone."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from appliance.database import Database
from appliance.errors import StoreError, UsageError
from appliance.household import Household, TooManyTries
from appliance.household.devices import new_password
from tests.household.conftest import PASSWORD, Clock

PEER = "192.168.1.20"


def test_a_password_is_130_random_bits_in_groups_one_can_type() -> None:
    made = {new_password() for _ in range(200)}
    assert len(made) == 200
    group = "[0-9a-hjkmnp-tv-z]"
    for password in made:
        assert re.fullmatch(rf"({group}{{5}}-){{4}}{group}{{6}}", password)


@pytest.mark.parametrize(
    "typed",
    [
        lambda p: p,
        lambda p: p.upper(),
        lambda p: p.replace("-", ""),
        lambda p: f" {p.replace('-', ' ')} \n",
        lambda p: p.replace("0", "O").replace("1", "l"),
        lambda p: p.upper().replace("1", "I"),
        lambda p: p.replace("-", "\u2011"),
    ],
    ids=["as shown", "capitals", "no dashes", "blanks", "o and l", "I", "another dash"],
)
def test_it_is_understood_as_people_type_it(family: Household, typed: object) -> None:
    password = family.add_device("anna", "phone").password
    assert callable(typed)
    assert family.check_device("anna", typed(password), PEER) == family.person("anna")


@pytest.mark.parametrize(
    "login", ["anna", "ANNA", " anna ", "anna@hauspost.local", "anna@pi", "Anna.Berg@Example.org"]
)
def test_a_mail_program_may_use_the_name_or_an_address(family: Household, login: str) -> None:
    family.add_address("anna", "anna.berg@example.org")
    password = family.add_device("anna", "phone").password
    assert family.check_device(login, password, PEER) == family.person("anna")


def test_a_devices_password_is_one_persons(family: Household) -> None:
    password = family.add_device("anna", "phone").password
    assert family.check_device("ben", password, PEER) is None
    assert family.check_device("anna", PASSWORD, PEER) is None, "the web password is another"
    assert family.check_device("nobody", password, PEER) is None
    assert family.check_device("", "", PEER) is None
    assert family.check_device("\udc80@\udc80", "\udc80", "\udc80") is None
    assert family.check_password("anna", password, PEER) is None


def test_revoking_one_leaves_the_others(family: Household) -> None:
    phone = family.add_device("anna", "phone")
    laptop = family.add_device("anna", "laptop")
    family.revoke_device(phone.device.id)
    assert family.check_device("anna", phone.password, PEER) is None
    assert family.check_device("anna", laptop.password, PEER)
    assert [device.name for device in family.devices("anna")] == ["laptop"]
    with pytest.raises(UsageError, match=f"no device {phone.device.id}"):
        family.revoke_device(phone.device.id)


def test_a_number_is_never_given_again(family: Household) -> None:
    first = family.add_device("anna", "phone").device.id
    family.revoke_device(first)
    assert family.add_device("anna", "phone").device.id > first


def test_a_device_has_a_name_of_its_own(family: Household) -> None:
    family.add_device("anna", "phone")
    family.add_device("ben", "phone")
    with pytest.raises(UsageError, match="anna has a device 'phone' already"):
        family.add_device("anna", " phone ")
    with pytest.raises(UsageError, match="needs a name"):
        family.add_device("anna", "\x00 ")


def test_the_password_is_in_no_repr(family: Household) -> None:
    made = family.add_device("anna", "phone")
    assert made.password not in repr(made)
    assert made.device.last_used is None


def test_use_is_noted_at_most_every_five_minutes(family: Household, clock: Clock) -> None:
    made = family.add_device("anna", "phone")

    def used() -> tuple[object, str, str]:
        device = family.device(made.device.id)
        return device.last_used, device.last_peer, device.last_client

    first = clock.now
    assert family.check_device("anna", made.password, PEER, "Thunderbird 140")
    assert used() == (first, PEER, "Thunderbird 140")
    clock.advance(minutes=4)
    assert family.check_device("anna", made.password, "192.168.1.21", "K-9")
    assert used() == (first, PEER, "Thunderbird 140")
    clock.advance(minutes=2)
    assert family.check_device("anna", made.password, "192.168.1.21")
    assert used() == (clock.now, "192.168.1.21", "Thunderbird 140")


def test_mail_stays_readable_when_nothing_can_be_written(
    family: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = family.add_device("anna", "phone")

    def full(_: Database) -> object:
        raise StoreError("no room left")

    monkeypatch.setattr(Database, "write", full)
    assert family.check_device("anna", made.password, PEER) == family.person("anna")


def test_a_stale_phone_slows_itself_and_nobody_else(family: Household, clock: Clock) -> None:
    laptop = family.add_device("anna", "laptop").password
    for _ in range(3):
        assert family.check_device("anna", "stale", PEER) is None
    with pytest.raises(TooManyTries):
        family.check_device("anna", "stale", PEER)
    # The right password is always let in, from the same network and at the same moment,
    assert family.check_device("anna", laptop, PEER)
    # the web page is another door, and other people are other people.
    assert family.check_password("anna", PASSWORD, PEER)
    assert family.check_device("ben", "stale", PEER) is None
    # Its success does not free the stale phone.
    with pytest.raises(TooManyTries):
        family.check_device("anna", "stale", PEER)


def test_only_the_digest_is_kept(tmp_path: Path, family: Household) -> None:
    family.add_device("anna", "phone")
    with sqlite3.connect(tmp_path / "household.sqlite3") as connection:
        ((digest,),) = connection.execute("SELECT digest FROM device")
    assert len(digest) == 32
