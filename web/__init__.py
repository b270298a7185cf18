"""The pages of the house: a Flask application over the archive.

``create_app`` gets its collaborators and hands out a thread-safe WSGI
application; a blueprint is a room. Pages are written on the server and whole
without JavaScript; htmx makes some of them live. Nothing is ever loaded from
another machine, and nothing a letter says is ever run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask

from appliance import __version__
from web import (
    accounts,
    devices,
    language,
    mailboxes,
    messages,
    people,
    problems,
    searches,
    security,
    start,
    status,
)
from web.house import House, pages_key
from web.icons import icon
from web.proxy import FromProxy

if TYPE_CHECKING:
    from appliance.bell import Bell
    from appliance.config import Config
    from appliance.fetch.progress import ProgressBoard
    from appliance.household import Household
    from appliance.search import Searcher
    from appliance.store import Archive

__all__ = ["create_app"]

_FORM_LIMIT = 1_000_000
"""Octets of a posted form; no page takes uploads."""

ROOMS = (
    start.room,
    mailboxes.room,
    messages.room,
    searches.room,
    accounts.room,
    people.room,
    devices.room,
    status.room,
)


def create_app(
    config: Config,
    archive: Archive,
    household: Household,
    searcher: Searcher,
    board: ProgressBoard,
    bell: Bell,
) -> Flask:
    """The pages over these collaborators; they are closed by who made them."""
    app = Flask(__name__)
    home = House(config, archive, household, searcher, board, bell, pages_key(household))
    app.extensions["hauspost"] = home
    app.secret_key = home.signature("cookies")
    app.config["MAX_CONTENT_LENGTH"] = _FORM_LIMIT
    app.config["MAX_FORM_PARTS"] = 5000
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600
    app.jinja_env.globals.update(version=__version__, icon=icon)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    security.install(app)
    language.install(app)
    problems.install(app)
    start.install(app)
    for room in ROOMS:
        app.register_blueprint(room)
    # Flask's documented way to put middleware around an application.
    app.wsgi_app = FromProxy(app.wsgi_app)  # type: ignore[method-assign, assignment]
    return app
