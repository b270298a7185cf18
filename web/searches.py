"""Searching: what was found, with the words marked, and what was understood."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, render_template, request

from appliance.errors import UsageError
from appliance.mail.types import SEEN
from web.house import house, own_mailboxes, person
from web.mailboxes import tree

room = Blueprint("searches", __name__)
PAGE = 30
ORDERS = ("newest", "oldest", "best")
_LONGEST = 1000


@room.get("/search")
def results() -> str:
    """One page of hits; an empty question shows what can be asked."""
    text = request.args.get("q", "")[:_LONGEST].strip()
    order = request.args.get("order", "newest")
    order = order if order in ORDERS else "newest"
    mailbox = request.args.get("box", type=int)
    if mailbox not in {one.id for one in own_mailboxes()}:
        mailbox = None
    cursor = request.args.get("at") or None
    found = None
    if text:
        find = partial(house().searcher.find, person().name, text, limit=PAGE, mailbox=mailbox)
        try:
            found = find(order=order, cursor=cursor)
        except UsageError:  # a cursor that is none: somebody edited the address
            found, cursor = find(order=order), None
    return render_template(
        "search.html",
        query=text,
        order=order,
        orders=ORDERS,
        box=mailbox,
        at=cursor,
        found=found,
        seen=SEEN,
        tree=tree(),
        current=None,
    )
