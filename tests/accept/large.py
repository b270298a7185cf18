"""Letters too large to hold, and witnesses at every door that stream them.

    letter = attachment(path, "smtp", LARGE_OCTETS)    # one base64 file of noise
    letter = prose(path, "append", LARGE_OCTETS)       # lines of 8bit text
    submit(port, "anna@hauspost.local", letter)        # SMTP, raw socket
    append(house, "anna", letter)                      # IMAP APPEND, raw socket
    read_back(house, "anna", uid)                      # BODY[], hashed as it comes
    Browser(house, "anna").download("/message/1/source")

Nothing here holds a letter, so that a whole bench fits beside the house. Memory is
the kernel's high-water mark of a process (VmHWM), which counts mapped files too.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import random
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from tests.accept.house import RunningHouse

LARGE_OCTETS: Final = 200_000_000
_BLOCK: Final = 1 << 20
_TIMEOUT_S: Final = 300.0
_LOOK_S: Final = 0.005
_WORDS: Final = (
    "Grüße aus dem Garten; die Äpfel sind reif, und das Häuschen am Weg ist gestrichen",
    ".ein Punkt am Anfang der Zeile, wie ihn POP3 und SMTP verdoppeln müssen",
    "the minutes of the meeting, with every word that was said and some that were not",
    "From the beginning: a line that an mbox has to quote when it is written",
)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message in a file, with CR LF line ends."""

    path: Path
    size: int
    digest: str

    def pieces(self) -> Iterator[bytes]:
        """Its octets."""
        with self.path.open("rb") as file:
            while piece := file.read(_BLOCK):
                yield piece


def attachment(path: Path, seed: str, size: int) -> Letter:
    """A line of text and a file of noise, which no compression makes small; part 2 is the file.

    ``size`` is kept but for less than a line.
    """
    return _film(path, seed, size, b"")


def odd_attachment(path: Path, seed: str, size: int) -> Letter:
    """The same with a blank at the end of a line: the archive has to keep the base64 as it is."""
    return _film(path, seed, size, b" ")


def _film(path: Path, seed: str, size: int, blank: bytes) -> Letter:
    head = _head(seed, 'multipart/mixed; boundary="b"', "7bit") + (
        b"--b\r\nContent-Type: text/plain\r\n\r\nHere is the film.\r\n--b\r\n"
        b'Content-Type: application/octet-stream; name="film.bin"\r\n'
        b"Content-Disposition: attachment; filename=film.bin\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n"
    )

    def lines() -> Iterator[bytes]:
        noise = random.Random(seed)
        while True:
            wrapped = base64.encodebytes(noise.randbytes(57 * 16384)).replace(b"\n", b"\r\n")
            yield wrapped[:-2] + blank + b"\r\n"

    return _written(path, head, lines(), size, b"--b--\r\n")


def prose(path: Path, seed: str, size: int) -> Letter:
    """Lines of UTF-8 in the clear, with a number now and then, and leading dots."""
    head = _head(seed, "text/plain; charset=utf-8", "8bit")

    def lines() -> Iterator[bytes]:
        block = "".join(f"{word}\r\n" for word in _WORDS * 2000).encode()
        number = 0
        while True:
            number += 1
            yield b"%s %d\r\n" % (seed.encode(), number) + block

    return _written(path, head, lines(), size)


def _head(seed: str, media_type: str, encoding: str) -> bytes:
    return (
        f"From: Film <film@example.org>\r\nTo: Anna <anna@hauspost.local>\r\n"
        f"Subject: large {seed}\r\nDate: Mon, 02 Feb 2026 10:00:00 +0000\r\n"
        f"Message-ID: <large.{seed}@example.org>\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: {media_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    ).encode()


def _written(
    path: Path, head: bytes, lines: Iterator[bytes], size: int, end: bytes = b""
) -> Letter:
    """Head, as many whole lines as there is room for, end."""
    room = size - len(head) - len(end)
    seen = hashlib.sha256()
    with path.open("wb") as file:

        def write(octets: bytes) -> None:
            seen.update(octets)
            file.write(octets)

        write(head)
        while len(block := next(lines)) <= room:
            write(block)
            room -= len(block)
        write(block[: block.rfind(b"\n", 0, room) + 1])
        write(end)
    return Letter(path, path.stat().st_size, seen.hexdigest())


# Memory


def reset_peak(pid: int) -> None:
    """Start the high-water mark of a process anew (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_octets(pid: int) -> int | None:
    """The most memory a process has had since; None when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)
    return int(found[1]) * 1024 if found else None


@dataclass(slots=True)
class Peak:
    """What a process has taken at most while it was looked at."""

    octets: int = 0


@contextmanager
def watched(process: subprocess.Popen[bytes]) -> Iterator[Peak]:
    """A process that ends by itself: its mark goes with it, so it is read again and again."""
    peak, over = Peak(), threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_S):
            peak.octets = max(peak.octets, peak_octets(process.pid) or 0)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


# Witnesses


@dataclass(slots=True)
class Streamed:
    """What came, hashed and counted; ``tail`` is the digest of what follows ``skip`` octets."""

    skip: int = 0
    size: int = 0
    digest: str = ""
    tail: str = ""
    seconds: float = 0.0
    _whole: hashlib._Hash = field(default_factory=hashlib.sha256)
    _rest: hashlib._Hash = field(default_factory=hashlib.sha256)
    _began: float = field(default_factory=time.monotonic)

    def add(self, piece: bytes) -> None:
        """Take octets."""
        self._whole.update(piece)
        left = self.skip - self.size
        self._rest.update(piece[left:] if left > 0 else piece)
        self.size += len(piece)

    def end(self) -> Streamed:
        """No more comes."""
        self.digest, self.tail = self._whole.hexdigest(), self._rest.hexdigest()
        self.seconds = time.monotonic() - self._began
        return self


class Wire:
    """A connection of lines and octets."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S)
        self.file = self.socket.makefile("rb", buffering=_BLOCK)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def line(self) -> str:
        """One line without its end."""
        return self.file.readline().decode("utf-8", "replace").rstrip("\r\n")

    def reply(self) -> str:
        """The last line of an SMTP reply."""
        while (line := self.line())[3:4] == "-":
            pass
        return line

    def say(self, words: str) -> None:
        """One line."""
        self.socket.sendall(words.encode() + b"\r\n")

    def ask(self, words: str) -> str:
        """One SMTP command and the end of its reply."""
        self.say(words)
        return self.reply()

    def tagged(self, tag: str) -> str:
        """The tagged answer, or the continuation that comes before it."""
        while not (line := self.line()).startswith((f"{tag} ", "+")):
            assert line, "the connection was closed"
        return line


def submit(port: int, recipient: str, letter: Letter, *, declared: bool = True) -> str:
    """The reply that settles it: of DATA, or the first refusal. Sends dots doubled."""
    with Wire(port) as wire:
        assert wire.reply().startswith("220")
        assert wire.ask("EHLO client.example").startswith("250")
        size = f" SIZE={letter.size}" if declared else ""
        reply = wire.ask(f"MAIL FROM:<film@example.org>{size} BODY=8BITMIME")
        if not reply.startswith("2"):
            return reply
        assert wire.ask(f"RCPT TO:<{recipient}>").startswith("250")
        assert wire.ask("DATA").startswith("354")
        held = b""
        for piece in letter.pieces():
            block = held + piece
            # A line end at the very end waits for the octet that may be a dot.
            cut = len(block) - 2
            held, block = block[cut:], block[:cut]
            wire.socket.sendall(block.replace(b"\r\n.", b"\r\n.."))
        assert held == b"\r\n"
        wire.socket.sendall(b"\r\n.\r\n")
        return wire.reply()


@contextmanager
def imap(house: RunningHouse, person: str) -> Iterator[Wire]:
    """A raw IMAP connection, signed in."""
    with Wire(house.ports.imap) as wire:
        assert wire.line().startswith("* OK")
        wire.say(f'a LOGIN {person} "{house.secrets.device[person]}"')
        assert wire.tagged("a").startswith("a OK")
        yield wire


def append(house: RunningHouse, person: str, letter: Letter, mailbox: str = "INBOX") -> str:
    """The tagged answer of APPEND; a refusal comes before the literal is sent."""
    with imap(house, person) as wire:
        wire.say(f"b APPEND {mailbox} {{{letter.size}}}")
        if not (line := wire.tagged("b")).startswith("+"):
            return line
        for piece in letter.pieces():
            wire.socket.sendall(piece)
        wire.say("")
        return wire.tagged("b")


def read_back(
    house: RunningHouse, person: str, number: int, skip_to: int = 0, mailbox: str = "INBOX"
) -> Streamed:
    """BODY[] of a message; what is before its last ``skip_to`` octets is left out of ``tail``."""
    with imap(house, person) as wire:
        wire.say(f"b EXAMINE {mailbox}")
        assert wire.tagged("b").startswith("b OK")
        wire.say(f"c FETCH {number} BODY.PEEK[]")
        found = re.fullmatch(r"\* \d+ FETCH \(BODY\[\] \{(\d+)\}", wire.line())
        assert found
        left = int(found[1])
        seen = Streamed(skip=left - skip_to if skip_to else 0)
        while left:
            piece = wire.file.read(min(left, _BLOCK))
            assert piece, "the connection was closed"
            seen.add(piece)
            left -= len(piece)
        assert wire.tagged("c").startswith("c OK")
        return seen.end()


class Browser:
    """A browser signed in at the pages: cookies, and pages or downloads on one connection."""

    def __init__(self, house: RunningHouse, person: str) -> None:
        self._door = http.client.HTTPConnection("127.0.0.1", house.ports.web, timeout=_TIMEOUT_S)
        self._cookies: dict[str, str] = {}
        token = re.search(r'name="csrf" value="([^"]+)"', self.page("/sign-in"))
        assert token
        form = {"csrf": token[1], "name": person, "password": house.secrets.web[person]}
        self._ask("POST", "/sign-in", urlencode(form)).read()
        self.page("/box/")

    def page(self, path: str) -> str:
        """A page; redirects are followed."""
        answer = self._ask("GET", path)
        text = answer.read().decode()
        if answer.status in (302, 303, 308):
            return self.page(str(answer.headers["Location"]))
        assert answer.status == 200, (path, answer.status)
        return text

    def download(self, path: str) -> Streamed:
        """A file, hashed as it comes."""
        answer = self._ask("GET", path)
        assert answer.status == 200, (path, answer.status)
        seen = Streamed()
        while piece := answer.read(_BLOCK):
            seen.add(piece)
        return seen.end()

    def close(self) -> None:
        """Hang up."""
        self._door.close()

    def _ask(self, method: str, path: str, body: str = "") -> http.client.HTTPResponse:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._door.request(method, path, body or None, headers)
        answer = self._door.getresponse()
        for line in answer.headers.get_all("Set-Cookie") or ():
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name.strip()] = value
        return answer
