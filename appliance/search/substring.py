"""IMAP's SEARCH TEXT and BODY: substrings of any kind, and never a message missed.

RFC 9051 §6.4.4: a message matches if the string is a substring of the text, in
any case. Ours is compared folded, as the index folds: case, accents and forms of
a letter do not count. The words of the string name candidates in the index (its
first may be the end of a word, its last the beginning of one); the candidates'
text is then looked at, unless the index alone is certain. What the index cannot
know (newer messages, strings of punctuation) is read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Final, Literal

import zstandard

from appliance.errors import ApplianceError, StoreError
from appliance.mail.types import Seq
from appliance.search.headers import Headers
from appliance.search.words import body_text, header_text
from appliance.store import Archive
from appliance.store.spooled import whole
from index import Index, SeqSet, fold
from index.analysis import spellings, unspaced, words
from index.query import And, Beside, Infix, Query, Words

Where = Literal["text", "body"]
"""TEXT looks at the header too, BODY does not (RFC 9051 §6.4.4)."""

_WHOLE: Final = 64
"""A piece of a word up to this length stands whole in some word of the index, however long
the word it came from (``index.analysis.LONGEST``)."""
_FEW: Final = 1000
"""Sets of more words than this cost more than they tell."""
_PHONE: Final = range(7, 16)


class Substring:
    """One search for one string."""

    def __init__(self, archive: Archive, needle: str) -> None:
        self._archive = archive
        self._needle = fold(needle)
        self._words = words(needle)

    def found(
        self, seqs: SeqSet, where: Where, index: Index | None, headers: Headers | None
    ) -> set[int]:
        """The seqs whose text (``body``: without the header) contains the string."""
        if not self._needle:
            return set(seqs)  # the empty string is a substring of any
        known = index.watermark() if index is not None else 0
        inside = seqs.between(0, known + 1)
        found = self._bodies(inside, index) if index is not None else set()
        found |= self._read(seqs.between(known + 1, 1 << 62), self._in_body)
        if where == "text":
            rest = SeqSet.from_iterable(seq for seq in seqs if seq not in found)
            found |= self._headers(rest, headers)
        return found

    def in_headers(self, seqs: SeqSet, headers: Headers | None) -> set[int]:
        """The seqs whose header section contains the string, in any field."""
        return self._headers(seqs, headers) if self._needle else set(seqs)

    def _headers(self, seqs: SeqSet, headers: Headers | None) -> set[int]:
        if headers is None:
            return self._read(seqs, self._in_header)
        try:
            packed = headers.watermark()
            found = headers.containing(self._needle, seqs.between(0, packed + 1))
        except (StoreError, sqlite3.Error, zstandard.ZstdError):
            # A damaged cache; the follower makes it anew.
            return self._read(seqs, self._in_header)
        return found | self._read(seqs.between(packed + 1, 1 << 62), self._in_header)

    def _bodies(self, seqs: SeqSet, index: Index) -> set[int]:
        certain = self._certain(seqs, index)
        if certain is None:
            candidates = self.candidates(index) if seqs else None
            found = seqs if candidates is None else index.matching(candidates, seqs)
            return self._read(found, self._in_body)
        sure, unsure = certain
        return set(sure) | self._read(unsure - sure, self._in_body)

    def candidates(self, index: Index) -> Query | None:
        """What every body with the string matches; None if the string has no word in it."""
        if not self._words:
            return None
        sets = [self._spelt(number, index) for number in range(len(self._words))]
        if all(spelt is not None and len(spelt) <= _FEW for spelt in sets) and len(sets) > 1:
            return Beside("text", tuple(spelt or frozenset() for spelt in sets))
        asked: list[Query] = [
            Words("text", spelt)
            if spelt is not None and len(spelt) <= _FEW
            else Infix("text", word)
            for spelt, word in zip(sets, (word[:_WHOLE] for word in self._words), strict=True)
            if len(word) > 2 or len(sets) < 3
        ]
        return And(tuple(asked))

    def _spelt(self, number: int, index: Index) -> frozenset[str] | None:
        """The words of the dictionary that this word of the string may stand for.

        None when it may stand for pieces of a longer one that the index cut up.
        """
        word, last = self._words[number], len(self._words) - 1
        if len(word) > _WHOLE:
            return None
        # Pairs of a script without spaces stand in the text as they stand here.
        begins = number > 0 or (unspaced(word) and len(word) > 1) or self._cut_before(word)
        ends = number < last or (unspaced(word) and len(word) > 1) or self._cut_after(word)
        if begins and ends:
            return frozenset({word})
        if begins:
            found = index.expand("text", prefix=word)
        elif ends:
            found = index.expand("text", suffix=word)
        else:
            found = index.expand("text", infix=word)
        return frozenset(one.text for one in found)

    def _cut_before(self, first: str) -> bool:
        """Whether the string itself says that its first word begins there."""
        at = self._needle.find(first)
        return at > 0 and _parts_words(self._needle[at - 1])

    def _cut_after(self, last: str) -> bool:
        """Whether the string itself says that its last word ends there."""
        at = self._needle.rfind(last) + len(last)
        return at < len(self._needle) and _parts_words(self._needle[at])

    def _certain(self, seqs: SeqSet, index: Index) -> tuple[SeqSet, SeqSet] | None:
        """(certain, to be looked at), when the string is a piece of one word; else None."""
        if len(self._words) != 1 or self._words[0] != self._needle or len(self._needle) > _WHOLE:
            return None
        word = self._needle
        if not word.isascii():
            return None
        if spellings(word) == (word,) and not word.isdigit():
            return index.matching(Infix("text", word), seqs), SeqSet()
        spelt = {found.text for found in index.expand("text", infix=word)}
        # Telephone numbers are in the index as digits alone, and may be written otherwise.
        phones = {found for found in spelt if found.isdigit() and len(found) in _PHONE}
        sure = index.matching(Words("text", frozenset(spelt - phones)), seqs)
        return sure, index.matching(Words("text", frozenset(phones)), seqs)

    def _read(self, seqs: Iterable[int], contains: Callable[[Seq], bool]) -> set[int]:
        found = set()
        for seq in seqs:
            try:
                if contains(Seq(seq)):
                    found.add(seq)
            except ApplianceError:
                continue  # damaged: it is named by verify, and the search goes on
        return found

    def _in_body(self, seq: Seq) -> bool:
        octets = whole(self._archive, self._archive.message(seq))
        text = body_text(octets, self._archive.structure(seq))
        return self._needle in fold(text)

    def _in_header(self, seq: Seq) -> bool:
        return self._needle in fold(header_text(self._archive.header(seq)))


def _parts_words(char: str) -> bool:
    """Whether a character is certainly in no word; of other scripts' signs some are."""
    return char.isascii() and not char.isalnum()
