"""Commands on whole mailboxes: SELECT … UNSELECT, CREATE, DELETE … (RFC 9051 §6.3)."""

from __future__ import annotations

from typing import Final

from appliance.imap.client import Client, Refused, flag_lines
from appliance.imap.fetching import NotOffered
from appliance.imap.selected import Selected
from appliance.mail.types import SEEN
from appliance.store import Archive, NotAllowed
from appliance.wire import imap_responses as responses
from appliance.wire.imap_commands import (
    Check,
    Close,
    Create,
    Delete,
    Noop,
    Rename,
    Select,
    Subscribe,
    Unselect,
    Unsubscribe,
)

_SPECIAL: Final = frozenset({"\\Sent", "\\Drafts", "\\Trash", "\\Junk", "\\Archive", "\\Flagged"})


async def select(client: Client, command: Select) -> None:
    """SELECT, EXAMINE; a failed one leaves no mailbox selected (RFC 9051 §6.3.2)."""
    owner = client.person()
    if command.qresync is not None:
        raise NotOffered("QRESYNC is not offered")
    client.forget_mailbox()
    client.condstore |= command.condstore
    client.looked()
    selected = await client.blocking(
        _opened, client.services.archive, owner, command.mailbox, command.read_only
    )
    client.selected = selected
    unseen = next((at for at, flags in enumerate(selected.flags) if SEEN not in flags), None)
    codes = [
        responses.uid_validity(selected.mailbox.uidvalidity),
        responses.uid_next(selected.uidnext),
        responses.highest_modseq(selected.modseq),
    ]
    if unseen is not None:
        codes.append(responses.unseen(unseen + 1))
    await client.send(
        *flag_lines(selected),
        responses.untagged(b"%d EXISTS" % len(selected)),
        responses.untagged(b"0 RECENT"),
        *(responses.condition("*", "OK", "noted", code) for code in codes),
    )
    code = b"READ-ONLY" if command.read_only else b"READ-WRITE"
    await client.ok(command.tag, "selected", code)


async def noop(client: Client, command: Noop | Check) -> None:
    """NOOP, CHECK: what is new."""
    if isinstance(command, Check):
        client.mailbox()
    await client.tell(expunge=True, look=True)
    await client.ok(command.tag, "done")


async def close(client: Client, command: Close) -> None:
    """CLOSE: EXPUNGE without telling, then no mailbox (RFC 9051 §6.4.1)."""
    selected = client.mailbox()
    if not selected.read_only:
        await client.waiting(_expunged_quietly, client.services.archive, selected)
        client.committed()
    client.forget_mailbox()
    await client.ok(command.tag, "CLOSE completed")


async def unselect(client: Client, command: Unselect) -> None:
    """UNSELECT: CLOSE without EXPUNGE (RFC 3691)."""
    client.mailbox()
    client.forget_mailbox()
    await client.ok(command.tag, "UNSELECT completed")


async def create(client: Client, command: Create) -> None:
    """CREATE, with USE (…) of one attribute (RFC 6154 §3)."""
    owner, name = client.person(), command.mailbox
    use = command.special_use[0] if command.special_use else None
    if len(command.special_use) > 1 or (use is not None and use not in _SPECIAL):
        raise Refused("USEATTR", "a mailbox has one of " + " ".join(sorted(_SPECIAL)))
    await client.waiting(_created, client.services.archive, owner, name, use)
    await client.done(command.tag, "CREATE completed")


async def delete(client: Client, command: Delete) -> None:
    """DELETE; the messages stay in the archive."""
    archive, owner = client.services.archive, client.person()
    found = await client.blocking(archive.mailbox, owner, command.mailbox)
    await client.waiting(archive.delete, found.id)
    client.committed()
    await client.done(command.tag, "DELETE completed")


async def rename(client: Client, command: Rename) -> None:
    """RENAME, with all that is below; INBOX's mail moves and INBOX stays (RFC 9051 §6.3.6)."""
    rename_ = client.services.archive.rename
    await client.waiting(rename_, client.person(), command.mailbox, command.new_name)
    client.committed()
    await client.done(command.tag, "RENAME completed")


async def subscribe(client: Client, command: Subscribe | Unsubscribe) -> None:
    """SUBSCRIBE, UNSUBSCRIBE; the mailbox need not be there."""
    owner, wanted = client.person(), isinstance(command, Subscribe)
    await client.waiting(client.services.archive.subscribe, owner, command.mailbox, wanted)
    await client.done(command.tag, "SUBSCRIBE completed" if wanted else "UNSUBSCRIBE completed")


def _opened(archive: Archive, owner: str, name: str, read_only: bool) -> Selected:
    mailbox = archive.mailbox(owner, name)
    return Selected(mailbox, archive.snapshot(mailbox.id), read_only)


def _created(archive: Archive, owner: str, name: str, use: str | None) -> None:
    if use is not None and any(box.special_use == use for box in archive.mailboxes(owner)):
        raise Refused("USEATTR", f"there is a mailbox for {use} already")
    archive.create(owner, name, use)


def _expunged_quietly(archive: Archive, selected: Selected) -> None:
    try:
        archive.expunge(selected.mailbox.id)
    except NotAllowed:
        pass  # All Mail keeps every message: CLOSE closes it all the same
