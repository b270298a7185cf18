"""The flags mail programs write into a message's own header when they keep it in an mbox.

``Status: RO`` and ``X-Status: AFDT`` (BSD mail, mutt, pine, Dovecot),
``X-Mozilla-Status: 0001`` (Thunderbird), ``X-Gmail-Labels`` (Google Takeout).
The fields are read, and stay in the octets.
"""

from __future__ import annotations

import re

from appliance.mail.types import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Flag, Octets

_HEADER_LIMIT = 256 << 10
_FIELD = re.compile(
    rb"^(status|x-status|x-mozilla-status|x-gmail-labels)[ \t]*:[ \t]*([^\r\n]*)", re.I | re.M
)
_BLANK_LINE = re.compile(rb"\n\r?\n")
_STATUS = {ord("R"): SEEN}
_X_STATUS = {
    ord("A"): ANSWERED,
    ord("F"): FLAGGED,
    ord("D"): DELETED,
    ord("T"): DRAFT,
}
# nsMsgMessageFlags of Thunderbird: Read, Replied, Marked, Expunged.
_MOZILLA = ((0x0001, SEEN), (0x0002, ANSWERED), (0x0004, FLAGGED), (0x0008, DELETED))


def flags_in(octets: Octets) -> frozenset[Flag]:
    """The flags the header section speaks of; empty when it speaks of none."""
    start = bytes(octets[:_HEADER_LIMIT])
    blank = _BLANK_LINE.search(start)
    flags: set[Flag] = set()
    for name, body in _FIELD.findall(start[: blank.start() + 1] if blank else start):
        match name.lower():
            case b"status":
                flags.update(_STATUS[letter] for letter in body if letter in _STATUS)
            case b"x-status":
                flags.update(_X_STATUS[letter] for letter in body if letter in _X_STATUS)
            case b"x-mozilla-status":
                flags.update(_mozilla(body))
            case _:
                flags.update(_gmail(body))
    return frozenset(flags)


def _mozilla(body: bytes) -> list[Flag]:
    try:
        bits = int(body.strip(), 16)
    except ValueError:
        return []
    return [flag for bit, flag in _MOZILLA if bits & bit]


def _gmail(body: bytes) -> list[Flag]:
    labels = {label.strip().lower() for label in body.split(b",")}
    flags = [] if b"unread" in labels else [SEEN]
    return [*flags, FLAGGED] if b"starred" in labels else flags
