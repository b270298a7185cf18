"""A letter of 200 MB through every door: peak memory of the process, by the letter's size.

    python -m bench large            all kinds; python -m bench.large KIND … some

In by POP3 and IMAP (Dovecot the origin), SMTP and APPEND; out by IMAP, the pages,
``show --raw`` and ``export``; and the index takes it in. Three letters: a file of
noise in base64, lines of 8bit text, and base64 that has to be kept as it is. Each
step starts the high-water mark anew (VmHWM: mapped files count as well). The aim is
under 3; tests/accept/test_large.py holds it, here are the figures.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.fetch.link import EXTRA_CA
from bench.machine import table
from tests.accept.dovecot import DovecotOrigin, installed
from tests.accept.house import RunningHouse, until
from tests.accept.large import (
    LARGE_OCTETS,
    Browser,
    Letter,
    Streamed,
    append,
    attachment,
    odd_attachment,
    peak_octets,
    prose,
    read_back,
    reset_peak,
    submit,
    watched,
)

KINDS: dict[str, Callable[[Path, str, int], Letter]] = {
    "base64": attachment,
    "text": prose,
    "odd": odd_attachment,
}
Step = tuple[float, float]
"""Peak by the letter's size, seconds."""


def main(kinds: Sequence[str] = tuple(KINDS)) -> None:
    """Print the table: a step a row, a kind of letter a column pair."""
    found: dict[str, dict[str, Step]] = {}
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix="hauspost-bench-") as name:
            for step, figures in _through(Path(name), kind).items():
                found.setdefault(step, {})[kind] = figures
    head = [f"{kind} {what}" for kind in kinds for what in ("peak/size", "s")]
    rows = [
        (step, *(value for kind in kinds for value in by.get(kind, (None, None))))
        for step, by in found.items()
    ]
    table(
        f"Peak memory by size of a letter of {LARGE_OCTETS // 10**6} MB (aim < 3)",
        ("", *head),
        rows,
    )


def _through(folder: Path, kind: str) -> dict[str, Step]:
    """Every door with a letter of its own, so that none is known already; then out again."""
    found: dict[str, Step] = {}
    if installed():
        found |= _fetched(folder, kind)
        for path in folder.iterdir():
            if path.is_file():
                path.unlink()
    else:
        print("  Dovecot is not installed: POP3 and IMAP are left out")
    with RunningHouse(folder) as house:
        house.person("anna")
        house.start()
        mail, index, web = (house.processes()[name] for name in ("mail", "index", "web"))
        letter = KINDS[kind](folder / "letter", f"smtp.{kind}", LARGE_OCTETS)
        reset_peak(index)
        port = house.ports.smtp
        found["in by SMTP"] = _of(
            mail, lambda: _must(submit(port, "anna@hauspost.local", letter), "250")
        )
        found["index takes it in"] = _of(index, lambda: _indexed(house, 1), reset=False)
        letter = KINDS[kind](folder / "letter", f"append.{kind}", LARGE_OCTETS)
        found["in by APPEND"] = _of(mail, lambda: _must(append(house, "anna", letter), "b OK"))
        _indexed(house, 2)
        found["out by IMAP"] = _of(mail, lambda: _same(read_back(house, "anna", 2), letter))
        browser = Browser(house, "anna")
        found["out by web, source"] = _of(
            web, lambda: _same(browser.download("/message/2/source"), letter)
        )
        if kind != "text":
            found["out by web, file"] = _of(web, lambda: browser.download("/message/2/part/2"))
        found["page of the letter"] = _of(web, lambda: browser.page("/message/2"))
        browser.close()
        found["show --raw"] = _command(house, "show", "2", "--raw")
        for form in ("eml", "mbox"):
            target = str(folder / f"out.{form}")
            found[f"export {form} (both)"] = _command(
                house, "export", "--person", "anna", "--format", form, target
            )
    return found


def _fetched(folder: Path, kind: str) -> dict[str, Step]:
    """POP3 and IMAP from Dovecot, each by ``hauspost fetch`` in a process of its own."""
    found: dict[str, Step] = {}
    place = folder / "fetched"
    place.mkdir()
    with DovecotOrigin(place, {"by-pop3": "one secret", "by-imap": "two secrets"}) as origin:
        ports = {"pop3": origin.pop3s_port, "imap": origin.imaps_port}
        with RunningHouse(place, environ={EXTRA_CA: str(origin.ca)}) as house:
            house.person("anna")
            for protocol, port in ports.items():
                letter = KINDS[kind](place / "letter", f"{protocol}.{kind}", LARGE_OCTETS)
                user = f"by-{protocol}"
                origin.load(user, "INBOX", [letter.path.read_bytes()])
                house.account(user, "anna", protocol, port, origin.users[user])
                found[f"in by {protocol.upper()}"] = _command(house, "fetch", user)
    return found


def _of(pid: int, work: Callable[[], object], *, reset: bool = True) -> Step:
    """The peak of a process while something is done."""
    if reset:
        reset_peak(pid)
    began = time.monotonic()
    work()
    seconds = time.monotonic() - began
    return (peak_octets(pid) or 0) / LARGE_OCTETS, seconds


def _command(house: RunningHouse, *words: str) -> Step:
    """The peak of a command of its own process."""
    began = time.monotonic()
    process = subprocess.Popen(house.command(*words), stdout=subprocess.DEVNULL, env=house.environ)
    with watched(process) as peak:
        assert process.wait() == 0, words
    return peak.octets / LARGE_OCTETS, time.monotonic() - began


def _must(answer: str, start: str) -> None:
    assert answer.startswith(start), answer


def _same(seen: Streamed, letter: Letter) -> None:
    assert seen.digest == letter.digest, "it did not come back as it went in"


def _indexed(house: RunningHouse, count: int) -> None:
    until(lambda: house.ok("status")["indexed"] == count, f"{count} are indexed", 200)


if __name__ == "__main__":
    main(sys.argv[1:] or tuple(KINDS))
