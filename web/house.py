"""The collaborators a request works with, handed in by ``create_app``."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import current_app, g
from werkzeug.exceptions import NotFound, Unauthorized

from appliance.errors import NotPermitted

if TYPE_CHECKING:
    from appliance.bell import Bell
    from appliance.config import Config
    from appliance.fetch.progress import ProgressBoard
    from appliance.household import Household, Person
    from appliance.mail.types import Mailbox, Seq
    from appliance.search import Searcher
    from appliance.store import Archive

_EXTENSION = "hauspost"


@dataclass(frozen=True, slots=True)
class House:
    """Everything is thread-safe; ``key`` is the secret all the pages' signatures are made with."""

    config: Config
    archive: Archive
    household: Household
    searcher: Searcher
    board: ProgressBoard
    bell: Bell
    key: bytes

    def signature(self, purpose: str, *facts: str | int) -> str:
        """HMAC over the facts; a signature for one purpose is none for another."""
        text = "\x00".join((purpose, *map(str, facts)))
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()

    def signed(self, signature: str, purpose: str, *facts: str | int) -> bool:
        """Whether that is the signature of the facts."""
        return hmac.compare_digest(
            self.signature(purpose, *facts).encode(), signature.encode("utf-8", "replace")
        )


def house() -> House:
    """The current application's collaborators."""
    return cast(House, current_app.extensions[_EXTENSION])


def pages_key(household: Household) -> bytes:
    """The secret for signatures; made at the first start, kept with the household."""
    kept = household.setting("pages_key")
    if not kept:
        household.set_setting("pages_key", secrets.token_hex(32))
        kept = household.setting("pages_key")
    return bytes.fromhex(str(kept))


def person() -> Person:
    """Who is signed in. The guard let nobody else in."""
    found: Person | None = g.get("person")
    if found is None:
        raise Unauthorized
    return found


def only_keeper() -> None:
    """Refuse everybody but the keeper."""
    if not person().keeper:
        raise NotPermitted("only the keeper of this house may do that")


def own_mailbox(mailbox_id: int) -> Mailbox:
    """The person's mailbox; somebody else's is as unknown as none (404)."""
    for mailbox in own_mailboxes():
        if mailbox.id == mailbox_id:
            return mailbox
    raise NotFound


def own_mailboxes() -> list[Mailbox]:
    """The person's mailboxes, read once a request."""
    if "mailboxes" not in g:
        g.mailboxes = house().archive.mailboxes(person().name)
    return cast("list[Mailbox]", g.mailboxes)


def own_message(seq: int) -> Seq:
    """The message's seq if the person may see it; else it is as unknown as none (404)."""
    known = cast("Seq", seq)
    if not 0 < seq < 1 << 63 or not house().archive.visible(person().name, known):
        raise NotFound
    return known
