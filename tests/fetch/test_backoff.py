"""An account that keeps failing is left in peace, longer each time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from appliance.fetch import resting_until
from appliance.fetch.backoff import LONGEST
from appliance.fetch.run import STOPPED
from appliance.mail.types import FetchRun

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def run(error: str | None, ago: timedelta = MINUTE, admitted: int = 0) -> FetchRun:
    return FetchRun("a", NOW - ago, admitted=admitted, error=error)


@pytest.mark.parametrize(
    ("runs", "until"),
    [
        ([], None),
        ([run(None), run("wrong")], None),
        ([run("wrong")], NOW + 4 * MINUTE),
        ([run("wrong"), run("wrong"), run(None)], NOW + 9 * MINUTE),
        ([run("wrong")] * 50, NOW - MINUTE + LONGEST),
        ([run("wrong", 10 * MINUTE)], None),
        ([run("cut", admitted=3)], None),
        ([run(STOPPED), run("wrong"), run(None)], NOW + 4 * MINUTE),
        ([run("wrong", -timedelta(days=3650))], None),
    ],
    ids=["new", "well", "once", "twice", "often", "long ago", "brought mail", "stopped", "future"],
)
def test_the_pause_doubles_with_each_failing_run(
    runs: list[FetchRun], until: datetime | None
) -> None:
    assert resting_until(runs, 300, NOW) == until
