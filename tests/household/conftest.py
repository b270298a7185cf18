"""A household with a clock one can turn and a scrypt that costs little."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance.household import Household, Scrypt

CHEAP = Scrypt(log_n=4)
PASSWORD = "correct horse battery"


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def household(tmp_path: Path, clock: Clock) -> Iterator[Household]:
    with Household(tmp_path, cost=CHEAP, clock=clock) as opened:
        yield opened


@pytest.fixture
def family(household: Household) -> Household:
    """anna, the keeper, and ben."""
    household.add_person("anna", PASSWORD, "Anna Berg")
    household.add_person("ben", PASSWORD + "2")
    return household
