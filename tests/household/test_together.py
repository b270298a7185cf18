"""Threads and processes at once, and no secret anywhere it does not belong."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.household import Account, Household, TooManyTries
from tests.household.conftest import CHEAP, PASSWORD, Clock

BOX = Account("box", "anna", "imap", "imap.example.org", 993, "implicit", "anna")


def together(work: list[Callable[[], None]]) -> list[Exception]:
    """What went wrong when all of it ran at the same moment."""
    wrong: list[Exception] = []
    ready = threading.Barrier(len(work))

    def run(one: Callable[[], None]) -> None:
        ready.wait()
        try:
            one()
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def test_passwords_open_while_they_are_sealed_and_the_key_is_rotated(
    tmp_path: Path, family: Household
) -> None:
    family.add_account(BOX, "0")
    with Household(tmp_path, cost=CHEAP) as other:

        def seal() -> None:
            for number in range(10):
                other.update_account(BOX, str(number))

        def open_() -> None:
            for _ in range(30):
                assert family.account_password("box").isdecimal()

        def rotate() -> None:
            for _ in range(3):
                family.rotate_key()

        assert together([seal, open_, open_, rotate]) == []
        assert other.account_password("box") == family.account_password("box") == "9"


def test_two_processes_that_make_the_first_key_make_one(tmp_path: Path, family: Household) -> None:
    with Household(tmp_path, cost=CHEAP) as other:

        def add(household: Household, name: str) -> Callable[[], None]:
            return lambda: household.add_account(replace(BOX, name=name), name)

        assert together([add(family, "a"), add(other, "b")]) == []
        for household in (family, other):
            assert household.account_password("a") == "a"
            assert household.account_password("b") == "b"
    assert len((tmp_path / "secrets" / "key").read_text().splitlines()) == 2


def test_a_hundred_guesses_at_once_are_a_hundred_guesses(family: Household) -> None:
    checked = []

    def guess() -> None:
        if family.check_password("anna", "not the password", "10.0.0.1") is None:
            checked.append(1)

    refused = together([guess] * 20)
    assert len(checked) == 3
    assert [type(error) for error in refused] == [TooManyTries] * 17


def test_many_devices_sign_in_while_people_come_and_go(family: Household) -> None:
    password = family.add_device("anna", "phone").password

    def sign_in() -> None:
        for _ in range(20):
            assert family.check_device("anna", password, "10.0.0.1")

    def come_and_go() -> None:
        for number in range(5):
            family.add_person(f"guest{number}", PASSWORD)
            family.remove_person(f"guest{number}")

    assert together([sign_in, sign_in, sign_in, come_and_go]) == []


def test_no_secret_is_in_a_log_an_error_a_repr_or_a_file(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = ["web-password-of-anna", "account-password-of-anna", "wrong-password-of-anna"]
    said: list[str] = []
    with Household(tmp_path, cost=CHEAP, clock=clock) as household:
        person = household.add_person("anna", secrets[0])
        household.add_account(BOX, secrets[1])
        device = household.add_device("anna", "phone")
        token = household.open_session("anna")
        secrets += [device.password, device.password.replace("-", ""), token]
        actions: list[Callable[[], object]] = [
            lambda: household.add_person("anna", secrets[0]),
            lambda: household.add_person("ben", secrets[0][:3]),
            lambda: household.check_password(secrets[0], secrets[0], "10.0.0.1"),
            lambda: household.add_account(BOX, secrets[1]),
            lambda: household.update_account(BOX, secrets[1] + "\n"),
            *[lambda: household.check_password("anna", secrets[2], "10.0.0.1")] * 5,
            *[lambda: household.check_device("anna", secrets[2], "10.0.0.1")] * 5,
            lambda: household.check_device(secrets[0], secrets[0], "10.0.0.1"),
        ]
        for action in actions:
            try:
                said.append(repr(action()))
            except ApplianceError as error:
                said.append(f"{error} {error!r} {error.__cause__!r}")
        (tmp_path / "secrets" / "key").unlink()
        household._sealer._keys = {}
        with pytest.raises(ApplianceError) as caught:
            household.account_password("box")
        said += [str(caught.value), repr(household.audit(50)), repr([person, device, household])]
    said += [record.getMessage() + str(record.exc_info) for record in caplog.records]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    text = "\n".join(said)
    for secret in secrets:
        for form in (secret, base64.b64encode(secret.encode()).decode().rstrip("=")):
            assert form not in text
            assert form.encode() not in written
