"""LIST, LSUB, XLIST, STATUS, NAMESPACE: the tree of mailboxes (RFC 9051 §6.3.9, RFC 5258).

A name above a mailbox that is no mailbox itself is listed too, ``\\NonExistent``:
else a client that opens the tree level by level would never find what is below.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from appliance.imap.client import Client
from appliance.mail.types import Mailbox
from appliance.store import Archive, MailboxStatus
from appliance.wire import imap_responses as responses
from appliance.wire.imap_commands import List, Lsub, Namespace, Status, Xlist

# What Outlook 2013 and 2016 know from Gmail's XLIST.
_XLIST: Final = {"\\All": "\\AllMail", "\\Junk": "\\Spam", "\\Flagged": "\\Starred"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in the tree. ``mailbox`` is None where there is only something below."""

    name: str
    mailbox: Mailbox | None
    subscribed: bool
    children: bool
    subscribed_below: bool


async def list_(client: Client, command: List) -> None:
    """LIST, basic and extended, with RETURN (STATUS (…)) (RFC 5819)."""
    owner, archive = client.person(), client.services.archive
    if command.patterns == ("",):
        # The hierarchy delimiter is asked for (RFC 9051 §6.3.9).
        await client.send(b'* LIST (\\Noselect) "/" ""\r\n')
        await client.done(command.tag, "LIST completed")
        return
    entries = await client.blocking(tree, archive, owner)
    patterns = [command.reference + pattern for pattern in command.patterns]
    lines = []
    statuses = await client.blocking(archive.statuses, owner) if command.status else {}
    for entry in entries:
        if any(matches(pattern, entry.name) for pattern in patterns) and _selected(entry, command):
            lines.append(_list_line(entry, command))
            if entry.mailbox is not None and entry.mailbox.id in statuses:
                found = statuses[entry.mailbox.id]
                lines.append(_status_line(client, entry.name, found, command.status))
    await client.send(*lines)
    await client.done(command.tag, "LIST completed")


async def lsub(client: Client, command: Lsub) -> None:
    """LSUB (RFC 3501 §6.3.9)."""
    entries = await client.blocking(tree, client.services.archive, client.person())
    pattern = command.reference + command.pattern
    for entry in entries:
        if not matches(pattern, entry.name):
            continue
        if entry.subscribed:
            await client.send(responses.listed((), "/", entry.name, kind="LSUB"))
        elif "%" in pattern and entry.subscribed_below:
            # "foo" stands for the subscribed "foo/bar" that % cannot show.
            await client.send(responses.listed(("\\Noselect",), "/", entry.name, kind="LSUB"))
    await client.done(command.tag, "LSUB completed")


async def xlist(client: Client, command: Xlist) -> None:
    """XLIST: LIST with Gmail's names of the special mailboxes."""
    entries = await client.blocking(tree, client.services.archive, client.person())
    lines = []
    for entry in entries:
        if matches(command.reference + command.pattern, entry.name):
            attributes = [_XLIST.get(one, one) for one in _attributes(entry)]
            attributes += ["\\Inbox"] if entry.name == "INBOX" else []
            lines.append(responses.listed(attributes, "/", entry.name, kind="XLIST"))
    await client.send(*lines)
    await client.done(command.tag, "XLIST completed")


async def status(client: Client, command: Status) -> None:
    """STATUS (RFC 9051 §6.3.11)."""
    archive, owner = client.services.archive, client.person()
    client.condstore |= "HIGHESTMODSEQ" in command.items
    found = await client.blocking(
        lambda: archive.status(archive.mailbox(owner, command.mailbox).id)
    )
    await client.send(_status_line(client, command.mailbox, found, command.items))
    await client.done(command.tag, "STATUS completed")


async def namespace(client: Client, command: Namespace) -> None:
    """NAMESPACE: one of one's own, without a prefix (RFC 2342)."""
    client.person()
    await client.send(b'* NAMESPACE (("" "/")) NIL NIL\r\n')
    await client.done(command.tag, "NAMESPACE completed")


def tree(archive: Archive, owner: str) -> list[Entry]:
    """Every name of an owner's tree: mailboxes, what is above them, what is only subscribed to."""
    boxes = {box.name: box for box in archive.mailboxes(owner)}
    subscribed = archive.subscriptions(owner)
    above = {name for box in boxes for name in _ancestors(box)}
    above_subscribed = {name for one in subscribed for name in _ancestors(one)}
    names = sorted(boxes.keys() | subscribed | above | above_subscribed)
    names.sort(key=lambda name: name != "INBOX")
    return [
        Entry(name, boxes.get(name), name in subscribed, name in above, name in above_subscribed)
        for name in names
    ]


def matches(pattern: str, name: str) -> bool:
    """``*`` is anything, ``%`` anything but "/"; INBOX in any case (RFC 9051 §6.3.9.1).

    Every place in the pattern is followed at once, so time is the product of the lengths
    however many wildcards there are.
    """
    if pattern.upper() == "INBOX":
        return name == "INBOX"
    places = _after_wildcards(pattern, {0})
    for letter in name:
        moved = set()
        for at in places:
            if at == len(pattern):
                continue
            if pattern[at] == "*" or (pattern[at] == "%" and letter != "/"):
                moved.add(at)
            elif pattern[at] == letter:
                moved.add(at + 1)
        places = _after_wildcards(pattern, moved)
        if not places:
            return False
    return len(pattern) in places


def _after_wildcards(pattern: str, places: set[int]) -> set[int]:
    """The places, and those behind wildcards that stand for nothing."""
    todo = list(places)
    while todo:
        at = todo.pop()
        if at < len(pattern) and pattern[at] in "*%" and at + 1 not in places:
            places.add(at + 1)
            todo.append(at + 1)
    return places


def _ancestors(name: str) -> Iterator[str]:
    levels = name.split("/")
    for depth in range(1, len(levels)):
        yield "/".join(levels[:depth])


def _selected(entry: Entry, command: List) -> bool:
    """Whether the selection options take the name in (RFC 5258 §3.1)."""
    chosen = command.selection
    if "SPECIAL-USE" in chosen and (entry.mailbox is None or not entry.mailbox.special_use):
        return False
    if "SUBSCRIBED" in chosen:
        return entry.subscribed or ("RECURSIVEMATCH" in chosen and entry.subscribed_below)
    return entry.mailbox is not None or entry.children


def _list_line(entry: Entry, command: List) -> bytes:
    attributes = _attributes(entry)
    if entry.subscribed and "SUBSCRIBED" in command.selection | command.returns:
        attributes.append("\\Subscribed")
    recursive = "RECURSIVEMATCH" in command.selection and entry.subscribed_below
    info = ("SUBSCRIBED",) if recursive else ()
    return responses.listed(attributes, "/", entry.name, child_info=info)


def _attributes(entry: Entry) -> list[str]:
    # RFC 5258 §3: \NonExistent implies \Noselect; old clients know only the latter.
    attributes = [] if entry.mailbox else ["\\NonExistent", "\\Noselect"]
    attributes.append("\\HasChildren" if entry.children else "\\HasNoChildren")
    if entry.mailbox is not None and entry.mailbox.special_use:
        attributes.append(entry.mailbox.special_use)
    return attributes


def _status_line(client: Client, name: str, found: MailboxStatus, items: Iterable[str]) -> bytes:
    values = {
        "MESSAGES": found.messages,
        "RECENT": 0,
        "UIDNEXT": found.uidnext,
        "UIDVALIDITY": found.uidvalidity,
        "UNSEEN": found.unseen,
        "DELETED": found.deleted,
        "SIZE": found.size,
        "HIGHESTMODSEQ": found.highestmodseq,
        "APPENDLIMIT": client.services.message_limit_octets,
    }
    return responses.status(name, {item: values[item] for item in items if item in values})
