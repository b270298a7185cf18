"""Accounts: checked before they are kept, their passwords sealed beside them."""

from __future__ import annotations

import os
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.database import Database
from appliance.errors import ConfigError, UsageError
from appliance.household import Account, Household
from appliance.household.schema import MIGRATIONS
from tests.household.conftest import CHEAP, Clock

GMAIL = Account("anna@gmail.com", "anna", "imap", "imap.gmail.com", 993, "implicit", "anna")
SECRET = "pässword of the account"


@pytest.fixture
def fetching(family: Household) -> Household:
    family.add_account(GMAIL, SECRET)
    return family


def key_of(data: Path) -> Path:
    return data / "secrets" / "key"


def test_an_account_comes_back_as_it_was_given(fetching: Household, clock: Clock) -> None:
    pop = Account(
        *("Old-Box", "ben", "pop3", "192.168.1.5", 110, "starttls", "ben"),
        *(3600, 30, ("INBOX", "Liste/*"), False),
    )
    fetching.add_account(pop, "x")
    assert fetching.account("old-box") == replace(pop, created=clock.now, maildrop="Old-Box")
    assert [account.name for account in fetching.accounts()] == ["anna@gmail.com", "Old-Box"]
    assert [account.name for account in fetching.accounts("ben")] == ["Old-Box"]
    assert fetching.account_password("OLD-BOX") == "x"
    assert fetching.account_password("anna@gmail.com") == SECRET


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "a/b"}, "'a/b' cannot be an account's name"),
        ({"name": "SMTP"}, "'SMTP' cannot be an account's name"),
        ({"name": ".."}, "cannot be an account's name"),
        ({"protocol": "ftp"}, "account anna@gmail.com: protocol: must be imap or pop3, is 'ftp'"),
        ({"tls": "maybe"}, "tls: must be implicit, starttls or none, is 'maybe'"),
        ({"host": "a b"}, "host: must be a host name or address, is 'a b'"),
        ({"host": ""}, "host: must be"),
        ({"port": 0}, "port: must be 1-65535, is '0'"),
        ({"user": "a\r\nb"}, "user: must be"),
        ({"every_s": 1}, "every: must be 10 s to 31 days"),
        ({"remove_after_days": -1}, "remove-after: must be never or days, is '-1'"),
        ({"mailboxes": ()}, "mailboxes: must be one or more globs"),
        ({"person": "carl"}, "there is no person 'carl'"),
    ],
)
def test_what_cannot_be_fetched_is_refused_by_field(
    family: Household, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        family.add_account(replace(GMAIL, **wrong), SECRET)  # type: ignore[arg-type] # a table
    assert message in str(caught.value)
    assert family.accounts() == []


@pytest.mark.parametrize("password", ["", "a\nb", "a\0b", "x" * 16385])
def test_a_password_no_protocol_can_carry_is_refused(family: Household, password: str) -> None:
    with pytest.raises(UsageError, match="the password is empty, too long or has line ends"):
        family.add_account(GMAIL, password)


def test_a_name_is_given_once_and_changing_keeps_what_is_not_given(fetching: Household) -> None:
    with pytest.raises(UsageError, match=r"account anna@gmail\.com already"):
        fetching.add_account(replace(GMAIL, name="ANNA@gmail.com"), SECRET)
    fetching.update_account(replace(GMAIL, every_s=60))
    assert fetching.account("anna@gmail.com").every_s == 60
    assert fetching.account("anna@gmail.com").created
    assert fetching.account_password("anna@gmail.com") == SECRET
    fetching.update_account(GMAIL, "new")
    assert fetching.account_password("anna@gmail.com") == "new"
    fetching.remove_account("anna@gmail.com")
    for action in (fetching.account, fetching.account_password, fetching.remove_account):
        with pytest.raises(UsageError, match="no account"):
            action("anna@gmail.com")
    with pytest.raises(UsageError, match="no account"):
        fetching.update_account(GMAIL)


def test_another_maildrop_has_another_name_in_the_ledger(fetching: Household) -> None:
    def ledger() -> str:
        return fetching.account(GMAIL.name).ledger

    assert ledger() == "anna@gmail.com"
    fetching.update_account(replace(GMAIL, port=1993, tls="none", every_s=60))
    assert ledger() == "anna@gmail.com"
    fetching.update_account(replace(GMAIL, host="imap.example.org"))
    assert ledger() == "anna@gmail.com#2"
    fetching.remove_account(GMAIL.name)
    fetching.add_account(replace(GMAIL, name="Anna@Gmail.com", protocol="pop3"), SECRET)
    assert ledger() == "Anna@Gmail.com#3"
    fetching.update_account(replace(GMAIL, user="ben"))
    assert ledger() == "Anna@Gmail.com#4"
    fetching.update_account(replace(GMAIL, host="IMAP.gmail.com"))
    assert ledger() == "anna@gmail.com", "the first maildrop is back, and what it knew"
    assert fetching.accounts()[0].ledger == "anna@gmail.com"


def test_a_household_of_an_older_version_keeps_its_ledger(tmp_path: Path) -> None:
    path = tmp_path / "household.sqlite3"
    with Database(path, MIGRATIONS[:1]) as old, old.write() as connection:
        connection.execute("INSERT INTO person VALUES ('anna', 'Anna', 1, '', 0)")
        connection.execute(
            "INSERT INTO account VALUES ('Box', 'anna', 'pop3', 'pop.example.org', 995, "
            "'implicit', 'anna', 300, NULL, '[\"*\"]', 1, 0, x'00')"
        )
    with Household(tmp_path, cost=CHEAP) as household:
        assert household.account("box").ledger == "Box"
        assert household.account("box").pin is None
        household.update_account(replace(household.account("box"), host="other.example.org"))
        assert household.account("box").ledger == "Box#2"


def test_requests_to_fetch_are_taken_once_oldest_first(fetching: Household, clock: Clock) -> None:
    fetching.add_account(replace(GMAIL, name="b"), SECRET)
    assert fetching.take_fetch_requests() == []
    fetching.request_fetch("B")
    clock.advance(seconds=1)
    fetching.request_fetch("anna@gmail.com")
    assert fetching.take_fetch_requests() == ["b", "anna@gmail.com"]
    assert fetching.take_fetch_requests() == []
    with pytest.raises(UsageError, match="no account 'c'"):
        fetching.request_fetch("c")
    fetching.request_fetch("b")
    fetching.remove_account("b")
    assert fetching.take_fetch_requests() == []


def test_the_key_is_private_and_no_file_holds_the_password(
    tmp_path: Path, fetching: Household
) -> None:
    assert stat.S_IMODE(key_of(tmp_path).stat().st_mode) == 0o600
    assert [path.name for path in key_of(tmp_path).parent.iterdir()] == ["key"]
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert SECRET.encode() not in path.read_bytes(), path
    assert SECRET not in repr(vars(fetching)) + repr(fetching.accounts())


def test_a_key_that_cannot_be_made_durable_is_not_used(
    tmp_path: Path, family: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("appliance.household.secrets.os.fsync", broken)
    with pytest.raises(ConfigError, match="key: cannot be written: Input/output error"):
        family.add_account(GMAIL, SECRET)
    monkeypatch.undo()
    assert list(key_of(tmp_path).parent.iterdir()) == []
    assert family.accounts() == []
    family.add_account(GMAIL, SECRET)
    assert family.account_password(GMAIL.name) == SECRET


def test_a_key_others_can_read_is_refused(tmp_path: Path, clock: Clock) -> None:
    with Household(tmp_path, cost=CHEAP, clock=clock) as household:
        household.add_person("anna", "a long password")
        household.add_account(GMAIL, SECRET)
    key_of(tmp_path).chmod(0o640)
    with (
        Household(tmp_path, cost=CHEAP, clock=clock) as household,
        pytest.raises(ConfigError, match=r"key: readable for others \(mode 0640\); run chmod 600"),
    ):
        household.account_password(GMAIL.name)


def test_a_missing_key_is_never_replaced_while_secrets_exist(
    tmp_path: Path, fetching: Household
) -> None:
    kept = key_of(tmp_path).read_bytes()
    key_of(tmp_path).unlink()
    with Household(tmp_path, cost=CHEAP) as household:
        for action in (
            lambda: household.account_password(GMAIL.name),
            lambda: household.add_account(replace(GMAIL, name="b"), SECRET),
            lambda: household.update_account(GMAIL, "new"),
            household.rotate_key,
        ):
            with pytest.raises(ConfigError, match=r"secrets/key: missing, but .* backup"):
                action()
        assert not key_of(tmp_path).exists()
        assert [account.name for account in household.accounts()] == [GMAIL.name]
        os.close(os.open(key_of(tmp_path), os.O_CREAT | os.O_WRONLY, 0o600))
        with pytest.raises(ConfigError, match="not a key file or damaged"):
            household.account_password(GMAIL.name)
        key_of(tmp_path).write_bytes(kept)
        assert household.account_password(GMAIL.name) == SECRET


def test_without_secrets_a_missing_key_is_made(tmp_path: Path, fetching: Household) -> None:
    fetching.remove_account(GMAIL.name)
    key_of(tmp_path).unlink()
    fetching.add_account(GMAIL, SECRET)
    assert fetching.account_password(GMAIL.name) == SECRET


def test_another_houses_key_is_told_from_damage(tmp_path: Path, fetching: Household) -> None:
    with Household(tmp_path / "other", cost=CHEAP) as other:
        other.add_person("anna", "a long password")
        other.add_account(GMAIL, SECRET)
    key_of(tmp_path).write_bytes(key_of(tmp_path / "other").read_bytes())
    with (
        Household(tmp_path, cost=CHEAP) as household,
        pytest.raises(ConfigError, match=r"does not hold key [0-9a-f]{8}, which the secret of acc"),
    ):
        household.account_password(GMAIL.name)


def test_a_sealed_password_opens_only_in_its_own_row(tmp_path: Path, fetching: Household) -> None:
    fetching.add_account(replace(GMAIL, name="b"), "another")
    with sqlite3.connect(tmp_path / "household.sqlite3") as connection:
        connection.execute(
            "UPDATE account SET sealed = (SELECT sealed FROM account WHERE name = 'b')"
        )
    assert fetching.account_password("b") == "another"
    with pytest.raises(ConfigError, match=r"secret of account anna@gmail\.com password is damaged"):
        fetching.account_password(GMAIL.name)


def test_the_same_password_never_seals_the_same_way(tmp_path: Path, fetching: Household) -> None:
    def sealed() -> bytes:
        with sqlite3.connect(tmp_path / "household.sqlite3") as connection:
            return bytes(connection.execute("SELECT sealed FROM account").fetchone()[0])

    first = sealed()
    fetching.update_account(GMAIL, SECRET)
    assert sealed() != first


def test_a_rotated_key_seals_everything_again(tmp_path: Path, fetching: Household) -> None:
    fetching.add_account(replace(GMAIL, name="b"), "another")
    with Household(tmp_path, cost=CHEAP) as meanwhile:
        assert meanwhile.account_password("b") == "another"
        before = key_of(tmp_path).read_text()
        fetching.rotate_key()
        after = key_of(tmp_path).read_text()
        assert len(after.splitlines()) == 2
        assert set(after.splitlines()) & set(before.splitlines()) == {"hauspost-key 1"}
        for household in (fetching, meanwhile):
            assert household.account_password("b") == "another"
            assert household.account_password(GMAIL.name) == SECRET
        meanwhile.update_account(GMAIL, "newer")
        assert fetching.account_password(GMAIL.name) == "newer"
    assert stat.S_IMODE(key_of(tmp_path).stat().st_mode) == 0o600


def test_a_rotation_cut_short_leaves_everything_open(
    tmp_path: Path, fetching: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> None:
        raise OSError("power gone")

    monkeypatch.setattr("appliance.household.accounts.Accounts.update", cut)
    with pytest.raises(OSError, match="power gone"):
        fetching.rotate_key()
    monkeypatch.undo()
    with Household(tmp_path, cost=CHEAP) as household:
        assert household.account_password(GMAIL.name) == SECRET
        household.rotate_key()
        assert household.account_password(GMAIL.name) == SECRET
    assert len(key_of(tmp_path).read_text().splitlines()) == 2


def test_a_pinned_certificate_is_kept_with_the_account(fetching: Household) -> None:
    fingerprint = ":".join(["ab"] * 32)
    fetching.update_account(replace(fetching.account(GMAIL.name), pin=fingerprint))
    assert fetching.account(GMAIL.name).pin == fingerprint
    with pytest.raises(UsageError, match="pin: must be"):
        fetching.update_account(replace(fetching.account(GMAIL.name), pin="a\nb"))


def test_a_household_without_pins_is_opened(tmp_path: Path) -> None:
    with Household(tmp_path, cost=CHEAP) as household:
        household.add_person("anna", "a long password")
        household.add_account(GMAIL, SECRET)
    with sqlite3.connect(tmp_path / "household.sqlite3") as file:
        file.execute("DROP TABLE maildrop")
        file.execute("ALTER TABLE account DROP COLUMN pin")
        file.execute("PRAGMA user_version = 1")
    file.close()
    with Household(tmp_path, cost=CHEAP) as household:
        assert household.account(GMAIL.name).pin is None
        assert household.account_password(GMAIL.name) == SECRET


def test_only_whose_account_it_is_learns_its_names_in_the_ledger(fetching: Household) -> None:
    fetching.update_account(replace(GMAIL, host="mail.example.org"), "other password")
    both = ["anna@gmail.com", "anna@gmail.com#2"]
    assert fetching.ledgers("anna", "Anna@Gmail.com") == both
    assert fetching.ledgers("ben", GMAIL.name) == []
    assert fetching.ledgers("anna", "none\x00such") == []
