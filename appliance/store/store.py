"""The archive: one catalog, its volumes, and the verbs of all its rooms."""

from __future__ import annotations

from appliance.store.admission import Admission
from appliance.store.filters import Filters
from appliance.store.ledger import Ledger
from appliance.store.listing import Listing
from appliance.store.mailboxes import Mailboxes
from appliance.store.places import Places
from appliance.store.verify import Verify


class Archive(Admission, Mailboxes, Places, Ledger, Listing, Filters, Verify):
    """Everything kept, thread-safe; several processes may have it open at once.

    ``Archive(root, bell)`` opens or makes it; close it, or use it as a context
    manager. After each change that others may show, the bell is rung.
    """

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
