"""The commands of the selected state: FETCH, STORE, COPY, MOVE, EXPUNGE, SEARCH (RFC 9051 §6.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

from appliance.imap.client import Client, Refused
from appliance.imap.fetching import NotOffered, Rendering, plan_of
from appliance.imap.searching import SearchRun
from appliance.imap.selected import Selected
from appliance.mail.types import Uid
from appliance.store import Archive, Copied, FlagChange, NoSuchMailbox
from appliance.wire import imap_responses as responses
from appliance.wire import imap_search_keys as keys
from appliance.wire.imap_commands import Copy, Expunge, Fetch, Move, Search, Store, StoreMode
from appliance.wire.imap_fetch_items import Attribute
from appliance.wire.imap_search_keys import SearchKey

_HOW: Final = {
    StoreMode.REPLACE: FlagChange.REPLACE,
    StoreMode.ADD: FlagChange.ADD,
    StoreMode.REMOVE: FlagChange.REMOVE,
}


async def fetch(client: Client, command: Fetch) -> None:
    """FETCH, UID FETCH; streamed, a batch at a time."""
    selected = client.mailbox()
    if command.vanished or command.partial is not None:
        raise NotOffered("the FETCH modifiers VANISHED and PARTIAL are not offered")
    since = command.changed_since
    plan = plan_of(command.items, uid=command.uid, modseq=since is not None)
    # Asking for mod-sequences turns CONDSTORE on (RFC 7162 §3.1).
    client.condstore |= Attribute.MODSEQ in plan.attributes
    indices: Iterable[int] = chain.from_iterable(selected.spans(command.numbers, command.uid))
    if since is not None:
        modseqs = selected.modseqs
        indices = (at for at in indices if modseqs[at] > since)
    rendering = Rendering(client.services.archive, selected, plan, client.services.damaged)
    steps = rendering.steps(indices)
    # BODY[] without PEEK writes \\Seen.
    call = client.waiting if plan.marks_seen else client.blocking
    try:
        while (pieces := await call(next, steps, None)) is not None:
            client.connection.streaming = True
            await client.connection.send_pieces(pieces)
    finally:
        if rendering.marked:
            client.committed()
    client.connection.streaming = False
    if rendering.unreadable:
        some = ", ".join(map(str, rendering.unreadable[:5]))
        raise Refused(
            "SERVERBUG",
            f"{len(rendering.unreadable)} message(s) could not be read (UID {some}); "
            "the others were sent; run hauspost verify",
        )
    await client.done(command.tag, "FETCH completed", expunge=command.uid)


async def store(client: Client, command: Store) -> None:
    """STORE, UID STORE, with UNCHANGEDSINCE (RFC 7162 §3.1.3)."""
    selected = client.writable()
    spans = selected.spans(command.numbers, command.uid)
    client.condstore |= command.unchanged_since is not None
    result = await client.waiting(
        client.services.archive.set_flags,
        selected.mailbox.id,
        selected.uids_in(spans),
        _HOW[command.mode],
        frozenset(command.flags),
        command.unchanged_since,
    )
    client.committed()
    changed = {at for place in result.changed if (at := selected.index(place.uid)) is not None}
    for place in result.changed:
        selected.set(place)
    await client.send(*client.new_keywords(changed))
    refused = set(result.modified)
    if not command.silent:
        # Also of those that had the flags before: the client hears what is so now (§6.4.6).
        told = (at for span in spans for at in span if selected.uids[at] not in refused)
        await client.send_each(told, client.flags_line)
    elif client.condstore:
        # .SILENT keeps the flags quiet, not the new mod-sequence (RFC 7162 §3.1.3).
        await client.send_each(sorted(changed), lambda at: _modseq_line(selected, at))
    code = b""
    if refused:
        numbers = sorted(refused) if command.uid else _msns(selected, refused)
        code = responses.modified(numbers)
    await client.done(command.tag, "STORE completed", code, expunge=command.uid)


async def copy(client: Client, command: Copy) -> None:
    """COPY, UID COPY; all or nothing (RFC 9051 §6.4.7)."""
    selected = client.mailbox()
    uids = selected.uids_in(selected.spans(command.numbers, command.uid))
    copied = await client.waiting(
        _transferred, client.services.archive, client.person(), selected, uids, command
    )
    client.committed()
    await client.done(command.tag, "COPY completed", _copyuid(copied))


async def move(client: Client, command: Move) -> None:
    """MOVE, UID MOVE: copies there and gone here in one (RFC 6851)."""
    selected = client.writable()
    uids = selected.uids_in(selected.spans(command.numbers, command.uid))
    copied = await client.waiting(
        _transferred, client.services.archive, client.person(), selected, uids, command
    )
    client.committed()
    # COPYUID comes before the EXPUNGEs, untagged (RFC 6851 §4.3).
    code = _copyuid(copied)
    lines = [b"* OK [%b] Moved\r\n" % code] if code else []
    gone = selected.expunged(source for source, _ in copied.pairs)
    await client.send(*lines, *(b"* %d EXPUNGE\r\n" % msn for msn in gone))
    await client.done(command.tag, "MOVE completed")


async def expunge(client: Client, command: Expunge) -> None:
    """EXPUNGE, UID EXPUNGE: places with \\Deleted go, the archive keeps the messages."""
    selected = client.writable()
    uids: Sequence[Uid] | None = None
    if command.uids is not None:
        uids = selected.uids_in(selected.spans(command.uids, True))
    gone = await client.waiting(client.services.archive.expunge, selected.mailbox.id, uids)
    client.committed()
    await client.send(*(b"* %d EXPUNGE\r\n" % msn for msn in selected.expunged(gone)))
    await client.done(command.tag, "EXPUNGE completed")


async def search(client: Client, command: Search) -> None:
    """SEARCH, UID SEARCH; with RETURN answered by ESEARCH (RFC 4731)."""
    selected = client.mailbox()
    returns = command.returns
    if returns is not None and (returns.partial is not None or returns.save):
        raise NotOffered("SEARCH RETURN (PARTIAL) and (SAVE) are not offered")
    run = SearchRun(client.services.archive, client.services.searcher, selected)
    found = await client.waiting(run.find, command.key)
    by_modseq = _asks_modseq(command.key)
    client.condstore |= by_modseq
    numbers = [selected.uids[at] for at in found] if command.uid else [at + 1 for at in found]
    modseq = max(selected.modseqs[at] for at in found) if by_modseq and found else None
    if returns is None:
        await client.send(responses.search(numbers, modseq))
    else:
        await client.send(
            responses.esearch(
                command.tag,
                uid=command.uid,
                minimum=numbers[0] if numbers and returns.minimum else None,
                maximum=numbers[-1] if numbers and returns.maximum else None,
                all_=numbers if returns.all else None,
                count=len(numbers) if returns.count else None,
                modseq=modseq,
            )
        )
    await client.done(command.tag, "SEARCH completed", expunge=command.uid)


def _modseq_line(selected: Selected, at: int) -> bytes:
    cells = at + 1, selected.uids[at], selected.modseqs[at]
    return b"* %d FETCH (UID %d MODSEQ (%d))\r\n" % cells


def _msns(selected: Selected, uids: Iterable[Uid]) -> list[int]:
    return [at + 1 for uid in sorted(uids) if (at := selected.index(uid)) is not None]


def _transferred(
    archive: Archive, owner: str, selected: Selected, uids: list[Uid], command: Copy | Move
) -> Copied:
    try:
        target = archive.mailbox(owner, command.mailbox)
    except NoSuchMailbox as error:
        raise Refused("TRYCREATE", str(error)) from error
    transfer = archive.move if isinstance(command, Move) else archive.copy
    return transfer(selected.mailbox.id, uids, target.id)


def _copyuid(copied: Copied) -> bytes:
    if not copied.pairs:
        return b""
    sources, copies = zip(*copied.pairs, strict=True)
    return responses.copy_uid(copied.uidvalidity, sources, copies)


def _asks_modseq(key: SearchKey) -> bool:
    match key:
        case keys.And():
            return any(map(_asks_modseq, key.keys))
        case keys.Or():
            return _asks_modseq(key.one) or _asks_modseq(key.other)
        case keys.Not():
            return _asks_modseq(key.key)
    return isinstance(key, keys.ChangedSince)
