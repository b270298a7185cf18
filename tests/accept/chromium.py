"""Headless Chromium over its debugging pipe: pages, pictures, and every request it makes."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class Chromium:
    """One tab. ``events`` are all the browser told so far, oldest first."""

    def __init__(self, profile: Path) -> None:
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()

        def place_pipes() -> None:
            os.dup2(to_browser, 60)
            os.dup2(from_browser, 61)
            os.dup2(60, 3)
            os.dup2(61, 4)

        assert PROGRAM is not None
        self._process = subprocess.Popen(
            [PROGRAM, *_FLAGS, f"--user-data-dir={profile}"],
            preexec_fn=place_pipes,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._number = 0
        self._session = ""
        self.events: list[dict[str, Any]] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call(
            "Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True, flatten=True
        )

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command to the tab; its result."""
        return self._call(method, self._session, **params)

    def cookie(self, name: str, value: str, url: str) -> None:
        """Give the browser a cookie."""
        self.call("Network.setCookie", name=name, value=value, url=url, httpOnly=True)

    def screen(self, width: int, height: int, dark: bool) -> None:
        """The size of the screen and what the person prefers."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def scripts(self, allowed: bool) -> None:
        """Whether pages may run JavaScript."""
        self.call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def open(self, url: str) -> None:
        """Go there and wait until the page and its frames are loaded and at rest."""
        seen = len(self.events)
        self.call("Page.navigate", url=url)
        self._until(lambda: any(e["method"] == "Page.loadEventFired" for e in self.events[seen:]))
        self.rest()

    def rest(self, quiet_s: float = 0.25, limit_s: float = 5.0) -> None:
        """Read what the browser tells until it has said nothing for a while."""
        until = time.monotonic() + limit_s
        while time.monotonic() < until and self._read(quiet_s):
            pass

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return result["result"].get("value")

    def picture(self, path: Path) -> None:
        """What the person sees, as a PNG."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def requested(self) -> list[str]:
        """Every address asked for so far."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def blocked(self) -> list[str]:
        """Addresses a page asked for that the browser itself refused to fetch (its policy)."""
        refused = {
            event["params"]["requestId"]
            for event in self.events
            if event["method"] == "Network.loadingFailed" and event["params"].get("blockedReason")
        }
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
            and event["params"]["requestId"] in refused
        ]

    def status_of(self, address: str) -> int | None:
        """The status of the answer for an address, or None without an answer."""
        return next(
            (
                event["params"]["response"]["status"]
                for event in self.events
                if event["method"] == "Network.responseReceived"
                and event["params"]["response"]["url"] == address
            ),
            None,
        )

    def address(self) -> str:
        """The page's address."""
        history = self.call("Page.getNavigationHistory")
        return str(history["entries"][history["currentIndex"]]["url"])

    def click(self, selector: str) -> None:
        """Press the left button on the first such element; wait for what comes."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.scrollIntoViewIfNeeded", nodeId=node)
        corners = self.call("DOM.getBoxModel", nodeId=node)["model"]["content"]
        x, y = (corners[0] + corners[4]) / 2, (corners[1] + corners[5]) / 2
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.rest(0.6)

    def complaints(self) -> list[str]:
        """What pages wrote to the console, errors that were thrown, and dialogs."""
        found = []
        for event in self.events:
            params = event["params"]
            if event["method"] == "Log.entryAdded":
                found.append(params["entry"]["text"])
            elif event["method"] == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"]["text"])
            elif event["method"] == "Page.javascriptDialogOpening":
                found.append(f"dialog: {params['message']}")
        return found

    def close(self) -> None:
        """End this browser."""
        os.close(self._out)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)

    def _call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        number = self._send(method, session, **params)
        answer: list[dict[str, Any]] = []

        def take(told: dict[str, Any]) -> None:
            if told.get("id") == number:
                answer.append(told)

        self._until(lambda: bool(answer), take)
        if "error" in answer[0]:
            raise RuntimeError(f"{method}: {answer[0]['error']['message']}")
        result: dict[str, Any] = answer[0]["result"]
        return result

    def _send(self, method: str, session: str | None = None, **params: Any) -> int:
        self._number += 1
        asked: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if session:
            asked["sessionId"] = session
        os.write(self._out, json.dumps(asked).encode() + b"\0")
        return self._number

    def _until(
        self,
        done: Callable[[], bool],
        take: Callable[[dict[str, Any]], object] = lambda _: None,
        limit_s: float = 30.0,
    ) -> None:
        until = time.monotonic() + limit_s
        while not done():
            if time.monotonic() > until:
                raise TimeoutError("Chromium does not answer")
            self._read(1.0, take)

    def _read(
        self, wait_s: float, take: Callable[[dict[str, Any]], object] = lambda _: None
    ) -> bool:
        """Take in what the browser tells; False when it told nothing."""
        ready, _, _ = select.select([self._in], [], [], wait_s)
        if not ready:
            return False
        piece = os.read(self._in, 1 << 20)
        if not piece:
            raise EOFError("Chromium ended")
        *messages, self._buffer = (self._buffer + piece).split(b"\0")
        for message in messages:
            told = json.loads(message)
            if "method" in told:
                self.events.append(told)
                if told["method"] == "Target.attachedToTarget" and self._session:
                    # A frame in a process of its own waits until we listen to it too.
                    inner = told["params"]["sessionId"]
                    for method in ("Network.enable", "Log.enable", "Runtime.enable"):
                        self._send(method, inner)
                    self._send("Runtime.runIfWaitingForDebugger", inner)
            take(told)
        return True


@contextmanager
def chromium(profile: Path) -> Iterator[Chromium]:
    """A browser that is ended at the end."""
    browser = Chromium(profile)
    try:
        yield browser
    finally:
        browser.close()
