"""One letter: its head, text and page, its files, its source; and the thread it belongs to.

The page of an HTML letter is served at an address of its own into a sandboxed
frame without an origin, so its inline images come by short-lived signed
addresses instead of the cookie. Files are downloads, never shown in place.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import chain

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from appliance.errors import UsageError
from appliance.mail.types import FLAGGED, Mailbox, Place, Seq
from web import letter, sanitise, security
from web.actions import ALL, TRASH, Desk
from web.formats import attachment_header, file_name, part_number
from web.house import House, house, own_mailbox, own_mailboxes, own_message, person
from web.language import t
from web.mailboxes import label_of, tree

room = Blueprint("messages", __name__)

LINK_LIFE_S = 6 * 3600
"""How long the address of an inline image works."""
HEADER_SHOWN = 256_000
THREAD_SHOWN = 100


@room.get("/message/<int:seq>")
def shown(seq: int) -> str:
    """The letter. Opening it makes it read."""
    found = own_message(seq)
    home = house()
    places = home.archive.places_of(person().name, found)
    box = request.args.get("box", type=int)
    mailbox = own_mailbox(box) if box is not None else _best(places)
    if not _is_prefetch():
        Desk(home, own_mailboxes()).see(places)
    opened = letter.opened(home.archive, found)
    view = request.args.get("view", "")
    view = view if view in {"text", "page"} else ("page" if opened.html is not None else "text")
    if view == "page" and opened.html is None:
        view = "text"
    thread = home.archive.thread_of(person().name, opened.message.thread)
    here = next((place for place in places if mailbox and place.mailbox == mailbox.id), None)
    return render_template(
        "message.html",
        letter=opened,
        message=opened.message,
        view=view,
        height=letter.frame_height(opened.html or ""),
        page=_page_of(home, opened) if view == "page" else None,
        labels=_labels(places),
        removed=not places,
        mailbox=mailbox,
        here=here,
        flagged=here is not None and FLAGGED in here.flags,
        thread_size=len(thread),
        targets=[b for b in tree() if b.kind != "all" and (not mailbox or b.id != mailbox.id)],
        in_trash=mailbox is not None and mailbox.special_use == TRASH,
        tree=tree(),
        current=mailbox.id if mailbox else ("removed" if not places else None),
    )


@room.post("/message/<int:seq>/act")
def act(seq: int) -> AnyResponse:
    """A verb on this letter, in the mailbox it was opened from."""
    found = own_message(seq)
    places = house().archive.places_of(person().name, found)
    box = request.form.get("box", type=int)
    place = next((one for one in places if one.mailbox == box), None)
    if place is None:
        abort(404)
    mailbox = own_mailbox(place.mailbox)
    verb = request.form.get("verb", "")
    desk = Desk(house(), own_mailboxes())
    try:
        said = desk.act(verb, mailbox, [place.uid], request.form.get("target", type=int))
    except UsageError as error:
        flash(str(error), "error")
        return redirect(url_for("messages.shown", seq=seq, box=mailbox.id))
    flash(said, "good")
    if verb in {"flag", "unflag"}:
        return redirect(url_for("messages.shown", seq=seq, box=mailbox.id))
    return redirect(url_for("mailboxes.listed", mailbox_id=mailbox.id))


@room.get("/message/<int:seq>/body")
def body(seq: int) -> AnyResponse:
    """The letter's page for the frame: sanitised, sandboxed, nothing loaded from elsewhere."""
    found = own_message(seq)
    opened = letter.opened(house().archive, found)
    page = _page_of(house(), opened)
    if page is None:
        abort(404)
    answer = Response(render_template("body.html", html=page.html))
    answer.headers["Content-Security-Policy"] = security.LETTER_POLICY
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


@room.get("/inline/<int:seq>/<part>")
@security.open_to_all
def inline(seq: int, part: str) -> AnyResponse:
    """An image of a letter's page, by a signed address: the frame has no cookie.

    The signature names the person it was made for; what that person may see is
    looked up again.
    """
    owner, expires = request.args.get("u", ""), request.args.get("e", type=int) or 0
    signature = request.args.get("s", "")
    if not house().signed(signature, "inline", owner, seq, part, expires) or expires < time.time():
        abort(403, t("This address is out of date: open the message again."))
    if not house().archive.visible(owner, Seq(seq)):
        abort(404)
    image = letter.image(house().archive, Seq(seq), _number(part))
    if image is None:
        abort(404)
    kind, octets = image
    answer = Response(octets, mimetype=kind)
    answer.headers["Content-Security-Policy"] = security.FILE_POLICY
    # The frame's origin is opaque: to it, everything is another origin.
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    answer.headers["Cache-Control"] = f"private, max-age={LINK_LIFE_S}"
    return answer


@room.get("/message/<int:seq>/part/<part>")
def attachment(seq: int, part: str) -> AnyResponse:
    """A file of the letter, as a download."""
    found = own_message(seq)
    number = _number(part)
    file = letter.part_of(house().archive.structure(found), number)
    if file is None:
        abort(404)
    fallback = f"part-{part_number(number)}{letter.suffix(file)}"
    return _download(
        letter.contents(house().archive, found, file), file_name(file.filename, fallback)
    )


@room.get("/message/<int:seq>/source")
def source(seq: int) -> AnyResponse:
    """The letter octet for octet, as an ``.eml``."""
    found = own_message(seq)
    message = house().archive.message(found)
    name = file_name(message.subject[:100], "message") + ".eml"
    answer = _download(house().archive.chunks(found), name)
    answer.headers["Content-Length"] = str(message.size)
    return answer


@room.get("/message/<int:seq>/header")
def header(seq: int) -> str:
    """The header section as it came."""
    found = own_message(seq)
    message = house().archive.message(found)
    octets = house().archive.slice(found, 0, min(message.header_size, HEADER_SHOWN))
    return render_template(
        "header.html",
        message=message,
        text=letter.raw_text(octets),
        cut=message.header_size > HEADER_SHOWN,
        tree=tree(),
        current=None,
    )


@room.get("/thread/<int:seq>")
def thread(seq: int) -> str:
    """The whole conversation a letter belongs to, oldest first, as text."""
    found = own_message(seq)
    archive = house().archive
    message = archive.message(found)
    seqs = archive.thread_of(person().name, message.thread) or [found]
    shown_seqs = seqs[-THREAD_SHOWN:]
    return render_template(
        "thread.html",
        message=message,
        letters=[letter.opened(archive, one) for one in shown_seqs],
        left_out=len(seqs) - len(shown_seqs),
        tree=tree(),
        current=None,
    )


def _page_of(home: House, opened: letter.Letter) -> sanitise.Shown | None:
    if opened.html is None:
        return None
    seq, owner = opened.message.seq, person().name
    # Rounded, so that the same letter has the same addresses for a while and images are cached.
    expires = (int(time.time()) // 3600 + 1) * 3600 + LINK_LIFE_S

    def part_url(content_id: str) -> str | None:
        number = letter.number_of(opened, content_id)
        if number is None:
            return None
        part = part_number(number)
        signature = home.signature("inline", owner, seq, part, expires)
        return url_for("messages.inline", seq=seq, part=part, u=owner, e=expires, s=signature)

    try:
        return sanitise.shown(opened.html, part_url)
    except sanitise.TooLarge:
        return None


def _download(pieces: Iterable[bytes | memoryview] | bytes, name: str) -> Response:
    # Always octet-stream: what the letter says its files are is no reason to open them.
    if not isinstance(pieces, bytes):
        # The first piece is read now: what is damaged is said on a page, not by a cut line.
        stream = iter(pieces)
        pieces = chain([next(stream, b"")], stream)
    body = pieces if isinstance(pieces, bytes) else (bytes(piece) for piece in pieces)
    answer = Response(body, mimetype="application/octet-stream")
    answer.headers["Content-Disposition"] = attachment_header(name)
    answer.headers["Content-Security-Policy"] = security.FILE_POLICY
    return answer


def _number(part: str) -> tuple[int, ...]:
    pieces = part.split(".")
    if len(pieces) > 200 or not all(
        one.isascii() and one.isdecimal() and len(one) < 7 for one in pieces
    ):
        abort(404)
    return tuple(map(int, pieces))


def _best(places: list[Place]) -> Mailbox | None:
    """Where the letter is at home: any mailbox before the one of all mail."""
    by_id = {mailbox.id: mailbox for mailbox in own_mailboxes()}
    homes = [by_id[place.mailbox] for place in places if place.mailbox in by_id]
    return min(homes, key=lambda mailbox: mailbox.special_use == ALL, default=None)


def _labels(places: list[Place]) -> list[Mailbox]:
    by_id = {mailbox.id: mailbox for mailbox in own_mailboxes()}
    found = (by_id.get(place.mailbox) for place in places)
    return [mailbox for mailbox in found if mailbox and mailbox.special_use != ALL]


def _is_prefetch() -> bool:
    purpose = request.headers.get("Sec-Purpose", "") + request.headers.get("Purpose", "")
    return "prefetch" in purpose


room.app_template_filter("box_label")(label_of)
