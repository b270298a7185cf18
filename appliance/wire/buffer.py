"""Octets that were received and not yet understood.

Lines and runs of octets come off the front. Each octet is searched for a line
end once, also when the octets come one at a time, and nothing is copied to
shorten the front, so time is linear in what was received.
"""

from __future__ import annotations


class LocalProtocolError(RuntimeError):
    """Our own code asked a machine for what its state forbids: a bug, not an outcome."""


class LineTooLong(Exception):
    """A line passed its limit; ``limit`` in octets. What to do is the machine's."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a line is longer than {limit} octets")
        self.limit = limit


class ReceiveBuffer:
    """A queue of octets: ``feed`` at the end, lines and runs from the front."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._searched = 0

    def __len__(self) -> int:
        return len(self._octets)

    def feed(self, octets: bytes | bytearray | memoryview) -> None:
        """Append what was received."""
        self._octets += octets

    def line(self, limit_octets: int) -> bytes | None:
        """The next line with its LF (and CR, if there is one); None: not all of it is here.

        Raises LineTooLong as soon as the line is known to be longer than the
        limit, line end included; nothing is taken off then.
        """
        found = self._octets.find(b"\n", self._searched)
        size = len(self._octets) if found < 0 else found + 1
        if size > limit_octets:
            raise LineTooLong(limit_octets)
        if found < 0:
            self._searched = size
            return None
        return self.take(size)

    def skip_line(self, keep_octets: int) -> bytes | None:
        """Throw the rest of a line away, with its LF; its last octets, or None: the end is to come.

        Call it again when more came; at most ``keep_octets`` of the line stay
        in memory, and no more than that is answered.
        """
        found = self._octets.find(b"\n", self._searched)
        if found >= 0:
            self.take(max(0, found + 1 - keep_octets))
            return self.take(min(found + 1, keep_octets))
        self.take(max(0, len(self._octets) - keep_octets))
        self._searched = len(self._octets)
        return None

    def take(self, limit_octets: int) -> bytes:
        """Up to so many octets off the front, b"" if there are none."""
        with memoryview(self._octets) as view:
            taken = bytes(view[:limit_octets])
        # Deleting at the front of a bytearray moves its start, not its octets.
        del self._octets[:limit_octets]
        self._searched = 0
        return taken

    def peek(self, limit_octets: int) -> bytes:
        """Up to so many octets of the front; they stay."""
        return bytes(self._octets[:limit_octets])

    def find(self, octets: bytes) -> int:
        """How far from the front these octets begin, or -1."""
        return self._octets.find(octets)

    def endswith(self, octets: bytes) -> bool:
        """The last octets received are these."""
        return self._octets.endswith(octets)

    def take_all(self) -> bytes:
        """Everything that is here."""
        return self.take(len(self._octets))
