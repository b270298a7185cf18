"""What a person reads when something does not work: plain words, never a traceback.

An error of ours says what, where and what to do. Anything else is a defect: it
gets a number, the log gets the number with the traceback.
"""

from __future__ import annotations

import logging
import secrets

from flask import Flask, Response, g, render_template, request
from werkzeug.exceptions import HTTPException

from appliance.errors import (
    ApplianceError,
    ClientError,
    DiskFull,
    NotPermitted,
    StoreError,
    UsageError,
)
from web.language import t

_log = logging.getLogger("hauspost.web")


def install(app: Flask) -> None:
    """Catch everything."""
    app.register_error_handler(ApplianceError, _ours)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _defect)


def _ours(error: ApplianceError) -> Response:
    code = _code(error)
    answer = _page(code, str(error))
    retry = getattr(error, "retry_after_s", None)  # TooManyTries carries it
    if retry is not None:
        answer.status_code = 429
        answer.headers["Retry-After"] = str(max(1, round(retry)))
    if code >= 500:
        _log.error("%s %s: %s", request.method, request.path, error)
    return answer


def _code(error: ApplianceError) -> int:
    match error:
        case NotPermitted():
            return 403
        case UsageError() | ClientError():
            return 400
        case DiskFull():
            return 507
        case StoreError():
            return 503
    return 502


def _http(error: HTTPException) -> Response:
    code = error.code or 500
    if code < 400:  # a redirect werkzeug raises for a missing slash
        return Response(error.get_body(), code, error.get_headers())
    answer = _page(code, _words(code, error))
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            answer.headers[name] = value
    return answer


def _words(code: int, error: HTTPException) -> str:
    match code:
        case 401:
            return t("You are signed out. Sign in and try again.")
        case 403:
            return str(error.description)
        case 404:
            return t("There is nothing here, or it is not yours to see.")
        case 405:
            return t("This page cannot be used that way.")
        case 413:
            return t("That was too much at once.")
    return str(error.description)


def _defect(error: Exception) -> Response:
    incident = secrets.token_hex(4)
    _log.error("incident %s: %s %s", incident, request.method, request.path, exc_info=error)
    text = t(
        "Something went wrong on our side. The log says more under incident {number}.",
        number=incident,
    )
    return _page(500, text)


def _page(code: int, text: str) -> Response:
    if "person" not in g:  # it went wrong before we knew who asks
        g.person, g.token = None, ""
    if request.headers.get("HX-Request"):
        return Response(render_template("fragments/problem.html", text=text), code)
    return Response(render_template("problem.html", code=code, text=text), code)
