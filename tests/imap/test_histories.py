"""Two sessions change the same mailboxes at random; they, the archive and a model agree."""

from __future__ import annotations

import random
import re

import pytest

from tests.imap.house import SIMPLE, House, Wire

BOXES = ("INBOX", "Work")
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "$Work")
Model = dict[str, dict[int, set[str]]]


class Program:
    """A mail program: what it believes of its selected mailbox, from responses alone."""

    def __init__(self, house: House) -> None:
        self.wire: Wire = house.signed_in()
        self.box = ""
        self.view: list[tuple[int, set[str]] | None] = []

    def do(self, command: str, *, literal: bytes | None = None) -> bytes:
        octets = command.encode()
        if literal is not None:
            octets += b" {%d+}\r\n%b" % (len(literal), literal)
        *untagged, tagged = self.wire.command(octets)
        assert tagged.startswith(b"OK"), (command, tagged)
        for line in untagged:
            self.hear(line)
        return tagged

    def hear(self, line: bytes) -> None:
        if found := re.fullmatch(rb"\* (\d+) EXISTS", line):
            grown = int(found[1]) - len(self.view)
            assert grown >= 0, "EXISTS never shrinks a mailbox"
            self.view += [None] * grown
        elif found := re.fullmatch(rb"\* (\d+) EXPUNGE", line):
            del self.view[int(found[1]) - 1]
        elif found := re.fullmatch(rb"\* (\d+) FETCH \(UID (\d+) FLAGS \((.*?)\).*\)", line):
            known = self.view[int(found[1]) - 1]
            assert known is None or known[0] == int(found[2]), "a sequence number moved"
            self.view[int(found[1]) - 1] = int(found[2]), set(found[3].decode().split())

    def select(self, box: str) -> None:
        self.view = []
        self.do(f"SELECT {box}")
        self.box = box
        self.look()

    def look(self) -> None:
        """Fetch what is new."""
        if None in self.view:
            self.do(f"FETCH {self.view.index(None) + 1}:* (UID FLAGS)")

    def believed(self) -> dict[int, set[str]]:
        self.do("NOOP")
        self.look()
        return dict(entry for entry in self.view if entry is not None)


class History:
    """The model and the steps."""

    def __init__(self, house: House, seed: int) -> None:
        self.random = random.Random(seed)
        self.model: Model = {box: {} for box in BOXES}
        self.next_uid = dict.fromkeys(BOXES, 1)
        self.letters = 0
        house.archive.create("maria", "Work")
        self.programs = [Program(house), Program(house)]
        for program in self.programs:
            program.select("INBOX")

    def step(self) -> None:
        program = self.random.choice(self.programs)
        more = [self.append, self.flag, self.flag]
        once = [self.append, self.copy, self.move, self.expunge, self.select, self.noop]
        self.random.choice(more + once)(program)

    def place(self, box: str, flags: set[str]) -> int:
        uid = self.next_uid[box]
        self.next_uid[box] += 1
        self.model[box][uid] = flags
        return uid

    def append(self, program: Program) -> None:
        box, flags = self.random.choice(BOXES), set(self.some_flags())
        self.letters += 1
        octets = SIMPLE.replace(b"<garden", b"<garden%d" % self.letters)
        tagged = program.do(f"APPEND {box} ({' '.join(flags)})", literal=octets)
        uid = self.place(box, flags)
        assert re.match(rb"OK \[APPENDUID \d+ %d\] " % uid, tagged)

    def flag(self, program: Program) -> None:
        uids, flags = self.some_uids(program), set(self.some_flags())
        how = self.random.choice(("+", "-", ""))
        # By UID or by the numbers the program believes in: both must hit the same.
        if self.random.random() < 0.5:
            numbers = [n for n, e in enumerate(program.view, 1) if e and e[0] in uids]
            command = f"STORE {_set(numbers)}"
        else:
            command = f"UID STORE {_set(uids)}"
        if not uids:
            return
        program.do(f"{command} {how}FLAGS ({' '.join(flags)})")
        places = self.model[program.box]
        for uid in uids:
            if uid in places:
                before = places[uid]
                places[uid] = before | flags if how == "+" else before - flags if how else flags

    def copy(self, program: Program) -> None:
        self.transfer(program, "COPY")

    def move(self, program: Program) -> None:
        self.transfer(program, "MOVE")

    def transfer(self, program: Program, verb: str) -> None:
        uids, target = self.some_uids(program), self.random.choice(BOXES)
        if not uids:
            return
        tagged = program.do(f"UID {verb} {_set(uids)} {target}")
        source = self.model[program.box]
        there = [uid for uid in sorted(uids) if uid in source]
        copies = [self.place(target, set(source[uid])) for uid in there]
        if verb == "MOVE":
            for uid in there:
                del source[uid]
        elif there:
            assert f" {_set(there)} {_set(copies)}]".encode() in tagged

    def expunge(self, program: Program) -> None:
        program.do("EXPUNGE")
        places = self.model[program.box]
        for uid in [uid for uid, flags in places.items() if "\\Deleted" in flags]:
            del places[uid]

    def select(self, program: Program) -> None:
        program.select(self.random.choice(BOXES))

    def noop(self, program: Program) -> None:
        assert program.believed() == self.model[program.box]

    def some_uids(self, program: Program) -> list[int]:
        program.look()
        known = [entry[0] for entry in program.view if entry is not None]
        return sorted(self.random.sample(known, min(len(known), self.random.randint(1, 4))))

    def some_flags(self) -> list[str]:
        return self.random.sample(FLAGS, self.random.randint(0, 2))


def _set(numbers: list[int]) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in runs)


@pytest.mark.parametrize("seed", range(6))
def test_two_sessions_the_archive_and_the_model_agree(house: House, seed: int) -> None:
    history = History(house, seed)
    for _ in range(150):
        history.step()
    for program in history.programs:
        for box in (program.box, *BOXES):
            if program.box != box:
                program.select(box)
            assert program.believed() == history.model[box]
    for box in BOXES:
        snapshot = house.archive.snapshot(house.archive.mailbox("maria", box).id)
        found = {uid: set(flags) for uid, flags in zip(snapshot.uids, snapshot.flags, strict=True)}
        assert found == history.model[box]
    everything = house.archive.totals("maria")
    assert everything.messages <= history.letters
