"""A whole message for a reader that needs it at once, however large it is."""

from __future__ import annotations

import errno
import mmap
import tempfile
from pathlib import Path
from typing import Final

from appliance.errors import DiskFull, StoreError
from appliance.mail.types import Octets
from appliance.store.messages import Messages
from appliance.store.values import Message

LARGE_OCTETS: Final = 8 << 20


def whole(archive: Messages, message: Message, folder: Path | None = None) -> Octets:
    """The octets of a message; of one too large to hold, a view of a nameless file.

    The file stands in ``folder`` (the archive's own if None), and is gone when
    nobody looks at it any more. Raises as ``Archive.octets``, and DiskFull.
    """
    if message.size < LARGE_OCTETS:
        return archive.octets(message.seq)
    folder = folder or archive.root
    try:
        with tempfile.TemporaryFile(dir=folder) as spool:
            for piece in archive.chunks(message.seq):
                spool.write(piece)
            spool.flush()
            if spool.tell() == 0:
                return b""
            return memoryview(mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(f"{folder}: no room to read a large message; make room") from error
        raise StoreError(f"{folder}: {error.strerror or error}") from error
