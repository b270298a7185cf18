"""The provider's mailbox names, and where their messages go in the owner's tree.

INBOX stays INBOX. A mailbox whose use the server tells (RFC 6154), or whose name
says it in English or German, is ours of that use: ``[Gmail]/Gesendet`` → ``Sent``.
Every other keeps the provider's own name, with ``/`` between the levels.
Mailboxes that only show messages of other mailboxes again (``\\All``,
``\\Flagged``, ``\\Important``) are left out unless they are asked for by name.

Gmail is an exception: what is "archived" there and has no label stands in its
``\\All`` alone. Of that mailbox just those messages are taken, into ``Archive``; Gmail's
own search tells which (X-GM-RAW).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from imapclient import (  # type: ignore[import-untyped]  # IMAPClient ships no types
    imap_utf7,
)

from appliance.fetch.session import RemoteMailbox

__all__ = ["Listed", "chosen", "key", "readable"]

INBOX: Final = "INBOX"
_VIEWS: Final = frozenset({"\\all", "\\flagged", "\\important"})
_UNREADABLE: Final = frozenset({"\\noselect", "\\nonexistent"})
_USES: Final = {
    "\\sent": "Sent",
    "\\drafts": "Drafts",
    "\\trash": "Trash",
    "\\junk": "Junk",
    "\\archive": "Archive",
}
_WELL_KNOWN: Final = {
    name: ours
    for ours, names in {
        "Sent": "sent|sent items|sent messages|sent mail|gesendet|gesendete objekte"
        "|gesendete elemente|gesendete nachrichten|postausgang",
        "Drafts": "drafts|draft|entwürfe|entwurf",
        "Trash": "trash|deleted|deleted items|deleted messages|bin|papierkorb|gelöscht"
        "|gelöschte objekte|gelöschte elemente|gelöschte nachrichten",
        "Junk": "junk|spam|junk e-mail|junk email|junk mail|bulk mail|spamverdacht|unerwünscht"
        "|junk-e-mail|spamordner",
        "Archive": "archive|archives|archiv",
    }.items()
    for name in names.split("|")
}
_GMAIL_REST: Final = 'X-GM-RAW "has:nouserlabels -in:inbox -in:sent -in:drafts"'
_OURS_ALONE: Final = "all mail"
_NAME_OCTETS: Final = 900
"""Our tree holds names of 1 000 octets; no mail may stay outside for a longer one."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Listed:
    """One LIST response: attributes as written, the delimiter or None, the name's octets."""

    attributes: frozenset[str]
    delimiter: str | None
    raw: bytes

    def has(self, attributes: Iterable[str]) -> bool:
        """Whether one of these (in lower case) is among its attributes."""
        return not {attribute.lower() for attribute in self.attributes}.isdisjoint(attributes)


def readable(raw: bytes) -> str:
    """The name in clear: modified UTF-7 (RFC 3501 §5.1.3), or UTF-8 where a server writes that."""
    try:
        return str(imap_utf7.decode(raw)) if _clean(raw) else raw.decode("utf-8")
    except UnicodeError:
        return raw.decode("latin-1")


def key(raw: bytes) -> str:
    """The name as the ledger's key. Other octets, another key: were two mailboxes
    one in the ledger, a message of one would be taken for a known one of the other."""
    return readable(raw) if _clean(raw) else f"{readable(raw)} ({raw.hex()})"


def _clean(raw: bytes) -> bool:
    """Whether it is modified UTF-7 in the one way there is to write it."""
    try:
        return raw.isascii() and bool(imap_utf7.encode(imap_utf7.decode(raw)) == raw)
    except (UnicodeError, ValueError):
        return False


def chosen(
    listed: Sequence[Listed],
    globs: Sequence[str] = (),
    prefix: str = "",
    *,
    gmail: bool = False,
) -> list[RemoteMailbox]:
    """The mailboxes to fetch, INBOX first.

    ``globs`` match the provider's name, written with ``/`` between the levels; ``*`` is
    any characters, ``?`` one, others (``[Gmail]``) themselves; none means all.
    ``prefix`` is the personal namespace (``INBOX.``), taken off. ``gmail``: the server
    knows X-GM-EXT-1.
    """
    told = {_USES[a.lower()] for one in listed for a in one.attributes if a.lower() in _USES}
    found: dict[str, RemoteMailbox] = {}
    for one in listed:
        path = _path(readable(one.raw), one.delimiter)
        if one.has(_UNREADABLE) or not _wanted(path, globs):
            continue
        name = key(one.raw)
        if one.has(_VIEWS) and path not in globs:
            if gmail and one.has(("\\all",)):
                found.setdefault(name, RemoteMailbox(name, "Archive", one.raw, _GMAIL_REST))
            continue
        found.setdefault(name, RemoteMailbox(name, _ours(one, path, told, prefix), one.raw))
    return sorted(found.values(), key=lambda mailbox: mailbox.ours != INBOX)


def _path(name: str, delimiter: str | None) -> str:
    """The name with ``/`` between the levels; a ``/`` that is none becomes ``-``."""
    if delimiter and delimiter != "/":
        return name.replace("/", "-").replace(delimiter, "/")
    return name if delimiter else name.replace("/", "-")


def _wanted(path: str, globs: Sequence[str]) -> bool:
    if path.upper() == INBOX:
        path, globs = INBOX, [glob.upper() for glob in globs]
    return not globs or any(_matches(glob, path) for glob in globs)


def _matches(glob: str, path: str) -> bool:
    pattern = re.escape(glob).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(pattern, path, re.DOTALL) is not None


def _ours(one: Listed, path: str, told: set[str], prefix: str) -> str:
    if path.upper() == INBOX:
        return INBOX
    for attribute in one.attributes:
        if attribute.lower() in _USES:
            return _USES[attribute.lower()]
    delimiter = one.delimiter or ""
    if prefix and delimiter:
        path = path.removeprefix(_path(prefix, delimiter))
    known = _WELL_KNOWN.get(re.sub(r"^(inbox|\[[^/\]]+\])/", "", path.lower()))
    # Where the server tells which one is Sent, another "Sent Items" is just a mailbox.
    if known is not None and known not in told:
        return known
    return _possible(path)


def _possible(path: str) -> str:
    """A name our tree can hold: no control characters, no empty level, none of the archive's."""
    levels = [_CONTROL.sub("_", level).strip() or "_" for level in path.split("/")]
    if levels[0].upper() == INBOX:
        levels[0] = INBOX
    if len(levels) == 1 and levels[0].lower() == _OURS_ALONE:
        levels[0] += " (provider)"
    return _fitting("/".join(levels))


def _fitting(name: str) -> str:
    """The name, or its beginning with a mark that no other long name gets."""
    octets = name.encode("utf-8")
    if len(octets) <= _NAME_OCTETS:
        return name
    mark = hashlib.sha256(octets).hexdigest()[:8]
    return octets[:_NAME_OCTETS].decode("utf-8", "ignore").rstrip("/ ") + "~" + mark
