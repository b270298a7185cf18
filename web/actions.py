"""What a person does with letters: the verbs of the list's and the letter's buttons.

Flags and places change, octets never. In "All Mail", which the archive keeps by
itself, a verb that moves acts on the letter's other places.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from appliance.errors import UsageError
from appliance.mail.types import FLAGGED, SEEN, Flag, Mailbox, Place, Seq, Uid
from appliance.store.values import FlagChange
from web.house import House
from web.language import t, tn

TRASH = "\\Trash"
ALL = "\\All"
LIMIT = 500
"""Letters one form may name."""

_FLAGGING: dict[str, tuple[FlagChange, Flag]] = {
    "read": (FlagChange.ADD, SEEN),
    "unread": (FlagChange.REMOVE, SEEN),
    "flag": (FlagChange.ADD, FLAGGED),
    "unflag": (FlagChange.REMOVE, FLAGGED),
}


class Desk:
    """One person's letters and the verbs for them."""

    def __init__(self, home: House, mailboxes: Sequence[Mailbox]) -> None:
        self._archive = home.archive
        self._mailboxes = {mailbox.id: mailbox for mailbox in mailboxes}

    def special(self, use: str) -> Mailbox | None:
        """The person's mailbox of a special use."""
        return next((m for m in self._mailboxes.values() if m.special_use == use), None)

    def act(self, verb: str, mailbox: Mailbox, uids: Sequence[Uid], target: int | None) -> str:
        """Do it; a sentence that says what was done. Raises UsageError, ClientError."""
        if not uids:
            raise UsageError(t("No message is chosen."))
        if len(uids) > LIMIT:
            raise UsageError(t("At most {n} messages at once.", n=LIMIT))
        if verb in _FLAGGING:
            how, flag = _FLAGGING[verb]
            self._archive.set_flags(mailbox.id, uids, how, frozenset({flag}))
            return self._said(verb, len(uids))
        match verb:
            case "delete":
                return self._delete(mailbox, uids)
            case "move":
                return self._move(mailbox, uids, self._target(target))
            case "erase" if mailbox.special_use == TRASH:
                gone = self._archive.remove(mailbox.id, uids)
                return tn(
                    "{n} message is out of the Trash. The archive still keeps it.",
                    "{n} messages are out of the Trash. The archive still keeps them.",
                    len(gone),
                )
        raise UsageError(t("This page cannot be used that way."))

    def toggle_flag(self, mailbox: Mailbox, uid: Uid, flagged: bool) -> None:
        """Set or take the star of one letter."""
        how = FlagChange.ADD if flagged else FlagChange.REMOVE
        self._archive.set_flags(mailbox.id, [uid], how, frozenset({FLAGGED}))

    def see(self, places: Iterable[Place]) -> None:
        """The person opened the letter: it is read in all of its places."""
        for place in places:
            mailbox = self._mailboxes.get(place.mailbox)
            if mailbox and SEEN not in place.flags:
                self._archive.set_flags(mailbox.id, [place.uid], FlagChange.ADD, frozenset({SEEN}))

    def _delete(self, mailbox: Mailbox, uids: Sequence[Uid]) -> str:
        trash = self.special(TRASH)
        if trash is None:
            raise UsageError(t("There is no Trash mailbox; make one."))
        if mailbox.id == trash.id:
            raise UsageError(t("The message is in the Trash already."))
        self._move(mailbox, uids, trash)
        return self._said("delete", len(uids))

    def _move(self, mailbox: Mailbox, uids: Sequence[Uid], target: Mailbox) -> str:
        if mailbox.special_use == ALL:
            self._move_other_places(mailbox, uids, target)
        elif mailbox.id != target.id:
            self._archive.move(mailbox.id, uids, target.id)
        return tn(
            "{n} message moved to {name}.",
            "{n} messages moved to {name}.",
            len(uids),
            name=target.name,
        )

    def _move_other_places(self, everything: Mailbox, uids: Sequence[Uid], target: Mailbox) -> None:
        by_mailbox: defaultdict[int, list[Uid]] = defaultdict(list)
        for seq in self._seqs(everything, uids):
            for place in self._archive.places_of(everything.owner, seq):
                if place.mailbox not in {everything.id, target.id}:
                    by_mailbox[place.mailbox].append(place.uid)
        for source, found in by_mailbox.items():
            self._archive.move(source, found, target.id)

    def _seqs(self, mailbox: Mailbox, uids: Sequence[Uid]) -> list[Seq]:
        wanted = set(uids)
        held = self._archive.snapshot(mailbox.id)
        return [Seq(s) for u, s in zip(held.uids, held.seqs, strict=True) if Uid(u) in wanted]

    def _target(self, target: int | None) -> Mailbox:
        found = self._mailboxes.get(target or 0)
        if found is None:
            raise UsageError(t("Choose where the messages shall go."))
        return found

    def _said(self, verb: str, count: int) -> str:
        match verb:
            case "read":
                return tn("{n} message is read now.", "{n} messages are read now.", count)
            case "unread":
                return tn("{n} message is unread now.", "{n} messages are unread now.", count)
            case "flag":
                return tn("{n} message has a star.", "{n} messages have a star.", count)
            case "unflag":
                return tn("{n} message lost its star.", "{n} messages lost their star.", count)
        return tn("{n} message moved to the Trash.", "{n} messages moved to the Trash.", count)
