"""The pages in a real browser: nothing leaves this machine, no letter acts, all widths fit.

With HAUSPOST_PICTURES=DIR every page is also kept as a PNG: desktop and phone,
light and dark.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cheroot import wsgi

from appliance.bell import Bell
from appliance.config import load
from appliance.fetch.progress import Progress, ProgressBoard
from appliance.follow import Follower
from appliance.household import Account, Household, Scrypt
from appliance.mail.types import FLAGGED, SEEN, Delivery, FetchRun, Origin, Seq
from appliance.search import Searcher
from appliance.store import Archive
from tests.accept.chromium import PROGRAM, Chromium, chromium
from tests.web import samples
from tests.web.test_sanitise import SHAPES
from web import create_app

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed"),
]
SCREENS = [(1280, 860, False), (1280, 860, True), (390, 844, False), (390, 844, True)]
CANARY = "<p id=canary>the letter is shown</p>"


@dataclass
class Site:
    """A house on a port of this machine, and who is signed in."""

    base: str
    token: str
    archive: Archive
    household: Household
    inbox: int
    seqs: dict[str, Seq]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    config = load(tmp_path_factory.mktemp("house") / "data", environ={})
    config.prepare()
    bell, board = Bell(config.run), ProgressBoard(config.run)
    with (
        Archive(config.archive, bell) as archive,
        Household(config.data, cost=Scrypt(log_n=4)) as household,
    ):
        seqs = furnish(archive, household, board)
        with Follower(archive, config.index, bell) as follower:
            follower.until_idle()
        searcher = Searcher(archive, config.index)
        app = create_app(config, archive, household, searcher, board, bell)
        server = wsgi.Server(("127.0.0.1", 0), app, numthreads=4)
        server.prepare()
        serving = threading.Thread(target=server.serve)
        serving.start()
        try:
            yield Site(
                f"http://127.0.0.1:{server.bind_addr[1]}",
                household.open_session("anna"),
                archive,
                household,
                archive.mailbox("anna", "INBOX").id,
                seqs,
            )
        finally:
            server.stop()
            serving.join(10)
            searcher.close()
    bell.close()


def furnish(archive: Archive, household: Household, board: ProgressBoard) -> dict[str, Seq]:
    """People, accounts, devices and letters, each attack as a letter of its own."""
    household.add_person("anna", "correct horse", "Anna Müller")
    household.add_person("ben", "correct horse", "Ben")
    for name in ("anna", "ben"):
        archive.provision(name)
    letters = {"plain": samples.PLAIN, "html": samples.HTML, "reply": samples.REPLY}
    attacks = "".join(f"<div>{html}</div>" for html in SHAPES.values())
    letters["attacks"] = (
        f"From: Mallory <m@example.net>\nSubject: all attacks\nContent-Type: text/html\n\n"
        f"{attacks}{CANARY}\n"
    )
    letters["long"] = f"From: {'b' * 900}@example.net\nSubject: {'A' * 20_000}\n\n{'x' * 9000}\n"
    deliveries = [samples.delivery(text, number=n) for n, text in enumerate(letters.values())]
    now = datetime.now(UTC)
    deliveries += [
        Delivery(
            samples.note(n),
            Origin("gmx", "Listen/Dorf", 1, str(n)),
            "anna",
            "INBOX" if n % 2 else "Listen/Dorf",
            now - timedelta(hours=7 * n),
            frozenset({SEEN}) if n % 3 else frozenset(),
        )
        for n in range(120)
    ]
    receipts = archive.admit(deliveries)
    for name, protocol, host in (
        ("gmx", "imap", "imap.gmx.net"),
        ("schule", "pop3", "pop.example"),
    ):
        household.add_account(
            Account(name, "anna", protocol, host, 993, "implicit", "anna@example.net"), "geheim-1"
        )
    archive.record_run(FetchRun("gmx", now - timedelta(minutes=4), 12.4, 1204, 3, 0, 0, 120_000))
    board.post(
        Progress("schule", "fetching", 4120, 1812, 4120, 1790, 20, 2, 88_000_000, 95.0, 121.0)
    )
    household.add_device("anna", "Annas Telefon")
    return {name: receipt.seq for name, receipt in zip(letters, receipts, strict=False)}


@pytest.fixture
def browser(site: Site, tmp_path: Path) -> Iterator[Chromium]:
    with chromium(tmp_path / "profile") as opened:
        opened.cookie("hauspost", site.token, site.base)
        yield opened


def pages(site: Site) -> dict[str, str]:
    seqs, box = site.seqs, site.inbox
    return {
        "inbox": f"/box/{box}",
        "page": f"/message/{seqs['html']}?box={box}",
        "text": f"/message/{seqs['plain']}?box={box}",
        "thread": f"/thread/{seqs['plain']}",
        "header": f"/message/{seqs['html']}/header",
        "search": "/search?q=note",
        "search-help": "/search",
        "search-long": f"/search?q={'w' * 900}",
        "thread-long": f"/thread/{seqs['long']}",
        "long": f"/message/{seqs['long']}",
        "accounts": "/accounts",
        "account": "/accounts/new",
        "devices": "/devices",
        "people": "/people",
        "status": "/status",
        "mailboxes": "/mailboxes",
        "removed": "/removed",
        "password": "/password",
    }


def elsewhere(browser: Chromium, site: Site) -> list[str]:
    """Addresses asked for that are not this server's."""
    ours = urlsplit(site.base).netloc
    return [
        address
        for address in browser.requested()
        if urlsplit(address).scheme not in {"data", "about"} and urlsplit(address).netloc != ours
    ]


@pytest.mark.parametrize(("width", "height", "dark"), SCREENS)
def test_every_page_fits_the_screen_and_loads_from_here_alone(
    site: Site, browser: Chromium, width: int, height: int, dark: bool
) -> None:
    browser.screen(width, height, dark)
    keep = os.environ.get("HAUSPOST_PICTURES")
    for name, path in pages(site).items():
        browser.open(site.base + path)
        # Not innerWidth: a phone zooms out, up to four times, from what is too wide.
        assert browser.evaluate("document.documentElement.scrollWidth") <= width, name
        assert browser.evaluate("typeof htmx") == "object", name
        if keep:
            kind = f"{'desktop' if width > 600 else 'phone'}-{'dark' if dark else 'light'}"
            Path(keep).mkdir(parents=True, exist_ok=True)
            browser.picture(Path(keep) / f"{name}-{kind}.png")
    assert elsewhere(browser, site) == []
    assert [one for one in browser.complaints() if "Password forms" not in one] == []


def test_what_one_touches_on_a_phone_is_large_enough(site: Site, browser: Chromium) -> None:
    """WCAG 2.2 §2.5.8 asks for 24 pixels; buttons, boxes and fields of ours have 40."""
    browser.screen(390, 844, False)
    measure = """JSON.stringify([...document.querySelectorAll(
        'button, .button, select, input:not([type=hidden]):not([type=checkbox]), label.pick')]
        .filter(e => e.offsetParent && !e.closest('.aside'))
        .map(e => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])
        .filter(([_, r]) => r.width && (r.height < 40 || r.width < 24)).map(([h]) => h))"""
    for name, path in pages(site).items():
        browser.open(site.base + path)
        assert json.loads(browser.evaluate(measure)) == [], name


def test_text_is_told_from_its_ground_in_light_and_dark(site: Site, browser: Chromium) -> None:
    """WCAG §1.4.3: 4.5 to 1 for every text that is seen."""
    contrast = Path(__file__).with_name("contrast.js").read_text("utf-8")
    for dark in (False, True):
        browser.screen(1280, 860, dark)
        for name, path in pages(site).items():
            browser.open(site.base + path)
            found = json.loads(browser.evaluate(contrast))
            assert found == [], (name, "dark" if dark else "light")


def test_no_script_of_a_letter_runs_and_nothing_of_it_is_loaded(
    site: Site, browser: Chromium
) -> None:
    for name in ("attacks", "html"):
        for path in (f"/message/{site.seqs[name]}", f"/message/{site.seqs[name]}/body"):
            browser.open(site.base + path)
            browser.rest(1.0)
            assert browser.evaluate("document.title") != "ran"
    assert elsewhere(browser, site) == []
    bodies = [one for one in browser.requested() if one.endswith("/body")]
    assert len(bodies) >= 3
    told = browser.complaints()
    assert not [one for one in told if one.startswith("dialog") or "alert" in one]


def test_the_frame_would_hold_even_without_the_sanitiser(
    site: Site, browser: Chromium, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second wall alone: raw attacks in the frame do not run and load nothing."""
    raw = "".join(SHAPES.values()) + "<script>document.title='ran';alert(1)</script>" + CANARY
    monkeypatch.setattr(
        "web.messages.sanitise.shown", lambda *_: type("S", (), {"html": raw, "remote_images": 0})()
    )
    browser.open(f"{site.base}/message/{site.seqs['html']}")
    browser.rest(1.0)
    browser.open(f"{site.base}/message/{site.seqs['html']}/body")
    browser.rest(1.0)
    assert browser.evaluate("document.title") != "ran"
    assert not [one for one in browser.complaints() if one.startswith("dialog")]
    sent = [one for one in elsewhere(browser, site) if one not in browser.blocked()]
    assert sent == []


def test_an_inline_image_is_seen_in_the_frame_without_a_cookie(
    site: Site, browser: Chromium
) -> None:
    browser.open(f"{site.base}/message/{site.seqs['html']}")
    browser.rest(0.5)
    inline = [one for one in browser.requested() if "/inline/" in one]
    assert inline
    assert browser.status_of(inline[0]) == 200


def test_everything_works_without_javascript(site: Site, browser: Chromium) -> None:
    browser.scripts(False)
    browser.screen(1280, 860, False)
    browser.open(f"{site.base}/box/{site.inbox}")
    browser.click(".letter a")
    assert "/message/" in browser.address()
    browser.open(f"{site.base}/box/{site.inbox}")
    browser.click(".letter .star")
    assert any(FLAGGED in flags for flags in site.archive.snapshot(site.inbox).flags)
    browser.open(f"{site.base}/box/{site.inbox}")
    browser.click(".pages a[rel=next]")
    assert "at=b" in browser.address()
    browser.open(f"{site.base}/accounts?watch=30")
    browser.rest(4.0, 5.0)
    assert sum("/accounts" in one for one in browser.requested()) >= 2


def test_the_accounts_page_follows_a_run_by_itself(site: Site, browser: Chromium) -> None:
    browser.open(f"{site.base}/accounts")
    browser.rest(3.0, 6.0)
    assert any("/accounts/progress" in one for one in browser.requested())
    assert browser.evaluate("document.querySelectorAll('#accounts').length") == 1
