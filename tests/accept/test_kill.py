"""kill -9 at fifty moments of fetching: nothing is lost, doubled or renumbered."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance.fetch import ProgressBoard
from appliance.fetch.intake import BATCH_S
from appliance.mail.types import Seq
from appliance.store import Archive
from tests.accept.corpus import messages
from tests.accept.dovecot import installed
from tests.accept.house import RunningHouse, digest, plain_name, until
from tests.accept.street import Street, held

pytestmark = [
    pytest.mark.peers,
    pytest.mark.corpora,
    pytest.mark.skipif(not installed(), reason="Dovecot is not installed"),
]

KILLS = 50
WRITES_BETWEEN = 10
MESSAGES = 2_000
_FETCHES_S = 60.0
IN_THE_START = 0.2
"""So large a part of the kills falls into the start: opening, signing in, listing."""


@dataclass(slots=True)
class Memory:
    """Every UID that was ever seen and what it stood for: a promise for ever."""

    digests: dict[tuple[str, str, int, int], bytes] = field(default_factory=dict)
    next: dict[tuple[str, str, int], int] = field(default_factory=dict)

    def look(self, house: RunningHouse, people: set[str]) -> int:
        """Read all mailboxes, hold them to what was seen before; how many messages there are.

        Reading recovers nothing: that is left to the next one who writes.
        """
        with Archive(house.data / "archive") as archive:
            for person in people:
                for mailbox in archive.mailboxes(person):
                    snapshot = archive.snapshot(mailbox.id)
                    seqs = [Seq(seq) for seq in snapshot.seqs]
                    # "All Mail" has each message once by its nature, the others by our care.
                    assert len(set(seqs)) == len(seqs), f"a message is twice in {mailbox.name}"
                    digests = archive.columns(seqs, ["digest"])
                    box = (person, mailbox.name, mailbox.uidvalidity)
                    self._hold(box, snapshot.uidnext, snapshot.uids, [digests[s][0] for s in seqs])
            return archive.totals().messages

    def _hold(
        self, box: tuple[str, str, int], uidnext: int, uids: Iterable[int], digests: list[bytes]
    ) -> None:
        now = {(*box, uid): one for uid, one in zip(uids, digests, strict=True)}
        before = {key: one for key, one in self.digests.items() if key[:3] == box}
        assert before.items() <= now.items(), f"{box}: a UID is gone or stands for another message"
        fresh = [key[3] for key in now.keys() - before.keys()]
        # RFC 9051 §2.3.1.1: a new message has a greater UID than any before it.
        assert all(self.next.get(box, 1) <= uid < uidnext for uid in fresh), box
        assert uidnext >= self.next.get(box, 1)
        self.digests.update(now)
        self.next[box] = uidnext


def test_fifty_kills_while_fetching_change_nothing_in_the_end(
    corpora: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    every = messages(corpora)
    chosen = random.Random(3).sample(every, MESSAGES)
    with Street(tmp_path, chosen) as street:
        served = street.served()
        with street.new_house(tmp_path / "measured") as house:
            began = time.monotonic()
            runs = house.ok("fetch")["accounts"]
            whole_s = time.monotonic() - began
        fetching_s = max(run["seconds"] for run in runs)
        record_property("whole_s", whole_s)

        moments = Moments(len(served["anna"] | served["ben"]), whole_s - fetching_s)
        counts: list[list[int]] = []
        while sum(map(len, counts)) < KILLS:
            with street.new_house(tmp_path / f"house-{len(counts)}") as house:
                left = KILLS - sum(map(len, counts))
                counts.append(_history(house, served, moments, left))
        record_property("messages after each kill", counts)
        assert any(count > 0 for history in counts for count in history)


def _history(
    house: RunningHouse, served: dict[str, set[str]], moments: Moments, kills: int
) -> list[int]:
    """An archive that is filled by killed runs until all is there, or no kill is left.

    Answers how many messages there were after each kill.
    """
    digests = {person: set(found) for person, found in served.items()}
    whole = len(digests["anna"] | digests["ben"])
    memory = Memory()
    counts: list[int] = []
    while len(counts) < kills and memory.look(house, set(digests)) < whole:
        if not _kill(house, *moments.next()):
            continue  # it was done before its moment came
        counts.append(memory.look(house, set(digests)))
        moments.learn(counts)
        if len(counts) % WRITES_BETWEEN == 0:
            # Somebody else is the next to write behind what the kill has left.
            digests["anna"].add(_write(house, len(counts)))
            whole += 1

    for run in house.ok("fetch")["accounts"]:
        assert (run["error"], run["failed"]) == (None, [])
    memory.look(house, set(digests))
    for run in house.ok("fetch")["accounts"]:
        assert (run["admitted"], run["octets"]) == (0, 0)
    _ends_as_if_nothing_had_happened(house, digests, memory)
    return counts


class Moments:
    """Seeded random moments to kill at, over the start and over all of the fetching.

    A kill costs what was not yet stored, so most runs bring nothing to an end. How long
    they may take is drawn up to a limit that follows what they bring, on a fast machine
    and on a slow one.
    """

    def __init__(self, whole: int, starting_s: float) -> None:
        self._dice = random.Random(20)
        self._starting_s = starting_s
        self._share = 2 * whole / KILLS
        self._limit_s = 2 * BATCH_S

    def next(self) -> tuple[bool, float]:
        """Whether to wait until it says that it fetches, and the seconds from there on."""
        if self._dice.random() < IN_THE_START:
            return False, self._dice.uniform(0, self._starting_s)
        return True, self._dice.uniform(0, self._limit_s)

    def learn(self, counts: list[int]) -> None:
        """How many messages were stored after each kill until now."""
        brought = counts[-1] - (counts[-2] if len(counts) > 1 else 0)
        if brought <= 1:
            self._limit_s *= 1.1
        elif brought > self._share:
            self._limit_s *= 0.7


def _kill(house: RunningHouse, fetching: bool, after_s: float) -> bool:
    """Start a fetch, and kill it at a moment; whether it was still running then."""
    process = house.begin("fetch")
    try:
        if fetching:
            board = ProgressBoard(house.data / "run")
            until(
                lambda: (
                    process.poll() is not None
                    or any(one.phase == "fetching" for one in board.read().values())
                ),
                "it fetches",
                _FETCHES_S,
            )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after_s)
    finally:
        process.kill()
        said, errors = process.communicate()
    if process.returncode == -signal.SIGKILL:
        return True
    assert (process.returncode, errors) == (0, b""), errors
    assert not any(run["failed"] for run in json.loads(said)["accounts"])
    return False


def _write(house: RunningHouse, n: int) -> str:
    """Import a message of our own; its digest."""
    octets = b"Subject: note %d\r\nFrom: anna@example.org\r\n\r\nNumber %d.\r\n" % (n, n)
    path = house.data / f"note-{n}.eml"
    path.write_bytes(octets)
    assert house.ok("import", str(path), "--person", "anna", "--mailbox", "Notes")["admitted"] == 1
    return digest(octets)


def _ends_as_if_nothing_had_happened(
    house: RunningHouse, served: dict[str, set[str]], memory: Memory
) -> None:
    checked = house.ok("verify", "--deep")
    assert checked["messages"] == len(served["anna"] | served["ben"])
    assert [checked[key] for key in ("damaged", "missing", "problems")] == [[], [], []]
    house.start()
    for person, digests in served.items():
        boxes = held(house, person)
        assert set(boxes['"All Mail"'].digests.values()) == digests
        for seen in boxes.values():
            assert len(set(seen.digests.values())) == len(seen.digests)
        # A mail program sees the numbers that were seen while it was being killed.
        told = {
            (person, plain_name(name), seen.uidvalidity, uid): one
            for name, seen in boxes.items()
            for uid, one in seen.digests.items()
        }
        assert told == {key: one.hex() for key, one in memory.digests.items() if key[0] == person}
