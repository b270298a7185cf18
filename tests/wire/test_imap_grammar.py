"""The grammar both ways: what a client writes of a value is read as that value."""

from __future__ import annotations

import random
import time
from datetime import date

import pytest

from appliance.mail.types import SEEN, Flag
from appliance.wire import imap_search_keys as k
from appliance.wire.imap_commands import BadCommand, Fetch, ImapCommand, List, Search
from appliance.wire.imap_dates import date_octets
from appliance.wire.imap_fetch_items import (
    Attribute,
    BinarySection,
    BinarySize,
    BodySection,
    FetchItem,
    Preview,
    SectionText,
)
from appliance.wire.imap_grammar import parse
from appliance.wire.imap_responses import astring
from appliance.wire.imap_sets import SequenceSet
from appliance.wire.imap_syntax import AFTER_LOGIN, Command, CommandReader, LiteralWanted


def read(octets: bytes, *, utf8: bool = False) -> ImapCommand:
    """The value of one command line, its literals included."""
    reader = CommandReader(AFTER_LOGIN)
    reader.feed(octets + b"\r\n")
    while (event := reader.next_event()) is not None:
        if isinstance(event, LiteralWanted):
            reader.accept()
        else:
            assert isinstance(event, Command), event
            return parse(event, utf8=utf8)
    raise AssertionError("no command")


def a_set(rng: random.Random) -> SequenceSet:
    if rng.random() < 0.1:
        return SequenceSet((), saved=True)
    spans = [(rng.choice((0, rng.randrange(1, 2**32))), rng.randrange(1, 99)) for _ in range(3)]
    return SequenceSet(tuple(spans[: rng.randrange(1, 4)]))


def a_text(rng: random.Random) -> str:
    alphabet = 'ab "\\(){}%*]\r\näß€😀'
    return "".join(rng.choice(alphabet) for _ in range(rng.randrange(8)))


def a_key(rng: random.Random, depth: int) -> k.SearchKey:
    leaf = rng.randrange(14 if depth else 11)
    match leaf:
        case 0:
            return k.All()
        case 1:
            return k.InSet(a_set(rng), rng.random() < 0.5)
        case 2:
            flag = rng.choice((SEEN, Flag("$Forwarded")))
            return k.HasFlag(flag, rng.random() < 0.5)
        case 3:
            name = rng.choice(("From", "To", "Cc", "Bcc", "Subject", "List-Id", ""))
            return k.HeaderHas(name, a_text(rng))
        case 4:
            return rng.choice((k.BodyHas, k.TextHas))(a_text(rng))
        case 5:
            return rng.choice((k.LargerThan, k.SmallerThan))(rng.randrange(2**40))
        case 6:
            day = date(rng.randrange(1, 9999), rng.randrange(1, 13), rng.randrange(1, 29))
            return k.Dated(rng.choice(list(k.DateOf)), rng.choice(list(k.When)), day)
        case 7:
            return k.Within(rng.randrange(1, 9999), rng.random() < 0.5)
        case 8:
            return k.ChangedSince(rng.randrange(2**63))
        case 9:
            return rng.choice((k.HasEmailId, k.HasThreadId))("M6d99")
        case 10:
            return rng.choice((k.SaveDateSupported(), k.Recent()))
        case 11:
            return k.Not(a_key(rng, depth - 1))
        case 12:
            return k.Or(a_key(rng, depth - 1), a_key(rng, depth - 1))
        case _:
            return k.And(tuple(a_key(rng, depth - 1) for _ in range(rng.randrange(2, 4))))


def string(text: str) -> bytes:
    """As a client writes it: astring, its literals unasked."""
    octets = astring(text.encode())
    return octets.replace(b"}\r\n", b"+}\r\n", 1) if octets.startswith(b"{") else octets


def written(key: k.SearchKey) -> bytes:
    match key:
        case k.All():
            return b"ALL"
        case k.Recent():
            return b"recent"
        case k.SaveDateSupported():
            return b"SAVEDATESUPPORTED"
        case k.Not(inner):
            return b"NOT " + written(inner)
        case k.Or(one, other):
            return b"OR " + written(one) + b" " + written(other)
        case k.And(keys):
            return b"(" + b" ".join(map(written, keys)) + b")"
        case k.InSet(numbers, uid):
            return (b"UID " if uid else b"") + numbers.octets()
        case k.HasFlag(flag, present):
            un = b"" if present else b"UN"
            return un + (b"SEEN" if flag == SEEN else b"KEYWORD " + flag.encode())
        case k.HeaderHas(name, text) if name in ("From", "To", "Cc", "Bcc", "Subject"):
            return name.encode() + b" " + string(text)
        case k.HeaderHas(name, text):
            return b"HEADER " + string(name) + b" " + string(text)
        case k.BodyHas(text):
            return b"BODY " + string(text)
        case k.TextHas(text):
            return b"TEXT " + string(text)
        case k.LargerThan(octets):
            return b"LARGER %d" % octets
        case k.SmallerThan(octets):
            return b"SMALLER %d" % octets
        case k.Dated(which, when, day):
            prefix = {"INTERNAL": b"", "SENT": b"SENT", "SAVED": b"SAVED"}[which.name]
            return prefix + when.name.encode() + b" " + date_octets(day)
        case k.Within(seconds, younger):
            return (b"YOUNGER %d" if younger else b"OLDER %d") % seconds
        case k.ChangedSince(modseq):
            return b"MODSEQ %d" % modseq
        case k.HasEmailId(object_id):
            return b"EMAILID " + object_id.encode()
        case k.HasThreadId(object_id):
            return b"THREADID " + object_id.encode()


def test_random_searches_are_read_as_they_were_meant() -> None:
    rng = random.Random(9051)
    for _ in range(1500):
        key = a_key(rng, depth=4)
        octets = b"a UID SEARCH CHARSET UTF-8 " + written(key)
        value = read(octets)
        if isinstance(key, k.And) and len(key.keys) > 1:
            # Outer parentheses say nothing.
            assert value == Search("a", True, key, None, "UTF-8"), octets
        assert value == Search("a", True, key, None, "UTF-8"), octets


def an_item(rng: random.Random) -> tuple[FetchItem, bytes]:
    """An item, and how a client asks for it."""
    part = tuple(rng.randrange(1, 99) for _ in range(rng.randrange(4)))
    number = b".".join(b"%d" % one for one in part)
    partial = (rng.randrange(9999), rng.randrange(1, 9999)) if rng.random() < 0.3 else None
    asked, told = (b"<%d.%d>" % partial, b"<%d>" % partial[0]) if partial else (b"", b"")
    peek = rng.random() < 0.5
    kind = rng.randrange(6)
    if kind == 0:
        attribute = rng.choice(list(Attribute))
        return attribute, attribute.value
    if kind == 1:
        lazy = rng.random() < 0.5
        return Preview(lazy), b"PREVIEW (LAZY)" if lazy else b"PREVIEW"
    if kind == 2:
        name = b"BINARY.SIZE[" + number + b"]"
        return BinarySize(part, name), name
    if kind == 3:
        answer = b"[" + number + b"]"
        ask = (b"BINARY.PEEK" if peek else b"BINARY") + answer + asked
        return BinarySection(part, partial, peek, b"BINARY" + answer + told), ask
    text = rng.choice((None, *SectionText))
    if text is SectionText.MIME and not part:
        text = None
    fields: tuple[bytes, ...] = ()
    words = [number] if part else []
    if text is not None:
        words.append(text.value)
        if "FIELDS" in text.name:
            fields = tuple(rng.choice((b"From", b"X Y", b"List-Id")) for _ in range(3))
            words[-1] += b" (" + b" ".join(map(astring, fields)) + b")"
    inside = b"[" + b".".join(words) + b"]"
    ask = (b"BODY.PEEK" if peek else b"BODY") + inside + asked
    return BodySection(part, text, fields, partial, peek, b"BODY" + inside + told), ask


def test_random_fetches_are_read_as_they_were_meant() -> None:
    rng = random.Random(3501)
    for _ in range(1500):
        numbers, uid = a_set(rng), rng.random() < 0.5
        made = [an_item(rng) for _ in range(rng.randrange(1, 6))]
        items = tuple(dict.fromkeys(item for item, _ in made))
        asked = b" ".join(ask for _, ask in made)
        if rng.random() < 0.7:
            asked = b"(" + asked + b")"
        name = b"UID FETCH " if uid else b"fetch "
        octets = b"a " + name + numbers.octets() + b" " + asked
        assert read(octets) == Fetch("a", uid, numbers, items), octets
        again = read(octets + b" (CHANGEDSINCE 7)")
        assert again == Fetch("a", uid, numbers, items, changed_since=7)


@pytest.mark.parametrize(
    "octets",
    [
        b"a SEARCH " + b"(" * 20_000,
        b"a SEARCH " + b"NOT " * 15_000 + b"ALL",
        b"a SEARCH " + b"OR " * 20_000,
        b"a SEARCH " + b"(" * 51 + b"ALL" + b")" * 51,
        b"a LIST " + b"(" * 20_000,
        b"a FETCH 1 " + b"(" * 20_000,
        b"a FETCH 1 BODY[" + b"1." * 20_000 + b"1]",
        b"a FETCH " + b"1" * 60_000 + b" UID",
        b"a SELECT x " + b"(" * 20_000,
        b"a ID " + b"(" * 20_000,
    ],
    ids=lambda octets: octets[:20].decode(),
)
def test_deep_nesting_and_long_numbers_are_refused_at_once(octets: bytes) -> None:
    began = time.process_time()
    with pytest.raises(BadCommand):
        read(octets)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "octets",
    [
        b"a SEARCH " + b"(" * 50 + b"ALL" + b")" * 50,
        b"a SEARCH " + b"OR SUBJECT x " * 198 + b"ALL",
        b"a FETCH " + b",".join(b"%d" % number for number in range(1, 12_000)) + b" UID",
        b"a FETCH 1 ("
        + b" ".join([b"BODY.PEEK[HEADER.FIELDS (A B C)]<%d.9>"] * 1000) % tuple(range(1000))
        + b")",
    ],
    ids=["50 parentheses", "198 ORs", "12000 numbers", "1000 items"],
)
def test_what_large_clients_send_is_read(octets: bytes) -> None:
    began = time.process_time()
    value = read(octets)
    assert value.tag == "a"
    assert len(repr(value)) > 20
    assert time.process_time() - began < 1


def test_with_utf8_accepted_an_ampersand_is_an_ampersand() -> None:
    assert read(b'a LIST "" "&APw-"', utf8=True) == List("a", "", ("&APw-",))
    assert read(b'a LIST "" "&APw-"') == List("a", "", ("ü",))
    assert read('a LIST "" "ü*"'.encode(), utf8=True) == List("a", "", ("ü*",))
