"""Protocols without sockets: octets in, typed events out.

    buffer.py            received octets: lines and runs of octets, with limits, in linear time
    pop3.py              POP3, the client's side: the machine (RFC 1939, 2449, 2595) …
    pop3_events.py       … what a server says, as values …
    pop3_message.py      … a message's byte-stuffing, undone as it comes …
    pop3_lists.py        … and LIST, UIDL and CAPA line by line
    imap_syntax.py       IMAP, the server's side: frames a client's lines and literals into commands
    imap_commands.py     every command as a frozen value …
    imap_sets.py  imap_search_keys.py  imap_fetch_items.py     … and what is inside them
    imap_grammar.py      a framed command → its value …
    imap_scanner.py  imap_grammar_fetch.py  imap_grammar_search.py  imap_grammar_list.py
    imap_responses.py    values → the octets of responses
    imap_dates.py        date and date-time, both ways
    imap_utf7.py         mailbox names, modified UTF-7 (RFC 3501 §5.1.3)

The rules of this room:

- No socket, no file, no clock, no thread. A machine is fed octets in whatever
  pieces they came; the events never depend on where the pieces were cut.
- Framing comes first: which octets belong to a line or a literal is decided
  before anybody parses them, so octets of a literal are never taken for a
  command, and a command that cannot be read is thrown away whole.
- Every length is limited before it is held. What has no limit (a message) is
  handed on in pieces and never gathered here.
- Time is linear in the octets, also when they come one at a time.
- An event says what was received in full. A connection that is lost in the
  middle of something never makes the event that says its end.
- A TLS switch with octets still in the buffer is an attack (RFC 2595 §4), not
  an optimisation; both machines refuse it.
- ``bytes`` below, ``str`` above; decoded once, here. A password is in no repr.

Who broke the rules: RemoteProtocolError the server we talk to,
``imap_commands.BadCommand`` the client that talks to us,
``buffer.LocalProtocolError`` our own code.
"""
