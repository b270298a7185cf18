"""What every request must show and every answer must carry.

Requests: a session for every page but the few that say ``open_to_all``; for
every write a same-origin browser (Sec-Fetch-Site, else Origin) and a token bound
to the session. Answers: a content security policy that lets nothing run but our
own files and nothing load from elsewhere. The server keeps the session; the
cookie is a random name for it.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable
from typing import Final, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Request, Response, abort, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSessionInterface
from werkzeug.wrappers import Response as AnyResponse

from web.house import house

PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; frame-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
LETTER_POLICY: Final = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "img-src 'self' data:; style-src 'unsafe-inline'; font-src 'none'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
"""A header, not only the frame's attribute: the letter's address opened in a tab escapes that."""
FILE_POLICY: Final = "sandbox; default-src 'none'; frame-ancestors 'none'"
"""Attachments and sources: downloaded, and dead if a browser shows them all the same."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN: Final = "open_to_all"
_COOKIE: Final = "hauspost"
_LIFE_S: Final = 30 * 86400

View = TypeVar("View", bound=Callable[..., object])


def open_to_all(view: View) -> View:
    """Mark a view that is reached without signing in."""
    setattr(view, _OPEN, True)
    return view


class Cookies(SecureCookieSessionInterface):
    """Flask's small signed session (notices, the visitor's token): our prefix, Secure on https."""

    def get_cookie_path(self, app: Flask) -> str:
        """The prefix we are mounted at."""
        return request.script_root or "/"

    def get_cookie_secure(self, app: Flask) -> bool:
        """Only over https once the page came by https."""
        return request.is_secure

    def get_cookie_httponly(self, app: Flask) -> bool:
        """No script reads it."""
        return True

    def get_cookie_samesite(self, app: Flask) -> str:
        """Not with other sites' forms and frames."""
        return "Lax"


def install(app: Flask) -> None:
    """Put the guard before and the headers behind every request."""
    app.session_interface = Cookies()
    app.config["SESSION_COOKIE_NAME"] = "hauspost-visit"
    app.before_request(_identify)
    app.before_request(_guard)
    app.after_request(_headers)
    app.jinja_env.globals["csrf_token"] = csrf_token


# -- sessions


def sign_in(answer: AnyResponse, token: str) -> AnyResponse:
    """Give the browser its new session; whatever it had before is forgotten."""
    session.clear()
    answer.set_cookie(
        _cookie_name(),
        token,
        max_age=_LIFE_S,
        path=request.script_root or "/",
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return answer


def sign_out(answer: AnyResponse) -> AnyResponse:
    """End the session here and in the browser."""
    if g.token:
        house().household.close_session(g.token)
    session.clear()
    answer.delete_cookie(
        _cookie_name(),
        path=request.script_root or "/",
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return answer


def _cookie_name() -> str:
    # __Host- (RFC 6265bis §4.1.3.2) needs https and the path "/".
    return f"__Host-{_COOKIE}" if request.is_secure and not request.script_root else _COOKIE


def _identify() -> None:
    g.token = request.cookies.get(_cookie_name(), "")
    g.person = house().household.session(g.token) if g.token else None


# -- the guard


def _guard() -> AnyResponse | None:
    if request.method not in SAFE_METHODS:
        _check_origin(request)
        _check_token(request)
    view = _app_view()
    if view is None or request.endpoint == "static" or getattr(view, _OPEN, False):
        return None
    if g.person is not None:
        return None
    if request.headers.get("HX-Request"):
        answer = Response(status=401)
        answer.headers["HX-Redirect"] = url_for("start.sign_in")
        return answer
    if request.method not in SAFE_METHODS:
        abort(401)
    return redirect(url_for("start.sign_in", next=request.full_path.rstrip("?")))


def _app_view() -> Callable[..., object] | None:
    from flask import current_app

    return current_app.view_functions.get(request.endpoint or "")


def _check_origin(asked: Request) -> None:
    """The browser says where a write comes from; another site's is refused."""
    site = asked.headers.get("Sec-Fetch-Site")
    if site is not None:
        # "none" is the person's own doing (reload of a form).
        if site not in {"same-origin", "none"}:
            abort(403, "this form came from another site")
        return
    origin = asked.headers.get("Origin")
    # Sec-Fetch-* is missing on plain http in a LAN; Origin is always sent with a POST.
    # The scheme is not compared: behind a proxy only the browser knows it.
    if origin is not None and urlsplit(origin).netloc.lower() != asked.host.lower():
        abort(403, "this form came from another site")


def csrf_token() -> str:
    """The token the forms of this session carry."""
    return house().signature("csrf", _csrf_subject())


def _csrf_subject() -> str:
    if g.get("person") is not None:
        return f"session:{g.token}"
    if "visit" not in session:
        session["visit"] = secrets.token_urlsafe(16)
    return f"visit:{session['visit']}"


def _check_token(asked: Request) -> None:
    given = asked.headers.get("X-CSRF-Token") or asked.form.get("csrf", "")
    if not house().signed(given, "csrf", _csrf_subject()):
        abort(403, "this form is out of date: go back, reload the page and try again")


# -- answers


def _headers(answer: Response) -> Response:
    headers = answer.headers
    headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    # same-origin, not no-referrer: with that, browsers send "Origin: null" with our own forms.
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
    if "frame-ancestors 'self'" not in headers["Content-Security-Policy"]:
        headers.setdefault("X-Frame-Options", "DENY")
    if request.endpoint != "static":
        headers["Cache-Control"] = headers.get("Cache-Control") or "no-store"
        headers.add("Vary", "Cookie")
    return answer


def from_this_machine(asked: Request) -> bool:
    """Whether a browser on the appliance itself asks, directly and by a loopback name.

    A proxy on this machine also has a loopback address, and another site can
    point its own name at 127.0.0.1: both are refused.
    """
    try:
        here = ipaddress.ip_address(asked.remote_addr or "").is_loopback
    except ValueError:
        return False
    forwarded = any(
        name.lower().startswith(("x-forwarded", "forwarded"))
        for name in asked.headers.keys()  # noqa: SIM118 - Werkzeug's headers iterate as pairs
    )
    name = urlsplit(f"//{asked.host}").hostname
    return here and not forwarded and name in {"localhost", "127.0.0.1", "::1"}


def safe_next(target: str) -> str | None:
    """A page of ours to go on to, or None: never another site (``//host``, ``/\\host``)."""
    if not target.startswith("/") or target[1:2] in {"/", "\\"}:
        return None
    if any(ord(character) < 33 or character == "\\" for character in target):
        return None
    return target
