"""The query language, in English and German, and that nothing typed is ever an error."""

from __future__ import annotations

import random
import time
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from index import (
    All,
    And,
    DateRange,
    Filter,
    Fuzzy,
    Infix,
    Not,
    Or,
    Phrase,
    Prefix,
    Query,
    Term,
    Within,
    parse,
    resolve,
)
from index.dates import Span, ago, span
from index.language import Parsed
from index.query import Field, Nothing
from index.seqset import SeqSet

TODAY = date(2026, 11, 23)  # a Monday


def t(word: str, field: str | None = None) -> Term:
    return Term(field, word)


def day(year: int, month: int = 1, of: int = 1) -> int:
    return int(datetime(year, month, of, tzinfo=UTC).timestamp())


CASES: list[tuple[str, Query]] = [
    ("", All()),
    ("   ", All()),
    ("rechnung", t("rechnung")),
    ("rechnung strom", And((t("rechnung"), t("strom")))),
    ("a, b; c", And((t("a"), t("b"), t("c")))),
    ('"im Anhang"', Phrase(None, "im Anhang")),
    ("„Guten Tag“", Phrase(None, "Guten Tag")),
    ("“good day”", Phrase(None, "good day")),
    ("«bonjour»", Phrase(None, "bonjour")),
    ("-spam", Not(t("spam"))),
    ("NOT spam", Not(t("spam"))),
    ("NICHT spam", Not(t("spam"))),
    ("--spam", t("--spam")),
    ("E-Mail", t("E-Mail")),
    ('-"im Anhang"', Not(Phrase(None, "im Anhang"))),
    ("a OR b", Or((t("a"), t("b")))),
    ("a ODER b", Or((t("a"), t("b")))),
    ("a | b", Or((t("a"), t("b")))),
    ("a or b", And((t("a"), t("or"), t("b")))),
    ("a OR b c", And((Or((t("a"), t("b"))), t("c")))),
    ("a AND b OR c UND d", Or((And((t("a"), t("b"))), And((t("c"), t("d")))))),
    ("(a b) OR c", Or((And((t("a"), t("b"))), t("c")))),
    ("-(a OR b)", Not(Or((t("a"), t("b"))))),
    ("rech*", Prefix(None, "rech")),
    ("*rech*", Infix(None, "rech")),
    ("*rech", Infix(None, "rech")),
    ("re*ng", And((Prefix(None, "re"), Infix(None, "ng")))),
    ("~recnung", Fuzzy(None, "recnung")),
    ("recnung~", Fuzzy(None, "recnung")),
    ("from:anna", t("anna", "from")),
    ("from: anna", t("anna", "from")),
    ("FROM:anna", t("anna", "from")),
    ("von:anna@example.com", t("anna@example.com", "from")),
    ("an:ben", t("ben", "to")),
    ("cc:ben kopie:eva", And((t("ben", "cc"), t("eva", "cc")))),
    ('betreff:"neue Miete"', Phrase("subject", "neue Miete")),
    ("subject:(a OR b*)", Or((t("a", "subject"), Prefix("subject", "b")))),
    ("datei:plan.pdf", t("plan.pdf", "filename")),
    ("anhang:~vertag", Fuzzy("attachment", "vertag")),
    ("list:debian-user", t("debian-user", "id")),
    ("id:<a@b.c>", t("<a@b.c>", "id")),
    ("<a@b.c>", Phrase("id", "<a@b.c>")),
    ("http://example.com/x", t("http://example.com/x")),
    ("Re: hallo", And((t("Re:"), t("hallo")))),
    ("has:attachment", Filter("has", "attachment")),
    ("hat:anhang hat:bild", And((Filter("has", "attachment"), Filter("has", "image")))),
    (
        "has:pdf has:invite has:link",
        And(tuple(Filter("has", x) for x in ("pdf", "invite", "link"))),
    ),
    ('in:"Alte Post"', Filter("in", "Alte Post")),
    ("in:entfernt", Filter("in", "removed")),
    ("konto:gmx person:anna", And((Filter("account", "gmx"), Filter("person", "anna")))),
    ("is:unread OR ist:markiert", Or((Filter("is", "unread"), Filter("is", "flagged")))),
    ("-ist:gelesen", Not(Filter("is", "read"))),
    ("is:answered is:encrypted", And((Filter("is", "answered"), Filter("is", "encrypted")))),
    ("is:signiert", Filter("is", "signed")),
    ("larger:2M", Filter("larger", str(2 << 20))),
    ("größer:1,5MB", Filter("larger", str(3 << 19))),
    ("kleiner:500k", Filter("smaller", str(500 << 10))),
    ("thread:17", Filter("thread", "17")),
    ("before:2019", DateRange(None, day(2019))),
    ("vor:2019-03", DateRange(None, day(2019, 3))),
    ("after:3.5.2019", DateRange(day(2019, 5, 3), None)),
    ("until:3.5.2019", DateRange(None, day(2019, 5, 4))),
    ("on:yesterday", DateRange(day(2026, 11, 22), day(2026, 11, 23))),
    ("year:2019", DateRange(day(2019), day(2020))),
    ("jahr:2019-2021", DateRange(day(2019), day(2022))),
    ("nach:letzte woche miete", And((DateRange(day(2026, 11, 16), None), t("miete")))),
    ("after:March 2019 rent", And((DateRange(day(2019, 3), None), t("rent")))),
    ("before:2019 from:anna", And((DateRange(None, day(2019)), t("anna", "from")))),
    ("older:1y", DateRange(None, day(2025, 11, 23))),
    ("neuer:7t", DateRange(day(2026, 11, 16), None)),
    ('on:"3 May 2019"', DateRange(day(2019, 5, 3), day(2019, 5, 4))),
]


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[text or "empty" for text, _ in CASES])
def test_what_is_typed_is_understood(text: str, expected: Query) -> None:
    parsed = parse(text, TODAY)
    assert parsed.query == expected
    assert parsed.problems == ()


FAULTY: list[tuple[str, Query, str]] = [
    ('"unclosed phrase', Phrase(None, "unclosed phrase"), "quotation mark"),
    ("(a b", And((t("a"), t("b"))), "without a closing"),
    ("a) b", And((t("a"), t("b"))), "without an opening"),
    ("is:purple a", t("a"), "not known"),
    ("has:foo", All(), "not known"),
    ("from: ", All(), "nothing after"),
    ("on:31.2.2019 a", t("a"), "no date"),
    ("before:never", All(), "no date"),
    ("older:soon a", t("a"), "no date"),
    ("larger:huge a", t("a"), "no size"),
    ("- a", t("a"), "no word"),
    ("a *", t("a"), "no word"),
    ('a ""', t("a"), "no word"),
    ("a !!!", t("a"), "no word"),
    ("(" * 100 + "a", t("a"), "nested too deeply"),
    ("word " * 1000, t("word"), "characters are read"),
]


@pytest.mark.parametrize(
    ("text", "expected", "said"), FAULTY, ids=[text[:20] for text, _, _ in FAULTY]
)
def test_a_faulty_query_finds_what_it_can_and_says_so(
    text: str, expected: Query, said: str
) -> None:
    parsed = parse(text, TODAY)
    assert parsed.query == expected
    assert any(said in chip.understood for chip in parsed.problems)


@pytest.mark.parametrize(
    "text", ["OR", "OR a", "a OR", "AND AND", "|", "&", "a OR OR b", "()", "-()"]
)
def test_lone_operators_are_no_words_and_no_errors(text: str) -> None:
    assert parse(text, TODAY).query in (All(), t("a"), Or((t("a"), t("b"))))


def test_chips_say_in_order_what_was_understood() -> None:
    chips = parse('von:anna "am Montag" -spam on:gestern is:neu', TODAY).chips
    assert [(chip.kind, chip.text, chip.understood) for chip in chips] == [
        ("word", "von:anna", "“anna” in the sender"),
        ("phrase", '"am Montag"', "“am Montag” word for word"),
        ("exclude word", "-spam", "without “spam”"),
        ("date", "on:gestern", "on 2026-11-22"),
        ("filter", "is:neu", "is: unread"),
    ]


def test_nothing_typed_raises_or_takes_long() -> None:
    rng = random.Random(4)
    pieces = ['"', "„", "(", ")", "-", "a", "*", "~", ":", "from:", "on:", "older:", "OR ", "AND "]
    pieces += [
        "NOT ",
        " ",
        "last ",
        "week ",
        "2019",
        "3.",
        "é",
        "日",
        "\u0000",
        "\ud800",
        "larger:",
    ]
    start = time.process_time()
    for _ in range(3000):
        parse("".join(rng.choices(pieces, k=rng.randint(0, 40))), TODAY)
    for piece in pieces:
        parse(piece * 3000, TODAY)
    assert time.process_time() - start < 10


def test_days_are_days_where_the_person_lives() -> None:
    query = parse("on:2019-07-01", TODAY, ZoneInfo("Europe/Berlin")).query
    assert query == DateRange(day(2019, 7) - 7200, day(2019, 7, 2) - 7200)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2019", (2019, 1, 1), (2020, 1, 1)),
        ("2019-03", (2019, 3, 1), (2019, 4, 1)),
        ("2019-12", (2019, 12, 1), (2020, 1, 1)),
        ("2019-03-05", (2019, 3, 5), (2019, 3, 6)),
        ("2019/3/5", (2019, 3, 5), (2019, 3, 6)),
        ("3.5.2019", (2019, 5, 3), (2019, 5, 4)),
        ("3. 5. 2019", (2019, 5, 3), (2019, 5, 4)),
        ("03.05.19", (2019, 5, 3), (2019, 5, 4)),
        ("3.5.99", (1999, 5, 3), (1999, 5, 4)),
        ("3/5/2019", (2019, 5, 3), (2019, 5, 4)),
        ("5/23/2019", (2019, 5, 23), (2019, 5, 24)),
        ("05.2019", (2019, 5, 1), (2019, 6, 1)),
        ("24.12.", (2025, 12, 24), (2025, 12, 25)),
        ("29.2.", (2024, 2, 29), (2024, 3, 1)),
        ("3 May 2019", (2019, 5, 3), (2019, 5, 4)),
        ("3rd of May, 2019", (2019, 5, 3), (2019, 5, 4)),
        ("May 3, 2019", (2019, 5, 3), (2019, 5, 4)),
        ("3. März 2019", (2019, 3, 3), (2019, 3, 4)),
        ("3. maerz", (2026, 3, 3), (2026, 3, 4)),
        ("Dezember", (2025, 12, 1), (2026, 1, 1)),
        ("Jänner 2020", (2020, 1, 1), (2020, 2, 1)),
        ("Sept. 2020", (2020, 9, 1), (2020, 10, 1)),
        ("today", (2026, 11, 23), (2026, 11, 24)),
        ("HEUTE", (2026, 11, 23), (2026, 11, 24)),
        ("vorgestern", (2026, 11, 21), (2026, 11, 22)),
        ("this week", (2026, 11, 23), (2026, 11, 30)),
        ("last  week", (2026, 11, 16), (2026, 11, 23)),
        ("letzten Monat", (2026, 10, 1), (2026, 11, 1)),
        ("dieses Jahr", (2026, 1, 1), (2027, 1, 1)),
        ("voriges jahr", (2025, 1, 1), (2026, 1, 1)),
        ("last 7 days", (2026, 11, 16), (2026, 11, 24)),
        ("letzte 2 Wochen", (2026, 11, 9), (2026, 11, 24)),
        ("3 days ago", (2026, 11, 20), (2026, 11, 21)),
        ("vor 2 Monaten", (2026, 9, 23), (2026, 9, 24)),
        ("Montag", (2026, 11, 23), (2026, 11, 24)),
        ("last monday", (2026, 11, 16), (2026, 11, 17)),
        ("letzten Freitag", (2026, 11, 20), (2026, 11, 21)),
        ("2019..2021", (2019, 1, 1), (2022, 1, 1)),
        ("3.5.2019 bis 4.6.2019", (2019, 5, 3), (2019, 6, 5)),
    ],
)
def test_dates_are_read_as_people_write_them(
    text: str, start: tuple[int, int, int], end: tuple[int, int, int]
) -> None:
    assert span(text, TODAY) == Span(date(*start), date(*end))


@pytest.mark.parametrize(
    "text",
    ["", "x", "31.2.2019", "13.13.2019", "2021..2019", "0000", "9999", "99999d", "morgen früh"],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert span(text, TODAY) is None


def test_lengths_of_time_reach_back() -> None:
    assert ago("1m", date(2026, 3, 31)) == date(2026, 2, 28)
    assert ago("2 Wochen", TODAY) == date(2026, 11, 9)
    assert ago("9999y", TODAY) is None


def test_filters_are_replaced_wherever_they_stand() -> None:
    seen = Within(SeqSet.from_iterable([1]))
    query = parse("a (is:unread OR -in:removed)", TODAY).query
    resolved = resolve(Field("text", query), lambda f: seen if f.name == "is" else Nothing())
    assert resolved == Field("text", And((t("a"), Or((seen, Not(Nothing()))))))


def test_however_much_is_asked_little_is_looked_for() -> None:
    def asked(text: str) -> Parsed:
        return parse(text, TODAY)

    assert asked("a OR a OR a").query == Term(None, "a")
    assert asked("a a a (a a)").query == Term(None, "a")
    many = asked(" ".join(f"word{n}" for n in range(100)))
    assert isinstance(many.query, And)
    assert len(many.query.parts) == 64
    assert [chip.text for chip in many.problems] == ["word64"]
    starred = asked("*a* b* *c*d* *e* f*g*")
    assert isinstance(starred.query, And)
    assert [chip.text for chip in starred.problems] == ["*e*", "*f* *g*"]
    huge = asked(f"larger:{'9' * 1900}")
    assert huge.query == Filter("larger", str(10**15))
