"""When each account is fetched: APScheduler, made to live with a clock that jumps.

A Raspberry Pi has no clock of its own and may start in 1970; APScheduler 3 stands
still for as long as its clock is put back. So the wall clock is compared with the
monotonic one, and after a jump every job is armed again from now. Jobs are made
from the household and never stored; a change there is noticed within seconds.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor as PoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from appliance.bell import Bell
from appliance.errors import ApplianceError
from appliance.household import Account, Household

JUMP_S: Final = 30.0
_LOOK_S: Final = 10.0
_RUNS_AT_ONCE: Final = 8
_FIRST_RUN_WITHIN_S: Final = 5.0
_log = logging.getLogger("hauspost.schedule")


class Runs(Protocol):
    """What fetches: ``fetch.Fetcher``."""

    def run(self, names: Sequence[str] | None = None) -> object:
        """Fetch these accounts and wait for them; None is all."""


class Schedule:
    """Fetches every account at its own pace, and at once when somebody asks.

    ``wall`` and ``monotonic`` are clocks in seconds. Accounts that are new, or armed
    again, are fetched within ``first_within_s``, not all at the same moment. ``resting``
    tells until when an account that keeps failing is left in peace; who asks is not kept waiting.
    """

    def __init__(
        self,
        household: Household,
        runs: Runs,
        bell: Bell,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        first_within_s: float = _FIRST_RUN_WITHIN_S,
        resting: Callable[[Account], datetime | None] = lambda _: None,
    ) -> None:
        self._household = household
        self._runs = runs
        self._bell = bell
        self._wall, self._monotonic = wall, monotonic
        self._first_within_s = first_within_s
        self._resting = resting
        self._drift = wall() - monotonic()
        self._stop = threading.Event()
        self._armed: dict[str, Account] = {}
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(_RUNS_AT_ONCE)},
            # A late run is one run, now; never two of one account at a time.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._asked = PoolExecutor(_RUNS_AT_ONCE, thread_name_prefix="asked")
        self._ear = threading.Thread(target=self._listen, name="schedule", daemon=True)

    def start(self) -> None:
        """Arm every account and listen for requests."""
        self._scheduler.start()
        self.look()
        self._ear.start()

    def stop(self) -> None:
        """Start no more runs; those under way are the fetcher's to stop."""
        self._stop.set()
        self._bell.ring()
        self._scheduler.shutdown(wait=False)
        self._asked.shutdown(wait=False, cancel_futures=True)
        self._ear.join(2.0)

    def look(self) -> None:
        """Take in what changed: accounts, requests, the clock."""
        self._mind_the_clock()
        self._arm()
        for name in self._household.take_fetch_requests():
            # Not a job: APScheduler's thread dies of a one-time job that ends while it stops.
            self._asked.submit(self._fetch, name)

    def next_run(self, account: str) -> datetime | None:
        """When an account is fetched next."""
        job = self._scheduler.get_job(account)
        return None if job is None else job.next_run_time

    def _listen(self) -> None:
        with self._bell.listen("schedule") as listener:
            while not self._stop.is_set():
                listener.wait(_LOOK_S)
                if self._stop.is_set():
                    return
                try:
                    self.look()
                except ApplianceError as error:
                    # A household that cannot be read now is read again at the next look.
                    _log.error("accounts could not be read: %s", error)

    def _arm(self) -> None:
        wanted = {a.name: a for a in self._household.accounts() if a.enabled}
        for name in self._armed.keys() - wanted.keys():
            self._scheduler.remove_job(name)
            del self._armed[name]
        for name, account in wanted.items():
            if name in self._armed and self._armed[name] != account:
                # Somebody put it right, perhaps: what failed before counts no more.
                self._asked.submit(self._fetch, name)
            if self._armed.get(name) != account:
                self._arm_one(account, first_s=random.uniform(0, self._first_within_s))  # noqa: S311 - spreads load

    def _arm_one(self, account: Account, first_s: float) -> None:
        self._armed[account.name] = account
        self._scheduler.add_job(
            self._fetch_by_itself,
            "interval",
            args=[account],
            seconds=account.every_s,
            # One home address knocking everywhere at the same second gets banned.
            jitter=max(1, account.every_s // 20),
            next_run_time=datetime.now(UTC) + timedelta(seconds=first_s),
            id=account.name,
            replace_existing=True,
        )

    def _mind_the_clock(self) -> None:
        drift = self._wall() - self._monotonic()
        jump, self._drift = drift - self._drift, drift
        if abs(jump) <= JUMP_S:
            return
        _log.warning("the clock was put %+.0f s: every account is scheduled anew", jump)
        for account in self._armed.values():
            self._arm_one(account, first_s=random.uniform(0, self._first_within_s))  # noqa: S311 - spreads load
        self._scheduler.wakeup()

    def _fetch_by_itself(self, account: Account) -> None:
        try:
            until = self._resting(account)
        except ApplianceError as error:
            _log.error("%s: %s", account.name, error)
            return
        if until is not None:
            _log.info("%s: keeps failing, is left in peace until %s", account.name, until)
            return
        self._fetch(account.name)

    def _fetch(self, name: str) -> None:
        try:
            self._runs.run([name])
        except ApplianceError as error:
            _log.error("%s: %s", name, error)
