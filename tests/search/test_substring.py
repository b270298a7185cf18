"""IMAP's substrings: the same answer as reading every message, and none missed."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.follow import Follower
from appliance.search import Searcher
from appliance.search.substring import Where
from appliance.search.words import body_text, header_text
from appliance.store import Archive
from index import SeqSet, fold
from tests.search.conftest import World, letter


def brute(archive: Archive, seqs: list[int], needle: str, where: Where) -> set[int]:
    """Every message read and looked through."""
    wanted = fold(needle)
    found = set()
    for seq in seqs:
        octets = archive.octets(seq)  # type: ignore[arg-type]  # a Seq is an int
        root = archive.structure(seq)  # type: ignore[arg-type]
        text = fold(body_text(octets, root))
        if wanted in text or (
            where == "text" and wanted in fold(header_text(octets[: root.body_at]))
        ):
            found.add(seq)
    return found


BODIES = [
    "Bitte zahlen Sie die Stromrechnung bis 3.5.2024, Frau Müller-Lüdenscheidt!",
    "Call me: 030 123-4567 or +49 (30) 7654321. Order RE-2024-00123/7.",
    "Straße und Strasse, MASSE und Maße, naïve café, ﬁnance",
    "東京都の天気は晴れ。東 京 は日本の首都です。ガ行 か\u3099",
    "x" * 700 + "needle" + "y" * 300 + "\r\nabc" + "ab" * 200,
    "soft\u00adhyphen zero\u200bwidth under_score dot.dot@example.co.uk",
    "हिन्दी में लिखा हुआ संदेश and Ελληνικά και Русский текст",
    "",
]

NEEDLES = [
    *("rechnung", "STROM", "müller", "mueller", "muller", "ller-lü", "3.5.2024", "2024", "024"),
    *("1234567", "123-4567", "4567 or +49", "00123/7", "re-2024-00", "7.", "straße", "strasse"),
    *("masse", "nance", "café", "cafe", "東京", "京", "東", "京は", "の天気は晴", "が", "カ"),
    *("needle", "x" * 300, "x" * 70 + "need", "abab" * 30, "softhyphen", "zerowidth"),
    *("under_s", "_", "@", "@example.co", "t.dot@ex", " ", ".", "!", "di", "e", "ल", "हिन्दी में"),
    *("िन्द", "λλην", "ст тек", "русский т", "bis 3", "sie die str", "Sie  die", "\r\n", "nothing"),
    *("übel", "example.org", "anna@example.org", "Subject: b", "subject", "ben@", "text/plain"),
    *(
        " sie ",
        "e die ",
        " tromr",
        "(30) 7",
        "/7.",
        " of 京",
        "東 京",
        "京 は",
        "x" * 65 + " ",
        ".uk",
    ),
    *("X-Odd: va", "lue one t", "<", "organ", "Ä", "ä"),
]


@pytest.mark.parametrize("where", ["text", "body"])
@pytest.mark.parametrize("state", ["indexed", "behind", "no index", "no headers"])
def test_every_needle_is_found_exactly_where_it_is(world: World, where: Where, state: str) -> None:
    for n, body in enumerate(BODIES):
        world.admit(letter(f"body {n} Ärger", body, X_Odd="value one two" if n % 2 else "x"))
        if n == len(BODIES) // 2 and state == "behind":
            world.follower.until_idle()
    if state in ("indexed", "no headers"):
        world.follower.until_idle()
    if state == "no headers":
        world.follower.close()
        for path in world.index.glob("*/headers.sqlite3*"):
            path.write_bytes(b"damaged" * 100)
    seqs = [int(seq) for seq in world.archive.seqs_after(0, 1000)]
    for needle in NEEDLES:
        found = world.searcher.containing(seqs, needle, where=where)
        assert found == brute(world.archive, seqs, needle, where), needle


def test_only_the_messages_asked_for_are_looked_at(world: World) -> None:
    seqs = [world.admit(letter(f"s{n}", "word here")) for n in range(6)]
    world.follower.until_idle()
    assert world.searcher.containing(seqs[1:3], "word", where="body") == set(seqs[1:3])
    assert world.searcher.containing(SeqSet(), "word", where="text") == set()
    assert world.searcher.containing(seqs[:2], "subject: s0", where="text") == {seqs[0]}
    assert world.searcher.containing(seqs[2:], "s1", where="text") == set()


def test_the_empty_string_is_in_every_message(world: World) -> None:
    seqs = [world.admit(letter(f"s{n}", "x")) for n in range(2)]
    assert world.searcher.containing(seqs, "", where="text") == set(seqs)


def test_an_indexed_word_is_answered_without_reading_any_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seqs = [world.admit(letter(f"s{n}", f"word{n} quokka")) for n in range(5)]
    world.follower.until_idle()

    def refuse(*_: object) -> bytes:
        raise AssertionError("a message was read")

    monkeypatch.setattr(world.archive, "octets", refuse)
    monkeypatch.setattr(world.archive, "header", refuse)
    for where in ("text", "body"):
        assert world.searcher.containing(seqs, "uokk", where=where) == set(seqs)
        assert world.searcher.containing(seqs, "ORD3", where=where) == {seqs[3]}
    assert world.searcher.containing(seqs, "Message-ID: <", where="text") == set(seqs)


@pytest.mark.parametrize("state", ["indexed", "behind", "no index"])
def test_a_header_field_is_looked_for_in_its_candidates_only(world: World, state: str) -> None:
    seqs = [
        world.admit(
            letter(f"s{n}", "x", X_Odd=f"value {n}", X_Long="é" * (110_000 if n == 2 else 1))
        )
        for n in range(6)
    ]
    if state == "indexed":
        world.follower.until_idle()
    if state == "behind":
        world.follower.step(3)
    found = world.searcher.with_header(seqs, "VALUE 4")
    # What is too long to be packed whole is a candidate always.
    assert found - {seqs[2]} == {seqs[4]}
    assert world.searcher.with_header(seqs[:2], "x-odd") == set(seqs[:2])
    assert world.searcher.with_header(seqs, "nowhere at all") <= {seqs[2]}


def needles_of(texts: list[str], chosen: random.Random, count: int) -> list[str]:
    """Pieces of real texts: inside words, across words, over punctuation; and strangers."""
    kinds: list[Callable[[str], str]] = [
        lambda text: text[(at := chosen.randrange(len(text))) : at + chosen.randrange(1, 5)],
        lambda text: text[(at := chosen.randrange(len(text))) : at + chosen.randrange(3, 25)],
        lambda text: text[(at := chosen.randrange(len(text))) : at + chosen.randrange(20, 90)],
        lambda text: chosen.choice(text.split() or ["x"]),
        lambda text: chosen.choice(text.split() or ["x"])[1:-1],
        lambda text: chosen.choice(text.split() or ["x"])[:4].upper(),
        lambda text: chosen.choice(text.split() or ["x"]) + "qx",
    ]
    return [chosen.choice(kinds)(chosen.choice(texts)) for _ in range(count)]


@pytest.mark.corpora
def test_real_mail_answers_as_if_every_message_was_read(corpora: Path, tmp_path: Path) -> None:
    from appliance.transfer import import_paths

    files = sorted((corpora / "torture").glob("*/*.eml"))
    chosen = random.Random(42)
    sample = [path for path in chosen.sample(files, 100) if path.stat().st_size < 300_000]
    with (
        Archive(tmp_path / "archive") as archive,
        Follower(archive, tmp_path / "index") as follower,
    ):
        archive.provision("anna")
        import_paths(sample, archive, "anna", "Torture")
        follower.until_idle()
        searcher = Searcher(archive, tmp_path / "index")
        seqs = [int(seq) for seq in archive.seqs_after(0, 1000)]
        bodies: dict[int, str] = {}
        headers: dict[int, str] = {}
        for seq in archive.seqs_after(0, 1000):
            octets, root = archive.octets(seq), archive.structure(seq)
            bodies[seq] = body_text(octets, root)
            headers[seq] = header_text(octets[: root.body_at])
        folded = {seq: (fold(headers[seq]), fold(bodies[seq])) for seq in bodies}
        texts = [text for text in (*bodies.values(), *headers.values()) if text.strip()]
        for needle in needles_of(texts, chosen, 80):
            wanted = fold(needle)
            body = {seq for seq, (_, text) in folded.items() if wanted in text}
            head = {seq for seq, (text, _) in folded.items() if wanted in text}
            assert searcher.containing(seqs, needle, where="body") == body, repr(needle)
            assert searcher.containing(seqs, needle, where="text") == body | head, repr(needle)
        searcher.close()
