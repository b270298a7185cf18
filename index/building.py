"""Documents inverted into a segment: one pass over the folded text, straight to arrays."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

from index import postings, segment
from index.analysis import indexed
from index.document import Document
from index.durable import Disk
from index.postings import packed
from index.query import FIELDS

BATCH_DOCUMENTS = 4096
BATCH_CHARACTERS = 24_000_000
# Between two texts of one field, so that a phrase never runs from one into the other.
GAP = 100

Occurrences = dict[str, "array[int]"]
Counts = dict[str, tuple[int, int]]
"""Word → (documents, mask of fields)."""


def batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Documents in bounded handfuls; of a seq given twice in one the last stays."""
    batch: dict[int, Document] = {}
    characters = 0
    for document in documents:
        batch[document.seq] = document
        characters += len(document.text) + sum(len(file.text) for file in document.attachments)
        if len(batch) >= BATCH_DOCUMENTS or characters >= BATCH_CHARACTERS:
            yield list(batch.values())
            batch, characters = {}, 0
    if batch:
        yield list(batch.values())


def build(disk: Disk, name: str, documents: Sequence[Document]) -> Counts:
    """Write a segment of these documents; answers its words."""
    documents = sorted(documents, key=lambda one: (one.date, one.seq), reverse=True)
    fields: list[Occurrences] = [{} for _ in FIELDS]
    lengths = [[0] * len(documents) for _ in FIELDS]
    for number, document in enumerate(documents):
        for field, texts in enumerate(_texts(document)):
            if texts:
                lengths[field][number] = _invert(fields[field], number, texts)
    counts: Counts = {}
    keys = [(document.date, document.seq) for document in documents]
    segment.write(disk, name, keys, lengths, _terms(fields, counts))
    return counts


def _texts(document: Document) -> tuple[list[str], ...]:
    people: dict[str, list[str]] = {"from": [], "to": [], "cc": []}
    for role, text in document.roles():
        people.setdefault(role, []).append(text)
    return (
        [document.subject],
        people["from"],
        people["to"],
        people["cc"],
        [document.text],
        [file.name for file in document.attachments],
        [file.text for file in document.attachments if file.text],
        list(document.ids),
    )


def _invert(occurrences: Occurrences, number: int, texts: Sequence[str]) -> int:
    position = count = 0
    for text in texts:
        words, numbers = indexed(text)
        count += len(words)
        first = packed(number, position)
        for place, word in enumerate(words, first):
            try:
                occurrences[word].append(place)
            except KeyError:
                occurrences[word] = array("Q", (place,))
        position += len(words) + GAP
        for digits in numbers:
            occurrences.setdefault(digits, array("Q")).append(packed(number, position))
            position += 1 + GAP
    return count


def _terms(fields: list[Occurrences], counts: Counts) -> Iterator[tuple[bytes, bytes]]:
    keys = sorted(
        (word.encode() + bytes((field + 1,)), word, field)
        for field, occurrences in enumerate(fields)
        for word in occurrences
    )
    for key, word, field in keys:
        places = fields[field].pop(word)
        documents, mask = counts.get(word, (0, 0))
        if len(places) == 1:
            counts[word] = documents or 1, mask | 1 << field
            yield key, postings.encode_one(places[0])
        else:
            found = postings.unpack(places)
            counts[word] = max(documents, len(found.documents)), mask | 1 << field
            yield key, postings.encode(found)
