"""The query tree: small frozen values; what they mean is said here, how it is done elsewhere.

``Filter`` names a fact the index does not hold (a mailbox, a flag, a size). The caller
replaces every Filter by ``resolve`` before searching; the index refuses one.
Fields are ``subject from to cc text filename attachment id``; None means all but ``id``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from index.seqset import SeqSet

FIELDS = ("subject", "from", "to", "cc", "text", "filename", "attachment", "id")
"""Every field, in the order of their numbers on the disk: append only."""


@dataclass(frozen=True, slots=True)
class Term:
    """A word and its inflections and compounds; exact: only the word, however accented.

    A word that has several parts (``anna@example.com``) means its parts side by side.
    """

    field: str | None
    word: str
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """Any of these words of the dictionary, exactly as ``Index.expand`` spells them."""

    field: str | None
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Phrase:
    """The words of the text side by side, in one field."""

    field: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Beside:
    """One word of each set, side by side, in one field; spelt as ``Index.expand`` spells them."""

    field: str | None
    words: tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True)
class Prefix:
    """A word that begins so."""

    field: str | None
    word: str


@dataclass(frozen=True, slots=True)
class Infix:
    """A word that contains this."""

    field: str | None
    word: str


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """A word a slip of the pen away: same first letter, one change (two from 8 letters on)."""

    field: str | None
    word: str


@dataclass(frozen=True, slots=True)
class And:
    """All of them; of nothing: everything."""

    parts: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of them; of nothing: nothing."""

    parts: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """What the part does not match."""

    part: Query


@dataclass(frozen=True, slots=True)
class Field:
    """The part, its words without a field taken from this field."""

    field: str
    part: Query


@dataclass(frozen=True, slots=True)
class DateRange:
    """``start <= date < end`` in seconds since 1970 UTC; None is open."""

    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class Within:
    """These documents."""

    seqs: SeqSet


@dataclass(frozen=True, slots=True)
class Filter:
    """A fact of the catalog: ``Filter("is", "unread")``."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class All:
    """Every document."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """No document."""


Query = (
    Term
    | Words
    | Phrase
    | Beside
    | Prefix
    | Infix
    | Fuzzy
    | And
    | Or
    | Not
    | Field
    | DateRange
    | Within
    | Filter
    | All
    | Nothing
)


def resolve(query: Query, resolver: Callable[[Filter], Query]) -> Query:
    """The query with every Filter replaced by what the resolver answers (no Filter again)."""
    match query:
        case Filter():
            return resolver(query)
        case And(parts) | Or(parts):
            return type(query)(tuple(resolve(part, resolver) for part in parts))
        case Not(part):
            return Not(resolve(part, resolver))
        case Field(field, part):
            return Field(field, resolve(part, resolver))
        case _:
            return query


def in_field(query: Query, field: str) -> Query:
    """The query with its words that name no field put into this one."""
    match query:
        case Term() | Words() | Phrase() | Beside() | Prefix() | Infix() | Fuzzy():
            return replace(query, field=field) if query.field is None else query
        case And(parts) | Or(parts):
            return type(query)(tuple(in_field(part, field) for part in parts))
        case Not(part):
            return Not(in_field(part, field))
        case Field(inner, part):
            return in_field(part, inner)
        case _:
            return query
