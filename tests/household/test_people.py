"""People: the first is the keeper, names are names, passwords are never kept."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from appliance.errors import CatalogTooNew, StoreError, UsageError
from appliance.household import Household, Scrypt
from tests.household.conftest import CHEAP, PASSWORD, Clock


def test_the_first_person_is_the_keeper(family: Household) -> None:
    assert [(p.name, p.display_name, p.keeper) for p in family.persons()] == [
        ("anna", "Anna Berg", True),
        ("ben", "ben", False),
    ]


@pytest.mark.parametrize(
    "name", ["", "Anna", "-a", ".a", "a b", "ä", "a" * 33, "a@b", "a\n", "a/b", "\udc80"]
)
def test_a_name_that_is_none_is_refused_with_what_one_looks_like(
    household: Household, name: str
) -> None:
    with pytest.raises(UsageError, match="cannot be a sign-in name: use 1 to 32 of a-z"):
        household.add_person(name, PASSWORD)
    assert household.persons() == []


@pytest.mark.parametrize("name", ["a", "0", "anna-lena", "a.b_c", "a" * 32])
def test_names_that_are_names(household: Household, name: str) -> None:
    assert household.add_person(name, PASSWORD).name == name


@pytest.mark.parametrize(("password", "said"), [("seven77", "short"), ("x" * 1025, "long")])
def test_a_password_too_short_or_too_long_is_refused(
    household: Household, password: str, said: str
) -> None:
    with pytest.raises(UsageError, match=f"too {said}") as caught:
        household.add_person("anna", password)
    assert password not in str(caught.value)


def test_a_name_is_given_once(family: Household) -> None:
    with pytest.raises(UsageError, match="a person anna already"):
        family.add_person("anna", PASSWORD)


def test_the_last_keeper_stays(family: Household) -> None:
    with pytest.raises(UsageError, match="anna is the last keeper"):
        family.remove_person("anna")
    with pytest.raises(UsageError, match="anna is the last keeper"):
        family.set_keeper("anna", False)
    family.set_keeper("ben", True)
    family.remove_person("anna")
    assert [p.name for p in family.persons()] == ["ben"]


def test_removing_a_person_ends_all_their_ways_in(family: Household) -> None:
    device = family.add_device("ben", "phone")
    family.add_address("ben", "ben@example.org")
    token = family.open_session("ben")
    family.remove_person("ben")
    assert family.check_device("ben", device.password, "10.0.0.1") is None
    assert family.owner_of("ben@example.org", "hauspost.local") is None
    assert family.session(token) is None
    assert family.check_password("ben", PASSWORD + "2", "10.0.0.1") is None


def test_somebody_unknown_is_a_usage_error(family: Household) -> None:
    for action in (
        lambda: family.person("carl"),
        lambda: family.set_password("carl", PASSWORD),
        lambda: family.remove_person("carl"),
        lambda: family.set_keeper("carl", True),
        lambda: family.add_device("carl", "phone"),
        lambda: family.devices("carl"),
        lambda: family.add_address("carl", "c@example.org"),
        lambda: family.open_session("carl"),
    ):
        with pytest.raises(UsageError, match="no person 'carl'"):
            action()


def test_the_right_password_and_only_that_signs_in(family: Household) -> None:
    person = family.check_password("anna", PASSWORD, "10.0.0.1")
    assert person == family.person("anna")
    assert family.check_password(" Anna ", PASSWORD, "10.0.0.1") == person
    assert family.check_password("anna", PASSWORD + " ", "10.0.0.2") is None
    assert family.check_password("ben", PASSWORD, "10.0.0.2") is None
    assert family.check_password("\udc80", "\udc80", "10.0.0.2") is None


def test_two_keyboards_type_the_same_umlaut(household: Household) -> None:
    household.add_person("anna", "Bu\u0308cherwurm")
    assert household.check_password("anna", "B\u00fccherwurm", "10.0.0.1")


def test_a_changed_password_replaces_the_old_one_and_ends_sessions(family: Household) -> None:
    token = family.open_session("anna")
    family.set_password("anna", "another one entirely")
    assert family.check_password("anna", PASSWORD, "10.0.0.1") is None
    assert family.check_password("anna", "another one entirely", "10.0.0.1")
    assert family.session(token) is None


def stored(data: Path) -> str:
    with sqlite3.connect(data / "household.sqlite3") as connection:
        return str(connection.execute("SELECT password FROM person").fetchone()[0])


def test_a_cost_that_rises_rehashes_at_the_next_sign_in(tmp_path: Path, clock: Clock) -> None:
    with Household(tmp_path, cost=CHEAP, clock=clock) as household:
        household.add_person("anna", PASSWORD)
    before = stored(tmp_path)
    assert before.startswith("scrypt$4$8$1$")
    with Household(tmp_path, cost=Scrypt(log_n=5), clock=clock) as household:
        assert household.check_password("anna", "wrong password", "10.0.0.1") is None
        assert stored(tmp_path) == before
        assert household.check_password("anna", PASSWORD, "10.0.0.1")
        assert stored(tmp_path).startswith("scrypt$5$8$1$")
        assert household.check_password("anna", PASSWORD, "10.0.0.1")
    with Household(tmp_path, cost=CHEAP, clock=clock) as household:
        assert household.check_password("anna", PASSWORD, "10.0.0.1")
    assert stored(tmp_path).startswith("scrypt$5$8$1$"), "a lower cost never weakens a hash"


def test_the_default_cost_is_32_mib_and_runs(tmp_path: Path) -> None:
    with Household(tmp_path) as household:
        household.add_person("anna", PASSWORD)
        assert household.check_password("anna", PASSWORD, "10.0.0.1")
    assert stored(tmp_path).startswith("scrypt$15$8$1$")


def test_a_damaged_hash_is_said_without_the_hash(tmp_path: Path, family: Household) -> None:
    with sqlite3.connect(tmp_path / "household.sqlite3") as connection:
        connection.execute("UPDATE person SET password = 'scrypt$4$8$1$abc$!!'")
    with pytest.raises(StoreError, match="set a new password") as caught:
        family.check_password("anna", PASSWORD, "10.0.0.1")
    assert "abc" not in str(caught.value)


def test_the_database_is_private_and_holds_no_password(tmp_path: Path, family: Household) -> None:
    device = family.add_device("anna", "phone")
    token = family.open_session("anna")
    paths = [*tmp_path.glob("household.sqlite3*")]
    assert len(paths) == 3, "the file, its log, its index"
    octets = b"".join(path.read_bytes() for path in paths)
    for secret in (PASSWORD, device.password, device.password.replace("-", ""), token):
        assert secret.encode() not in octets
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}


def test_what_was_written_is_there_after_opening_again(tmp_path: Path, clock: Clock) -> None:
    with Household(tmp_path, cost=CHEAP, clock=clock) as household:
        made = household.add_person("anna", PASSWORD, "Anna\x07\tBerg ")
        household.set_setting("language", "de")
    with Household(tmp_path, cost=CHEAP, clock=clock) as household:
        assert household.persons() == [made]
        assert made.display_name == "Anna Berg"
        assert household.setting("language") == "de"
        assert household.setting("theme") is None
        assert household.setting("theme", "dark") == "dark"


def test_a_file_that_is_no_household_is_named(tmp_path: Path) -> None:
    (tmp_path / "household.sqlite3").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match=r"household\.sqlite3: .*file is not a database"):
        Household(tmp_path, cost=CHEAP)


def test_a_household_of_a_newer_version_is_left_alone(tmp_path: Path, clock: Clock) -> None:
    with Household(tmp_path, cost=CHEAP, clock=clock) as household:
        household.add_person("anna", PASSWORD)
    with sqlite3.connect(tmp_path / "household.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 1000")
    with pytest.raises(CatalogTooNew, match="written by a newer Hauspost"):
        Household(tmp_path, cost=CHEAP)
