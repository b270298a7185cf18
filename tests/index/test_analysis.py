"""Folding and words: what is the same, what are the parts, and that nothing takes long."""

from __future__ import annotations

import random
import time

import pytest

from index.analysis import composed, fold, phones, skeleton, spellings, terms_of, words
from index.vocabulary import distance_of, reach, stems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Müller", "muller"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("café", "cafe"),
        ("cafe\u0301", "cafe"),
        ("ﬁnance", "finance"),
        ("ＦＵＬＬ", "full"),
        ("Żółć", "zolc"),
        ("smørrebrød", "smorrebrod"),
        ("Łódź", "lodz"),
        ("İstanbul", "istanbul"),
        ("Rech\u00adnung", "rechnung"),
        ("zero\u200bwidth", "zerowidth"),
        ("Ёлка", "елка"),
        ("が", "が"),
        ("\u1112\u1161\u11ab", "한"),
        ("Ὀδυσσεύς", "οδυσσευσ"),
        ("Ａ①", "a1"),
    ],
)
def test_texts_fold_to_what_a_search_sees(text: str, expected: str) -> None:
    assert fold(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, world!", ["hello", "world"]),
        ("anna.b@mail.example.org", ["anna", "b", "mail", "example", "org"]),
        ("RE-2024-00123", ["re", "2024", "00123"]),
        ("foo_bar (1).pdf", ["foo", "bar", "1", "pdf"]),
        ("don't", ["don", "t"]),
        ("日本語 テスト", ["日本", "本語", "テス", "スト"]),
        ("本", ["本"]),
        ("Preis: 5€", ["preis", "5"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("ภาษา", ["ภา", "าษ", "ษา"]),
        ("한국어 abc中文", ["한국", "국어", "abc", "中文"]),
        ("Привет, мир", ["привет", "мир"]),
        ("😀 … — ", []),
        ("", []),
    ],
)
def test_texts_fall_into_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call +49 30 1234567 now", ["49301234567"]),
        ("030/1234567", ["0301234567"]),
        ("(0681) 12-34-56", ["0681123456"]),
        ("415-555-1234", ["4155551234"]),
        ("2019-03-14 12:30", []),
        ("RE-2024-00123", []),
        ("0123456789", []),
        ("+49 1", []),
    ],
)
def test_telephone_numbers_are_found_however_written(text: str, expected: list[str]) -> None:
    assert phones(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [("Müller", "Mueller"), ("Müller", "muller"), ("Größe", "groesse"), ("Äpfel", "Aepfel")],
)
def test_umlauts_and_their_spellings_have_one_skeleton(one: str, other: str) -> None:
    assert skeleton(fold(one)) == skeleton(fold(other))


@pytest.mark.parametrize("word", ["neue", "quelle", "steuern", "blauer"])
def test_vowels_that_are_no_umlaut_stay(word: str) -> None:
    assert skeleton(word) == word


def test_a_piece_with_an_umlaut_is_looked_for_in_each_spelling() -> None:
    assert spellings("Müll") == ("mull", "muell")


def test_long_words_are_whole_up_to_a_size_and_overlap_beyond() -> None:
    assert words("x" * 256) == ["x" * 256]
    rng = random.Random(1)
    run = "".join(rng.choices("abcdefgh0123", k=2000))
    pieces = words(run)
    assert all(len(piece) <= 256 for piece in pieces)
    for _ in range(200):
        start = rng.randrange(2000 - 64)
        assert any(run[start : start + 64] in piece for piece in pieces)


def test_a_substring_of_a_text_folds_to_a_substring() -> None:
    rng = random.Random(2)
    alphabet = "aÄöüßéﬁ①İςŁ日が한 \u00ad.-_@Ω½"
    for _ in range(500):
        text = "".join(rng.choices(alphabet, k=30))
        start = rng.randrange(30)
        assert fold(text[start : start + 6]) in fold(text)


@pytest.mark.parametrize(
    "text",
    ["Größe: ﬁn 日本語 RE-1", "plain ascii words", "Straße\u00ad\u0301n 030/1234567", "½ İx", ""],
)
def test_tokens_stand_where_their_words_are(text: str) -> None:
    tokens = terms_of(text)
    assert sorted(token.text for token in tokens) == sorted(words(text) + phones(text))
    for token in tokens:
        assert token.text in fold(composed(text)[token.start : token.end]) or phones(text)
    assert [token.start for token in tokens] == sorted(token.start for token in tokens)


@pytest.mark.parametrize(
    "text",
    [
        "1 " * 500_000,
        "+" * 1_000_000,
        "(0" * 500_000,
        "a" * 1_000_000,
        "a\u0327\u0301" * 300_000,
        "\u1112" * 500_000,
        "日" * 500_000,
        "ﷺ" * 50_000,
        "\u0915\u094d" * 300_000,
        "".join(map(chr, range(0x20, 0xD800))) * 3,
    ],
    ids=["digits", "pluses", "brackets", "one", "accents", "jamo", "cjk", "long", "hindi", "all"],
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    start = time.process_time()
    words(text)
    phones(text)
    assert time.process_time() - start < 5


def test_stems_join_inflections_and_leave_the_rest() -> None:
    assert stems("rechnungen")[0] == stems("rechnung")[0]
    assert stems("invoices")[1] == stems("invoice")[1]
    assert stems("a1b2") == ("a1b2", "a1b2")
    assert stems("x" * 200) == ("x" * 200, "x" * 200)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("recieve", "receive", 1), ("abc", "abc", 0), ("abc", "abd", 1), ("abc", "xyz", 3)],
)
def test_distances_count_changes_and_swaps(one: str, other: str, expected: int) -> None:
    assert distance_of(one, other, 5) == expected
    assert reach("ab") == 0
