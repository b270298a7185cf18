"""Dot-stuffing undone (RFC 5321 §4.5.2), exactly and without lines.

Only CRLF.CRLF ends the data. A bare LF or CR before or after a dot is content
and stays as it came: taking LF.LF for the end is how mail is smuggled past a
server that does not (CVE-2023-51764 and its kin). Lines may be of any length.
"""

from __future__ import annotations

_END = b"\r\n.\r\n"


class DotStuffed:
    """A machine: stuffed octets in, message octets out, until the end has come.

    ``rest`` is what came after the end: the client's next commands.
    """

    def __init__(self) -> None:
        # The CRLF of the DATA command itself: a first line "." is the end too.
        self._held = b"\r\n"
        self._virtual = 2
        self.ended = False
        self.rest = b""

    def feed(self, octets: bytes) -> bytes:
        """Message octets that are certain now; at most four octets are held back."""
        assert not self.ended
        stuffed = self._held + octets
        end = stuffed.find(_END)
        if end >= 0:
            self.ended = True
            # The CRLF before the dot ends the last line: it is the message's (§4.1.1.4).
            certain, self._held = stuffed[: end + 2], b""
            self.rest = stuffed[end + len(_END) :]
        else:
            kept = next((n for n in (4, 3, 2, 1) if stuffed.endswith(_END[:n])), 0)
            certain, self._held = stuffed[: len(stuffed) - kept], stuffed[len(stuffed) - kept :]
        if not certain:
            return b""
        # What is certain starts with the virtual CRLF whole or not at all: "\n" begins no _END.
        plain = certain.replace(b"\r\n.", b"\r\n")[self._virtual :]
        self._virtual = 0
        return plain
