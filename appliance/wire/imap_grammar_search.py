"""The grammar of SEARCH (RFC 9051 §6.4.4, RFC 3501, 4731, 5032, 5182, 7162, 8474, 8514, 9394).

Read without recursion, by a stack of keys that wait for their arguments. The
stack is limited, so the tree is no deeper than a recursive reader of it can bear.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from appliance.mail.types import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Flag
from appliance.wire.imap_commands import BadCharset, Search
from appliance.wire.imap_grammar_fetch import partial_range
from appliance.wire.imap_scanner import Scanner, as_text, flag_of
from appliance.wire.imap_search_keys import (
    All,
    And,
    BodyHas,
    ChangedSince,
    Dated,
    DateOf,
    HasEmailId,
    HasFlag,
    HasThreadId,
    HeaderHas,
    InSet,
    LargerThan,
    Not,
    Or,
    Recent,
    SaveDateSupported,
    SearchKey,
    SearchReturn,
    SmallerThan,
    TextHas,
    When,
    Within,
)

CHARSETS: Final = ("US-ASCII", "UTF-8", "ISO-8859-1", "ISO-8859-15", "WINDOWS-1252")
DEEPEST_PARENTHESES: Final = 50
DEEPEST_KEY: Final = 200
"""OR and NOT count too: some clients nest an OR for every word."""

_WORD: Final = re.compile(rb"[A-Za-z]+")
_SET_START: Final = re.compile(rb"(?=[0-9*$])")
_KEYWORD: Final = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
_ENTRY_TYPE: Final = re.compile(rb"(?i:priv|shared|all) +")


def search(scanner: Scanner, uid: bool) -> Search:
    """SEARCH after its name."""
    returns, charset = None, None
    while True:
        if returns is None and _word_is(scanner, b"RETURN"):
            scanner.space()
            returns = _returns(scanner)
        elif charset is None and _word_is(scanner, b"CHARSET"):
            scanner.space()
            charset = scanner.text("a charset").upper()
            if charset not in CHARSETS:
                raise BadCharset(scanner.tag, charset, CHARSETS)
        else:
            break
        scanner.space()
    return Search(scanner.tag, uid, _KeyReader(scanner, charset).keys(), returns, charset)


def _word_is(scanner: Scanner, word: bytes) -> bool:
    return scanner.take(re.compile(word + rb"(?= )", re.IGNORECASE)) is not None


def _returns(scanner: Scanner) -> SearchReturn:
    given = dict(scanner.listed(lambda: _return(scanner)))
    every = "ALL" in given or not given
    # SAVE alone stores the result and says nothing (RFC 5182 §2.1).
    return SearchReturn(
        minimum="MIN" in given,
        maximum="MAX" in given,
        all=every,
        count="COUNT" in given,
        save="SAVE" in given,
        partial=given.get("PARTIAL"),
    )


def _return(scanner: Scanner) -> tuple[str, tuple[int, int] | None]:
    name = scanner.atom("a RETURN option")
    if name == "PARTIAL":
        scanner.space()
        return name, partial_range(scanner)
    if name not in ("MIN", "MAX", "ALL", "COUNT", "SAVE"):
        raise scanner.bad(f"the RETURN option {name} is not known")
    return name, None


@dataclass(slots=True)
class _Waiting:
    """A key that waits for keys: NOT, OR, a list in parentheses, or the command itself."""

    kind: str
    keys: list[SearchKey] = field(default_factory=list)


class _KeyReader:
    """Reads search keys to the end of the command."""

    def __init__(self, scanner: Scanner, charset: str | None) -> None:
        self._scanner = scanner
        self._charset = charset
        self._stack = [_Waiting("command")]
        self._open = 0

    def keys(self) -> SearchKey:
        scanner = self._scanner
        while not scanner.at_end():
            if scanner.has(b"("):
                self._open += 1
                self._push("(")
            elif scanner.has(b")"):
                self._close()
            elif scanner.take(_SET_START):
                self._done(InSet(scanner.numbers(), uid=False))
            else:
                self._word()
        if len(self._stack) > 1:
            raise scanner.bad("SEARCH ends where a key or ) is missing")
        return self._joined(self._stack[0])

    def _word(self) -> None:
        found = self._scanner.take(_WORD)
        if found is None:
            raise self._scanner.bad("a search key is missing")
        name = found[0].upper()
        if name in (b"NOT", b"OR"):
            self._scanner.space()
            self._push(name.decode("ascii"))
        elif name in _PLAIN:
            self._done(_PLAIN[name])
        elif name in _WITH_ARGUMENT:
            self._scanner.space()
            self._done(_WITH_ARGUMENT[name](self))
        else:
            raise self._scanner.bad(f"the search key {name.decode('ascii')} is not known")

    def _push(self, kind: str) -> None:
        self._stack.append(_Waiting(kind))
        if self._open > DEEPEST_PARENTHESES or len(self._stack) > DEEPEST_KEY:
            raise self._scanner.bad("SEARCH is nested too deeply")

    def _close(self) -> None:
        if self._stack[-1].kind != "(":
            raise self._scanner.bad("a search key is missing before )")
        self._open -= 1
        self._done(self._joined(self._stack.pop()))

    def _done(self, key: SearchKey) -> None:
        """Gives a whole key to the one that waits for it, and that one to the next."""
        scanner = self._scanner
        if not (scanner.next_is(b" ") or scanner.next_is(b")") or scanner.at_end()):
            raise scanner.bad("a space is missing between search keys")
        while True:
            waiting = self._stack[-1]
            waiting.keys.append(key)
            if waiting.kind == "NOT":
                key = Not(key)
            elif waiting.kind == "OR" and len(waiting.keys) == 2:
                key = Or(*waiting.keys)
            else:
                return
            self._stack.pop()

    def _joined(self, waiting: _Waiting) -> SearchKey:
        if not waiting.keys:
            raise self._scanner.bad("a search key is missing")
        return waiting.keys[0] if len(waiting.keys) == 1 else And(tuple(waiting.keys))

    # Arguments

    def text(self) -> str:
        octets = self._scanner.astring("a search string")
        if self._charset is None:
            return as_text(octets)
        try:
            return octets.decode(self._charset)
        except UnicodeDecodeError:
            raise self._scanner.bad(f"a search string is not {self._charset}") from None

    def header(self) -> SearchKey:
        name = self._scanner.text("a field name")
        self._scanner.space()
        return HeaderHas(name, self.text())

    def keyword(self) -> Flag:
        found = self._scanner.take(_KEYWORD)
        if found is None:
            raise self._scanner.bad("a keyword is missing")
        return flag_of(found[0])

    def number(self, highest: int = 2**63 - 1) -> int:
        return self._scanner.number(highest)

    def modseq(self) -> SearchKey:
        # An entry name says whose metadata is meant; we keep one modseq for all of a
        # message's flags, so it makes no difference (RFC 7162 §3.1.5).
        if self._scanner.next_is(b'"'):
            self._scanner.string("an entry name")
            self._scanner.space()
            if self._scanner.take(_ENTRY_TYPE) is None:
                raise self._scanner.bad("an entry type is missing")
        return ChangedSince(self._scanner.modseq())

    def within(self, younger: bool) -> SearchKey:
        return Within(self._scanner.nz_number(), younger)

    def uids(self) -> SearchKey:
        return InSet(self._scanner.numbers(), uid=True)

    def dated(self, which: DateOf, when: When) -> SearchKey:
        return Dated(which, when, self._scanner.day())


_PLAIN: Final[dict[bytes, SearchKey]] = {
    b"ALL": All(),
    b"RECENT": Recent(),
    b"NEW": And((Recent(), HasFlag(SEEN, present=False))),
    b"OLD": Not(Recent()),
    b"SAVEDATESUPPORTED": SaveDateSupported(),
    **{
        prefix + flag[1:].upper().encode("ascii"): HasFlag(flag, present=not prefix)
        for flag in (ANSWERED, DELETED, DRAFT, FLAGGED, SEEN)
        for prefix in (b"", b"UN")
    },
}


def _field(name: str) -> Callable[[_KeyReader], SearchKey]:
    return lambda reader: HeaderHas(name, reader.text())


def _date(which: DateOf, when: When) -> Callable[[_KeyReader], SearchKey]:
    return lambda reader: reader.dated(which, when)


_WITH_ARGUMENT: Final[dict[bytes, Callable[[_KeyReader], SearchKey]]] = {
    **{name.upper().encode("ascii"): _field(name) for name in ("From", "To", "Cc", "Bcc")},
    b"SUBJECT": _field("Subject"),
    b"HEADER": _KeyReader.header,
    b"BODY": lambda reader: BodyHas(reader.text()),
    b"TEXT": lambda reader: TextHas(reader.text()),
    b"KEYWORD": lambda reader: HasFlag(reader.keyword(), present=True),
    b"UNKEYWORD": lambda reader: HasFlag(reader.keyword(), present=False),
    b"LARGER": lambda reader: LargerThan(reader.number()),
    b"SMALLER": lambda reader: SmallerThan(reader.number()),
    b"UID": _KeyReader.uids,
    b"MODSEQ": _KeyReader.modseq,
    b"YOUNGER": lambda reader: reader.within(younger=True),
    b"OLDER": lambda reader: reader.within(younger=False),
    b"EMAILID": lambda reader: HasEmailId(reader.text()),
    b"THREADID": lambda reader: HasThreadId(reader.text()),
    **{
        prefix + when.name.encode("ascii"): _date(which, when)
        for which, prefix in (
            (DateOf.INTERNAL, b""),
            (DateOf.SENT, b"SENT"),
            (DateOf.SAVED, b"SAVED"),
        )
        for when in When
    },
}
