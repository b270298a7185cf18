"""Snippets: the right piece of the text, the right words marked, the text unchanged."""

from __future__ import annotations

import random
from datetime import date

import pytest

from index import parse
from index.query import Query
from index.snippet import snippet
from tests.index.model import POOL, query


def asked(text: str) -> Query:
    return parse(text, date(2026, 1, 1)).query


def marked(text: str, typed: str, field: str | None = "text") -> list[str]:
    return [piece for piece, hit in snippet(text, asked(typed), field=field) if hit]


@pytest.mark.parametrize(
    ("typed", "text", "expected"),
    [
        ("rechnung", "Ihre Rechnungen, die Stromrechnung", ["Rechnungen", "Stromrechnung"]),
        ('"im anhang"', "im  Anhang, nicht im Ordner", ["im Anhang"]),
        ("müller", "Frau Mueller, Herr MÜLLER", ["Mueller", "MÜLLER"]),
        ("rech*", "Rechnung Rechts schlecht", ["Rechnung", "Rechts"]),
        ("*nung*", "Ordnung Nummer", ["Ordnung"]),
        ("~invoise", "an invoice", ["invoice"]),
        ("anna@example.com", "from Anna@Example.com now", ["Anna@Example.com"]),
        ("日本", "これは日本語です", ["日本"]),
        ("日本語", "これは日本語です", ["日本語"]),
        ("本", "これは日本語です", ["日本語"]),
        ("-geheim offen", "geheim und offen", ["offen"]),
        ("from:anna", "anna schreibt", []),
        ("0301234567", "Tel. 030/1234567", ["030/1234567"]),
    ],
)
def test_the_words_that_were_found_are_marked(typed: str, text: str, expected: list[str]) -> None:
    assert marked(text, typed) == expected


def test_another_field_can_be_marked() -> None:
    assert marked("Anna Beispiel", "from:anna", field="from") == ["Anna"]


def test_the_densest_stretch_is_shown_between_ellipses() -> None:
    text = "rechnung " + "bla " * 200 + "die Rechnung für den Strom " + "bla " * 200
    pieces = snippet(text, asked("rechnung strom"), limit=120)
    assert [piece for piece, hit in pieces if hit] == ["Rechnung", "Strom"]
    assert pieces[0][0].startswith("… ")
    assert pieces[-1][0].endswith(" …")
    assert sum(len(piece) for piece, _ in pieces) <= 130


def test_without_a_hit_the_beginning_is_shown() -> None:
    assert snippet("alpha beta", asked("gamma")) == (("alpha beta", False),)
    assert snippet("", asked("gamma")) == ()


def test_joined_the_pieces_are_a_part_of_the_text() -> None:
    rng = random.Random(6)
    for _ in range(300):
        text = " ".join(rng.choices(POOL, k=rng.randint(0, 80)))
        pieces = snippet(text, query(rng), limit=rng.randint(20, 300), field=None)
        joined = "".join(piece for piece, _ in pieces)
        assert joined.removeprefix("… ").removesuffix(" …") in text
        assert all(piece for piece, _ in pieces)
