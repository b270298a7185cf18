"""German or English: the person's choice, else what the browser asks for."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, abort, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from web import formats
from web.security import open_to_all, safe_next
from web.texts import GERMAN

LANGUAGES = ("en", "de")
_COOKIE = "hauspost-language"

room = Blueprint("language", __name__)


@room.get("/language/<code>")
@open_to_all
def choose(code: str) -> AnyResponse:
    """Remember the language and go back to the page."""
    if code not in LANGUAGES:
        abort(404)
    target = safe_next(request.args.get("next", "/")) or "/"
    answer: Response = redirect(request.script_root + target)  # type: ignore[assignment]
    answer.set_cookie(
        _COOKIE,
        code,
        max_age=365 * 86400,
        path=request.script_root or "/",
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return answer


def language() -> str:
    """``de`` or ``en`` for this request."""
    if "language" not in g:
        chosen = request.cookies.get(_COOKIE)
        g.language = chosen if chosen in LANGUAGES else _asked_for()
    return str(g.language)


def _asked_for() -> str:
    """The first language of the browser that we speak: ``de-AT`` is German."""
    for tag, _ in request.accept_languages:
        primary = tag.partition("-")[0].lower()
        if primary in LANGUAGES:
            return primary
    return LANGUAGES[0]


def t(english: str, **facts: object) -> str:
    """The sentence in the reader's language with the facts put in."""
    text = GERMAN.get(english, english) if language() == "de" else english
    return text.format(**facts) if facts else text


def tn(one: str, many: str, n: int, **facts: object) -> str:
    """``one`` or ``many`` as ``n`` wants it; ``{n}`` is written with separators."""
    return t(one if n == 1 else many, n=formats.number(n, language()), **facts)


def install(app: Flask) -> None:
    """Give the templates their words, dates and sizes."""
    app.register_blueprint(room)
    app.jinja_env.globals.update(t=t, tn=tn, language=language)
    app.jinja_env.filters.update(
        number=lambda count: formats.number(count, language()),
        size=lambda octets: formats.size(octets, language()),
        short_date=lambda moment: formats.short_date(moment, language()),
        long_date=lambda moment: formats.long_date(moment, language()),
        duration=formats.duration,
        sender=formats.short_sender,
        line=formats.line,
        linked=formats.linked,
        part_number=formats.part_number,
    )
