"""A letter of 200 MB through every door: kept exactly, in bounded memory; a larger one is refused.

The bound is three times its size for any process that takes it in, indexes it or
gives it out. `python -m bench large` tells the figures.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from appliance.fetch.link import EXTRA_CA
from tests.accept.dovecot import DovecotOrigin, installed
from tests.accept.house import RunningHouse, until
from tests.accept.large import (
    LARGE_OCTETS,
    Browser,
    Letter,
    Peak,
    Streamed,
    append,
    attachment,
    peak_octets,
    prose,
    read_back,
    reset_peak,
    submit,
    watched,
)

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not installed(), reason="Dovecot is not installed"),
    pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs Linux's /proc"),
]
TIMES = 3
LIMIT_OCTETS = 150_000_000


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[DovecotOrigin]:
    with DovecotOrigin(tmp_path, {"by-pop3": "one secret", "by-imap": "two secrets"}) as running:
        yield running


def enter(house: RunningHouse, origin: DovecotOrigin) -> None:
    """Anna, with an account of either kind."""
    house.person("anna")
    house.account("by-pop3", "anna", "pop3", origin.pop3s_port, origin.users["by-pop3"])
    house.account("by-imap", "anna", "imap", origin.imaps_port, origin.users["by-imap"])


def indexed(house: RunningHouse, count: int) -> None:
    until(lambda: house.ok("status")["indexed"] == count, f"{count} are indexed", 120)


def mail(house: RunningHouse, number: int, letter: Letter) -> Streamed:
    """The message read back by IMAP, in bounded memory."""
    pid = house.processes()["mail"]
    reset_peak(pid)
    seen = read_back(house, "anna", number, letter.size)
    assert bounded(peak_octets(pid))
    return seen


def bounded(octets: int | None) -> bool:
    assert octets
    return octets < TIMES * LARGE_OCTETS


def read_all(stream: IO[bytes] | None) -> Streamed:
    assert stream is not None
    seen = Streamed()
    while piece := stream.read(1 << 20):
        seen.add(piece)
    return seen.end()


def ended(process: subprocess.Popen[bytes], peak: Peak) -> None:
    assert process.wait() == 0
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    assert bounded(peak.octets)


def test_200_mb_by_pop3_and_by_imap(tmp_path: Path, origin: DovecotOrigin) -> None:
    letters = [
        attachment(tmp_path / "pop3", "pop3", LARGE_OCTETS),
        prose(tmp_path / "imap", "imap", LARGE_OCTETS),
    ]
    for account, letter in zip(("by-pop3", "by-imap"), letters, strict=True):
        origin.load(account, "INBOX", [letter.path.read_bytes()])
    with RunningHouse(tmp_path, environ={EXTRA_CA: str(origin.ca)}) as house:
        enter(house, origin)
        for account in ("by-pop3", "by-imap"):
            process = house.begin("fetch", account)
            with watched(process) as peak:
                process.wait()
            ended(process, peak)
        assert house.ok("status")["messages"] == 2
        house.start()
        indexed(house, 2)
        assert bounded(peak_octets(house.processes()["index"]))
        for number, letter in enumerate(letters, start=1):
            assert mail(house, number, letter).digest == letter.digest
        assert house.search("anna", "Äpfel")["total"] == 1


def test_200_mb_by_smtp_and_by_append_and_out_again(tmp_path: Path) -> None:
    with RunningHouse(tmp_path) as house:
        house.person("anna")
        house.start()
        here = house.processes()
        for pid in here.values():
            reset_peak(pid)
        film = attachment(tmp_path / "smtp", "smtp", LARGE_OCTETS)
        assert submit(house.ports.smtp, "anna@hauspost.local", film).startswith("250 ")
        assert bounded(peak_octets(here["mail"]))
        reset_peak(here["mail"])
        text = prose(tmp_path / "append", "append", LARGE_OCTETS)
        assert append(house, "anna", text).startswith("b OK [APPENDUID ")
        assert bounded(peak_octets(here["mail"]))
        indexed(house, 2)
        assert bounded(peak_octets(here["index"]))
        # SMTP puts its trace fields before the message; the message stays as it was.
        received = mail(house, 1, film)
        assert received.tail == film.digest
        assert mail(house, 2, text).digest == text.digest

        browser = Browser(house, "anna")
        assert browser.download("/message/1/source").digest == received.digest
        assert browser.download("/message/2/source").digest == text.digest
        browser.close()
        assert bounded(peak_octets(here["web"]))
        shown = subprocess.Popen(
            house.command("show", "2", "--raw"), stdout=subprocess.PIPE, env=house.environ
        )
        with watched(shown) as peak:
            assert read_all(shown.stdout).digest == text.digest
            shown.wait()
        ended(shown, peak)
        out = tmp_path / "out"
        exported = house.begin("export", "--person", "anna", "--format", "eml", str(out))
        with watched(exported) as peak:
            exported.wait()
        ended(exported, peak)
        digests = set()
        for path in out.glob("*.eml"):
            with path.open("rb") as file:
                digests.add(read_all(file).digest)
        assert digests == {received.digest, text.digest}


def test_one_over_the_limit_is_refused_at_every_door(tmp_path: Path, origin: DovecotOrigin) -> None:
    letter = prose(tmp_path / "letter", "over", LARGE_OCTETS)
    for account in ("by-pop3", "by-imap"):
        origin.load(account, "INBOX", [letter.path.read_bytes(), b"Subject: small\r\n\r\n"])
    environ = {EXTRA_CA: str(origin.ca), "HAUSPOST_MESSAGE_LIMIT_OCTETS": str(LIMIT_OCTETS)}
    with RunningHouse(tmp_path, environ=environ) as house:
        enter(house, origin)
        for account in ("by-pop3", "by-imap"):
            (ran,) = house.ok("fetch", account)["accounts"]
            assert ran["error"] is None
            (failed,) = ran["failed"]
            assert f"more than the limit of {LIMIT_OCTETS} octets" in failed["reason"]
            assert ran["octets"] < 1000, "it was fetched to be refused"
            assert ran["admitted"] + ran["duplicates"] == 1
            (told,) = house.ok("account", "show", account)["failures"]
            assert told["reason"] == failed["reason"]
        house.start()
        pid = house.processes()["mail"]
        before = peak_octets(pid)
        assert before
        port = house.ports.smtp
        assert submit(port, "anna@hauspost.local", letter).startswith("552 5.3.4 ")
        refused = submit(port, "anna@hauspost.local", letter, declared=False)
        assert refused.startswith("552 5.3.4 ")
        assert append(house, "anna", letter).startswith("b NO [TOOBIG] ")
        after = peak_octets(pid)
        assert after
        assert after - before < LIMIT_OCTETS / 2
        assert house.ok("status")["messages"] == 1
