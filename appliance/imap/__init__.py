"""The window every mail program knows: an IMAP4rev1 server over the archive.

    server.py        listeners, sessions, the end
    connection.py    a socket: framed events in, octets out with backpressure
    session.py       one connection: commands one after another, errors caught once
    client.py        a connection's state, and how it is told what changed
    signing_in.py  mailboxes.py  listing.py  messages.py  appending.py    the commands
    selected.py      the selected mailbox as arrays; sequence numbers
    fetching.py  contents.py  sections.py    FETCH: plan, octets, offsets
    searching.py     SEARCH: set algebra
    notify.py        who is told when the archive changes

An extension is announced only when it works. Expunging takes a place away, never
octets; what one connection sees is what it was told, and nothing that blocks runs in
the event loop. The grammar is ``appliance.wire``'s, the mail the archive's.
"""

from appliance.imap.server import Addresses, Doors, ImapServer

__all__ = ["Addresses", "Doors", "ImapServer"]
