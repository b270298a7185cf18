"""Text into words: one analyser for what is indexed, what is asked and what is marked.

Folding works character by character (so a substring of a text folds to a substring of
the folded text): compatibility forms, case, accents, ß = ss; invisible characters vanish.
``ü``, ``u`` and ``ue`` differ as words of the dictionary and agree in their ``skeleton``.
A word is a run of letters and digits: addresses, host names, file names and numbers
become their parts, side by side, and are found whole as a phrase of them. Telephone
numbers are a word of digits besides. Scripts without spaces become pairs of characters.
Every step is linear in the text, whatever it holds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 256
"""Longer runs are cut into overlapping words of this many characters."""
_OVERLAP = 64
_REMEMBERED = 65_536

# Letters that Unicode does not take apart.
_PLAIN = {
    "ø": "o",
    "ł": "l",
    "đ": "d",
    "ð": "d",
    "ħ": "h",
    "ı": "i",
    "æ": "ae",
    "œ": "oe",
    "þ": "th",
    "ŋ": "n",
    "ŧ": "t",
}

# Scripts written without spaces: CJK, kana, hangul, Thai, Lao, Myanmar, Khmer.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3005-\u3007\u3021-\u302f"
    "\u3031-\u3035\u3038-\u303c\u3041-\u30fa\u30fc-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U0001b000-\U0001b2ff"
    "\U00020000-\U0003ffff"
)
# Vowel signs that belong to a word though they are no letters (Indic scripts, Tibetan).
_SIGNS = "\u0900-\u0903\u093a-\u094f\u0962\u0963\u0980-\u0dff\u0f18-\u0fbc"

_ASCII_WORD = re.compile(r"[a-z0-9]+")
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+(?:[{_SIGNS}]+[^\W_{_UNSPACED}]*)*")
_RUN = re.compile(rf"[{_UNSPACED}]")
# It begins with one set of characters, which the engine scans for quickly; what stands
# before that is looked at afterwards.
_PHONE = re.compile(
    r"[+(\d](?<![\w+][+(\d])(?:(?<=[+(0])[\d ()/.\-]{5,22}\d|(?<=\d)\d\d[.\-]\d{3}[.\-]\d{4})"
    r"(?!\w)",
    re.ASCII,
)
_JAMO = re.compile(r"[\u1100-\u11ff]+")
_UMLAUT = re.compile(r"(?<![aeq])ue|oe|ae")
_SPELLED_OUT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ø": "oe", "å": "aa"}
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word and where it stands: ``start:end`` in ``composed(text)``."""

    text: str
    start: int
    end: int


def composed(text: str) -> str:
    """The text with decomposed Korean put together; offsets of tokens count in this."""
    if text.isascii():
        return text
    return _JAMO.sub(lambda run: unicodedata.normalize("NFC", run[0]), text)


def fold(text: str) -> str:
    """The text without the differences that a search ignores."""
    return text.lower() if text.isascii() else composed(text).translate(_FOLDING)


def words(text: str) -> list[str]:
    """The words of a text in their order; a word's place is its position."""
    return _words(fold(text))


def phones(text: str) -> list[str]:
    """The telephone numbers of a text, digits only; not among ``words``."""
    return [number for number, _, _ in _phones(fold(text))]


def indexed(text: str) -> tuple[list[str], list[str]]:
    """Words and telephone numbers of a text, folded once."""
    folded = fold(text)
    return _words(folded), [number for number, _, _ in _phones(folded)]


def terms_of(text: str) -> list[Token]:
    """Words and telephone numbers with their offsets in ``composed(text)``, by start."""
    text = composed(text)
    folded = fold(text)
    origin = _origins(text, folded)
    tokens = [
        Token(word, origin[start], origin[end - 1] + 1)
        for found in _pattern(folded).finditer(folded)
        for word, start, end in _pieces(found[0], found.start())
    ]
    tokens += [Token(digits, origin[a], origin[b - 1] + 1) for digits, a, b in _phones(folded)]
    return sorted(tokens, key=lambda token: (token.start, token.end))


def skeleton(word: str) -> str:
    """What is left of a folded word when ü, u and ue are the same."""
    return _UMLAUT.sub(lambda found: found[0][0], word) if "e" in word else word


def spellings(text: str) -> tuple[str, ...]:
    """The folded forms in which a piece of a word may stand in the dictionary."""
    folded = fold(text)
    return tuple(dict.fromkeys((folded, fold(text.translate(_SPELLED_OUT)), skeleton(folded))))


def unspaced(word: str) -> bool:
    """Whether a folded word is of a script without spaces."""
    return bool(_RUN.match(word))


class _Folding(dict[int, str]):
    """A translation table that learns; it forgets when a hostile text shows it everything."""

    def __missing__(self, code: int) -> str:
        if len(self) > _REMEMBERED:
            self.clear()
        folded = self[code] = _folded(chr(code))
        return folded


_FOLDING = _Folding()


def _folded(char: str) -> str:
    if unicodedata.category(char) in ("Cf", "Cs"):
        return ""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", char).casefold())
    kept = "".join(_PLAIN.get(part, part) for part in apart if not _is_accent(part))
    return unicodedata.normalize("NFKC", kept.casefold())


def _is_accent(char: str) -> bool:
    code = ord(char)
    if code < 0x300:
        return False
    if 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF:
        return True
    # From 0900 on a combining mark is part of its letter (dakuten, virama).
    return bool(unicodedata.combining(char)) and (
        code < 0x900
        or 0x1AB0 <= code < 0x1B00
        or 0x1DC0 <= code < 0x1E00
        or 0x20D0 <= code < 0x2100
    )


def _pattern(folded: str) -> re.Pattern[str]:
    return _ASCII_WORD if folded.isascii() else _WORD


def _words(folded: str) -> list[str]:
    if folded.isascii():
        found = _ASCII_WORD.findall(folded)
        if max(map(len, found), default=0) <= LONGEST:
            return found
    else:
        found = _WORD.findall(folded)
        if not _RUN.search(folded) and max(map(len, found), default=0) <= LONGEST:
            return found
    return [word for run in found for word, _, _ in _pieces(run, 0)]


def _pieces(run: str, at: int) -> Iterator[tuple[str, int, int]]:
    """A run of characters as words with their offsets."""
    size = len(run)
    if unspaced(run):
        if size == 1:
            yield run, at, at + 1
        for place in range(size - 1):
            yield run[place : place + 2], at + place, at + place + 2
    elif size <= LONGEST:
        yield run, at, at + size
    else:
        for place in range(0, size - _OVERLAP, LONGEST - _OVERLAP):
            end = min(size, place + LONGEST)
            yield run[place:end], at + place, at + end


def _phones(folded: str) -> Iterator[tuple[str, int, int]]:
    for found in _PHONE.finditer(folded):
        digits = re.sub(r"\D", "", found[0], flags=re.ASCII)
        if 7 <= len(digits) <= 15 and len(digits) < len(found[0].lstrip("+")):
            yield digits, found.start(), found.end()


def _origins(text: str, folded: str) -> range | list[int]:
    """For each folded character the place of the one it came from."""
    if len(text) == len(folded) and text.isascii():
        return range(len(text))
    return [place for place, char in enumerate(text) for _ in char.translate(_FOLDING)]
