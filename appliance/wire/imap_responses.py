"""The octets of IMAP responses (RFC 9051 §7, §9).

Each function answers ``bytes``; lines end in CR LF. Nothing a message or a person wrote
can break out of its place: a string is quoted only if it holds nothing but
printable ASCII, else it is a literal; a text for people has its control characters replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from appliance.mail.types import Flag
from appliance.wire import imap_utf7
from appliance.wire.imap_dates import date_time_octets

NIL: Final = b"NIL"

# An atom on the safe side: what needs no quotes in any client's grammar.
_ATOM: Final = re.compile(rb"[A-Za-z0-9!#$&'+,./:;<=>?@^_`|}~-]+")
_QUOTABLE: Final = re.compile(rb"[\x20-\x7e]*")
_QUOTABLE_UTF8: Final = re.compile(rb"[\x20-\x7e\x80-\xff]*")
_TO_ESCAPE: Final = re.compile(rb"[\"\\]")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f-\xff]")
_QUOTED_LIMIT: Final = 1000
"""Longer strings go as literals: some clients read quoted strings into small buffers."""


# Strings


def quoted(octets: bytes) -> bytes:
    """``"…"``; the octets are printable ASCII, or UTF-8 for a client that enabled it."""
    if b'"' in octets or b"\\" in octets:
        octets = _TO_ESCAPE.sub(rb"\\\g<0>", octets)
    return b'"' + octets + b'"'


def literal(octets: bytes) -> bytes:
    """``{n}`` and the octets, any."""
    return b"{%d}\r\n" % len(octets) + octets


def literal8(octets: bytes) -> bytes:
    """``~{n}`` and the octets: BINARY, where NUL may be inside (RFC 3516)."""
    return b"~{%d}\r\n" % len(octets) + octets


def string(octets: bytes) -> bytes:
    """Quoted if that can be, else a literal."""
    if len(octets) <= _QUOTED_LIMIT and _QUOTABLE.fullmatch(octets):
        return quoted(octets)
    return literal(octets)


def nstring(octets: bytes | None) -> bytes:
    """A string, or NIL for None."""
    return NIL if octets is None else string(octets)


def astring(octets: bytes) -> bytes:
    """An atom if that can be, else a string. The word NIL is quoted."""
    return octets if _ATOM.fullmatch(octets) and octets.upper() != NIL else string(octets)


def mailbox(name: str, *, utf8: bool = False) -> bytes:
    """A mailbox name; ``utf8``: the client enabled UTF8=ACCEPT (RFC 6855 §3)."""
    if not utf8:
        return astring(imap_utf7.encode(name))
    octets = name.encode("utf-8", "surrogateescape")
    if _ATOM.fullmatch(octets) or not _QUOTABLE_UTF8.fullmatch(octets):
        return astring(octets)
    return quoted(octets)


def text(words: str) -> bytes:
    """Words for people on one line: ASCII, anything else as "?"; never empty."""
    return _CONTROL.sub(b"?", words.encode("ascii", "replace")) or b"-"


def flag_list(flags: Iterable[Flag]) -> bytes:
    """``(\\Seen $Junk)``, in the order given."""
    return b"(" + " ".join(flags).encode("ascii") + b")"


def date_time(moment: datetime) -> bytes:
    """``" 7-Jul-1996 02:44:25 -0700"``, with its quotes, in the zone of ``moment``."""
    return date_time_octets(moment)


def sequence_set(numbers: Iterable[int]) -> bytes:
    """``1:3,5,9:10``: runs of ascending neighbours become ranges; the order stays.

    COPYUID needs the order. Linear time. No numbers give b"": no response has room for them.
    """
    parts: list[str] = []
    first = last = 0
    for number in numbers:
        if last and number == last + 1:
            last = number
            continue
        if last:
            parts.append(str(first) if first == last else f"{first}:{last}")
        first = last = number
    if last:
        parts.append(str(first) if first == last else f"{first}:{last}")
    return ",".join(parts).encode("ascii")


# Lines


def untagged(words: bytes) -> bytes:
    """``* words``."""
    return b"* " + words + b"\r\n"


def condition(tag: str, kind: str, words: str, code: bytes | None = None) -> bytes:
    """``a1 OK [CODE] words``; kind is OK, NO, BAD, BYE or PREAUTH, tag may be ``*``."""
    inside = b"[" + code + b"] " if code else b""
    return tag.encode("ascii") + b" " + kind.encode("ascii") + b" " + inside + text(words) + b"\r\n"


def continuation(words: str = "") -> bytes:
    """``+ words``: send the literal, the line, DONE."""
    return b"+ " + (text(words) if words else b"") + b"\r\n"


def capability(names: Iterable[str]) -> bytes:
    """The words of a CAPABILITY response, or of its code."""
    return b"CAPABILITY " + " ".join(names).encode("ascii")


# Response codes (without brackets)


def append_uid(uidvalidity: int, uids: Iterable[int]) -> bytes:
    """APPENDUID (RFC 4315 §3)."""
    return b"APPENDUID %d " % uidvalidity + sequence_set(uids)


def copy_uid(uidvalidity: int, sources: Iterable[int], copies: Iterable[int]) -> bytes:
    """COPYUID (RFC 4315 §3): the n-th of the copies is the copy of the n-th source."""
    parts = (sequence_set(sources), sequence_set(copies))
    return b"COPYUID %d " % uidvalidity + b" ".join(parts)


def uid_validity(value: int) -> bytes:
    """UIDVALIDITY."""
    return b"UIDVALIDITY %d" % value


def uid_next(value: int) -> bytes:
    """UIDNEXT."""
    return b"UIDNEXT %d" % value


def unseen(msn: int) -> bytes:
    """UNSEEN: the first message that is not \\Seen (RFC 3501 §7.1)."""
    return b"UNSEEN %d" % msn


def highest_modseq(modseq: int) -> bytes:
    """HIGHESTMODSEQ (RFC 7162 §3.1.2.1)."""
    return b"HIGHESTMODSEQ %d" % modseq


def modified(numbers: Iterable[int]) -> bytes:
    """MODIFIED: what a STORE with UNCHANGEDSINCE left alone (RFC 7162 §3.1.3)."""
    return b"MODIFIED " + sequence_set(numbers)


def permanent_flags(flags: Iterable[Flag], *, new_keywords: bool = True) -> bytes:
    """PERMANENTFLAGS; ``\\*``: the client may make keywords (RFC 9051 §7.1)."""
    listed = [*flags, *([Flag("\\*")] if new_keywords else [])]
    return b"PERMANENTFLAGS " + flag_list(listed)


def bad_charset(known: Iterable[str]) -> bytes:
    """BADCHARSET (RFC 9051 §7.1)."""
    return b"BADCHARSET (" + " ".join(known).encode("ascii") + b")"


# Mailboxes


def listed(
    attributes: Iterable[str],
    delimiter: str | None,
    name: str,
    *,
    kind: str = "LIST",
    child_info: Sequence[str] = (),
    utf8: bool = False,
) -> bytes:
    """A LIST, LSUB or XLIST line; ``child_info`` as ``("SUBSCRIBED",)`` (RFC 5258 §4)."""
    separator = quoted(delimiter.encode("ascii")) if delimiter else NIL
    start = f"{kind} ({' '.join(attributes)}) ".encode("ascii")
    more = b""
    if child_info:
        options = b" ".join(quoted(option.encode("ascii")) for option in child_info)
        more = b' ("CHILDINFO" (' + options + b"))"
    return untagged(start + separator + b" " + mailbox(name, utf8=utf8) + more)


def status(name: str, items: Mapping[str, int | str | None], *, utf8: bool = False) -> bytes:
    """A STATUS line. A value is a number, NIL for None, or an object id as MAILBOXID has it."""
    values = b" ".join(key.encode("ascii") + b" " + _status_value(v) for key, v in items.items())
    return untagged(b"STATUS " + mailbox(name, utf8=utf8) + b" (" + values + b")")


def _status_value(value: int | str | None) -> bytes:
    if value is None:
        return NIL
    return b"%d" % value if isinstance(value, int) else b"(" + value.encode("ascii") + b")"


# Messages


def search(numbers: Iterable[int], modseq: int | None = None) -> bytes:
    """A SEARCH line; ``modseq`` if the client asked with MODSEQ (RFC 7162 §3.1.5)."""
    found = "".join(f" {number}" for number in numbers).encode("ascii")
    return untagged(b"SEARCH" + found + (b" (MODSEQ %d)" % modseq if modseq else b""))


def esearch(
    tag: str,
    *,
    uid: bool,
    minimum: int | None = None,
    maximum: int | None = None,
    all_: Sequence[int] | None = None,
    count: int | None = None,
    partial: tuple[tuple[int, int], Sequence[int]] | None = None,
    modseq: int | None = None,
) -> bytes:
    """An ESEARCH line (RFC 4731 §3.1, RFC 9394 §3.1); None: not asked for, or nothing found.

    An ``all_`` without numbers is left out; a ``partial`` without is NIL.
    """
    words = [b"ESEARCH (TAG ", quoted(tag.encode("ascii")), b")", b" UID" if uid else b""]
    for name, number in ((b"MIN", minimum), (b"MAX", maximum), (b"COUNT", count)):
        if number is not None:
            words.append(b" %s %d" % (name, number))
    if all_:
        words.append(b" ALL " + sequence_set(all_))
    if partial is not None:
        (first, last), numbers = partial
        words.append(b" PARTIAL (%d:%d %s)" % (first, last, sequence_set(numbers) or NIL))
    if modseq is not None:
        words.append(b" MODSEQ %d" % modseq)
    return untagged(b"".join(words))


def vanished(uids: Iterable[int], *, earlier: bool = False) -> bytes:
    """A VANISHED line (RFC 7162 §3.2.10); b"" for no UIDs."""
    numbers = sequence_set(uids)
    if not numbers:
        return b""
    return untagged(b"VANISHED " + (b"(EARLIER) " if earlier else b"") + numbers)


def fetched(msn: int, items: Iterable[bytes]) -> bytes:
    """A FETCH line of ready items, each as ``UID 7``."""
    return b"* %d FETCH (" % msn + b" ".join(items) + b")\r\n"


def uid_item(uid: int) -> bytes:
    """``UID 7``."""
    return b"UID %d" % uid


def flags_item(flags: Iterable[Flag]) -> bytes:
    """``FLAGS (\\Seen)``."""
    return b"FLAGS " + flag_list(flags)


def modseq_item(modseq: int) -> bytes:
    """``MODSEQ (7)``."""
    return b"MODSEQ (%d)" % modseq


def size_item(octets: int) -> bytes:
    """``RFC822.SIZE 44827``."""
    return b"RFC822.SIZE %d" % octets


def internal_date_item(moment: datetime) -> bytes:
    """``INTERNALDATE "17-Jul-1996 02:44:25 -0700"``."""
    return b"INTERNALDATE " + date_time(moment)


def save_date_item(moment: datetime | None) -> bytes:
    """``SAVEDATE "…"``, or NIL: the mailbox keeps none (RFC 8514 §4.2)."""
    return b"SAVEDATE " + (NIL if moment is None else date_time(moment))


def object_id_item(name: str, object_id: str | None) -> bytes:
    """``EMAILID (M1)``; NIL for None, which only THREADID may be (RFC 8474 §5.2)."""
    value = NIL if object_id is None else b"(" + object_id.encode("ascii") + b")"
    return name.encode("ascii") + b" " + value


def section_item(answer: bytes, octets: bytes | None) -> bytes:
    """``BODY[1]<0> {5}…``: ``answer`` is the item's (``imap_fetch_items``); NIL: no such part."""
    # Always a literal: message octets as a quoted string have broken clients.
    return answer + b" " + (NIL if octets is None else literal(octets))


def binary_item(answer: bytes, octets: bytes) -> bytes:
    """``BINARY[1] ~{5}…``; a literal8 only where it must be (RFC 3516 §4.2)."""
    return answer + b" " + (literal8(octets) if b"\0" in octets else literal(octets))
