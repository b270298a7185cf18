"""The people of the house: the keeper lets others in; everybody changes their own password."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from appliance.errors import UsageError
from web import security
from web.house import house, only_keeper, person
from web.language import t
from web.start import password_problem

room = Blueprint("people", __name__)


@room.get("/people")
def listed() -> str:
    """Everybody with their addresses."""
    only_keeper()
    return _page({})


@room.post("/people")
def add() -> AnyResponse:
    """Let somebody in."""
    only_keeper()
    form = request.form
    problem = password_problem()
    if problem is None:
        try:
            added = house().household.add_person(
                form.get("name", "").strip().lower(),
                form["password"],
                form.get("display_name", "").strip() or None,
            )
        except UsageError as error:
            problem = str(error)
        else:
            house().archive.provision(added.name)
            flash(t("{name} can sign in now.", name=added.display_name or added.name), "good")
            return redirect(url_for("people.listed"))
    flash(problem, "error")
    return Response(_page(form), 400)


@room.post("/people/<name>/password")
def reset(name: str) -> AnyResponse:
    """A new password for somebody who forgot theirs."""
    only_keeper()
    found = house().household.person(name)
    problem = password_problem()
    if problem:
        flash(problem, "error")
        return Response(_page({}), 400)
    house().household.set_password(found.name, request.form["password"])
    flash(t("{name} has a new password.", name=found.display_name or found.name), "good")
    return redirect(url_for("people.listed"))


@room.post("/people/<name>/addresses")
def add_address(name: str) -> AnyResponse:
    """An address whose mail, coming in by SMTP, is this person's."""
    only_keeper()
    found = house().household.person(name)
    try:
        house().household.add_address(found.name, request.form.get("address", "").strip())
    except UsageError as error:
        flash(str(error), "error")
    return redirect(url_for("people.listed"))


@room.route("/password", methods=["GET", "POST"])
def own_password() -> AnyResponse | str:
    """Change one's own password, proved by the old one."""
    if request.method == "GET":
        return render_template("password.html")
    old = request.form.get("old", "")
    problem = password_problem()
    if problem is None and not house().household.check_password(
        person().name, old, request.remote_addr or ""
    ):
        problem = t("The old password is not right.")
    if problem:
        flash(problem, "error")
        return Response(render_template("password.html"), 400)
    house().household.set_password(person().name, request.form["password"])
    # That ended every session that knew the old one; this browser gets a new one.
    token = house().household.open_session(person().name, request.user_agent.string[:200])
    answer = security.sign_in(redirect(url_for("status.shown")), token)
    flash(t("Your password is changed."), "good")
    return answer


def _page(form: object) -> str:
    household = house().household
    people = household.persons()
    return render_template(
        "people.html",
        people=people,
        addresses={one.name: household.addresses(one.name) for one in people},
        domain=house().config.domain,
        form=form,
    )
