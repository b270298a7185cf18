"""How long others wait while one client pulls the whole mailbox and ``follow`` indexes.

    python -m bench responsiveness

A house of our own holds a mailbox of 5 000 messages and more. One IMAP client reads
it whole, again and again; an import keeps giving the index work. Meanwhile a NOOP
on another connection and the page of the mailbox are asked for, ten times a second.
The aim is 100 ms at p95. Then the memory of the three processes, idle and loaded.
"""

from __future__ import annotations

import re
import select
import signal
import socket
import subprocess
import sys
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
ASKED = 120
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
            with _pulling(house) as pulled, _importing(house, later):
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
            print(f"  meanwhile the other client read {pulled[0]:.0f} MB, {pulled[1]:.1f} a second")
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
def _pulling(house: RunningHouse) -> Iterator[list[float]]:
    """A client that reads the mailbox whole, again and again; at the end [MB, MB a second].

    A process of its own that only takes octets: what it costs is not the house's.
    """
    words = (str(house.ports.imap), "anna", house.secrets.device["anna"])
    client = subprocess.Popen(
        [sys.executable, "-m", "bench.responsiveness", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    seen: list[float] = []
    try:
        yield seen
    finally:
        answer, _ = client.communicate(b"stop")
        seen += map(float, answer.split())


def pull(port: int, person: str, password: str) -> None:
    """The client: FETCH 1:* until something comes on standard input."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
        wire.sendall(f'a LOGIN {person} "{password}"\r\nb EXAMINE INBOX\r\n'.encode())
        room = bytearray(1 << 20)
        octets, began = 0, time.monotonic()
        while not select.select([sys.stdin], [], [], 0)[0]:
            wire.sendall(b"q FETCH 1:* (UID BODY.PEEK[])\r\n")
            last = b""
            while b"\r\nq OK" not in last:
                count = wire.recv_into(room)
                assert count, "the connection was closed"
                octets += count
                last = last[-64:] + bytes(room[max(0, count - 64) : count])
    seconds = time.monotonic() - began
    print(octets / 1e6, octets / 1e6 / seconds)


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


if __name__ == "__main__":
    if sys.argv[1:]:
        pull(int(sys.argv[1]), *sys.argv[2:])
    else:
        main()
