"""What joins messages to a conversation: message-ids, and the base subject (RFC 5256).

Only reads header fields; which thread a message belongs to is the store's to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from appliance.mail.header import Field, first, message_ids

MAX_REFERENCES: Final = 100
"""Kept of a longer list: the first half, which holds the root, and the last, the parents."""

# RFC 5256 §5 subj-refwd, with what German, Scandinavian, French, Italian, Spanish, Polish,
# Portuguese, Dutch and Chinese programs write, and the counted form Re[2]: and Re^2:.
_REPLY = r"re|aw|antw|antwort|sv|vs|rv|odp|r|rif|res|tr|ynt|bls|doorst|回复|回覆|答复"
_FORWARD = r"fwd?|wg|weitergeleitet|vb|i|enc|转发|轉寄"
_BLOB = r"\[[^\[\]]*\]\s*"
_LEADER = re.compile(
    rf"\s*(?:{_BLOB})?(?:(?P<reply>{_REPLY})|(?P<forward>{_FORWARD}))"
    rf"\s*(?:\[[^\[\]]*\]|\(\d+\)|\^\d+)?\s*[:：]\s*",
    re.I,
)
_LEADING_BLOB = re.compile(rf"\s*{_BLOB}(?=\S)")
_FORWARD_TRAILER = re.compile(r"\(fwd\)\s*\Z", re.I)
_FORWARD_WRAP = re.compile(r"\[fwd:(.*)\]\Z", re.I | re.S)
_LONGEST = 1000
_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class ThreadKeys:
    """A message's own id, and those of its ancestors, the oldest first."""

    message_id: str | None
    references: tuple[str, ...]


def thread_keys(fields: Iterable[Field]) -> ThreadKeys:
    """The ids of a header section: References, then In-Reply-To if that adds one (RFC 5256 §3)."""
    fields = tuple(fields)
    own = message_ids(first(fields, "message-id") or b"")
    message_id = own[0] if own else None
    named = [
        *message_ids(first(fields, "references") or b""),
        *message_ids(first(fields, "in-reply-to") or b"")[:1],
    ]
    found = [one for one in dict.fromkeys(named) if one != message_id]
    if len(found) > MAX_REFERENCES:
        half = MAX_REFERENCES // 2
        found = found[:half] + found[-half:]
    return ThreadKeys(message_id, tuple(found))


def base_subject(subject: str) -> str:
    """The subject without reply and forward marks and list names (RFC 5256 §2.1).

    White space is collapsed; case is kept. Of a subject of nothing but marks
    what is left is empty.
    """
    text = " ".join(subject[:_LONGEST].split())
    for _ in range(_ROUNDS):
        before = text
        text = _FORWARD_TRAILER.sub("", text).rstrip()
        match = _LEADER.match(text) or _LEADING_BLOB.match(text)
        if match:
            text = text[match.end() :]
        if wrapped := _FORWARD_WRAP.fullmatch(text):
            text = wrapped.group(1).strip()
        if text == before:
            break
    return text


def is_reply(subject: str) -> bool:
    """Whether the subject is marked as a reply or a forwarded message."""
    text = " ".join(subject[:_LONGEST].split())
    return bool(
        _LEADER.match(text) or _FORWARD_TRAILER.search(text) or _FORWARD_WRAP.fullmatch(text)
    )
