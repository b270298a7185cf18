"""A browser without a screen: cookies, forms and their tokens, over real HTTP."""

from __future__ import annotations

import http.cookiejar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

_TIMEOUT_S: Final = 30


@dataclass(slots=True)
class Line:
    """A letter in a mailbox's list."""

    uid: int
    unread: bool
    starred: bool = False
    subject: str = ""


class Pages:
    """The web pages as one signed-in person sees them."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._jar = http.cookiejar.CookieJar()
        self._opener = build_opener(HTTPCookieProcessor(self._jar), HTTPRedirectHandler())

    def sign_in(self, name: str, password: str) -> None:
        """Name and password into the form of the first page."""
        self.get("/sign-in")
        page = self.post("/sign-in", "/sign-in", name=name, password=password)
        assert 'name="password"' not in page, "the sign-in page is shown again"

    def get(self, path: str, **query: str) -> str:
        """A page."""
        asked = Request(self._base + path + ("?" + urlencode(query) if query else ""))
        return self._answer(asked)

    def post(self, form_at: str, path: str, **fields: str) -> str:
        """Send a form with the token that the page at ``form_at`` has for it."""
        token = re.search(r'name="csrf" value="([^"]+)"', self.get(form_at))
        assert token, f"no form at {form_at}"
        data = urlencode({**fields, "csrf": token[1]}).encode()
        return self._answer(Request(self._base + path, data, {"Origin": self._base}))

    def asking(self, path: str) -> str:
        """The request for a page as it goes over the wire, for who wants to send it by hand."""
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._jar)
        host = self._base.removeprefix("http://")
        return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\n\r\n"

    def _answer(self, asked: Request) -> str:
        with self._opener.open(asked, timeout=_TIMEOUT_S) as answer:
            return str(answer.read().decode("utf-8"))

    # What the pages say

    def mailboxes(self) -> dict[str, str]:
        """Name → the path of its list."""
        found = re.findall(r'<a href="(/box/\d+)"[^>]* title="([^"]*)"', self.get("/mailboxes"))
        return {name: path for path, name in found}

    def lines(self, mailbox: str) -> dict[str, Line]:
        """Subject → the letter, on the first page of a mailbox's list."""
        reader = _Lines()
        reader.feed(self.get(self.mailboxes()[mailbox]))
        return {line.subject: line for line in reader.lines}

    def act(self, mailbox: str, verb: str, subject: str, target: str | None = None) -> None:
        """A button above the list, with one letter chosen."""
        boxes = self.mailboxes()
        fields = {"verb": verb, "uid": str(self.lines(mailbox)[subject].uid)}
        if target is not None:
            fields["target"] = boxes[target].rsplit("/", 1)[1]
        self.post(boxes[mailbox], f"{boxes[mailbox]}/act", **fields)

    def found(self, query: str) -> list[str]:
        """The subjects that a search shows."""
        page = self.get("/search", q=query)
        hits = re.findall(r'<li class="hit.*?</li>', page, re.S)
        return [subject for hit in hits for subject in _texts(hit, "subject")]


class _Lines(HTMLParser):
    """Reads the list of letters; the words of its classes are the pages' own contract."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Line] = []
        self._unread = False
        self._in_subject = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        words = (given.get("class") or "").split()
        if tag == "li" and "letter" in words:
            self._unread = "unread" in words
        elif tag == "input" and given.get("name") == "uid":
            self.lines.append(Line(int(given["value"] or 0), self._unread))
        elif tag == "button" and given.get("name") == "star":
            self.lines[-1].starred = given.get("aria-pressed") == "true"
        elif tag == "span" and "subject" in words:
            self._in_subject = True

    def handle_endtag(self, tag: str) -> None:
        self._in_subject = False

    def handle_data(self, data: str) -> None:
        if self._in_subject:
            self.lines[-1].subject += data


def _texts(page: str, name: str) -> Iterator[str]:
    for text in re.findall(rf'<span class="{name}">(.*?)</span>', page, re.S):
        yield re.sub(r"<[^>]*>", "", text)
