"""Documents, queries and their answers worked out the slow way: one document at a time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from index import (
    FIELDS,
    All,
    And,
    Attachment,
    DateRange,
    Document,
    Field,
    Fuzzy,
    Infix,
    Not,
    Nothing,
    Or,
    Phrase,
    Prefix,
    Query,
    SeqSet,
    Term,
    Within,
    Words,
)
from index.analysis import phones, skeleton, spellings, words
from index.plan import is_compound
from index.query import in_field
from index.vocabulary import distance_of, reach, stems

_POOL = """
Rechnung Rechnungen Stromrechnung Rechnungsnummer Müller Mueller muller Muellerin Straße
Strasse größe groesse invoice invoices invoicing house houses Warehouse Haus Häuser report
reporter reported the and of zum neue neu blue café cafe naïve does dos 2024 00123 RE-2024-00123
anna@example.com ben@mail.example.org foo_bar.pdf 030/1234567 +49-30-1234567 日本語 テスト 本 中文
Привет мир don't E-Mail x a1b2 Termin Terminkalender Kalender
wordwordwordwordwordwordwordwordwordword
"""
POOL = _POOL.split()


def document(rng: random.Random, seq: int) -> Document:
    """A document of few words, so that queries meet it often."""

    def text(most: int) -> str:
        return " ".join(rng.choices(POOL, k=rng.randint(0, most)))

    return Document(
        seq=seq,
        # Few dates, so that many are equal.
        date=1_600_000_000 + rng.randrange(40) * 5_000_000,
        subject=text(4),
        people=tuple(
            (role, text(2)) for role in ("from", "to", "cc") for _ in range(rng.randint(0, 2))
        ),
        text=text(12),
        attachments=tuple(Attachment(text(1), text(4)) for _ in range(rng.choice((0, 0, 1, 2)))),
        ids=(f"<{seq}.{rng.randrange(9)}@example.com>",),
    )


def query(rng: random.Random, depth: int = 3) -> Query:
    """Any query without a Filter."""
    name = rng.choice((None, None, None, *FIELDS))
    word = rng.choice(POOL)
    pick = rng.randrange(16 if depth else 9)
    if pick < 3:
        return Term(name, word, exact=rng.random() < 0.3)
    if pick == 3:
        return Phrase(name, " ".join(rng.choices(POOL, k=rng.randint(1, 2))))
    if pick == 4:
        return Prefix(name, word[: rng.randint(1, len(word))])
    if pick == 5:
        start = rng.randrange(len(word))
        return Infix(name, word[start : start + rng.randint(1, 5)])
    if pick == 6:
        return Fuzzy(name, word[:-1] if rng.random() < 0.5 else word[1::-1] + word[2:])
    if pick == 7:
        day = 1_600_000_000 + rng.randrange(40) * 5_000_000
        return DateRange(rng.choice((None, day)), rng.choice((None, day + 30_000_000)))
    if pick == 8:
        return rng.choice((All(), Nothing(), Words(name, frozenset(words(word)))))
    if pick < 12:
        return And(tuple(query(rng, depth - 1) for _ in range(rng.randint(0, 3))))
    if pick < 14:
        return Or(tuple(query(rng, depth - 1) for _ in range(rng.randint(0, 3))))
    if pick == 14:
        return Field(rng.choice(FIELDS), query(rng, depth - 1))
    if rng.random() < 0.3:
        return Within(SeqSet.from_iterable(rng.sample(range(1, 400), 50)))
    return Not(query(rng, depth - 1))


@dataclass
class Model:
    """The documents inside, and what a query finds among them."""

    inside: dict[int, Document] = field(default_factory=dict)
    watermark: int = 0

    def add(self, documents: list[Document], watermark: int) -> None:
        self.inside.update({document.seq: document for document in documents})
        self.watermark = max(self.watermark, watermark)

    def remove(self, seqs: list[int]) -> None:
        for seq in seqs:
            self.inside.pop(seq, None)

    def matching(self, asked: Query, within: SeqSet) -> list[int]:
        """Seqs, newest first."""
        found = [d for d in self.inside.values() if d.seq in within and matches(asked, d)]
        return [d.seq for d in sorted(found, key=lambda d: (d.date, d.seq), reverse=True)]


def matches(asked: Query, document: Document) -> bool:
    match asked:
        case Term(name, word, exact):
            parts = words(word)
            if phones(word) and any(
                n in phones(t) for n in phones(word) for t in _texts(document, name)
            ):
                return True
            if len(parts) != 1 or phones(word):
                return _phrase(document, name, parts)
            return any(_one(parts[0], other, exact) for other in _words(document, name))
        case Words(name, spelt):
            return any(word in spelt for word in _words(document, name))
        case Phrase(name, text):
            return _phrase(document, name, words(text))
        case Prefix(name, word):
            parts = words(word)
            if len(parts) > 1:
                return _phrase(document, name, parts, last_begins=True)
            return bool(parts) and any(_begins(parts[0], w) for w in _words(document, name))
        case Infix(name, word):
            if len(words(word)) > 1 and all(part.isascii() for part in words(word)):
                return _phrase(document, name, words(word))
            pieces = [piece for piece in spellings(word) if words(piece)]
            return any(piece in other for piece in pieces for other in _words(document, name))
        case Fuzzy(name, word):
            parts = words(word)
            if len(parts) != 1:
                return _phrase(document, name, parts)
            return any(_near(parts[0], other) for other in _words(document, name))
        case And(parts):
            return all(matches(part, document) for part in parts)
        case Or(parts):
            return any(matches(part, document) for part in parts)
        case Not(part):
            return not matches(part, document)
        case Field(name, part):
            return matches(in_field(part, name), document)
        case DateRange(start, end):
            return (start is None or start <= document.date) and (
                end is None or document.date < end
            )
        case Within(seqs):
            return document.seq in seqs
        case All():
            return True
        case _:
            return False


def _texts(document: Document, name: str | None) -> list[str]:
    texts = {
        "subject": [document.subject],
        **{r: [t for role, t in document.roles() if role == r] for r in ("from", "to", "cc")},
        "text": [document.text],
        "filename": [file.name for file in document.attachments],
        "attachment": [file.text for file in document.attachments],
        "id": list(document.ids),
    }
    names = [n for n in FIELDS if n != "id"] if name is None else [name]
    return [text for n in names for text in texts[n]]


def _words(document: Document, name: str | None) -> set[str]:
    texts = _texts(document, name)
    return {word for text in texts for word in (*words(text), *phones(text))}


def _one(word: str, other: str, exact: bool) -> bool:
    if len(word) == 1 and word > "\u2e80":
        return word in other
    if skeleton(word) == skeleton(other):
        return True
    if exact or not word.isalpha():
        return False
    same_stem = any(a == b for a, b in zip(stems(word), stems(other), strict=True))
    return same_stem or is_compound(other, word)


def _begins(prefix: str, word: str) -> bool:
    bare = skeleton(prefix)
    return word.startswith((prefix, bare)) or skeleton(word).startswith(bare)


def _near(word: str, other: str) -> bool:
    close = other[:1] == word[:1] and distance_of(word, other, reach(word)) <= reach(word)
    return close or skeleton(word) == skeleton(other)


def _phrase(
    document: Document, name: str | None, parts: list[str], last_begins: bool = False
) -> bool:
    if not parts:
        return False
    if len(parts) == 1 and len(parts[0]) == 1 and parts[0] > "\u2e80":
        return any(parts[0] in word for word in _words(document, name))
    for text in _texts(document, name):
        here = words(text)
        for start in range(len(here) - len(parts) + 1):
            fits = [skeleton(a) == skeleton(b) for a, b in zip(parts, here[start:], strict=False)]
            if last_begins:
                fits[-1] = _begins(parts[-1], here[start + len(parts) - 1])
            if all(fits):
                return True
    # A telephone number is a word of its own, beside the others.
    return len(parts) == 1 and not last_begins and parts[0] in _words(document, name)
