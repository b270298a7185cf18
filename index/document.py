"""What goes into the index and what comes out of a search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from index.errors import IndexFault


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file's name and the text found inside it (empty if none)."""

    name: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One document; ``seq`` names it, ``date`` (seconds since 1970 UTC) orders it.

    ``people`` are (role, text) with roles ``from``, ``to``, ``cc``; a mapping of role to
    text (or texts) is taken too. ``ids`` are message-ids, list-ids and references.
    """

    seq: int
    date: int
    subject: str = ""
    people: tuple[tuple[str, str], ...] | Mapping[str, str | tuple[str, ...]] = ()
    text: str = ""
    attachments: tuple[Attachment, ...] = ()
    ids: tuple[str, ...] = ()

    def roles(self) -> list[tuple[str, str]]:
        """(role, text) pairs, whichever shape ``people`` has."""
        if not isinstance(self.people, Mapping):
            return list(self.people)
        pairs: list[tuple[str, str]] = []
        for role, texts in self.people.items():
            pairs.extend((role, text) for text in ((texts,) if isinstance(texts, str) else texts))
        return pairs


class Order(Enum):
    """How hits are ordered; equal dates by seq."""

    NEWEST = "newest"
    OLDEST = "oldest"
    BEST = "best"


@dataclass(frozen=True, slots=True)
class Hit:
    """A document found; ``score`` is 0.0 unless ordered by BEST."""

    seq: int
    date: int
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended; ``str(cursor)`` fits into an address, ``Cursor.parse`` reads it."""

    order: Order
    date: int
    seq: int
    score: float = 0.0

    def __str__(self) -> str:
        return f"{self.order.value}.{self.date}.{self.seq}.{self.score.hex()}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The cursor of that text; raises IndexFault if it is none."""
        try:
            order, date, seq, score = text.split(".", 3)
            return cls(Order(order), int(date), int(seq), float.fromhex(score))
        except (ValueError, OverflowError):
            raise IndexFault("this is not the end of a result page; search again") from None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of hits; ``cursor`` is None on the last page.

    ``total`` is exact and counted when first asked for: a page that nobody counts
    stops at its last hit.
    """

    hits: tuple[Hit, ...]
    cursor: Cursor | None
    _count: Callable[[], int] = field(repr=False, compare=False)
    _counted: list[int] = field(default_factory=list, repr=False, compare=False)

    @property
    def total(self) -> int:
        """How many documents match altogether."""
        if not self._counted:
            self._counted.append(self._count())
        return self._counted[0]


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the dictionary as it is spelt there.

    ``documents`` is counted when documents are added and not lowered by removals.
    """

    text: str
    documents: int
