"""The grammar of FETCH's items and modifiers (RFC 9051 §6.4.5, RFC 3516, 7162, 9394 …)."""

from __future__ import annotations

import re
from typing import Final

from appliance.wire.imap_commands import Fetch
from appliance.wire.imap_fetch_items import (
    Attribute,
    BinarySection,
    BinarySize,
    BodySection,
    FetchItem,
    Preview,
    SectionText,
)
from appliance.wire.imap_responses import astring
from appliance.wire.imap_scanner import Scanner

_FAST: Final = (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.RFC822_SIZE)
_MACROS: Final[dict[bytes, tuple[FetchItem, ...]]] = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, Attribute.ENVELOPE),
    b"FULL": (*_FAST, Attribute.ENVELOPE, Attribute.BODY),
}
# RFC 3501 §6.4.5: each is a section under another name.
_OLD_NAMES: Final = {
    b"RFC822": BodySection((), None, (), None, False, b"RFC822"),
    b"RFC822.HEADER": BodySection((), SectionText.HEADER, (), None, True, b"RFC822.HEADER"),
    b"RFC822.TEXT": BodySection((), SectionText.TEXT, (), None, False, b"RFC822.TEXT"),
}
_ATTRIBUTES: Final = {attribute.value: attribute for attribute in Attribute}
_NAME: Final = re.compile(rb"[A-Za-z0-9.]+")
_LAZY: Final = re.compile(rb" *\( *LAZY *\)", re.IGNORECASE)
_PART: Final = re.compile(rb"[1-9][0-9]{0,9}")
_TEXTS: Final = re.compile(rb"HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME", re.IGNORECASE)
_PARTIAL: Final = re.compile(rb"<([0-9]{1,10})\.([0-9]{1,10})>")
_DEEPEST: Final = 100


def fetch(scanner: Scanner, uid: bool) -> Fetch:
    """FETCH after its name."""
    numbers = scanner.numbers()
    scanner.space()
    items = _items(scanner)
    changed_since, vanished, partial = None, False, None
    if not scanner.at_end():
        for name, value in scanner.listed(lambda: _modifier(scanner), least=1):
            if name == "CHANGEDSINCE":
                changed_since = value
            elif name == "VANISHED":
                vanished = True
            else:
                partial = value
    scanner.end()
    if vanished and (not uid or changed_since is None):
        # RFC 7162 §3.2.6
        raise scanner.bad("VANISHED without UID FETCH and CHANGEDSINCE")
    assert changed_since is None or isinstance(changed_since, int)
    assert partial is None or isinstance(partial, tuple)
    return Fetch(scanner.tag, uid, numbers, items, changed_since, vanished, partial)


def partial_range(scanner: Scanner) -> tuple[int, int]:
    """``1:500``, or ``-1:-100`` counted from the end (RFC 9394 §4)."""
    sign = -1 if scanner.has(b"-") else 1
    first = scanner.nz_number()
    scanner.expect(b":")
    if scanner.has(b"-") != (sign < 0):
        raise scanner.bad("PARTIAL counts from both ends")
    return sign * first, sign * scanner.nz_number()


def _modifier(scanner: Scanner) -> tuple[str, int | tuple[int, int] | None]:
    name = scanner.atom("a modifier")
    if name == "VANISHED":
        return name, None
    scanner.space()
    if name == "CHANGEDSINCE":
        # 0 is no mod-sequence-value, but iOS sends it: everything that ever changed.
        return name, scanner.modseq()
    if name == "PARTIAL":
        return name, partial_range(scanner)
    raise scanner.bad(f"the modifier {name} is not known")


def _items(scanner: Scanner) -> tuple[FetchItem, ...]:
    found: list[FetchItem] = []
    if scanner.next_is(b"("):
        for items in scanner.listed(lambda: _item(scanner), least=1):
            found.extend(items)
    else:
        found.extend(_item(scanner))
        # Several items without parentheses: clients have sent them; the first "(" is a modifier's.
        while not scanner.at_end() and not scanner.next_is(b"("):
            found.extend(_item(scanner))
    # An item asked for twice is answered once: iOS fails on UID twice.
    return tuple(dict.fromkeys(found))


def _item(scanner: Scanner) -> tuple[FetchItem, ...]:
    found = scanner.take(_NAME)
    if found is None:
        raise scanner.bad("an item is missing")
    name = found[0].upper()
    if scanner.next_is(b"["):
        return (_section(scanner, name),)
    if name in _MACROS:
        return _MACROS[name]
    if name in _ATTRIBUTES:
        return (_ATTRIBUTES[name],)
    if name in _OLD_NAMES:
        return (_OLD_NAMES[name],)
    if name == b"PREVIEW":
        return (Preview(lazy=scanner.take(_LAZY) is not None),)
    raise scanner.bad(f"the item {name.decode('ascii')} is not known")


def _section(scanner: Scanner, name: bytes) -> FetchItem:
    scanner.expect(b"[")
    part, more = _part(scanner)
    peek = name.endswith(b".PEEK")
    if name in (b"BODY", b"BODY.PEEK"):
        return _body_section(scanner, part, more, peek)
    if more:
        raise scanner.bad("a part number ends in a dot")
    scanner.expect(b"]")
    numbers = b".".join(b"%d" % number for number in part)
    if name == b"BINARY.SIZE":
        return BinarySize(part, b"BINARY.SIZE[" + numbers + b"]")
    if name in (b"BINARY", b"BINARY.PEEK"):
        partial, origin = _partial(scanner)
        return BinarySection(part, partial, peek, b"BINARY[" + numbers + b"]" + origin)
    raise scanner.bad(f"the item {name.decode('ascii')} has no section")


def _body_section(scanner: Scanner, part: tuple[int, ...], more: bool, peek: bool) -> BodySection:
    text: SectionText | None = None
    fields: tuple[bytes, ...] = ()
    written = [b"%d" % number for number in part]
    found = scanner.take(_TEXTS) if more or not part else None
    if more and found is None:
        raise scanner.bad("a part number ends in a dot")
    if found is not None:
        text = SectionText(found[0].upper())
        written.append(text.value)
        if text is SectionText.MIME and not part:
            raise scanner.bad("MIME without a part number")
        if text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT):
            scanner.skip_spaces()
            fields = tuple(scanner.listed(lambda: scanner.astring("a field name"), least=1))
            written[-1] += b" (" + b" ".join(map(astring, fields)) + b")"
    scanner.expect(b"]")
    partial, origin = _partial(scanner)
    answer = b"BODY[" + b".".join(written) + b"]" + origin
    return BodySection(part, text, fields, partial, peek, answer)


def _part(scanner: Scanner) -> tuple[tuple[int, ...], bool]:
    """The part number, and whether a dot follows it."""
    part: list[int] = []
    while (found := scanner.take(_PART)) is not None:
        part.append(int(found[0]))
        if len(part) > _DEEPEST:
            raise scanner.bad("a part number is too deep")
        if not scanner.has(b"."):
            return tuple(part), False
    return tuple(part), bool(part)


def _partial(scanner: Scanner) -> tuple[tuple[int, int] | None, bytes]:
    found = scanner.take(_PARTIAL)
    if found is None:
        return None, b""
    offset, count = int(found[1]), int(found[2])
    if not count:
        raise scanner.bad("a partial of 0 octets")
    return (offset, count), b"<%d>" % offset
