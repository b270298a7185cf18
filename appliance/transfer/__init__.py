"""Mail that comes and goes as files: mbox, Maildir, .eml in; mbox and .eml out.

    loose.py      a message outside the archive, and what cannot be read
    mbox.py       mboxo, mboxrd, mboxcl, mboxcl2 read; mboxrd written, exact both ways
    maildir.py    Maildir and Maildir++ read: flags, keywords, mailboxes
    eml.py        one message a file, alone or in a tree
    importing.py  files → archive; can be stopped and started again
    exporting.py  archive → files, with a manifest of digests

Octets are never repaired here: no line end is changed, no field added or taken
away. A file that cannot be read is named with its reason and the rest goes on.
"""

from appliance.transfer.exporting import ExportProgress, ExportResult, export
from appliance.transfer.importing import ImportProgress, ImportResult, import_paths

__all__ = [
    "ExportProgress",
    "ExportResult",
    "ImportProgress",
    "ImportResult",
    "export",
    "import_paths",
]
