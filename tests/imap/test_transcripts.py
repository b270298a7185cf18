r"""Transcripts against a running server: sessions as files in ``transcripts/``.

# a comment
@ deliver INBOX simple \Seen      a sample message (``house.SAMPLES``) into maria's mailbox
@ sign in                         a LOGIN that is not shown; ``@2 sign in``: on connection 2
C: a1 SELECT INBOX                the client's line (CR LF is added)
C| octets                         octets without a line end; ``\r\n`` and ``\\`` escapes
S: * <n> EXISTS                   the server's line: <name> is digits, the same everywhere,
                                  ``...`` is anything; octets of literals as escapes
S~ a1 OK ...                      lines are skipped until this one
C2: S2: …                         the same on a second connection
A line that begins with "@closed" says that the server closes the connection.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.imap.house import SAMPLES, House, Wire

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))
assert TRANSCRIPTS
_STEP = re.compile(r"([CS@])(\d?)([:|~ ]) ?(.*)")
_HOLE = re.compile(rb"<([a-z]+)>|\.\.\.")


class Play:
    """A transcript under way: its connections and what its holes were filled with."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.wires: dict[str, Wire] = {}
        self.holes: dict[bytes, bytes] = {}

    def step(self, text: str) -> None:
        found = _STEP.fullmatch(text)
        assert found, f"no step: {text}"
        kind, number, how, rest = found.groups()
        if kind == "@":
            self.direct(number, rest)
            return
        octets = rest.encode("utf-8").decode("unicode_escape").encode("latin-1")
        if kind == "C":
            octets = re.sub(rb"<([a-z]+)>", lambda m: self.holes[m[1]], octets)
            self.wire(number).send(octets + (b"" if how == "|" else b"\r\n"))
            return
        line = self.wire(number).line()
        while how == "~" and line and not self.fits(octets, line):
            line = self.wire(number).line()
        assert self.fits(octets, line), f"expected {octets!r}, got {line!r}"

    def direct(self, number: str, rest: str) -> None:
        words = rest.split()
        if words[0] == "deliver":
            self.house.deliver(SAMPLES[words[2]], words[1], *words[3:])
        elif words == ["sign", "in"]:
            self.wire(number).ok(f"LOGIN maria {self.house.passwords['maria']}".encode())
        elif words == ["closed"]:
            assert self.wire(number).line() == b""
        else:
            raise AssertionError(rest)

    def wire(self, number: str) -> Wire:
        if number not in self.wires:
            self.wires[number] = self.house.connect()
        return self.wires[number]

    def fits(self, expected: bytes, line: bytes) -> bool:
        pattern = b""
        end = 0
        new: list[bytes] = []
        for hole in _HOLE.finditer(expected):
            pattern += re.escape(expected[end : hole.start()])
            name = hole[1]
            if name is None:
                pattern += b".*"
            elif name in self.holes:
                pattern += re.escape(self.holes[name])
            elif name in new:
                pattern += b"(?P=" + name + b")"
            else:
                pattern += b"(?P<" + name + rb">\d+)"
                new.append(name)
            end = hole.end()
        match = re.fullmatch(pattern + re.escape(expected[end:]), line, re.DOTALL)
        if match:
            self.holes.update({name: match[name.decode()] for name in new})
        return match is not None


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_server_says_what_the_transcript_says(path: Path, house: House) -> None:
    play = Play(house)
    for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not text.strip() or text.startswith("#"):
            continue
        try:
            play.step(text)
        except AssertionError as error:
            raise AssertionError(f"{path.name}:{number}: {error}") from error
    for wire in play.wires.values():
        wire.close()
