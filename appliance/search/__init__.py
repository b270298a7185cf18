"""What a person may find: a query over index and catalog.

    searcher.py   find() for people, containing() for IMAP; the wall between people
    filters.py    in: is: has: account: … as sets of messages, asked of the catalog
    plain.py      the same queries without an index, as far as the catalog can tell
    substring.py  IMAP's substrings: candidates from the index, checked in the text
    words.py      the words of a message, taken the same way for all of them
    snippets.py   the piece of a message that shows why it was found
    suggest.py    did you mean
    shelf.py      where the index stands and how a new one takes its place
    headers.py extracted.py   caches beside the index, as disposable

Nothing here writes to the archive. No answer holds a message its asker has no
place for: ``Searcher._within`` cuts every question before the index sees it.
"""

from appliance.search.searcher import Searcher
from appliance.search.values import Found, SearchHit

__all__ = ["Found", "SearchHit", "Searcher"]
