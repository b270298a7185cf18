"""The caches beside the index, and the index that takes another's place."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from appliance.search.headers import NAME, Headers
from appliance.search.shelf import WORDS, Reader, Shelf
from index import Document, Index, SeqSet


def test_headers_that_come_one_by_one_are_all_found(tmp_path: Path) -> None:
    chosen = random.Random(3)
    texts: dict[int, str] = {}
    headers = Headers(tmp_path)
    seq = 0
    while len(texts) < 700:
        batch = []
        for _ in range(chosen.choice([1, 1, 1, 1, 2, 40])):
            seq += chosen.randrange(1, 4)
            texts[seq] = f"subject: s{seq}\nx-random: {chosen.randrange(50)} über\0mut"
            batch.append((seq, texts[seq]))
        headers.add(batch)
        headers.add(batch)  # a batch that is taken in again adds nothing
        assert headers.watermark() == seq
    everything = SeqSet.from_iterable(texts)
    assert headers.containing("subject: s", everything) == set(texts)
    for needle in ("random: 7", "s77", "über", "7\nx-", "nowhere", "mut", "subject: s5"):
        wanted = {n for n, text in texts.items() if needle in text.replace("\0", " ")}
        assert headers.containing(needle, everything) == wanted
        some = everything[100:300]
        assert headers.containing(needle, some) == wanted & set(some)
    assert headers.containing("mut\0subject", everything) == set()
    headers.close()
    file = sqlite3.connect(tmp_path / NAME)
    assert file.execute("SELECT count(*) FROM block").fetchone()[0] < 40
    file.close()


def test_a_reader_goes_over_to_the_next_index_and_lets_the_old_one_end(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "index")
    reader = Reader(tmp_path / "index")
    with reader.opened() as (opened, fault):
        assert opened is None
        assert fault is not None
    folders = []
    for number in (1, 2):
        folder = shelf.fresh()
        folders.append(folder)
        with Index(folder / WORDS, writable=True) as index:
            index.add([Document(number, 0, "word")], number)
        if number == 1:
            shelf.switch(folder)
            with reader.opened() as (opened, fault):
                assert fault is None
                assert opened is not None
                assert opened.index.watermark() == 1
    with reader.opened() as (before, _):
        shelf.switch(folders[1])
        with reader.opened() as (after, _):
            assert before is not None
            assert after is not None
            assert (before.index.watermark(), after.index.watermark()) == (1, 2)
        assert len(before.index) == 1
    assert not folders[0].exists()
    reader.close()


@pytest.mark.parametrize("content", ["", "g000009", "../words", "g1", "\x80"])
def test_a_name_that_is_no_index_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "current").write_bytes(content.encode("latin-1"))
    assert Shelf(tmp_path).current() is None
