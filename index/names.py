"""The names the query language knows, English and German: keys, and the values of some.

A name is looked up folded, so accents and case do not count.
"""

from __future__ import annotations

_FIELDS = {
    "from": "from von absender sender",
    "to": "to an",
    "cc": "cc kopie",
    "subject": "subject betreff",
    "filename": "filename datei dateiname file",
    "attachment": "attachment anhang",
    "id": "id list liste message-id",
}
_FACTS = {
    "in": "in mailbox ordner postfach",
    "account": "account konto",
    "person": "person",
    "is": "is ist",
    "has": "has hat mit",
    "larger": "larger groesser grosser bigger",
    "smaller": "smaller kleiner",
    "thread": "thread faden",
}
_DATES = {
    "before": "before vor",
    "until": "until bis",
    "after": "after nach since seit ab",
    "on": "on am date datum",
    "year": "year jahr",
    "older": "older alter aelter older_than",
    "newer": "newer neuer junger juenger newer_than",
}
_VALUES = {
    "is": {
        "unread": "unread ungelesen new neu unseen",
        "read": "read gelesen seen",
        "flagged": "flagged markiert starred wichtig",
        "answered": "answered beantwortet replied",
        "encrypted": "encrypted verschlusselt verschluesselt",
        "signed": "signed signiert unterschrieben",
    },
    "has": {
        "attachment": "attachment attachments anhang anhange anhaenge",
        "image": "image images bild bilder photo foto",
        "pdf": "pdf",
        "invite": "invite invitation einladung termin",
        "link": "link links url",
    },
    "in": {"removed": "removed entfernt geloscht geloescht"},
}


def _turned(table: dict[str, str]) -> dict[str, str]:
    return {alias: name for name, aliases in table.items() for alias in aliases.split()}


KEYS = {
    **{alias: ("field", name) for alias, name in _turned(_FIELDS).items()},
    **{alias: ("fact", name) for alias, name in _turned(_FACTS).items()},
    **{alias: ("date", name) for alias, name in _turned(_DATES).items()},
}
KNOWN = {name: _turned(values) for name, values in _VALUES.items()}
