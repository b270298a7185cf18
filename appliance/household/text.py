"""What people and programs typed, made safe to keep and to show in one line."""

from __future__ import annotations

from appliance.errors import UsageError

_LONGEST_DISPLAY_NAME = 100


def shown(text: str) -> str:
    """What somebody typed, quoted and short, for a message."""
    return repr(text if len(text) <= 60 else text[:59] + "…")


def scrubbed(text: str, longest: int) -> str:
    """At most so many characters, each encodable as UTF-8 (SQLite takes no lone surrogates)."""
    return text[:longest].encode("utf-8", "replace").decode("utf-8")


def checked_display_name(name: str | None, otherwise: str) -> str:
    """A name to show, without control characters; ``otherwise`` when none is given."""
    text = " ".join("".join(c if c.isprintable() else " " for c in name or "").split())
    if len(text) > _LONGEST_DISPLAY_NAME:
        raise UsageError(f"the name is too long: at most {_LONGEST_DISPLAY_NAME} characters")
    return scrubbed(text, _LONGEST_DISPLAY_NAME) or otherwise
