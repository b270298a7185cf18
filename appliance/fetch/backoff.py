"""How long an account that keeps failing is left in peace.

A wrong password tried every few minutes gets an account locked, or the household's
address banned. After each failing run in a row the pause doubles; a person who asks
for a run now, or changes the account, is not made to wait: that is the caller's to see to.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final

from appliance.fetch.run import STOPPED
from appliance.mail.types import FetchRun

__all__ = ["resting_until"]

LONGEST: Final = timedelta(hours=6)
_CLOCK_SLACK: Final = timedelta(minutes=1)


def resting_until(runs: Sequence[FetchRun], every_s: int, now: datetime) -> datetime | None:
    """When the account may be fetched by itself again; None = any time.

    ``runs`` are its latest ones, newest first (``archive.runs``). A run that brought
    messages, or that we stopped ourselves, is no failure.
    """
    ours = [run for run in runs if run.error is None or STOPPED not in run.error]
    failing = list(takewhile(lambda run: run.error is not None and not run.admitted, ours))
    # A run from the future was written under a wrong clock: it must not stall us.
    if not failing or failing[0].started > now + _CLOCK_SLACK:
        return None
    pause = min(timedelta(seconds=every_s) * 2 ** min(len(failing) - 1, 16), LONGEST)
    until = failing[0].started + pause
    return until if until > now else None
