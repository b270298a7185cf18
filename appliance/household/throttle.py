"""Guessing gets slower: one table for the web, IMAP and SMTP, over all processes.

The delay is per door, name and network (/24, /64), so a phone with a stale
password delays neither another person nor the same person's sign-in elsewhere.
Three tries are free, then 1, 2, 4 … seconds up to 15 minutes; an hour without a
try forgets. There is no lock-out: waiting always helps.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from appliance.database import Database, moment, stamp
from appliance.errors import NotPermitted
from appliance.household.text import scrubbed

FREE_TRIES = 3
LONGEST_DELAY_S = 900
FORGOTTEN_AFTER = timedelta(hours=1)
_NETWORK_KEPT = 64


class TooManyTries(NotPermitted):
    """Sign-in is refused for a while, right password or not; ``retry_after_s`` says how long."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many tries; wait {retry_after_s} s and try again")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Guess:
    """Who is being tried, at which door, from where."""

    door: str
    name: str
    network: str


def guess_of(door: str, known: str | None, typed: str, peer: str) -> Guess:
    """The guess a sign-in counts as: ``known`` is the person meant, None = nobody.

    ``peer`` is an IP address, or anything for no network. What was typed for a
    name may be a password in the wrong field, so it is not kept: a name nobody
    has becomes one of 65 536 pigeonholes.
    """
    name = known or f"?{hashlib.sha256(scrubbed(typed.lower(), 1024).encode()).hexdigest()[:4]}"
    return Guess(door, name, network_of(peer))


def network_of(peer: str) -> str:
    """The /24 or /64 of an address; IPv4 inside IPv6 counts as IPv4."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return scrubbed(peer, _NETWORK_KEPT)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    width = 24 if address.version == 4 else 64
    return str(ipaddress.ip_network((address, width), strict=False))


class Throttle:
    """Counts failed tries and says how long the next has to wait."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def begin(self, guess: Guess) -> None:
        """Count a try as failed before it is checked, or raise TooManyTries.

        Counted first: a hundred tries at the same moment are a hundred tries.
        """
        now = self._clock()
        with self._database.write() as connection:
            row = connection.execute(
                "SELECT failures, last FROM throttle WHERE door = ? AND name = ? AND network = ?",
                (guess.door, guess.name, guess.network),
            ).fetchone()
            failures = 0
            if row is not None and stamp(now - FORGOTTEN_AFTER) < row[1]:
                failures = row[0]
                _refuse_too_early(failures, moment(row[1]), now)
            connection.execute(
                "DELETE FROM throttle WHERE last < ?", (stamp(now - FORGOTTEN_AFTER),)
            )
            connection.execute(
                "INSERT OR REPLACE INTO throttle VALUES (?, ?, ?, ?, ?)",
                (guess.door, guess.name, guess.network, failures + 1, stamp(now)),
            )

    def succeeded(self, guess: Guess) -> None:
        """Forget the failed tries; writes only when there are any."""
        key = (guess.door, guess.name, guess.network)
        where = "WHERE door = ? AND name = ? AND network = ?"
        if self._database.read().execute(f"SELECT 1 FROM throttle {where}", key).fetchone():  # noqa: S608 - a constant
            with self._database.write() as connection:
                connection.execute(f"DELETE FROM throttle {where}", key)  # noqa: S608 - a constant


def delay_s(failures: int) -> int:
    """Seconds to wait after so many failed tries."""
    if failures < FREE_TRIES:
        return 0
    return min(LONGEST_DELAY_S, 1 << min(failures - FREE_TRIES, 16))


def _refuse_too_early(failures: int, last: datetime, now: datetime) -> None:
    waited_s = (now - last).total_seconds()
    # A clock that was set back must not lock anybody out.
    if 0 <= waited_s < delay_s(failures):
        raise TooManyTries(math.ceil(delay_s(failures) - waited_s))
