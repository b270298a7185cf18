"""The piece of a text that shows why it was found, its words marked.

The text is given by the caller: the index keeps none. Marks follow the same rules as the
search (accents, umlauts, inflections, compounds), without a dictionary.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from index import query as asked
from index.analysis import Token, composed, phones, skeleton, spellings, terms_of, unspaced, words
from index.plan import is_compound
from index.query import Query
from index.vocabulary import distance_of, reach, stems

LONGEST = 200_000
"""Characters of a text that are looked at."""

Matches = Callable[[str], bool]
Rule = tuple[Matches, ...]
"""What the tokens of a hit satisfy, side by side."""


def snippet(
    text: str, query: Query, *, limit: int = 200, field: str | None = "text"
) -> tuple[tuple[str, bool], ...]:
    """Pieces (text, marked) of at most about ``limit`` characters around the densest hits.

    White space is collapsed; an ellipsis stands where text is left out. Words of the query
    that name another field than ``field`` are not marked; None marks them all.
    """
    text = composed(" ".join(text[:LONGEST].split()))
    marks = _marks(text, list(_rules(query, field)))
    start, end = _window(text, marks, limit)
    pieces: list[tuple[str, bool]] = []
    at = start
    if start:
        pieces.append(("… ", False))
    for first, last, _ in marks:
        if at <= first and last <= end:
            pieces += [(text[at:first], False), (text[first:last], True)]
            at = last
    pieces.append((text[at:end] + (" …" if end < len(text) else ""), False))
    return tuple(_joined(pieces))


def _rules(query: Query, field: str | None) -> Iterator[Rule]:
    match query:
        case asked.And(parts) | asked.Or(parts):
            for part in parts:
                yield from _rules(part, field)
        case asked.Field(name, part):
            yield from _rules(asked.in_field(part, name), field)
        case asked.Term() | asked.Words() | asked.Phrase() | asked.Prefix() | asked.Infix():
            if field is None or query.field in (None, field):
                yield from _rule(query)
        case asked.Fuzzy(name, word):
            if field is None or name in (None, field):
                yield from ((partial(_near, part),) for part in words(word))


def _rule(
    query: asked.Term | asked.Words | asked.Phrase | asked.Prefix | asked.Infix,
) -> Iterator[Rule]:
    match query:
        case asked.Words(_, spelt):
            yield (spelt.__contains__,)
        case asked.Infix(_, word):
            yield (partial(_contains, spellings(word)),)
        case asked.Prefix(_, word):
            parts = words(word)
            if parts:
                before = (partial(_same, skeleton(part)) for part in parts[:-1])
                yield (*before, partial(_begins, parts[-1]))
        case asked.Phrase(_, text):
            yield tuple(partial(_same, skeleton(part)) for part in words(text))
        case asked.Term(_, text, exact):
            parts = words(text)
            yield from ((partial(_same, number),) for number in phones(text))
            if len(parts) == 1 and unspaced(parts[0]) and len(parts[0]) == 1:
                yield (partial(_contains, (parts[0],)),)
            elif len(parts) == 1 and not exact:
                yield (partial(_related, parts[0], skeleton(parts[0]), stems(parts[0])),)
            else:
                yield tuple(partial(_same, skeleton(part)) for part in parts)


def _same(bare: str, word: str) -> bool:
    return skeleton(word) == bare


def _begins(prefix: str, word: str) -> bool:
    return word.startswith(prefix) or skeleton(word).startswith(skeleton(prefix))


def _contains(pieces: Sequence[str], word: str) -> bool:
    return any(piece in word for piece in pieces)


def _near(word: str, other: str) -> bool:
    return other[:1] == word[:1] and distance_of(word, other, reach(word)) <= reach(word)


def _related(word: str, bare: str, stemmed: tuple[str, str], other: str) -> bool:
    if word == other or skeleton(other) == bare or is_compound(other, word):
        return True
    # Stems keep the first letter; stemming every word of a long text is what costs.
    if other[0] != word[0] or not other.isalpha() or not word.isalpha():
        return False
    german, english = stems(other)
    return german == stemmed[0] or english == stemmed[1]


def _marks(text: str, rules: Sequence[Rule]) -> list[tuple[int, int, int]]:
    """(start, end, number of the rule) of every hit, ascending, not overlapping."""
    rules = [rule for rule in rules if rule]
    if not rules:
        return []
    numbers = set(phones(text))
    distinct = numbers.union(words(text))
    fitting = [[{word for word in distinct if one(word)} for one in rule] for rule in rules]
    if not any(all(rule) for rule in fitting):
        return []
    tokens = terms_of(text)
    # A telephone number stands across its parts: no phrase goes through it.
    plain = [t for t in tokens if t.text not in numbers or t.end - t.start == len(t.text)]
    found: list[tuple[int, int, int]] = []
    for number, rule in enumerate(fitting):
        if all(rule):
            places = tokens if len(rule) == 1 else plain
            found += [(*hit, number) for hit in _hits(places, rule)]
    marks: list[tuple[int, int, int]] = []
    for start, end, number in sorted(found, key=lambda hit: (hit[0], -hit[1])):
        if not marks or start >= marks[-1][1]:
            marks.append((start, end, number))
        elif end > marks[-1][1]:
            marks[-1] = (marks[-1][0], end, marks[-1][2])
    return marks


def _hits(tokens: Sequence[Token], rule: Sequence[set[str]]) -> Iterator[tuple[int, int]]:
    for place in range(len(tokens) - len(rule) + 1):
        if all(tokens[place + n].text in fitting for n, fitting in enumerate(rule)):
            yield tokens[place].start, tokens[place + len(rule) - 1].end


def _window(text: str, marks: Sequence[tuple[int, int, int]], limit: int) -> tuple[int, int]:
    """Where to cut: the stretch with the most different hits, a little before the first."""
    if len(text) <= limit:
        return 0, len(text)
    best, first = (0, 0), 0
    inside: Counter[int] = Counter()
    last = 0
    for place, (start, _, number) in enumerate(marks):
        while last < len(marks) and marks[last][1] <= start + limit * 3 // 4:
            inside[marks[last][2]] += 1
            last += 1
        worth = len(inside), min(last - place, 3)
        if worth > best:
            best, first = worth, start
        inside[number] -= 1
        if inside[number] <= 0:
            del inside[number]
        last = max(last, place + 1)
    start = _boundary(text, first - limit // 4)
    start = min(start, max(0, _boundary(text, len(text) - limit)))
    end = min(len(text), start + limit)
    if end < len(text):
        cut = text.rfind(" ", start + limit // 2, end)
        mark = bisect_left(marks, (end, 0, 0)) - 1
        # Never through a hit.
        if mark >= 0 and marks[mark][1] > end and marks[mark][0] > start:
            end = marks[mark][0]
        elif cut > 0:
            end = cut
    return start, end


def _boundary(text: str, at: int) -> int:
    """The first beginning of a word at or after a place."""
    if at <= 0:
        return 0
    space = re.compile(r"\s").search(text, at - 1, at + 40)
    return space.end() if space else at


def _joined(pieces: Sequence[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
    plain = ""
    for text, marked in pieces:
        if marked:
            if plain:
                yield plain, False
            plain = ""
            yield text, True
        else:
            plain += text
    if plain:
        yield plain, False
