"""Filters of a query → the sets of messages they mean, asked of the catalog.

A filter that names what is not there finds nothing rather than everything: a
person who asks for ``in:Taxes`` is not shown what is elsewhere. ``notes`` says so.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection
from typing import Final

from appliance.mail.types import ANSWERED, FLAGGED, SEEN, Flag
from appliance.store import Archive
from index.query import Filter, Nothing, Or, Phrase, Query, Term, Within
from index.seqset import SeqSet

_FLAGS: Final[dict[str, tuple[Flag, bool]]] = {
    "unread": (SEEN, False),
    "read": (SEEN, True),
    "flagged": (FLAGGED, True),
    "answered": (ANSWERED, True),
}
# As BODYSTRUCTURE writes them, in lower case (RFC 9051 §7.5.2).
_PARTS: Final[dict[str, tuple[str, ...]]] = {
    "image": ('"image"',),
    "pdf": ('"pdf"', '.pdf"'),
    "invite": ('"calendar"', '.ics"'),
    "encrypted": ('"encrypted"', '"pkcs7-mime"', '"x-pkcs7-mime"'),
    "signed": ('"signed"', '"pkcs7-signature"', '"x-pkcs7-signature"'),
}
# PGP inside the text, as people pasted it before there was a MIME type for it.
_ARMOUR: Final[dict[str, str]] = {
    "encrypted": "BEGIN PGP MESSAGE",
    "signed": "BEGIN PGP SIGNED MESSAGE",
}


Ledgers = Callable[[str, str], Collection[str]]
"""From an owner and the name of an account to its names in the ledger; none if it is not theirs."""


class Filters:
    """What the filters of one owner's query mean; ``notes`` are sentences for the person."""

    def __init__(self, archive: Archive, ledgers: Ledgers, owner: str) -> None:
        self._archive = archive
        self._ledgers = ledgers
        self._owner = owner
        self.notes: list[str] = []

    def __call__(self, asked: Filter) -> Query:
        """The resolver for ``index.query.resolve``."""
        archive, value = self._archive, asked.value.strip()
        match asked.name:
            case "in":
                return self._in(value)
            case "is":
                return self._is(value)
            case "has":
                return self._has(value)
            case "account":
                return self._account(value)
            case "person":
                return self._person(value)
            case "larger" if value.isdecimal():
                return within(archive.seqs_sized(int(value[:18]), None))
            case "smaller" if value.isdecimal():
                return within(archive.seqs_sized(None, int(value[:18])))
            case "thread" if value.isdecimal():
                return within(archive.seqs_of_thread(int(value[:18])))
            case _:
                self.notes.append(f"{asked.name}:{value} means nothing here.")
                return Nothing()

    def _in(self, mailbox: str) -> Query:
        if mailbox == "removed":
            return within(self._archive.seqs_removed(self._owner))
        if not self._archive.named(self._owner, mailbox):
            self.notes.append(f"There is no mailbox {mailbox}.")
        return within(self._archive.seqs_in(self._owner, mailbox))

    def _is(self, state: str) -> Query:
        if state in _FLAGS:
            flag, flagged = _FLAGS[state]
            return within(self._archive.seqs_flagged(self._owner, flag, flagged))
        return Or((self._parts(state), Phrase("text", _ARMOUR[state])))

    def _has(self, kind: str) -> Query:
        if kind == "attachment":
            return within(self._archive.seqs_with_attachments())
        if kind == "link":
            addresses = ("http", "https", "www")
            return Or(tuple(Term("text", word, exact=True) for word in addresses))
        return self._parts(kind)

    def _parts(self, kind: str) -> Query:
        return within(self._archive.seqs_with_parts(*_PARTS[kind]))

    def _person(self, name: str) -> Query:
        # A person searches what is theirs; that somebody else is there is not said.
        if name.casefold() == self._owner.casefold():
            return within(self._archive.seqs_of(self._owner))
        self.notes.append(f"You can search your own mail, not that of {name}.")
        return Nothing()

    def _account(self, name: str) -> Query:
        # Of one's own accounts only: what also came by somebody else's is theirs to know.
        seqs = self._archive.seqs_of_ledgers(self._ledgers(self._owner, name))
        if not seqs:
            self.notes.append(f"No mail came from {name}.")
        return within(seqs)


def within(seqs: array[int]) -> Within:
    """The query for exactly these messages."""
    return Within(SeqSet(seqs))


def mentions(query: Query, name: str, value: str) -> bool:
    """Whether this filter is somewhere in the query."""
    stack: list[Query] = [query]
    while stack:
        node = stack.pop()
        if node == Filter(name, value):
            return True
        stack.extend(getattr(node, "parts", ()))
        if (part := getattr(node, "part", None)) is not None:
            stack.append(part)
    return False
