"""A person's query worked out into words of the dictionary, ready to be evaluated.

Here words get their umlaut spellings, inflections and compounds, each with its weight for
ranking; what is left names words exactly and needs no dictionary any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from index import query as asked
from index.analysis import phones, skeleton, spellings, unspaced, words
from index.errors import IndexFault
from index.query import FIELDS, Query
from index.seqset import SeqSet
from index.vocabulary import Vocabulary

FIELD_NUMBER = {name: number for number, name in enumerate(FIELDS)}
EVERYWHERE = sum(1 << number for number, name in enumerate(FIELDS) if name != "id")

INFLECTED = 0.7
COMPOUND = 0.3
_COMPOUND_FROM = 5
_COMPOUND_REST = 3


@dataclass(frozen=True, slots=True)
class AnyWord:
    """Any of the words (UTF-8), with weights, in the fields of the mask."""

    mask: int
    words: tuple[tuple[bytes, float], ...]


@dataclass(frozen=True, slots=True)
class SideBySide:
    """One word of each set, side by side, in one field."""

    mask: int
    words: tuple[frozenset[bytes], ...]


@dataclass(frozen=True, slots=True)
class Beginning:
    """Any word that begins with one of these."""

    mask: int
    prefixes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Containing:
    """Any word that contains one of these."""

    mask: int
    infixes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Dated:
    """``start <= date < end``."""

    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class Seqs:
    """These documents."""

    seqs: SeqSet


@dataclass(frozen=True, slots=True)
class Every:
    """All of the parts; of nothing: everything."""

    parts: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Any of the parts; of nothing: nothing."""

    parts: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Without:
    """What the part does not match."""

    part: Step


Step = AnyWord | SideBySide | Beginning | Containing | Dated | Seqs | Every | Either | Without


def mask_of(field: str | None) -> int:
    """The bits of a field; raises IndexFault if there is no such field."""
    if field is None:
        return EVERYWHERE
    if field not in FIELD_NUMBER:
        raise IndexFault(f"the index has no field {field!r}; it has {', '.join(FIELDS)}")
    return 1 << FIELD_NUMBER[field]


def plan(query: Query, vocabulary: Vocabulary) -> Step:
    """The query worked out; raises IndexFault if a Filter or an unknown field is in it."""
    inner = partial(plan, vocabulary=vocabulary)
    match query:
        case asked.Term(field, word, exact):
            return _term(mask_of(field), word, exact, vocabulary)
        case asked.Words(field, spelt):
            return _any_word(mask_of(field), sorted(spelt))
        case asked.Phrase(field, text):
            return _phrase(mask_of(field), words(text), vocabulary)
        case asked.Beside(field, sets):
            encoded_sets = (frozenset(word.encode() for word in one) for one in sets)
            return SideBySide(mask_of(field), tuple(encoded_sets))
        case asked.Prefix(field, word):
            return _prefix(mask_of(field), word, vocabulary)
        case asked.Infix(field, word):
            pieces = [s for s in spellings(word) if words(s)]
            if any(len(words(piece)) > 1 for piece in pieces) and not unspaced(pieces[0]):
                return _phrase(mask_of(field), words(word), vocabulary)
            encoded = (piece.encode() for piece in pieces)
            return Containing(mask_of(field), tuple(encoded))
        case asked.Fuzzy(field, word):
            return _fuzzy(mask_of(field), word, vocabulary)
        case asked.And(parts):
            return Every(tuple(map(inner, parts)))
        case asked.Or(parts):
            return Either(tuple(map(inner, parts)))
        case asked.Not(part):
            return Without(inner(part))
        case asked.Field(field, part):
            return inner(asked.in_field(part, field))
        case asked.DateRange(start, end):
            return Dated(start, end)
        case asked.Within(seqs):
            return Seqs(seqs)
        case asked.All():
            return Every(())
        case asked.Nothing():
            return Either(())
        case asked.Filter(name, value):
            raise IndexFault(f"the index does not know {name}:{value}; resolve it first")


def is_compound(container: str, word: str) -> bool:
    """Whether a word of 5 letters or more is a part of a longer one, 3 letters beside it."""
    if len(word) < _COMPOUND_FROM or not container.isalpha() or not word.isalpha():
        return False
    at = container.find(word)
    while at >= 0:
        rest = len(container) - at - len(word)
        if (at or rest) and all(side == 0 or side >= _COMPOUND_REST for side in (at, rest)):
            return True
        at = container.find(word, at + 1)
    return False


def _term(mask: int, text: str, exact: bool, vocabulary: Vocabulary) -> Step:
    parts = words(text)
    numbers = phones(text)
    if numbers:
        return Either((_phrase(mask, parts, vocabulary), _any_word(mask, numbers)))
    if len(parts) != 1:
        return _phrase(mask, parts, vocabulary)
    word = parts[0]
    if unspaced(word) and len(word) == 1:
        return Containing(mask, (word.encode(),))
    weights = {} if exact else _related(word, vocabulary)
    weights.update(dict.fromkeys(vocabulary.same(word), 1.0))
    weights[word] = 1.0
    return AnyWord(mask, tuple((one.encode(), weight) for one, weight in weights.items()))


def _related(word: str, vocabulary: Vocabulary) -> dict[str, float]:
    """Compounds and inflections; what is both counts as an inflection."""
    weights: dict[str, float] = {}
    if len(word) >= _COMPOUND_FROM and word.isalpha():
        for container, _, _ in vocabulary.containing(word):
            if is_compound(container, word):
                weights[container] = COMPOUND
    weights.update(dict.fromkeys(vocabulary.inflected(word), INFLECTED))
    return weights


def _any_word(mask: int, found: Iterable[str]) -> AnyWord:
    return AnyWord(mask, tuple((word.encode(), 1.0) for word in found))


def _same(word: str, vocabulary: Vocabulary) -> frozenset[bytes]:
    return frozenset(one.encode() for one in (vocabulary.same(word) | {word}))


def _phrase(mask: int, parts: list[str], vocabulary: Vocabulary) -> Step:
    if not parts:
        return Either(())
    alternatives = tuple(_same(word, vocabulary) for word in parts)
    if len(parts) > 1:
        return SideBySide(mask, alternatives)
    if unspaced(parts[0]) and len(parts[0]) == 1:
        return Containing(mask, (parts[0].encode(),))
    return AnyWord(mask, tuple((word, 1.0) for word in sorted(alternatives[0])))


def _prefix(mask: int, text: str, vocabulary: Vocabulary) -> Step:
    parts = words(text)
    if not parts:
        return Either(())
    last = parts[-1]
    bare = skeleton(last)
    spelt = {word for word, _, _ in vocabulary.beginning(bare, bare=True)}
    if len(parts) > 1:
        for start in {last, bare}:
            spelt.update(word for word, _, _ in vocabulary.beginning(start))
        ends = frozenset(word.encode() for word in spelt)
        return SideBySide(mask, (*(_same(word, vocabulary) for word in parts[:-1]), ends))
    starts = Beginning(mask, tuple(dict.fromkeys((last.encode(), bare.encode()))))
    rest = sorted(word for word in spelt if not word.startswith((last, bare)))
    return Either((starts, _any_word(mask, rest))) if rest else starts


def _fuzzy(mask: int, text: str, vocabulary: Vocabulary) -> Step:
    parts = words(text)
    if len(parts) != 1:
        return _phrase(mask, parts, vocabulary)
    weights = {word: 1.0 / (1 + changes) for changes, word, _, _ in vocabulary.near(parts[0])}
    weights.update(dict.fromkeys(vocabulary.same(parts[0]), 1.0))
    return AnyWord(mask, tuple((word.encode(), weight) for word, weight in weights.items()))
