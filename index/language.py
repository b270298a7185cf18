"""What a person types into the one box, as a query and as what was understood of it.

    "a phrase"  -word  a OR b  ( )  prefix*  *infix*  ~fuzzy
    from: to: cc: subject: list: filename: attachment: id:           words in one field
    has: in: is: account: person: larger: smaller: thread:           facts (query.Filter)
    before: until: after: on: year: older: newer:                    dates

with German names beside the English ones (``index.names``). Words side by side must all be
found; OR joins its neighbours (``a OR b c`` is ``(a OR b) c``), an explicit AND binds
tighter. ``after:`` and ``until:`` include the day named, ``before:`` does not. Whatever is
typed gives a query: what has no meaning is left out, and a chip of kind ``problem`` says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from index import dates
from index.analysis import fold, words
from index.names import KEYS, KNOWN
from index.query import (
    All,
    And,
    DateRange,
    Filter,
    Fuzzy,
    Infix,
    Not,
    Or,
    Phrase,
    Prefix,
    Query,
    Term,
)

LONGEST = 2000
"""Characters of a query; the rest is left out."""
_DEEPEST = 30
_MOST_WORDS = 64
_MOST_STARRED = 4
"""Pieces with a star in one query: each is a walk through the whole dictionary."""
_DATE_WORDS = 4


@dataclass(frozen=True, slots=True)
class Chip:
    """A piece of what was typed; ``understood`` is how it was taken, in English.

    kind: word phrase prefix infix fuzzy filter date problem, with ``exclude`` in front of
    what is excluded (``exclude word``).
    """

    kind: str
    text: str
    understood: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """The query, and what was understood in the order it was typed."""

    query: Query
    chips: tuple[Chip, ...]

    @property
    def problems(self) -> tuple[Chip, ...]:
        """What was left out."""
        return tuple(chip for chip in self.chips if chip.kind == "problem")


def parse(text: str, today: date, zone: tzinfo = UTC) -> Parsed:
    """The query a text means; days are days in ``zone``. Never raises."""
    parser = _Parser(text[:LONGEST], today, zone)
    if len(text) > LONGEST:
        parser.problem(text[LONGEST : LONGEST + 20] + "…", f"only {LONGEST} characters are read")
    query = parser.sequence(None, 0)
    return Parsed(All() if query is None else query, tuple(parser.chips))


_OPEN = '"„“”«»‟'
_CLOSE = {"„": '“”"‟', "“": '”"', "”": '”"', "«": "»", "»": "«", '"': '"', "‟": '”"'}
_SPACE = re.compile(r"[\s,;]+")
_KEY = re.compile(r"([^\W\d_][\w-]{0,20}):(?!//)")
_BARE = re.compile(r"[^\s()\"„“”«»‟]+")
_OPERATOR = re.compile(r"(?:(OR|ODER)|(AND|UND)|(NOT|NICHT))(?![\w*:@.-])|(\|+)|(&+)(?=\s|$)")
_SIZE = re.compile(r"(\d+(?:[.,]\d+)?) ?([kmg]?)(?:i?b|ytes?|octets)?")
_LARGEST = 10**15
_FACTOR = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class _Parser:
    """Reads from left to right and never goes back further than a date's words."""

    def __init__(self, text: str, today: date, zone: tzinfo) -> None:
        self.text = text
        self.at = 0
        self.today = today
        self.zone = zone
        self.chips: list[Chip] = []
        self._excluded = False
        self._open = False
        self._words = 0
        self._stars = 0

    def problem(self, text: str, understood: str) -> None:
        """Say what was left out."""
        self.chips.append(Chip("problem", text, understood))

    # -- structure ---------------------------------------------------------

    def sequence(self, field: str | None, depth: int) -> Query | None:
        """Up to the closing parenthesis or the end; None if nothing is asked for."""
        parts: list[Query] = []
        while not self._ended(depth):
            part = self._alternatives(field, depth)
            if part is not None:
                parts.append(part)
        if not parts:
            return None
        # What is asked for twice is asked for once.
        parts = list(dict.fromkeys(parts))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _ended(self, depth: int) -> bool:
        self._skip()
        self._open = True
        while self.at < len(self.text) and self.text[self.at] == ")":
            self.at += 1
            if depth:
                self._open = False
                return True
            self.problem(")", "a closing parenthesis without an opening one; left out")
            self._skip()
        return self.at >= len(self.text)

    def _alternatives(self, field: str | None, depth: int) -> Query | None:
        parts = [self._joined(field, depth)]
        while self._operator(1, 4):
            while self._operator(1, 4):
                pass
            parts.append(self._joined(field, depth))
        found = list(dict.fromkeys(part for part in parts if part is not None))
        if len(found) < 2:
            return found[0] if found else None
        return Or(tuple(found))

    def _joined(self, field: str | None, depth: int) -> Query | None:
        parts = [self._unit(field, depth)]
        while self._operator(2, 5):
            while self._operator(2, 5):
                pass
            parts.append(self._unit(field, depth))
        found = list(dict.fromkeys(part for part in parts if part is not None))
        if len(found) < 2:
            return found[0] if found else None
        return And(tuple(found))

    def _operator(self, *groups: int) -> bool:
        """Step over the operator if it comes next and something follows or precedes it."""
        self._skip()
        match = _OPERATOR.match(self.text, self.at)
        if match is None or match.lastindex not in groups:
            return False
        self.at = match.end()
        return True

    def _unit(self, field: str | None, depth: int) -> Query | None:
        self._skip()
        negated = False
        while True:
            if self._operator(3):
                negated = not negated
            elif self.at + 1 < len(self.text) and (
                self.text[self.at] in "-−–" and self.text[self.at + 1] not in " \t\n-−–)"
            ):
                self.at += 1
                negated = not negated
            else:
                break
        if self.at >= len(self.text) or self.text[self.at] == ")":
            return None
        if _OPERATOR.match(self.text, self.at) and not negated:
            # An operator with nothing before it: the word is not looked for.
            operator = self._operator(1, 2, 4, 5)
            assert operator
            return None
        before, self._excluded = self._excluded, self._excluded != negated
        part = self._thing(field, depth)
        self._excluded = before
        return Not(part) if negated and part is not None else part

    def _skip(self) -> None:
        if match := _SPACE.match(self.text, self.at):
            self.at = match.end()

    # -- things ------------------------------------------------------------

    def _thing(self, field: str | None, depth: int) -> Query | None:
        start = self.at
        if self.text[start] == "(":
            return self._group(field, depth)
        if self.text[start] in _OPEN:
            return self._phrase(field, start)
        if match := _KEY.match(self.text, start):
            known = KEYS.get(fold(match[1]))
            if known is not None:
                self.at = match.end()
                return self._keyed(*known, start, depth)
        return self._word(field, start, self._bare())

    def _group(self, field: str | None, depth: int) -> Query | None:
        if depth >= _DEEPEST:
            self.problem("(", "parentheses nested too deeply; left out")
            self.at += 1
            return None
        self.at += 1
        found = self.sequence(field, depth + 1)
        if self._open:
            self.problem("(", "an opening parenthesis without a closing one; closed at the end")
        return found

    def _quoted(self) -> str:
        """The text between quotation marks that begin here; unclosed: the rest."""
        closing = _CLOSE[self.text[self.at]]
        start = self.at + 1
        ends = [end for mark in closing if (end := self.text.find(mark, start)) >= 0]
        if not ends:
            self.at = len(self.text)
            self.problem(
                self.text[start - 1], "a quotation mark without its partner; closed at the end"
            )
            return self.text[start:]
        self.at = min(ends) + 1
        return self.text[start : min(ends)]

    def _too_many(self, start: int) -> bool:
        """Count a word or phrase; whether it is one too many, which is said once."""
        self._words += 1
        if self._words == _MOST_WORDS + 1:
            self._left_out(start, f"only {_MOST_WORDS} words are looked for; the rest is left out")
        return self._words > _MOST_WORDS

    def _phrase(self, field: str | None, start: int) -> Query | None:
        phrase = self._quoted()
        if self._too_many(start):
            return None
        if not words(phrase):
            return self._left_out(start, "no word in it; left out")
        self._chip("phrase", start, f"“{' '.join(phrase.split())}” word for word{_in(field)}")
        return Phrase(field, phrase)

    def _bare(self) -> str:
        match = _BARE.match(self.text, self.at)
        if match is None:
            self.at += 1
            return ""
        self.at = match.end()
        return match[0]

    def _word(self, field: str | None, start: int, word: str) -> Query | None:
        word = word.strip(",;")
        if self._too_many(start):
            return None
        if field is None and re.fullmatch(r"<[^\s<>]+@[^\s<>]+>", word):
            self._chip("word", start, f"the message {word}")
            return Phrase("id", word)
        fuzzy = word.startswith("~") or word.endswith("~")
        pieces = [piece for piece in word.strip("~").split("*") if words(piece)]
        if not pieces:
            return self._left_out(start, "no word in it; left out")
        if fuzzy:
            self._chip("fuzzy", start, f"words like “{pieces[0]}”{_in(field)}")
            return Fuzzy(field, pieces[0])
        if "*" in word:
            return self._starred(field, start, word, pieces)
        self._chip("word", start, f"“{word}”{_in(field)}")
        return Term(field, word)

    def _starred(self, field: str | None, start: int, word: str, pieces: list[str]) -> Query | None:
        found: list[Query] = []
        said = []
        left = max(0, _MOST_STARRED - self._stars)
        self._stars += len(pieces)
        if len(pieces) > left:
            why = f"only {_MOST_STARRED} pieces with a star are looked for; left out"
            self.problem(" ".join(f"*{piece}*" for piece in pieces[left:]), why)
            pieces = pieces[:left]
            if not pieces:
                return None
        if not word.startswith("*"):
            found.append(Prefix(field, pieces[0]))
            said.append(f"words that begin with “{pieces[0]}”")
            pieces = pieces[1:]
        found += [Infix(field, piece) for piece in pieces]
        said += [f"words that contain “{piece}”" for piece in pieces]
        kind = "prefix" if isinstance(found[0], Prefix) else "infix"
        self._chip(kind, start, f"{' and '.join(said)}{_in(field)}")
        return found[0] if len(found) == 1 else And(tuple(found))

    # -- keys --------------------------------------------------------------

    def _keyed(self, kind: str, name: str, start: int, depth: int) -> Query | None:
        # People write "from: anna" too.
        self._skip()
        if self.at >= len(self.text) or self.text[self.at] == ")":
            return self._left_out(start, "nothing after the colon; left out")
        if kind == "date":
            return self._date(name, start)
        if kind == "fact":
            return self._fact(name, start)
        if self.text[self.at] == "(":
            return self._group(name, depth)
        if self.text[self.at] in _OPEN:
            return self._phrase(name, start)
        return self._word(name, start, self._bare())

    def _value(self) -> str:
        return self._quoted() if self.text[self.at] in _OPEN else self._bare()

    def _fact(self, name: str, start: int) -> Query | None:
        value = self._value().strip()
        if name in ("larger", "smaller"):
            return self._size(name, start, value)
        known = KNOWN.get(name, {})
        value = known.get(fold(value), value)
        if name in ("is", "has") and value not in known.values():
            choices = ", ".join(dict.fromkeys(known.values()))
            return self._left_out(start, f"not known; left out ({name}: {choices})")
        if not value:
            return self._left_out(start, "nothing after the colon; left out")
        self._chip("filter", start, f"{name}: {value}")
        return Filter(name, value)

    def _size(self, name: str, start: int, value: str) -> Query | None:
        match = _SIZE.fullmatch(fold(value))
        if match is None:
            return self._left_out(start, "no size; left out (write 500k or 2M)")
        # No message is as large as the largest number the catalog can hold.
        octets = int(min(float(match[1].replace(",", ".")) * _FACTOR[match[2]], _LARGEST))
        self._chip("filter", start, f"{name} than {octets:,} octets")
        return Filter(name, str(octets))

    def _date(self, name: str, start: int) -> Query | None:
        quoted = self.text[self.at] in _OPEN
        ends = [(self._quoted(), self.at)] if quoted else self._candidates()
        for text, end in ends:
            if found := self._range(name, text):
                self.at = end
                query, understood = found
                self._chip("date", start, understood)
                return query
        self.at = ends[-1][1]
        return self._left_out(start, "no date; left out (write 2019, 2019-03 or 3.5.2019)")

    def _candidates(self) -> list[tuple[str, int]]:
        """The next words, as many as a date may have, longest first."""
        start = self.at
        found: list[tuple[str, int]] = []
        for _ in range(_DATE_WORDS):
            before = self.at
            match = _BARE.match(self.text, self.at)
            if match is None or (found and _KEY.match(match[0])):
                break
            self.at = match.end()
            found.append((self.text[start : self.at], self.at))
            self._skip()
            if self.at == before:
                break
        if not found:
            self.at += 1
            found.append(("", self.at))
        return found[::-1]

    def _range(self, name: str, text: str) -> tuple[Query, str] | None:
        if name in ("older", "newer"):
            day = dates.ago(text, self.today)
            if day is None:
                return None
            if name == "older":
                return DateRange(None, self._seconds(day)), f"before {day}"
            return DateRange(self._seconds(day), None), f"since {day}"
        days = dates.span(text, self.today)
        if days is None:
            return None
        first, end = self._seconds(days.start), self._seconds(days.end)
        if name == "before":
            return DateRange(None, first), f"before {days.start}"
        if name == "until":
            return DateRange(None, end), f"until {days.end - timedelta(days=1)}"
        if name == "after":
            return DateRange(first, None), f"since {days.start}"
        return DateRange(first, end), f"on {days}" if end - first < 90_000 else f"from {days}"

    def _seconds(self, day: date) -> int:
        return int(datetime.combine(day, time(), self.zone).timestamp())

    # -- what was understood -----------------------------------------------

    def _chip(self, kind: str, start: int, understood: str) -> None:
        text = self.text[start : self.at].strip(" ,;")
        if self._excluded:
            self.chips.append(Chip(f"exclude {kind}", f"-{text}", f"without {understood}"))
        else:
            self.chips.append(Chip(kind, text, understood))

    def _left_out(self, start: int, why: str) -> Query | None:
        """Nothing, and why."""
        self.problem(self.text[start : self.at].strip(), why)
        return None


def _in(field: str | None) -> str:
    return "" if field is None else f" in {_SAID[field]}"


_SAID = {
    "from": "the sender",
    "to": "the recipients",
    "cc": "the copies",
    "subject": "the subject",
    "text": "the text",
    "filename": "the names of files",
    "attachment": "the attachments",
    "id": "the list or message-id",
}
