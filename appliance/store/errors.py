"""What the store answers a door that asked for what cannot be."""

from __future__ import annotations

from appliance.errors import ClientError


class NoSuchMailbox(ClientError):
    """IMAP: NO [NONEXISTENT], or [TRYCREATE] where the client may create it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no mailbox {name!r}")
        self.name = name


class MailboxExists(ClientError):
    """IMAP: NO [ALREADYEXISTS]."""

    def __init__(self, name: str) -> None:
        super().__init__(f"mailbox {name!r} is already there")
        self.name = name


class NotAllowed(ClientError):
    """IMAP: NO [CANNOT]: the mailbox is kept by the archive itself, or the name is impossible."""


class NoSuchMessage(ClientError):
    """There is no message with this seq."""

    def __init__(self, seq: int) -> None:
        super().__init__(f"there is no message {seq}")
        self.seq = seq
