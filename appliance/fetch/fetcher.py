"""All accounts side by side: a thread for each, one run at a time for each, whoever asks.

The scheduler's process and a ``hauspost fetch`` on the command line may want the
same account at once; a file lock an account, which the kernel lets go of when a
process ends, keeps the second one out.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final
from urllib.parse import quote

from appliance.bell import Bell
from appliance.config import Config
from appliance.errors import ApplianceError
from appliance.fetch.link import Stopped
from appliance.fetch.progress import Progress, ProgressBoard
from appliance.fetch.run import STOPPED, Patience, run_account
from appliance.household import Account, Household
from appliance.mail.types import FetchRun
from appliance.store import Archive

__all__ = ["BUSY", "AccountLock", "Fetcher"]

BUSY: Final = "it is being fetched already"
_SIDE_BY_SIDE: Final = 8
_LOOK_AGAIN_S: Final = 0.2


class AccountLock:
    """Keeps other processes and threads from fetching an account. Context manager."""

    def __init__(self, run: Path, account: str) -> None:
        self._path = run / f"account-{quote(account, safe='')}.lock"
        self._file: int | None = None

    def acquire(self, wait: bool = False, stop: threading.Event | None = None) -> bool:
        """True when it is ours. Waits for it if asked to. Raises Stopped."""
        stop = stop or threading.Event()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._file = handle
                return True
            except BlockingIOError:
                if not wait:
                    os.close(handle)
                    return False
            if stop.wait(_LOOK_AGAIN_S):
                os.close(handle)
                raise Stopped

    def release(self) -> None:
        """Let others in; the file stays, so that all lock the same one."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> AccountLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class Fetcher:
    """Fetches accounts of the household into the archive. Context manager."""

    def __init__(
        self,
        household: Household,
        archive: Archive,
        config: Config,
        bell: Bell | None = None,
        *,
        board: ProgressBoard | None = None,
        patience: Patience | None = None,
        side_by_side: int = _SIDE_BY_SIDE,
    ) -> None:
        self._household = household
        self._archive = archive
        self._config = config
        self._bell = bell
        self._board = board or ProgressBoard(config.run)
        self._patience = patience
        # The same threads for every run: each has its own connection to the catalog.
        self._threads = ThreadPoolExecutor(side_by_side, thread_name_prefix="fetch")
        self._stop = threading.Event()

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(
        self,
        names: Iterable[str] | None = None,
        wait: bool = True,
        report: Callable[[Progress], None] | None = None,
    ) -> list[FetchRun]:
        """Fetch these accounts (None: all enabled ones) and answer their runs in order.

        Returns when all have ended. An account that somebody else is fetching now
        is waited for (``wait``), or answered at once with the error ``BUSY``. Raises
        UsageError for an unknown name before anything is fetched.
        """
        if names is None:
            accounts = [account for account in self._household.accounts() if account.enabled]
        else:
            accounts = [self._household.account(name) for name in dict.fromkeys(names)]
        if self._stop.is_set():
            return [_nothing(account, STOPPED) for account in accounts]

        def one(account: Account) -> FetchRun:
            return self._one(account, wait, report)

        return list(self._threads.map(one, accounts))

    def stop(self) -> None:
        """End every run soon, and let none begin; from any thread."""
        self._stop.set()

    def close(self) -> None:
        """Stop, and wait until every run has ended (about a second)."""
        self.stop()
        self._threads.shutdown()

    def _one(
        self, account: Account, wait: bool, report: Callable[[Progress], None] | None
    ) -> FetchRun:
        def tell(progress: Progress) -> None:
            self._board.post(progress)
            if report is not None:
                report(progress)

        try:
            with AccountLock(self._config.run, account.name) as lock:
                if not lock.acquire(wait=False):
                    if not wait:
                        return _nothing(account, BUSY)
                    tell(Progress(account.name, "waiting"))
                    lock.acquire(wait=True, stop=self._stop)
                if self._stop.is_set():
                    raise Stopped
                run = self._fetch(account, tell)
                self._archive.record_run(run)
        except Stopped:
            return _nothing(account, STOPPED)
        except (ApplianceError, OSError) as error:
            # The archive or the household failed, not the other server.
            tell(Progress(account.name, "failed"))
            return _nothing(account, str(error))
        if self._bell is not None:
            self._bell.ring()
        return run

    def _fetch(self, account: Account, tell: Callable[[Progress], None]) -> FetchRun:
        try:
            password = self._household.account_password(account.name)
        except ApplianceError as error:
            tell(Progress(account.name, "failed"))
            return _nothing(account, str(error))
        return run_account(
            account,
            password,
            self._archive,
            self._config.spool,
            tell,
            self._stop,
            limit_octets=self._config.message_limit_octets,
            patience=self._patience,
        )


def _nothing(account: Account, error: str) -> FetchRun:
    return FetchRun(account.name, datetime.now(UTC), error=error)
