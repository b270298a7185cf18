"""The mailbox tree, a mailbox's list newest first, and what is done to many letters at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from appliance.errors import UsageError
from appliance.mail.types import FLAGGED, SEEN, Mailbox, Uid
from web.actions import ALL, TRASH, Desk
from web.house import house, own_mailbox, own_mailboxes, person
from web.language import t
from web.listing import Position, window

room = Blueprint("mailboxes", __name__)
PAGE = 50

_ORDER = ("INBOX", "\\Flagged", "\\Drafts", "\\Sent", "\\Archive", "\\Junk", "\\Trash", "\\All")
_SPECIAL_NAMES = {
    "INBOX": "Inbox",
    "\\Drafts": "Drafts",
    "\\Sent": "Sent",
    "\\Archive": "Archive",
    "\\Junk": "Junk",
    "\\Trash": "Trash",
    "\\All": "All mail",
}


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of the mailbox tree. ``kind`` picks its icon."""

    id: int
    name: str
    label: str
    depth: int
    kind: str
    messages: int
    unseen: int


def label_of(mailbox: Mailbox) -> str:
    """How the page calls a mailbox: the special ones in the reader's language."""
    key = "INBOX" if mailbox.name == "INBOX" else mailbox.special_use or ""
    return t(_SPECIAL_NAMES[key]) if key in _SPECIAL_NAMES else mailbox.name


@room.app_template_filter("places")
def places(names: Sequence[str]) -> str:
    """The mailboxes of a hit by their labels, without the one of all mail."""
    by_name = {mailbox.name: mailbox for mailbox in own_mailboxes()}
    found = [by_name[name] for name in names if name in by_name]
    return " · ".join(label_of(one) for one in found if one.special_use != ALL)


def tree() -> list[Branch]:
    """The person's mailboxes, special ones first, each with its counts; two queries in all."""
    counts = house().archive.statuses(person().name)
    names = {mailbox.name for mailbox in own_mailboxes()}
    branches = []
    for mailbox in sorted(own_mailboxes(), key=_sort_key):
        status = counts.get(mailbox.id)
        special = mailbox.name == "INBOX" or mailbox.special_use is not None
        above = [] if special else _above(mailbox.name, names)
        branches.append(
            Branch(
                mailbox.id,
                mailbox.name,
                label_of(mailbox) if special or not above else mailbox.name[len(above[-1]) + 1 :],
                len(above),
                _kind(mailbox),
                status.messages if status else 0,
                status.unseen if status else 0,
            )
        )
    return branches


def _above(name: str, names: set[str]) -> list[str]:
    """The mailboxes this one stands under, outermost first; a level may have none of its own."""
    levels = name.split("/")
    paths = ("/".join(levels[:n]) for n in range(1, len(levels)))
    return [path for path in paths if path in names]


def _kind(mailbox: Mailbox) -> str:
    return "inbox" if mailbox.name == "INBOX" else (mailbox.special_use or "").lstrip("\\").lower()


def _sort_key(mailbox: Mailbox) -> tuple[int, str]:
    key = "INBOX" if mailbox.name == "INBOX" else mailbox.special_use or ""
    return (_ORDER.index(key) if key in _ORDER else len(_ORDER), mailbox.name.casefold())


@room.get("/box/")
def inbox() -> AnyResponse:
    """To the INBOX."""
    for mailbox in own_mailboxes():
        if mailbox.name == "INBOX":
            return redirect(url_for("mailboxes.listed", mailbox_id=mailbox.id))
    house().archive.provision(person().name)
    return redirect(url_for("mailboxes.inbox"))


@room.get("/mailboxes")
def overview() -> str:
    """The tree as a page of its own: the narrow screen's menu, and making mailboxes."""
    return render_template("mailboxes.html", tree=tree(), current=None)


@room.post("/mailboxes")
def create() -> AnyResponse:
    """Make a mailbox; ``/`` in the name makes levels."""
    name = request.form.get("name", "").strip()
    if not name:
        raise UsageError(t("A mailbox needs a name."))
    mailbox = house().archive.create(person().name, name)
    flash(t("Mailbox {name} is there.", name=mailbox.name), "good")
    return redirect(url_for("mailboxes.listed", mailbox_id=mailbox.id))


@room.get("/box/<int:mailbox_id>")
def listed(mailbox_id: int) -> str:
    """One page of a mailbox, newest first."""
    mailbox = own_mailbox(mailbox_id)
    position = Position.parse(request.args.get("at", ""))
    unread = request.args.get("unread") == "1"
    shown = window(house().archive, mailbox.id, position, PAGE, unread)
    threads = house().archive.threads(
        person().name, list({line.message.thread for line in shown.lines})
    )
    branches = tree()
    return render_template(
        "list.html",
        mailbox=mailbox,
        title=label_of(mailbox),
        page=shown,
        tree=branches,
        current=mailbox.id,
        count=next(branch.messages for branch in branches if branch.id == mailbox.id),
        targets=[b for b in branches if b.kind != "all" and b.id != mailbox.id],
        in_trash=mailbox.special_use == TRASH,
        in_all=mailbox.special_use == ALL,
        seen=SEEN,
        flagged=FLAGGED,
        unread=unread,
        threads=threads,
        modseq=house().archive.status(mailbox.id).highestmodseq,
    )


@room.get("/box/<int:mailbox_id>/news")
def news(mailbox_id: int) -> AnyResponse:
    """Whether the mailbox changed since the page was made: a line with a link, or nothing (204)."""
    mailbox = own_mailbox(mailbox_id)
    if house().archive.status(mailbox.id).highestmodseq == request.args.get("since", type=int):
        return Response(status=204)
    return Response(render_template("fragments/news.html", mailbox=mailbox))


@room.post("/box/<int:mailbox_id>/act")
def act(mailbox_id: int) -> AnyResponse:
    """A verb on the chosen letters, or a letter's star."""
    mailbox = own_mailbox(mailbox_id)
    desk = Desk(house(), own_mailboxes())
    back = url_for(
        "mailboxes.listed",
        mailbox_id=mailbox.id,
        at=request.form.get("at") or None,
        unread=request.form.get("unread") or None,
    )
    star = request.form.get("star", "")
    if star:
        uid, _, wish = star.partition(":")
        desk.toggle_flag(mailbox, _uid(uid), wish == "on")
        return redirect(back)
    uids = [_uid(text) for text in request.form.getlist("uid")]
    target = request.form.get("target", type=int)
    try:
        flash(desk.act(request.form.get("verb", ""), mailbox, uids, target), "good")
    except UsageError as error:
        flash(str(error), "error")
    return redirect(back)


@room.get("/removed")
def removed() -> str:
    """What was taken out of every mailbox and is still in the archive."""
    gone = house().archive.removed(person().name)[:500]
    messages = house().archive.messages([entry.seq for entry in gone])
    return render_template(
        "removed.html", gone=gone, messages=messages, tree=tree(), current="removed"
    )


@room.post("/removed/<int:seq>")
def put_back(seq: int) -> AnyResponse:
    """Give a removed letter its place again."""
    mine = {entry.seq for entry in house().archive.removed(person().name)}
    if seq not in mine:
        abort(404)
    place = house().archive.put_back(person().name, next(s for s in mine if s == seq))
    mailbox = own_mailbox(place.mailbox)
    flash(t("The message is in {name} again.", name=label_of(mailbox)), "good")
    return redirect(url_for("mailboxes.removed"))


def _uid(text: str) -> Uid:
    if not text.isdecimal() or len(text) > 10 or not 0 < int(text) < 1 << 32:
        abort(400, t("This page cannot be used that way."))
    return Uid(int(text))
