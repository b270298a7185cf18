"""Mail accounts elsewhere: add, test, fetch now and watch, change, pause, remove.

Everybody looks after their own; the keeper after everybody's. Nobody ever sees a
password again. A person who is no keeper may only name the usual mail ports, so
that this page is no way to feel around in the network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from appliance.errors import ApplianceError, NotPermitted, UsageError
from appliance.fetch.connection import AccountTest, test_account
from appliance.fetch.discover import hint_for, presets, presets_for
from appliance.fetch.progress import ENDED, Progress
from appliance.household import Account
from appliance.household.accounts import checked_account
from appliance.mail.types import FetchRun
from web.house import house, person
from web.language import language, t

room = Blueprint("accounts", __name__)

MAIL_PORTS = frozenset({110, 143, 993, 995})
EVERY_S = (60, 300, 900, 3600, 21600, 86400)
_SHOWN = (
    *("person", "protocol", "host", "port", "tls", "user", "every_s", "remove_after_days"),
    *("mailboxes", "pin"),
)
_FINGERPRINT = re.compile(r"(?:[0-9A-Fa-f]{2}[: ]?){32}")
WATCHED = 30
"""How often a page asks for news of a run, two seconds apart, before it takes it for over."""
REMOVE_AFTER = (None, 0, 7, 30, 90, 365)


@dataclass(frozen=True, slots=True)
class Line:
    """An account as the list shows it; ``progress`` while a run is under way."""

    account: Account
    run: FetchRun | None
    progress: Progress | None
    failures: int
    next_try: datetime | None

    @property
    def share(self) -> int | None:
        """How much of the run is done, in percent; None before that is known."""
        if self.progress is None or not self.progress.total:
            return None
        return min(100, self.progress.done * 100 // self.progress.total)


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider's server in the form's list."""

    label: str
    protocol: str
    host: str
    port: str
    tls: str

    @property
    def key(self) -> str:
        """What the form sends back."""
        return f"{self.protocol}:{self.host}"


@room.get("/accounts")
def listed() -> str:
    """All accounts with their state."""
    return render_template("accounts.html", **_lines())


@room.get("/accounts/progress")
def progress() -> str:
    """The list alone: what the page asks for every two seconds while a run is under way."""
    return render_template("fragments/accounts.html", **_lines())


@room.route("/accounts/new", methods=["GET", "POST"])
def add() -> AnyResponse | str:
    """A new account; it is fetched at once."""
    if request.method == "GET":
        form: MultiDict[str, str] = MultiDict(
            {
                "protocol": "imap",
                "port": "993",
                "tls": "implicit",
                "every_s": "300",
                "person": person().name,
            }
        )
        return _form(form, None)
    form = request.form
    try:
        if form.get("verb") == "fill":
            return Response(_form(_discovered(form), None))
        account, password = _account(form, None), form.get("password", "")
        if form.get("verb") == "test":
            return _tested(form, None, account, password)
        house().household.add_account(account, password)
        house().household.request_fetch(account.name)
    except UsageError as error:
        return _refused(form, None, str(error))
    house().bell.ring()
    flash(t("{name} is added and is being fetched.", name=account.name), "good")
    return redirect(url_for("accounts.listed"))


@room.route("/accounts/of/<name>", methods=["GET", "POST"])
def edit(name: str) -> AnyResponse | str:
    """Change an account; an empty password keeps the old one."""
    before = _own(name)
    if request.method == "GET":
        return _form(_filled(before), before)
    form = request.form
    try:
        account, password = _account(form, before), form.get("password", "")
        if not password and _server(account) != _server(before):
            # A kept password goes to the server it was given for, as it was given, or nowhere.
            raise UsageError(t("Type the password again: the account goes to another server."))
        if form.get("verb") == "test":
            kept = password or house().household.account_password(before.name)
            return _tested(form, before, account, kept)
        house().household.update_account(account, password or None)
    except UsageError as error:
        return _refused(form, before, str(error))
    if account.enabled:
        # It may have been left in peace because it kept failing.
        house().household.request_fetch(account.name)
    house().bell.ring()
    flash(t("{name} is changed.", name=account.name), "good")
    return redirect(url_for("accounts.listed"))


@room.post("/accounts/of/<name>/fetch")
def fetch(name: str) -> AnyResponse | str:
    """Ask the mail process for a run now."""
    account = _own(name)
    house().household.request_fetch(account.name)
    house().bell.ring()
    if request.headers.get("HX-Request"):
        return render_template("fragments/accounts.html", **_lines(asked=account.name))
    flash(t("{name} is being fetched.", name=account.name), "good")
    return redirect(url_for("accounts.listed", watch=WATCHED))


@room.post("/accounts/of/<name>/pause")
def pause(name: str) -> AnyResponse:
    """Stop fetching it, or go on."""
    account = _own(name)
    house().household.update_account(replace(account, enabled=not account.enabled))
    house().bell.ring()
    return redirect(url_for("accounts.listed"))


@room.route("/accounts/of/<name>/remove", methods=["GET", "POST"])
def remove(name: str) -> AnyResponse | str:
    """Forget the account; what was fetched stays."""
    account = _own(name)
    if request.method == "GET":
        return render_template("account_remove.html", account=account)
    house().household.remove_account(account.name)
    house().bell.ring()
    flash(t("{name} is removed. Its messages stay in the archive.", name=account.name), "good")
    return redirect(url_for("accounts.listed"))


def _own(name: str) -> Account:
    """An account this person may look after; others do not exist for them (404)."""
    try:
        account = house().household.account(name)
    except UsageError:
        abort(404)
    if account.person != person().name and not person().keeper:
        abort(404)
    return account


def _lines(asked: str | None = None) -> dict[str, object]:
    home, me = house(), person()
    board = {name: one for name, one in home.board.read().items() if one.phase not in ENDED}
    lines = []
    for account in home.household.accounts(None if me.keeper else me.name):
        runs = home.archive.runs(account.name, 1)
        failures = home.archive.failures(account.ledger)
        lines.append(
            Line(
                account,
                runs[0] if runs else None,
                board.get(account.name),
                len(failures),
                min((one.next_try for one in failures), default=None),
            )
        )
    running = any(line.progress for line in lines)
    # A run that was asked for starts within seconds; after a minute nobody waits for it.
    left = WATCHED if asked or running else min(request.args.get("watch", 0, int), WATCHED) - 1
    return {"lines": lines, "watch": max(0, left)}


def _account(form: MultiDict[str, str], before: Account | None) -> Account:
    """The account the form describes. Raises UsageError."""
    me = person()
    owner = form.get("person", "") or me.name
    if owner != me.name:
        if not me.keeper:
            raise NotPermitted(t("Only the keeper makes accounts for others."))
        house().household.person(owner)
    port = form.get("port", type=int) or 0
    unchanged = before is not None and before.port == port
    if port not in MAIL_PORTS and not me.keeper and not unchanged:
        raise UsageError(t("Port {port} is no mail port; ask the keeper.", port=port))
    remove_after = form.get("remove_after_days", "")
    said = Account(
        name=before.name if before else form.get("name", "").strip(),
        person=owner,
        protocol=form.get("protocol", "imap"),
        host=form.get("host", "").strip(),
        port=port,
        tls=form.get("tls", "implicit"),
        user=form.get("user", "").strip(),
        every_s=form.get("every_s", default=300, type=int),
        remove_after_days=int(remove_after) if remove_after.isdecimal() else None,
        mailboxes=_globs(form),
        pin=_pin(form.get("pin", "").strip(), before),
    )
    if before is None:
        return said
    # What the form does not show stays as it is.
    return replace(before, **{name: getattr(said, name) for name in _SHOWN})


def _server(account: Account) -> tuple[object, ...]:
    return account.protocol, account.host.lower(), account.port, account.tls, account.pin


def _pin(text: str, before: Account | None) -> str | None:
    """A fingerprint, or what was there: a file is named on the command line only."""
    if not text or (before is not None and text == before.pin):
        return text or None
    if not _FINGERPRINT.fullmatch(text):
        raise UsageError(t("A fingerprint is 64 digits and letters from A to F (SHA-256)."))
    return text


def _globs(form: MultiDict[str, str]) -> tuple[str, ...]:
    lines = (line.strip() for line in form.get("mailboxes", "").splitlines())
    return tuple(line for line in lines if line) or ("*",)


def _filled(account: Account) -> MultiDict[str, str]:
    days = account.remove_after_days
    return MultiDict(
        {
            "name": account.name,
            "person": account.person,
            "protocol": account.protocol,
            "host": account.host,
            "port": str(account.port),
            "tls": account.tls,
            "user": account.user,
            "every_s": str(account.every_s),
            "remove_after_days": "" if days is None else str(days),
            "mailboxes": "\n".join(account.mailboxes),
            "pin": account.pin or "",
        }
    )


def _tested(
    form: MultiDict[str, str], before: Account | None, account: Account, password: str
) -> AnyResponse:
    try:
        checked_account(account)
        found = test_account(account, password)
    except ApplianceError as error:
        return _refused(form, before, str(error))
    flash(found.message, "good" if found.ok else "error")
    if found.warning:
        flash(found.warning, "error")
    return Response(_form(form, before, found))


def _refused(form: MultiDict[str, str], before: Account | None, problem: str) -> AnyResponse:
    flash(problem, "error")
    return Response(_form(form, before), 400)


def _form(
    form: MultiDict[str, str], before: Account | None, tested: AccountTest | None = None
) -> str:
    return render_template(
        "account.html",
        form=form,
        before=before,
        tested=tested,
        people=house().household.persons() if person().keeper else [],
        presets=_presets(),
        hint=hint_for(form.get("host", ""), language()),
        every=EVERY_S,
        remove_after=REMOVE_AFTER,
    )


def _presets() -> list[Choice]:
    """The providers that can be fetched with a password, IMAP before POP3."""
    found = []
    for preset in presets():
        for protocol, server in (("imap", preset.imap), ("pop3", preset.pop3)):
            if server is not None and preset.fetchable:
                label = f"{preset.name} ({protocol.upper()})"
                found.append(Choice(label, protocol, server.host, str(server.port), server.tls))
    return found


def _discovered(form: MultiDict[str, str]) -> MultiDict[str, str]:
    """The form with the server filled in for its address or chosen provider. Raises UsageError."""
    filled = MultiDict(form)
    chosen = next((one for one in _presets() if one.key == form.get("preset")), None)
    address = form.get("address", "").strip()
    if address:
        preset = presets_for(address)
        if preset is None:
            raise UsageError(t("We do not know that provider: type in its server."))
        if not preset.fetchable:
            raise UsageError(preset.hint(language()))
        names = {preset.name + " (IMAP)", preset.name + " (POP3)"}
        chosen = next((one for one in _presets() if one.label in names), None)
        filled["user"] = preset.user
        if not filled.get("name"):
            filled["name"] = address.partition("@")[2].partition(".")[0]
    if chosen:
        for key in ("protocol", "host", "port", "tls"):
            filled[key] = getattr(chosen, key)
        filled["preset"] = chosen.key
    return filled
