"""Pictures of the pages for the README: ``python -m tests.accept.screens docs/screens``.

The sample household, served from a scratch directory and seen by headless Chromium.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Final

from cheroot import wsgi

from appliance.bell import Bell
from appliance.cli import main as hauspost
from appliance.config import Config
from appliance.demo import PASSWORD
from appliance.fetch import ProgressBoard
from appliance.household import Household
from appliance.search import Searcher
from appliance.store import Archive
from tests.accept.chromium import PROGRAM, Chromium
from web import create_app

DESKTOP: Final = (1280, 800)
PHONE: Final = (390, 780)
_CONVERSATION: Final = (
    "[...document.querySelectorAll('main a')]"
    ".find(a => a.textContent.includes('Conversation')).getAttribute('href')"
)


@contextmanager
def served(data: Path) -> Iterator[str]:
    """The sample household's pages; the address of the first one."""
    config = Config(data=data)
    with ExitStack() as stack:
        bell = Bell(config.run)
        stack.callback(bell.close)
        archive = stack.enter_context(Archive(config.archive, bell))
        household = stack.enter_context(Household(data))
        searcher = Searcher(archive, config.index)
        stack.callback(searcher.close)
        board = ProgressBoard(config.run)
        app = create_app(config, archive, household, searcher, board, bell)
        server = wsgi.Server(("127.0.0.1", 0), app, numthreads=4)
        server.prepare()
        thread = threading.Thread(target=server.serve)
        thread.start()
        yield f"http://127.0.0.1:{server.bind_addr[1]}"
        server.stop()
        thread.join()


def sign_in(browser: Chromium, base: str) -> None:
    """As anna."""
    browser.open(base + "/sign-in")
    browser.evaluate(
        "document.querySelector('input[name=name]').value = 'anna';"
        f"document.querySelector('input[name=password]').value = '{PASSWORD}'"
    )
    browser.click("main button[type=submit], form button:not([name])")


def follow(browser: Chromium, base: str, words: str) -> str:
    """The path of the first message of a search."""
    browser.open(f"{base}/search?q={words}")
    return str(browser.evaluate("document.querySelector('li.hit a').getAttribute('href')"))


def main(folder: str) -> int:
    """Take every picture."""
    if PROGRAM is None:
        print("Chromium is not installed: apt install chromium")
        return 1
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        with redirect_stdout(StringIO()):
            assert hauspost(["demo", "--data", str(data), "--json"]) == 0
        with served(data) as base:
            browser = Chromium(Path(scratch) / "profile")
            browser.screen(*DESKTOP, dark=False)
            sign_in(browser, base)
            inbox = base + "/"
            letter = base + follow(browser, base, "Suppen")
            browser.open(base + follow(browser, base, "lake"))
            thread = base + str(browser.evaluate(_CONVERSATION))
            found = f"{base}/search?q=stromrechnung"
            for name, page, screen, dark in (
                ("inbox-light", inbox, DESKTOP, False),
                ("inbox-dark", inbox, DESKTOP, True),
                ("message-light", letter, DESKTOP, False),
                ("thread-dark", thread, DESKTOP, True),
                ("search-light", found, DESKTOP, False),
                ("accounts-light", base + "/accounts", DESKTOP, False),
                ("status-dark", base + "/status", DESKTOP, True),
                ("inbox-phone-dark", inbox, PHONE, True),
                ("message-phone-light", letter, PHONE, False),
            ):
                browser.screen(*screen, dark=dark)
                browser.open(page)
                browser.picture(target / f"{name}.png")
                print(target / f"{name}.png")
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
