"""How long others wait while one client pulls the whole mailbox and ``follow`` indexes.

    python -m bench responsiveness

A house of our own holds a mailbox of 5 000 messages and more. One IMAP client reads
it whole, again and again; an import keeps giving the index work. Meanwhile a NOOP
on another connection and the page of the mailbox are asked for, ten times a second.
The aim is 100 ms at p95. Then the memory of the three processes, idle and loaded.
"""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from bench.letters import letters
from bench.machine import spread_ms, table
from tests.accept.house import RunningHouse, children, pss_octets, rss_octets, until
from tests.accept.large import Browser, imap

MESSAGES = 5500
LATER = 4000
ASKED = 150
PAUSE_S = 0.1
AIM_MS = 100
AIM_MB = 160


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="hauspost-bench-") as name:
        folder = Path(name)
        what, given = letters(MESSAGES + LATER)
        first, later = folder / "first", folder / "later"
        for target, count in ((first, MESSAGES), (later, LATER)):
            target.mkdir()
            for number, octets in enumerate(islice(given, count)):
                (target / f"{number:06}.eml").write_bytes(octets)
        with RunningHouse(folder) as house:
            house.person("anna")
            house.ok("import", "--person", "anna", "--mailbox", "INBOX", str(first))
            house.ok("follow", "--until-idle")
            house.start()
            held = house.ok("status")["messages"]
            idle = _settled(house)
            alone = _asked(house)
            with _puller(house) as pulled, _importing(house, later):
                busy = _asked(house)
                loaded = _memory(house)
            table(
                f"Waiting, ms; {held} messages at first ({what})",
                ("", "p50", "p95", "longest", f"p95 by {AIM_MS} ms"),
                [
                    (f"{kind} {when}", *spread_ms(times), spread_ms(times)[1] / AIM_MS)
                    for when, asked in (("idle", alone), ("busy", busy))
                    for kind, times in asked.items()
                ],
            )
            print(f"  meanwhile the other client read {pulled[0]} messages, {pulled[1] >> 20} MiB")
            _tell_memory(idle, loaded)


def _tell_memory(
    idle: dict[str, tuple[float, float]], loaded: dict[str, tuple[float, float]]
) -> None:
    rows = [(name, *idle[name], *loaded.get(name, (None, None))) for name in idle]
    three = [name for name in idle if name in ("mail", "index", "web")]
    sums = [sum(state[n][at] for n in three) for state in (idle, loaded) for at in (0, 1)]
    table(
        f"Memory, MB (three processes idle: {sums[0] / AIM_MB:.2f} of {AIM_MB} MB)",
        ("", "idle RSS", "idle PSS", "busy RSS", "busy PSS"),
        [*rows, ("the three", *sums)],
    )


def _asked(house: RunningHouse) -> dict[str, list[float]]:
    """Seconds that each NOOP and each page took; the two are asked side by side."""
    times: dict[str, list[float]] = {"NOOP": [], "page": []}
    browser = Browser(house, "anna")
    box = _inbox(browser)
    with imap(house, "anna") as wire:
        wire.say("s SELECT INBOX")
        assert wire.tagged("s").startswith("s OK")

        def noop() -> None:
            wire.say("n NOOP")
            assert wire.tagged("n").startswith("n OK")

        pages = threading.Thread(
            target=_timed, args=(lambda: browser.page(box), times["page"]), daemon=True
        )
        pages.start()
        _timed(noop, times["NOOP"])
        pages.join()
    browser.close()
    return times


def _inbox(browser: Browser) -> str:
    found = re.search(r'href="(/box/\d+)', browser.page("/box/"))
    assert found
    return found[1]


def _timed(ask: Callable[[], object], times: list[float]) -> None:
    for _ in range(ASKED):
        began = time.perf_counter()
        ask()
        times.append(time.perf_counter() - began)
        time.sleep(PAUSE_S)


@contextmanager
def _puller(house: RunningHouse) -> Iterator[list[int]]:
    """A client that reads the mailbox whole, again and again; [messages, octets] so far."""
    seen, over = [0, 0], threading.Event()
    with imap(house, "anna") as wire:
        wire.say("p EXAMINE INBOX")
        assert wire.tagged("p").startswith("p OK")

        def pull() -> None:
            while not over.is_set():
                wire.say("q FETCH 1:* (UID BODY.PEEK[])")
                while not (line := wire.file.readline()).startswith(b"q "):
                    if found := re.search(rb"\{(\d+)\}\r\n$", line):
                        seen[0] += 1
                        seen[1] += len(wire.file.read(int(found[1])))
                assert line.startswith(b"q OK"), line

        reader = threading.Thread(target=pull, daemon=True)
        reader.start()
        try:
            yield seen
        finally:
            over.set()
            reader.join()


@contextmanager
def _importing(house: RunningHouse, folder: Path) -> Iterator[None]:
    """New messages come in, and after them a reindex: the index process never rests."""
    running: list[subprocess.Popen[bytes]] = []
    over = threading.Event()

    def work() -> None:
        for words in (
            ("import", "--person", "anna", "--mailbox", "INBOX", str(folder)),
            *[("reindex",)] * 20,
        ):
            if over.is_set():
                return
            running.append(house.begin(*words))
            running[-1].communicate()

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        # Not before the index has something to do.
        newest = house.ok("status")["newest"]
        until(lambda: house.ok("status")["newest"] > newest, "the import has begun")
        yield
    finally:
        over.set()
        for process in running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        worker.join()


def _settled(house: RunningHouse) -> dict[str, tuple[float, float]]:
    """Memory after one of everything was asked once, and nothing is left to do."""
    browser = Browser(house, "anna")
    browser.page(_inbox(browser))
    browser.close()
    with imap(house, "anna") as wire:
        wire.say("s SELECT INBOX")
        assert wire.tagged("s").startswith("s OK")
    time.sleep(1.5)
    return _memory(house)


def _memory(house: RunningHouse) -> dict[str, tuple[float, float]]:
    """RSS and PSS in MB of the supervisor, the three, and children of theirs."""
    found = {"supervisor": house.pid, **house.processes()}
    for name, pid in house.processes().items():
        found |= {f"{name}'s child {n}": child for n, child in enumerate(children(pid), start=1)}
    return {name: (rss_octets(pid) / 1e6, pss_octets(pid) / 1e6) for name, pid in found.items()}
