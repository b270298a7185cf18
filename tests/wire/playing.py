r"""Transcripts: sessions as files, played whole, octet by octet, and cut anywhere.

# a comment
C: RETR 1          the client's line (CR LF is added)
S: +OK\xff         the server's line; Python's escapes for odd octets
S| text            octets as they stand, without a line end (C| likewise)
= MessageEnd(1, 5) the event that comes next
! reason           the machine refuses what came, and the reason holds these words
@ tls_started      something done to the machine
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings

steady = settings(deadline=None, derandomize=True)
"""For properties: the same examples each time, and no clock that a busy machine can miss."""

HERE = Path(__file__).parent / "transcripts"


@dataclass(frozen=True)
class Step:
    """A line of a transcript: kind is one of ``C S = ! @``, octets for C and S only."""

    kind: str
    text: str
    octets: bytes = b""


def transcripts(room: str) -> list[Path]:
    """The transcripts of a protocol; never none, or a test would pass by not running."""
    found = sorted((HERE / room).glob("*.txt"))
    assert found
    return found


def steps(path: Path) -> Iterator[Step]:
    """The steps of a transcript in order."""
    for line in path.read_text("utf-8").splitlines():
        kind, text = line[:1], line[2:].removeprefix(" ")
        if kind in ("", "#"):
            continue
        assert kind in "CS=!@", f"{path.name}: {line}"
        if kind in "=!@":
            yield Step(kind, line[2:])
        else:
            yield Step(kind, text, _octets(text) + (b"\r\n" if line[1:2] == ":" else b""))


def _octets(text: str) -> bytes:
    return text.encode("utf-8").decode("unicode_escape").encode("latin-1")
