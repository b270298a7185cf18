"""Every kind of query against the slow model, over seeded histories of an index."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from index import (
    All,
    Attachment,
    Cursor,
    Document,
    Filter,
    Index,
    IndexFault,
    Infix,
    Order,
    Page,
    Query,
    SeqSet,
    Term,
    building,
)
from index.evaluate import Evaluator
from index.plan import Step
from tests.index.model import Model, document, query

EVERYONE = SeqSet.from_iterable(range(1000))


def history(index: Index, model: Model, rng: random.Random, commits: int) -> None:
    """Random commits to both: new documents, replaced ones, removed ones."""
    for _ in range(commits):
        if model.inside and rng.random() < 0.25:
            gone = rng.sample(sorted(model.inside), min(len(model.inside), rng.randint(1, 12)))
            index.remove([*gone, 999])
            model.remove(gone)
            continue
        fresh = range(model.watermark + 1, model.watermark + 1 + rng.choice((1, 1, 2, 5, 40)))
        again = rng.sample(range(1, fresh.start), min(fresh.start - 1, rng.choice((0, 0, 3))))
        documents = [document(rng, seq) for seq in (*again, *fresh)]
        index.add(iter(documents), fresh.stop - 1)
        model.add(documents, fresh.stop - 1)


def pages(index: Index, asked: Query, order: Order, limit: int, within: SeqSet) -> list[Page]:
    found: list[Page] = []
    after: Cursor | None = None
    while True:
        found.append(index.search(asked, order=order, limit=limit, after=after, within=within))
        cursor = found[-1].cursor
        if cursor is None:
            return found
        after = Cursor.parse(str(cursor))


@pytest.mark.parametrize("seed", range(3))
def test_every_query_finds_what_the_model_finds(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    model = Model()
    with Index(tmp_path / "index", writable=True) as index:
        history(index, model, rng, 24)
        assert index.watermark() == model.watermark
        assert len(index) == len(model.inside)
        index.verify()
        for number in range(60):
            asked = query(rng)
            within = EVERYONE
            if number % 3 == 0:
                within = SeqSet.from_iterable(rng.sample(range(500), 200))
            expected = model.matching(asked, within)
            assert list(index.matching(asked, within)) == sorted(expected), asked
            assert index.count(asked, within) == len(expected)
            assert sum(index.facets(asked, within, "year").values()) == len(expected)
            newest = pages(index, asked, Order.NEWEST, 40, within)
            assert [hit.seq for page in newest for hit in page.hits] == expected, asked
            assert {page.total for page in newest} == {len(expected)}
            oldest = pages(index, asked, Order.OLDEST, 70, within)
            assert [hit.seq for page in oldest for hit in page.hits] == expected[::-1], asked


def test_best_pages_join_without_gap_and_descend(tmp_path: Path) -> None:
    rng = random.Random(7)
    model = Model()
    with Index(tmp_path / "index", writable=True) as index:
        history(index, model, rng, 25)
        for _ in range(40):
            asked = query(rng)
            hits = [h for page in pages(index, asked, Order.BEST, 40, EVERYONE) for h in page.hits]
            assert sorted(hit.seq for hit in hits) == sorted(model.matching(asked, EVERYONE))
            keys = [(hit.score, hit.date, hit.seq) for hit in hits]
            assert keys == sorted(keys, reverse=True)


def test_best_puts_the_word_itself_before_inflections_and_compounds(tmp_path: Path) -> None:
    texts = {1: "Stromrechnung", 2: "Rechnungen", 3: "Rechnung"}
    with Index(tmp_path, writable=True) as index:
        index.add([Document(seq, 0, text=text) for seq, text in texts.items()], 3)
        page = index.search(Term(None, "rechnung"), order=Order.BEST, limit=9, within=EVERYONE)
    assert [hit.seq for hit in page.hits] == [3, 2, 1]


def test_best_puts_the_subject_before_the_text(tmp_path: Path) -> None:
    with Index(tmp_path, writable=True) as index:
        index.add([Document(1, 0, subject="Miete"), Document(2, 0, "Haus", text="die Miete")], 2)
        page = index.search(Term(None, "miete"), order=Order.BEST, limit=9, within=EVERYONE)
    assert [hit.seq for hit in page.hits] == [1, 2]


def test_a_page_of_the_newest_does_not_look_at_older_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Evaluator] = []
    matching = Evaluator.matching

    def noted(part: Evaluator, step: Step, within: SeqSet) -> list[int]:
        asked.append(part)
        return matching(part, step, within)

    monkeypatch.setattr(Evaluator, "matching", noted)
    with Index(tmp_path, writable=True) as index:
        for start in (1, 21, 41, 61):
            index.add([Document(seq, seq, text="word") for seq in range(start, start + 20)], start)
        page = index.search(Term(None, "word"), limit=5, within=EVERYONE)
        assert [hit.seq for hit in page.hits] == [80, 79, 78, 77, 76]
        assert len(asked) == 1
        assert page.total == 80
        assert len(asked) == 5


def test_nothing_is_found_outside_what_may_be_seen(tmp_path: Path) -> None:
    with Index(tmp_path, writable=True) as index:
        index.add([Document(seq, seq, text="geheim") for seq in range(1, 10)], 9)
        assert index.search(All(), within=SeqSet()).total == 0
        assert index.search(Term(None, "geheim"), within=SeqSet.from_iterable([4])).total == 1


def test_a_filter_that_nobody_resolved_is_refused(tmp_path: Path) -> None:
    with Index(tmp_path) as index, pytest.raises(IndexFault, match="is:unread"):
        index.search(Filter("is", "unread"), within=EVERYONE)


def test_a_field_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with Index(tmp_path) as index, pytest.raises(IndexFault, match="no field 'colour'"):
        index.count(Term("colour", "red"), EVERYONE)


@pytest.mark.parametrize("text", ["", "x", "newest.1", "newest.a.1.0x0p0", "best.1.2.zz"])
def test_a_cursor_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(IndexFault, match="search again"):
        Cursor.parse(text)


def test_facets_are_counted_by_year_and_month(tmp_path: Path) -> None:
    dates = {1: 1_577_836_799, 2: 1_577_836_800, 3: 1_583_020_800}
    with Index(tmp_path, writable=True) as index:
        index.add([Document(seq, date) for seq, date in dates.items()], 3)
        assert index.facets(All(), EVERYONE, "year") == {"2020": 2, "2019": 1}
        assert index.facets(All(), EVERYONE, "month") == {"2020-03": 1, "2020-01": 1, "2019-12": 1}
        with pytest.raises(IndexFault, match="year or month"):
            index.facets(All(), EVERYONE, "colour")


def test_words_are_expanded_from_the_dictionary(tmp_path: Path) -> None:
    with Index(tmp_path, writable=True) as index:
        index.add(
            [
                Document(1, 0, subject="Stromrechnung", text="invoice invoices Müller"),
                Document(2, 0, text="invoice " + "y" * 120),
            ],
            2,
        )
        assert [(w.text, w.documents) for w in index.expand("text", infix="VOI")] == [
            ("invoice", 2),
            ("invoices", 1),
        ]
        assert [w.text for w in index.expand(prefix="strom")] == ["stromrechnung"]
        assert index.expand("text", prefix="strom") == []
        assert [w.text for w in index.expand(suffix="rechnung")] == ["stromrechnung"]
        assert [w.text for w in index.expand(near="invoise")] == ["invoice"]
        assert [w.text for w in index.expand(infix="y" * 60)] == ["y" * 120]
        assert [w.text for w in index.expand(infix="ü")] == ["muller", "stromrechnung"]


def test_a_slip_of_the_pen_gets_the_frequent_word_suggested(tmp_path: Path) -> None:
    with Index(tmp_path, writable=True) as index:
        index.add([Document(seq, 0, text="invoice") for seq in range(30)], 30)
        assert index.suggest("inovice") == ["invoice"]
        assert index.suggest("Invoice") == []
        assert index.suggest("") == []
        assert index.suggest("two words") == []


def test_documents_of_any_shape_are_taken(tmp_path: Path) -> None:
    documents = [
        Document(1, 0),
        Document(2, -(10**15), text="\ud800 lone \x00 word"),
        Document(3, 10**15, people={"from": "Anna", "to": ("Ben", "Eva"), "bcc": "Uwe"}),
        Document(4, 0, text="A" * 3_000_000),
        Document(5, 0, text="x" * 70_000 + " tail", ids=("<" * 50,)),
        Document(6, 0, text="word " * 20, attachments=(Attachment("", ""),)),
    ]
    with Index(tmp_path, writable=True) as index:
        index.add(documents, 6)
        index.verify()
        assert list(index.matching(Term(None, "lone"), EVERYONE)) == [2]
        assert list(index.matching(Term("to", "eva"), EVERYONE)) == [3]
        assert list(index.matching(Infix(None, "a" * 60), EVERYONE)) == [4]
        assert list(index.matching(Term(None, "tail"), EVERYONE)) == [5]
        assert index.facets(All(), EVERYONE) == {"9999": 1, "1970": 4, "0001": 1}
        newest = index.search(All(), within=EVERYONE).hits
        assert [hit.seq for hit in newest] == [3, 6, 5, 4, 1, 2]


def test_more_documents_than_a_segment_holds_come_in_one_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "BATCH_DOCUMENTS", 10)
    documents = [Document(1 + n % 40, n, text=f"word w{n}") for n in range(95)]
    with Index(tmp_path, writable=True) as index:
        index.add(documents, 95)
        assert len(index) == 40
        assert index.count(Term(None, "w94"), EVERYONE) == 1
        # Replaced by a later one of the same commit.
        assert index.count(Term(None, "w14"), EVERYONE) == 0
