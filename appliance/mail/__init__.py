"""Octets ⇄ meaning; no I/O.

Whatever octets come in, a usable value comes out: nothing in here raises on the
content of a message, recurses on its nesting, or takes more than linear time.
Offsets always point into the octets as they came.

    types          the words of the house
    header         fields, folding, encoded words, parameters; with charset and dates
    structure      the MIME tree as offsets; packing is its form in the catalog
    envelope       ENVELOPE and addresses; bodystructure is BODY and BODYSTRUCTURE
    decoding       bodies without their content-transfer-encoding
    text, html     the words a reader sees; body, attachments and inline parts
    thread         what joins messages to a conversation
    reading        all of it at once, as the archive keeps it
    attachment     text inside files, read by extraction in a child process

``attachment`` starts that child and is the one exception to "no I/O".
"""
