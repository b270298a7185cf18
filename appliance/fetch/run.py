"""One run of one account: what the server lists minus what the ledger knows, to the desk.

Nothing is remembered between runs but what is in the archive, so a run may end anywhere,
by any means, and the next one does the rest. Nothing is removed from the server.

A lost connection is opened again, as long as messages still come. The messages that were due
are then asked for one by one; one at which a fresh connection is lost at once is passed over,
so that one message never keeps an account waiting. It is recorded as failed when the
server has shown afterwards that it is well: an outage is no message's fault.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from appliance.errors import ApplianceError, RemoteError, RemoteProtocolError, TryLater
from appliance.fetch.connection import open_session
from appliance.fetch.intake import Intake, Tally
from appliance.fetch.link import Stopped, Timeouts
from appliance.fetch.progress import Progress
from appliance.fetch.session import (
    Answer,
    Arrived,
    Opened,
    RemoteMailbox,
    Session,
    Spool,
)
from appliance.household import Account
from appliance.mail.types import FetchRun, Origin
from appliance.store import Archive

__all__ = ["LIMIT_OCTETS", "STOPPED", "Patience", "run_account"]

LIMIT_OCTETS: Final = 512 * 1024 * 1024
STOPPED: Final = "stopped before its end; the next run goes on from here"
_CAREFUL_MESSAGES: Final = 100
_REPORT_APART_S: Final = 0.25
RETRY_WITHIN: Final = timedelta(days=1, minutes=1)
"""The archive's longest wait, and a little."""
_log = logging.getLogger("hauspost.fetch")


@dataclass(frozen=True, slots=True)
class Patience:
    """How lost connections are borne: how many in a row without a message between, and the
    pause before the next, which grows."""

    timeouts: Timeouts = field(default_factory=Timeouts)
    losses: int = 3
    pause_s: float = 2.0


def run_account(
    account: Account,
    password: str,
    archive: Archive,
    spool: Path,
    report: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
    *,
    limit_octets: int = LIMIT_OCTETS,
    patience: Patience | None = None,
) -> FetchRun:
    """Fetch everything new. Never raises for what servers do: see ``error`` and ``failed``.

    ``report`` is called a few times a second from this thread. ``stop`` ends the run
    within a second; what was admitted stays.
    """
    run = _Run(
        account,
        password,
        archive,
        Spool(spool, limit_octets),
        report or (lambda _: None),
        stop or threading.Event(),
        patience or Patience(),
    )
    return run.run()


class _Run:
    def __init__(
        self,
        account: Account,
        password: str,
        archive: Archive,
        spool: Spool,
        report: Callable[[Progress], None],
        stop: threading.Event,
        patience: Patience,
    ) -> None:
        self._account = account
        self._password = password
        self._archive = archive
        self._spool = spool
        self._report = report
        self._stop = stop
        self._patience = patience
        self._tally = Tally()
        self._intake = Intake(archive, self._tally)
        self._phase = "connecting"
        self._started = time.monotonic()
        self._fetching_since = self._started
        self._reported = 0.0
        # Over reconnections: what is finished, what was given up, what comes one by one.
        self._finished: set[str] = set()
        self._counted: set[str] = set()
        self._given_up: set[Origin] = set()
        self._careful: set[str] = set()
        self._suspects: dict[Origin, str] = {}
        self._due: Origin | None = None
        self._alone = False
        self._fresh = True
        self._problems: list[str] = []

    def run(self) -> FetchRun:
        started = datetime.now(UTC)
        error: str | None = None
        try:
            self._tell("connecting")
            self._through_losses()
        except Stopped:
            error = STOPPED
        except ApplianceError as problem:
            error = str(problem)
        except Exception as bug:
            # Ours or the server's, it is this account's: the others are fetched, and this
            # run is told of like any other.
            _log.exception("%s: the run broke off", self._account.name)
            error = f"the run broke off by a fault of Hauspost ({type(bug).__name__}: {bug})"
        finally:
            self._intake.close()
        if error is not None:
            self._problems.append(error)
        tally = self._tally
        self._tell("failed" if self._problems else "done")
        return FetchRun(
            account=self._account.name,
            started=started,
            seconds=round(time.monotonic() - self._started, 3),
            listed=tally.listed,
            admitted=tally.admitted,
            duplicates=tally.duplicates,
            octets=tally.octets,
            failed=tally.failures(),
            error="; ".join(self._problems) or None,
        )

    def _through_losses(self) -> None:
        session = self._open()
        losses = 0
        while True:
            before = self._taken()
            self._fresh = True
            try:
                self._everything(session)
                session.quit()
                self._blame()
                return
            except (TryLater, RemoteProtocolError) as lost:
                session.close()
                self._intake.flush()
                self._note_loss(lost)
                losses = 1 if self._taken() > before else losses + 1
                if losses > self._patience.losses:
                    raise
                session = self._again(losses, lost)
            except BaseException:
                session.close()
                raise

    def _open(self) -> Session:
        account, patience = self._account, self._patience
        return open_session(account, self._password, self._spool, patience.timeouts, self._stop)

    def _again(self, losses: int, lost: RemoteError) -> Session:
        """A new session after a pause. Raises the loss if the server will not have us."""
        for attempt in range(losses, self._patience.losses + 1):
            if self._stop.wait(self._patience.pause_s * attempt):
                raise Stopped
            try:
                return self._open()
            except TryLater:
                continue  # a POP3 server may hold the maildrop locked for the lost session
            except RemoteError:
                break
        raise lost

    def _taken(self) -> int:
        return self._tally.admitted + self._tally.duplicates

    def _note_loss(self, lost: RemoteError) -> None:
        due, self._due = self._due, None
        if due is None:
            return
        if self._alone and self._fresh:
            self._suspects[due] = f"the connection was lost at this message: {lost}"
        self._careful.add(due.mailbox)

    def _blame(self) -> None:
        """The server is well, so it was the messages at which connections were lost."""
        for origin, reason in self._suspects.items():
            self._intake.refused(origin, reason)
            self._given_up.add(origin)
        self._suspects = {}

    def _everything(self, session: Session) -> None:
        self._tell("listing")
        for mailbox in session.mailboxes(self._account.mailboxes):
            if mailbox.name in self._finished:
                continue
            try:
                self._mailbox(session, mailbox)
            except (TryLater, RemoteProtocolError):
                raise
            except RemoteError as refused:
                # The server is there and says no to this one: the others may be well.
                self._problems.append(f"{mailbox.name}: {refused}")
                self._due = None
            self._finished.add(mailbox.name)
        self._intake.flush()

    def _mailbox(self, session: Session, mailbox: RemoteMailbox) -> None:
        opened = session.examine(mailbox)
        known = self._archive.known_uids(self._account.ledger, mailbox.name, opened.uidvalidity)
        later, again = self._failures(mailbox, opened)
        unknown = [
            uid
            for uid in opened.uids
            if uid not in known
            and uid not in later
            and not self._passed_over(self._origin(mailbox, opened, uid))
        ]
        if mailbox.name not in self._counted:
            self._counted.add(mailbox.name)
            self._tally.listed += len(opened.uids)
            self._tally.total += len(unknown)
            if opened.doubt:
                self._problems.append(opened.doubt)
        first = [uid for uid in unknown if uid not in again]
        careful = _CAREFUL_MESSAGES if mailbox.name in self._careful else 0
        self._careful.discard(mailbox.name)
        self._fetch(session, mailbox, opened, first[:careful], known, alone=True)
        self._fetch(session, mailbox, opened, first[careful:], known, alone=False)
        self._fetch(session, mailbox, opened, [u for u in unknown if u in again], known, alone=True)

    def _passed_over(self, origin: Origin) -> bool:
        return origin in self._given_up or origin in self._suspects

    def _failures(self, mailbox: RemoteMailbox, opened: Opened) -> tuple[set[str], set[str]]:
        """Uids that failed before: those not to be tried yet, and those to be tried now.

        A failure of a message that the server lists no more is forgotten.
        """
        now = datetime.now(UTC)
        listed = frozenset(opened.uids)
        later: set[str] = set()
        again: set[str] = set()
        for failure in self._archive.failures(self._account.ledger):
            origin = failure.origin
            if (origin.mailbox, origin.uidvalidity) != (mailbox.name, opened.uidvalidity):
                continue
            if origin.uid not in listed:
                if opened.doubt is None:
                    self._archive.clear_failure(origin)
            elif now < failure.next_try <= now + RETRY_WITHIN:
                # Further away only when the clock was put back since: then it is tried now.
                later.add(origin.uid)
                self._tally.failed.setdefault(origin, failure.reason)
            else:
                again.add(origin.uid)
        return later, again

    def _fetch(
        self,
        session: Session,
        mailbox: RemoteMailbox,
        opened: Opened,
        uids: list[str],
        known: set[str],
        *,
        alone: bool,
    ) -> None:
        if not uids:
            return
        if self._phase != "fetching":
            self._fetching_since = time.monotonic()
            self._tell("fetching")
        self._alone = alone
        waiting = dict.fromkeys(uids)
        for answer in self._answers(session, mailbox, opened, waiting, alone):
            waiting.pop(answer.asked if isinstance(answer, Arrived) else answer.uid, None)
            if isinstance(answer, Arrived):
                self._blame()
            self._take(answer, mailbox, opened, known)
            self._tell("fetching")
        # Whoever did not come was deleted meanwhile: one less to do.
        self._tally.total -= len(waiting)
        self._due = None

    def _answers(
        self,
        session: Session,
        mailbox: RemoteMailbox,
        opened: Opened,
        waiting: dict[str, None],
        alone: bool,
    ) -> Iterator[Answer]:
        answers = session.retrieve(list(waiting), alone=alone)
        while True:
            if self._stop.is_set():
                raise Stopped
            # If the connection is lost now, it is lost at this one.
            first = next(iter(waiting), None)
            self._due = None if first is None else self._origin(mailbox, opened, first)
            answer = next(answers, None)
            if answer is None:
                return
            self._fresh = False
            yield answer

    def _take(
        self, answer: Answer, mailbox: RemoteMailbox, opened: Opened, known: set[str]
    ) -> None:
        origin = self._origin(mailbox, opened, answer.uid)
        if not isinstance(answer, Arrived):
            if answer.uid in opened.unnamed:
                # No lasting name, so nothing to remember it by: the next run tries anyway.
                self._tally.failed[origin] = answer.reason
                self._tally.done += 1
            else:
                self._intake.refused(origin, answer.reason)
            return
        if answer.uid in known:
            # Only its octets could tell that we have it.
            self._tally.done += 1
            self._tally.duplicates += 1
            answer.release()
            return
        self._intake.add(answer, origin, self._account.person, mailbox.ours)

    def _origin(self, mailbox: RemoteMailbox, opened: Opened, uid: str) -> Origin:
        return Origin(self._account.ledger, mailbox.name, opened.uidvalidity, uid)

    def _tell(self, phase: str) -> None:
        now = time.monotonic()
        if phase == self._phase == "fetching" and now - self._reported < _REPORT_APART_S:
            return
        self._phase, self._reported = phase, now
        tally = self._tally
        spent = now - self._fetching_since
        left = max(0, tally.total - tally.done)
        eta = left * spent / tally.done if phase == "fetching" and tally.done else None
        self._report(
            Progress(
                account=self._account.name,
                phase=phase,
                listed=tally.listed,
                done=tally.done,
                total=tally.total,
                admitted=tally.admitted,
                duplicates=tally.duplicates,
                failed=len(tally.failed),
                octets=tally.octets,
                seconds=round(now - self._started, 3),
                eta_s=None if eta is None else round(eta, 1),
            )
        )
