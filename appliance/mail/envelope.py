"""ENVELOPE (RFC 9051 §7.5.2): addresses of any quality, and the text an IMAP server sends.

The address parser is our own: one pass over tokens, comments may nest without
recursion, missing commas, brackets and quotes are made good. Nothing raises;
addresses beyond MAX_ADDRESSES of a field are left out of the envelope (never
out of the message).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from appliance.mail.charset import decode_text
from appliance.mail.header import Field, decode, unfold
from appliance.mail.types import Address, Envelope

MAX_ADDRESSES: Final = 10_000
"""Addresses kept of one kind of field; a larger list is no letter a household gets."""
MAX_TOKENS: Final = 120_000
"""Words and marks read of one kind of field."""
_QUOTED_LIMIT: Final = 1000

_TOKEN = re.compile(
    rb"(?P<space>[\s\x00]++)"
    rb"|(?P<word>=\?[^?\s]++\?[BbQq]\?[^?\s]*+\?=)"  # unquoted commas stand in these
    rb'|"(?P<quoted>(?:[^"\\]|\\.)*+)"'
    rb"|(?P<special>[<>,;:@(])"
    rb"|(?P<literal>\[[^\[\]<>,]*+\])"
    rb'|(?P<atom>[^\s\x00<>,;:@("]++|")',
    re.S,
)
_TOKEN_NO_QUOTES = re.compile(
    rb"(?P<space>[\s\x00]++)|(?P<special>[<>,;:@(])|(?P<atom>[^\s\x00<>,;:@(]++)"
)
_COMMENT_MARK = re.compile(rb"\\.|[()]", re.S)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.S)
_CLEAN = re.compile(rb"[ !#-\[\]-~]*+")
_ESCAPABLE = re.compile(rb"[ -~]*+")
_ESCAPE = re.compile(rb'(["\\])')
_PLAIN_LOCAL = re.compile(r'[^\s"(),:;<>@\[\\\]]+')

_GROUP_END = Address(None, None, None, None)


def envelope_of(fields: Iterable[Field]) -> Envelope:
    """The envelope of a header section.

    Of a field that stands more than once the first counts; address fields are
    joined. Sender and Reply-To default to From (RFC 9051 §7.5.2).
    """
    bodies: dict[str, list[bytes]] = {}
    for field in fields:
        bodies.setdefault(field.name.lower(), []).append(field.body)

    def one(name: str) -> bytes | None:
        found = bodies.get(name)
        return unfold(found[0]).replace(b"\0", b"") if found else None

    def all_of(name: str) -> tuple[Address, ...]:
        found = bodies.get(name)
        return addresses(b",".join(map(unfold, found))) if found else ()

    from_ = all_of("from")
    return Envelope(
        date=one("date"),
        subject=one("subject"),
        from_=from_,
        sender=all_of("sender") or from_,
        reply_to=all_of("reply-to") or from_,
        to=all_of("to"),
        cc=all_of("cc"),
        bcc=all_of("bcc"),
        in_reply_to=one("in-reply-to"),
        message_id=one("message-id"),
    )


def envelope_octets(envelope: Envelope) -> bytes:
    """The parenthesised ENVELOPE text (RFC 9051 §7.5.2), ready for a FETCH response."""
    lists = (
        envelope.from_,
        envelope.sender,
        envelope.reply_to,
        envelope.to,
        envelope.cc,
        envelope.bcc,
    )
    return b"(%s)" % b" ".join(
        (
            nstring(envelope.date),
            nstring(envelope.subject),
            *map(_address_list, lists),
            nstring(envelope.in_reply_to),
            nstring(envelope.message_id),
        )
    )


def nstring(octets: bytes | None) -> bytes:
    """An IMAP nstring: NIL, a quoted string where it can be one, else a literal.

    NUL cannot stand in either (RFC 9051 §4.3) and is removed.
    """
    if octets is None:
        return b"NIL"
    if len(octets) <= _QUOTED_LIMIT:
        if _CLEAN.fullmatch(octets):
            return b'"%s"' % octets
        if _ESCAPABLE.fullmatch(octets):
            return b'"%s"' % _ESCAPE.sub(rb"\\\1", octets)
    octets = octets.replace(b"\0", b"")
    return b"{%d}\r\n%s" % (len(octets), octets)


def addresses(body: bytes) -> tuple[Address, ...]:
    """The addresses of an unfolded address-list field body (RFC 5322 §3.4, §4.4), groups included.

    A mailbox without a domain has ``domain`` b"", because None says "group".
    """
    reader = _Reader()
    position = 0
    pattern = _TOKEN
    size = len(body)
    for _ in range(MAX_TOKENS):
        if position >= size:
            break
        match = pattern.match(body, position)
        if match is None:  # only an opening bracket of a broken domain literal
            reader.atom(body[position : position + 1])
            position += 1
            continue
        position = match.end()
        kind = match.lastgroup
        if kind == "space":
            reader.spaced = True
        elif kind == "special":
            mark = match.group()
            if mark == b"(":
                comment_end = _comment_end(body, position)
                reader.comment(body[position : comment_end - 1])
                position = comment_end
            else:
                reader.special(mark)
        elif kind == "quoted":
            reader.atom(_QUOTED_PAIR.sub(rb"\1", match.group("quoted")), quoted=True)
        else:
            if match.group() == b'"':
                pattern = _TOKEN_NO_QUOTES  # unbalanced: no quote after this one closes anything
                continue
            reader.atom(match.group())
        if len(reader.found) >= MAX_ADDRESSES:
            break
    return reader.done()


def display(address: Address) -> str:
    """The address for people: ``Name <local@domain>``, the address alone, or a group's name."""
    name = decode(address.display_name) if address.display_name else ""
    where = address_text(address)
    if name and where:
        return f"{name} <{where}>"
    return name or where


def address_text(address: Address) -> str:
    """``local@domain`` as text; a group's name; empty for the end of a group."""
    if address.local_part is None:
        return ""
    if address.domain is None:
        return decode(address.local_part)
    local = decode_text(address.local_part, None)
    domain = decode_text(address.domain, None)
    if local and not _PLAIN_LOCAL.fullmatch(local):
        local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{local}@{domain}" if domain else local


def _address_list(found: tuple[Address, ...]) -> bytes:
    if not found:
        return b"NIL"
    return b"(%s)" % b"".join(
        b"(%s %s %s %s)"
        % (
            nstring(address.display_name),
            nstring(address.route),
            nstring(address.local_part),
            nstring(address.domain),
        )
        for address in found
    )


def _comment_end(body: bytes, position: int) -> int:
    """The offset after the parenthesis that closes a comment opened before ``position``."""
    depth = 1
    for mark in _COMMENT_MARK.finditer(body, position):
        if mark.group() == b"(":
            depth += 1
        elif mark.group() == b")":
            depth -= 1
            if depth == 0:
                return mark.end()
    return len(body) + 1


class _Reader:
    """Takes tokens, gives addresses: the state between two separators."""

    def __init__(self) -> None:
        self.found: list[Address] = []
        self.spaced = False
        self._in_group = False
        self._clear()

    def _clear(self) -> None:
        self._words: list[tuple[bool, bytes]] = []  # (white space before it, octets)
        self._ats: list[int] = []
        self._name: bytes | None = None
        self._route: bytes | None = None
        self._in_angle = False
        self._after_angle = False
        self._comment: bytes | None = None
        self.spaced = False

    def comment(self, octets: bytes) -> None:
        if octets.strip():
            self._comment = _QUOTED_PAIR.sub(rb"\1", octets).strip()
        self.spaced = True

    def atom(self, octets: bytes, *, quoted: bool = False) -> None:
        if self._after_angle:
            self._flush()  # a missing comma: <a@x> Name <b@y>
        elif self.spaced and not quoted and self._complete() and not self._dotted(octets):
            self._flush()  # a missing comma: a@x b@y
        self._words.append((self.spaced, octets))
        self.spaced = False

    def special(self, mark: bytes) -> None:
        if mark == b"@":
            self._ats.append(len(self._words))
            self._words.append((self.spaced, mark))
            self.spaced = False
        elif mark == b"<":
            self._open_angle()
        elif mark == b">":
            if self._in_angle:
                self._in_angle, self._after_angle = False, True
        elif mark == b":":
            self._colon()
        elif mark == b"," and self._in_angle and self._ats[:1] == [0] and self._route is None:
            self._words.append((False, mark))  # between the hosts of a route
        else:
            self._flush()
            if mark == b";" and self._in_group:
                self.found.append(_GROUP_END)
                self._in_group = False

    def done(self) -> tuple[Address, ...]:
        self._flush()
        if self._in_group:
            self.found.append(_GROUP_END)
        return tuple(self.found)

    def _complete(self) -> bool:
        """There is a whole local@domain already, outside angle brackets."""
        return not self._in_angle and bool(self._ats) and self._ats[-1] < len(self._words) - 1

    def _dotted(self, octets: bytes) -> bool:
        """White space around the dots of a domain separates nothing (RFC 5322 §4.4)."""
        return octets.startswith(b".") or self._words[-1][1].endswith(b".")

    def _open_angle(self) -> None:
        if self._after_angle or self._in_angle:
            self._flush()
        self._name = self._joined(0, len(self._words)) or None
        self._words, self._ats = [], []
        self._in_angle = True
        self.spaced = False

    def _colon(self) -> None:
        if self._in_angle:
            if self._ats[:1] == [0]:  # the end of a route (RFC 5322 §4.4)
                self._route = b"".join(octets for _, octets in self._words)
                self._words, self._ats = [], []
            else:
                self._words.append((False, b":"))
        elif self._words and not self._ats and not self._in_group:
            self.found.append(Address(None, None, self._joined(0, len(self._words)), None))
            self._in_group = True
            self._clear()
        elif self._words:
            self._words.append((self.spaced, b":"))
            self.spaced = False

    def _joined(self, start: int, end: int) -> bytes:
        return b"".join(
            b" " + octets if spaced and index else octets
            for index, (spaced, octets) in enumerate(self._words[start:end])
        )

    def _flush(self) -> None:
        """The address read so far, if there is one."""
        angle = self._in_angle or self._after_angle
        if not self._words and not (angle and self._name):
            self._clear()
            return
        name = self._name
        if not self._ats:
            local, domain = self._joined(0, len(self._words)), b""
        else:
            at = self._ats[-1]
            begin = 0
            if not angle:  # words before the local part are a name: Bob bob@example.com
                begin = next((n for n in range(at - 1, 0, -1) if self._words[n][0]), 0)
                name = self._joined(0, begin) or None
            local = b"".join(octets for _, octets in self._words[begin:at])
            domain = b"".join(octets for _, octets in self._words[at + 1 :])
        if name is None and not angle:
            name = self._comment  # bob@example.com (Bob), as RFC 822 programs wrote it
        self.found.append(Address(name, self._route, local, domain))
        self._clear()
