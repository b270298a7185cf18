"""The pages' small pictures: own drawings, 24 by 24, one stroke.

Decoration only: the words beside them say it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from markupsafe import Markup

PATHS: Final = {
    "inbox": "M4 13h4l2 3h4l2-3h4M4 13l3-8h10l3 8v5a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2z",
    "sent": "M21 3 3 11l7 3 3 7z M10 14l4-4",
    "drafts": "M4 20h4L19 9l-4-4L4 16z M13 7l4 4",
    "archive": "M3 5h18v4H3z M5 9v10h14V9 M10 13h4",
    "junk": "M12 3l9 16H3z M12 10v4 M12 16.5v.5",
    "trash": "M4 7h16 M9 7V4h6v3 M6 7l1 13h10l1-13 M10 11v5 M14 11v5",
    "all": "M4 6h16v12H4z M4 7l8 6 8-6",
    "flagged": "M12 4l2.5 5 5.5.8-4 3.9 1 5.5-5-2.7-5 2.7 1-5.5-4-3.9 5.5-.8z",
    "folder": "M3 6h6l2 2h10v11H3z",
    "new": "M12 5v14 M5 12h14",
    "removed": "M4 12a8 8 0 1 0 2.5-5.8 M4 4v4h4 M12 8v4l3 2",
    "search": "M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14z M16 16l5 5",
    "clip": (
        "M20 11l-8.5 8.5a5 5 0 0 1-7-7L13 4a3.3 3.3 0 0 1 4.7 4.7L9.5 17a1.7 1.7 0 0"
        " 1-2.4-2.4L14.5 7"
    ),
    "menu": "M4 7h16 M4 12h16 M4 17h16",
    "device": "M7 3h10v18H7z M11 18h2",
    "account": "M3 8a9 9 0 0 1 9-5v3 M21 16a9 9 0 0 1-9 5v-3 M9 6h3V3 M15 18h-3v3 M5 12h14",
    "people": (
        "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z M2.5 20a6.5 6.5 0 0 1 13 0 M16"
        " 4.5a3.5 3.5 0 0 1 0 6 M18 14a6.5 6.5 0 0 1 3.5 6"
    ),
    "status": "M3 12h4l3-7 4 14 3-7h4",
    "out": "M10 4H5v16h5 M14 8l4 4-4 4 M18 12H9",
    "read": "M4 12.5l5 5L20 6.5",
    "unread": "M12 6.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11z",
    "back": "M14 6l-6 6 6 6",
    "next": "M10 6l6 6-6 6",
    "down": "M12 4v12 M7 11l5 5 5-5 M5 20h14",
    "lock": "M6 11h12v9H6z M8.5 11V8a3.5 3.5 0 0 1 7 0v3",
    "code": "M8 7l-5 5 5 5 M16 7l5 5-5 5",
    "refresh": "M20 11a8 8 0 1 0-2.3 6.3 M20 5v6h-6",
    "pause": "M9 5v14 M15 5v14",
    "play": "M8 5l11 7-11 7z",
    "picture": "M4 5h16v14H4z M4 16l5-5 4 4 3-3 4 4",
    "globe": (
        "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18z M3 12h18 M12 3c3 3 3 15 0 18 M12 3c-3 3-3 15 0 18"
    ),
}


@lru_cache(maxsize=256)
def icon(name: str, filled: bool = False) -> Markup:
    """The picture; an unknown name is a plain folder."""
    kind = "icon filled" if filled else "icon"
    return Markup(
        '<svg class="{}" viewBox="0 0 24 24" aria-hidden="true" focusable="false">'
        '<path d="{}"/></svg>'
    ).format(kind, PATHS.get(name, PATHS["folder"]))
