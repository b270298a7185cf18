"""Web sessions end; the audit log does not change."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from appliance.database import Database
from appliance.errors import DiskFull
from appliance.household import Household
from tests.household.conftest import PASSWORD, Clock


def test_a_session_is_found_by_its_token_until_closed(family: Household) -> None:
    token = family.open_session("anna", "Firefox \udc80" + "x" * 500)
    other = family.open_session("anna")
    assert token != other
    assert len(token) >= 43
    assert family.session(token) == family.person("anna")
    family.close_session(token)
    family.close_session(token)
    assert family.session(token) is None
    assert family.session(other) == family.person("anna")
    for nothing in ("", "x" * 100_000, "\udc80", token[:-1]):
        assert family.session(nothing) is None
    family.close_sessions("anna")
    assert family.session(other) is None


def test_a_session_ends_when_idle_and_at_its_age(family: Household, clock: Clock) -> None:
    idle, used = family.open_session("anna"), family.open_session("ben")
    for _ in range(9):
        clock.advance(days=9, hours=23)
        assert family.session(used), clock.now
    assert family.session(idle) is None
    clock.advance(days=1)
    assert family.session(used) is None


def test_a_session_goes_on_when_nothing_can_be_written(
    family: Household, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = family.open_session("anna")
    clock.advance(hours=2)

    def full(_: Database) -> object:
        raise DiskFull("no room left")

    monkeypatch.setattr(Database, "write", full)
    assert family.session(token) == family.person("anna")


def test_ended_sessions_are_swept_out(tmp_path: Path, family: Household, clock: Clock) -> None:
    family.open_session("anna")
    clock.advance(days=15)
    family.open_session("anna")
    with sqlite3.connect(tmp_path / "household.sqlite3") as connection:
        assert connection.execute("SELECT count(*) FROM session").fetchone() == (1,)


def test_what_happens_to_people_is_noted_without_secrets(family: Household, clock: Clock) -> None:
    made = family.add_device("ben", "phone")
    clock.advance(seconds=1)
    family.revoke_device(made.device.id)
    family.check_password("anna", PASSWORD, "10.0.0.7")
    entries = family.audit(10)
    assert [(entry.person, entry.action, entry.detail) for entry in entries] == [
        ("anna", "signed in", "10.0.0.7"),
        ("ben", "device revoked", "phone"),
        ("ben", "device added", "phone"),
        ("ben", "person added", ""),
        ("anna", "person added", "keeper"),
    ]
    assert entries[0].at == clock.now
    assert len(family.audit(2)) == 2
    assert made.password not in repr(entries)


def test_the_log_refuses_to_change_and_shows_who_tried(tmp_path: Path, family: Household) -> None:
    for number in range(5):
        family.note("anna", "exported", f"{number} messages \udc80")
    assert family.audit_broken_at() is None
    with sqlite3.connect(tmp_path / "household.sqlite3") as connection:
        for statement in ("UPDATE audit SET detail = ''", "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
        connection.execute("DROP TRIGGER audit_never_changes")
        connection.execute("UPDATE audit SET detail = '9 messages' WHERE id = 4")
    assert family.audit_broken_at() == 4


def test_a_removed_entry_leaves_a_gap(tmp_path: Path, family: Household) -> None:
    family.note("anna", "exported", "1 message")
    with sqlite3.connect(tmp_path / "household.sqlite3") as connection:
        connection.execute("DROP TRIGGER audit_never_shrinks")
        connection.execute("DELETE FROM audit WHERE id = 2")
    assert family.audit_broken_at() == 3


def test_a_change_that_fails_is_not_noted(family: Household) -> None:
    before = family.audit(10)
    with pytest.raises(Exception, match="already"):
        family.add_person("anna", PASSWORD)
    assert family.audit(10) == before
