"""The first start, signing in and signing out.

Until the house has a person, every page leads to the first start, which makes
the keeper. Who may do that is proved by the setup code the service prints to
its log; without one, by sitting at the appliance itself.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable
from typing import cast

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    flash,
    g,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug.wrappers import Response as AnyResponse

from appliance.errors import UsageError
from appliance.household import TooManyTries
from web import security
from web.house import house
from web.language import t

room = Blueprint("start", __name__)
_MAKING = threading.Lock()
SHORTEST_PASSWORD = 8
_EXTENSION = "hauspost-setup"


class Patience:
    """Guesses at the setup code: five are free, then each wrong one doubles the wait for all.

    The code is short, to be typed from a log; with this, a million codes take years.
    """

    FREE = 5
    LONGEST_S = 300

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong = 0
        self._until = 0.0

    def guess(self, right: bool) -> bool:
        """Whether the guess is right; raises TooManyTries while nobody may guess."""
        with self._lock:
            left = self._until - self._clock()
            if left > 0:
                raise TooManyTries(int(left) + 1)
            if not right:
                self._wrong += 1
                over = self._wrong - self.FREE
                wait = min(2 ** min(over, 20), self.LONGEST_S) if over >= 0 else 0
                self._until = self._clock() + wait
            return right


def install(app: Flask) -> None:
    """Give the application its patience."""
    app.extensions[_EXTENSION] = Patience()


@room.get("/")
@security.open_to_all
def home() -> AnyResponse:
    """To where the person was going: the first start, the sign-in, or the INBOX."""
    if not house().household.persons():
        return redirect(url_for("start.first"))
    if g.person is None:
        return redirect(url_for("start.sign_in"))
    return redirect(url_for("mailboxes.inbox"))


@room.get("/health")
@security.open_to_all
def health() -> AnyResponse:
    """For supervisors: the pages answer."""
    return Response("ok\n", mimetype="text/plain")


@room.route("/start", methods=["GET", "POST"])
@security.open_to_all
def first() -> AnyResponse | str:
    """Make the keeper; only while the house has no person."""
    if house().household.persons():
        return redirect(url_for("start.sign_in"))
    code = house().household.setting("setup_code")
    allowed = bool(code) or security.from_this_machine(request)
    if request.method == "GET":
        return render_template("first.html", ask_code=bool(code), allowed=allowed, form={})
    if not allowed:
        abort(403, t("The first person can only be made from the appliance itself."))
    problem = _first_problem(code)
    if problem is None:
        try:
            return _make_keeper()
        except UsageError as error:
            problem = str(error)
    flash(problem, "error")
    page = render_template("first.html", ask_code=bool(code), allowed=True, form=request.form)
    return Response(page, 400)


def _first_problem(code: str | None) -> str | None:
    given = request.form.get("code", "").strip().replace("-", "").replace(" ", "").lower()
    if code:
        wanted = str(code).strip().replace("-", "").replace(" ", "").lower()
        patience = cast(Patience, current_app.extensions[_EXTENSION])
        if not patience.guess(hmac.compare_digest(given.encode(), wanted.encode())):
            return t("That is not the setup code. It is in the log of the appliance.")
    return password_problem()


def password_problem() -> str | None:
    """What is wrong with the two new passwords of the form, or None."""
    password = request.form.get("password", "")
    if len(password) < SHORTEST_PASSWORD:
        return t("The password needs at least {n} characters.", n=SHORTEST_PASSWORD)
    if password != request.form.get("again", ""):
        return t("The two passwords are not the same.")
    return None


def _make_keeper() -> AnyResponse:
    home, form = house(), request.form
    name = form.get("name", "").strip().lower()
    with _MAKING:  # two first persons at once would be two keepers
        if home.household.persons():
            return redirect(url_for("start.sign_in"))
        keeper = home.household.add_person(
            name, form["password"], form.get("display_name", "").strip() or None
        )
        home.archive.provision(keeper.name)
    home.household.set_setting("setup_code", "")
    token = home.household.open_session(keeper.name, request.user_agent.string[:200])
    answer = security.sign_in(redirect(url_for("accounts.listed")), token)
    flash(t("Welcome. Add the first mail account, and its messages come in."), "good")
    return answer


@room.route("/sign-in", methods=["GET", "POST"])
@security.open_to_all
def sign_in() -> AnyResponse | str:
    """Name and password."""
    if not house().household.persons():
        return redirect(url_for("start.first"))
    target = security.safe_next(request.values.get("next", ""))
    if g.person is not None:
        return redirect(request.script_root + (target or "/"))
    if request.method == "GET":
        return render_template("sign_in.html", name="", target=target)
    name = request.form.get("name", "").strip().lower()
    found = house().household.check_password(
        name, request.form.get("password", ""), request.remote_addr or ""
    )
    if found is None:
        flash(t("The name or the password is not right."), "error")
        return Response(render_template("sign_in.html", name=name, target=target), 401)
    house().archive.provision(found.name)
    token = house().household.open_session(found.name, request.user_agent.string[:200])
    return security.sign_in(redirect(request.script_root + (target or "/")), token)


@room.post("/sign-out")
def sign_out() -> AnyResponse:
    """End this browser's session."""
    return security.sign_out(redirect(url_for("start.sign_in")))
