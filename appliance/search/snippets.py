"""The piece of a message that shows why it was found, out of the message's own text."""

from __future__ import annotations

import threading
from collections import OrderedDict

from appliance.errors import ApplianceError
from appliance.mail.types import Seq
from appliance.search.words import body_text
from appliance.store import Archive, Message
from index.query import Query
from index.snippet import snippet

_LARGE_OCTETS = 8 << 20
_KEPT_CHARACTERS = 4_000_000
_TEXT_CHARACTERS = 200_000
_PIECE_CHARACTERS = 3_000
_OVERLAP = 200
_LIMIT = 200

Pieces = tuple[tuple[str, bool], ...]


class Snippets:
    """Snippets of messages; the last texts read are remembered for the next page or key press."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._lock = threading.Lock()
        self._texts: OrderedDict[Seq, str] = OrderedDict()
        self._size = 0

    def of(self, message: Message, query: Query) -> Pieces:
        """Text in pieces, True where a word of the query stands; never fails.

        The beginning of the text when no word of the query is in it.
        """
        text = self._text(message)
        # Looked through piece by piece: most hits stand near the beginning.
        start, length = 0, _PIECE_CHARACTERS
        while start < len(text):
            pieces = snippet(text[start : start + length], query, limit=_LIMIT)
            if any(marked for _, marked in pieces):
                return pieces
            start += length - _OVERLAP
            length *= 4
        return ((message.preview, False),) if message.preview else ()

    def _text(self, message: Message) -> str:
        with self._lock:
            if message.seq in self._texts:
                self._texts.move_to_end(message.seq)
                return self._texts[message.seq]
        text = self._read(message)
        with self._lock:
            if message.seq not in self._texts:
                self._texts[message.seq] = text
                self._size += len(text)
            while self._size > _KEPT_CHARACTERS:
                _, oldest = self._texts.popitem(last=False)
                self._size -= len(oldest)
        return text

    def _read(self, message: Message) -> str:
        # A page of results is not worth reading a film for.
        if message.size > _LARGE_OCTETS:
            return message.preview
        try:
            octets = self._archive.octets(message.seq)
            return body_text(octets, self._archive.structure(message.seq))[:_TEXT_CHARACTERS]
        except ApplianceError:
            return message.preview  # damaged: verify names it
