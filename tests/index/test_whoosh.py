"""Whoosh's own searcher, queries and scorers over our segments: they agree with ours."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from whoosh import query as whoosh
from whoosh.searching import Searcher

from index import FIELDS, Index, Order, SeqSet, Words
from index import query as asked
from index.analysis import words
from index.query import Query
from index.reader import searcher
from tests.index.model import POOL, document

EVERYONE = SeqSet.from_iterable(range(1000))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Several segments, some documents removed."""
    rng = random.Random(11)
    with Index(tmp_path_factory.mktemp("index"), writable=True) as index:
        for start in (1, 41, 61, 65):
            index.add([document(rng, seq) for seq in range(start, start + 30)], start + 29)
        index.remove([3, 44, 70])
        yield index


def theirs(index: Index) -> Searcher:
    return searcher([(part.segment, part.removed) for part in index._snapshot.parts])


def pair(rng: random.Random, depth: int) -> tuple[Query, whoosh.Query]:
    """A query as ours and as Whoosh's, of the kinds that mean the same in both."""
    name = rng.choice(FIELDS)
    pick = rng.randrange(9 if depth else 5)
    if pick < 3:
        word = words(rng.choice(POOL))[0]
        return Words(name, frozenset({word})), whoosh.Term(name, word)
    if pick == 3:
        # Beginnings that no umlaut stands behind: those ours takes wider.
        word = rng.choice(("rech", "invo", "hous", "wor", "00", "2", "x"))
        return asked.Prefix(name, word), whoosh.Prefix(name, word)
    if pick == 4:
        return asked.All(), whoosh.Every()
    parts = [pair(rng, depth - 1) for _ in range(rng.randint(1, 3))]
    ours = tuple(one for one, _ in parts)
    other = [one for _, one in parts]
    if pick < 7:
        return asked.And(ours), whoosh.And(other)
    if pick == 7:
        return asked.Or(ours), whoosh.Or(other)
    return asked.And((asked.All(), asked.Not(ours[0]))), whoosh.And(
        [whoosh.Every(), whoosh.Not(other[0])]
    )


def test_whoosh_finds_the_same_documents(index: Index) -> None:
    rng = random.Random(12)
    with theirs(index) as whole:
        for _ in range(250):
            ours, other = pair(rng, 2)
            found = sorted(whole.stored_fields(n)["seq"] for n in whole.docs_for_query(other))
            assert found == list(index.matching(ours, EVERYONE)), ours


def test_whoosh_finds_the_same_phrases(index: Index) -> None:
    rng = random.Random(13)
    met = 0
    with theirs(index) as whole:
        for _ in range(150):
            name = rng.choice(("subject", "text", "attachment"))
            text = [w for w in (words(rng.choice(POOL))[0] for _ in range(2)) if "e" not in w]
            if len(text) == 2:
                other = whoosh.Phrase(name, text)
                found = sorted(whole.stored_fields(n)["seq"] for n in whole.docs_for_query(other))
                phrase = list(index.matching(asked.Phrase(name, " ".join(text)), EVERYONE))
                # Ours takes ü, u and ue for the same as well.
                assert set(found) <= set(phrase)
                met += len(found)
    assert met


@pytest.mark.parametrize("word", ["rechnung", "invoice", "the", "blue", "日本"])
def test_whoosh_ranks_alike(index: Index, word: str) -> None:
    with theirs(index) as whole:
        results = whole.search(whoosh.Term("text", word), limit=None)
        scored = {whole.stored_fields(number)["seq"]: score for score, number in results.top_n}
    page = index.search(
        Words("text", frozenset({word})), order=Order.BEST, limit=500, within=EVERYONE
    )
    assert scored
    assert {hit.seq: hit.score for hit in page.hits} == pytest.approx(scored, abs=1e-6)
