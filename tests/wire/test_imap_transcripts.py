"""What IMAP clients send: sessions as files, framed and parsed, however the octets come."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from appliance.wire import imap_commands, imap_fetch_items, imap_search_keys, imap_syntax
from appliance.wire.imap_commands import BadCommand, ImapCommand
from appliance.wire.imap_grammar import parse
from appliance.wire.imap_syntax import (
    AFTER_LOGIN,
    Command,
    CommandReader,
    ImapLimits,
    LiteralChunk,
    LiteralWanted,
)
from tests.wire.playing import Step, steps, transcripts


@dataclass(frozen=True)
class Bad:
    """A framed command that is not in the grammar."""

    tag: str | None
    reason: str


@dataclass(frozen=True)
class BadCharset:
    """A SEARCH in an unknown charset."""

    charset: str


Value = ImapCommand | imap_syntax.Event | Bad | BadCharset
NAMES = {
    **vars(imap_syntax),
    **vars(imap_fetch_items),
    **vars(imap_search_keys),
    **vars(imap_commands),
    "date": date,
    "datetime": datetime,
    "timedelta": timedelta,
    "timezone": timezone,
    "Bad": Bad,
    "BadCharset": BadCharset,
}


class Server:
    """Reads what a client sends, and answers as the transcript's server does."""

    def __init__(self, limits: ImapLimits = AFTER_LOGIN) -> None:
        self.reader = CommandReader(limits)
        self.values: list[Value] = []
        self.refusing = False

    def hear(self, octets: bytes) -> None:
        self.reader.feed(octets)
        while (event := self.reader.next_event()) is not None:
            self._take(event)

    def _take(self, event: imap_syntax.Event) -> None:
        last = self.values[-1] if self.values else None
        if isinstance(event, LiteralWanted):
            (self.reader.refuse if self.refusing else self.reader.accept)()
        elif isinstance(event, LiteralChunk) and isinstance(last, LiteralChunk):
            self.values[-1] = LiteralChunk(last.octets + event.octets)
        elif isinstance(event, Command):
            self.values.append(value := parsed(event))
            waits = isinstance(value, imap_commands.Authenticate) and value.initial is None
            if waits or isinstance(value, imap_commands.Idle):
                self.reader.expect_line()
        else:
            self.values.append(event)


def parsed(command: Command) -> Value:
    try:
        return parse(command)
    except BadCommand as error:
        return Bad(error.tag, error.reason)
    except imap_commands.BadCharset as error:
        return BadCharset(error.charset)


def play(
    script: list[Step], size: Callable[[bytes], int], stop_after: int = 1 << 30
) -> list[Value]:
    """Plays a session until so many octets came from the client."""
    server = Server()
    for at, step in enumerate(script):
        if step.kind == "@":
            getattr(server.reader, step.text)()
        if step.kind != "C":
            continue
        said = next((after.octets for after in script[at + 1 :] if after.kind in "CS"), b"")
        # A refused literal: the server's next words are NO.
        server.refusing = b" NO " in said
        octets = step.octets[:stop_after]
        stop_after -= len(octets)
        for start in range(0, len(octets), size(octets)):
            server.hear(octets[start : start + size(octets)])
        if not stop_after:
            break
    return server.values


def expected(script: Iterable[Step]) -> list[Value]:
    return [eval(step.text, NAMES) for step in script if step.kind == "="]  # noqa: S307 our own files


SIZES = {"whole": lambda octets: len(octets) or 1, "octet by octet": lambda octets: 1}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("path", transcripts("imap"), ids=lambda path: path.stem)
def test_a_session_gives_its_commands(path: Path, size: Callable[[bytes], int]) -> None:
    script = list(steps(path))
    seen, golden = play(script, size), expected(script)
    for one, other in zip(seen, golden, strict=False):
        assert one == other
    assert len(seen) == len(golden)


@pytest.mark.parametrize("path", transcripts("imap"), ids=lambda path: path.stem)
def test_a_lost_connection_is_never_taken_for_a_command(path: Path) -> None:
    script = list(steps(path))
    golden = expected(script)
    total = sum(len(step.octets) for step in script if step.kind == "C")
    before = 0
    for cut in range(1, total, 1 if total < 1500 else 3):
        seen = play(script, SIZES["whole"], cut)
        assert seen == golden[: len(seen)]
        assert len(seen) >= before
        before = len(seen)
    assert before >= len(golden) - 1
