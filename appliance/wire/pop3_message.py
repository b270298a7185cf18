"""A message as POP3 sends it: byte-stuffed lines, ended by a line of one "." (RFC 1939 §3).

Only CR LF ends a line: LF "." LF is content, and so is CR LF "." LF. Octets that
may be the beginning of the end stay in the buffer; all others are let go
at once, so at most four octets of a message are ever held.
"""

from __future__ import annotations

from typing import Final

from appliance.wire.buffer import ReceiveBuffer

_END: Final = b"\r\n.\r\n"
# What may be the beginning of the end, longest first: held back until more comes.
_PART_OF_END: Final = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")


class Unstuffer:
    """Takes the byte-stuffing off a message and finds its end (RFC 1939 §3)."""

    def __init__(self) -> None:
        self.total = 0
        self.ended = False
        self._first_line = True

    def take(self, buffer: ReceiveBuffer) -> bytes:
        """All octets of the message that are certain, off the front of the buffer."""
        if self._first_line and not self._begin(buffer):
            return b""
        end = buffer.find(_END)
        if end >= 0:
            # The CR LF before the "." ends the message's last line and belongs to it.
            octets = buffer.take(end + 2)
            buffer.take(len(_END) - 2)
            self.ended = True
        else:
            held = next((len(part) for part in _PART_OF_END if buffer.endswith(part)), 0)
            octets = buffer.take(len(buffer) - held)
        octets = octets.replace(b"\r\n.", b"\r\n")
        self.total += len(octets)
        return octets

    def _begin(self, buffer: ReceiveBuffer) -> bool:
        """Looks at the "." that may begin the first line; False: not enough octets, or the end.

        The CR LF before it was the status line's, so the search cannot see it.
        """
        start = buffer.peek(3)
        if start == b".\r\n":
            buffer.take(3)
            self.ended = True
            return False
        if b".\r\n".startswith(start):
            return False
        if start.startswith(b"."):
            buffer.take(1)
        self._first_line = False
        return True
