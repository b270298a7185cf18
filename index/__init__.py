"""Full text of documents: words in, document numbers out. It knows nothing of mail.

A ``Document`` goes in under its ``seq``; ``Index.search`` answers pages of hits, newest
first unless asked otherwise, among the documents the caller says may be seen: a search
without ``within`` does not exist. ``index.language.parse`` makes a query of what a person
typed. Only what never changes is inside; everything else comes in as a set of seqs.

The index is not a place to keep things: it can be deleted at any time and built again.
Segments are written once, checksummed and mapped; a commit is durable or did not happen.
Nothing in the folder is executable or unpickled. Whoosh gives schema, reader and searcher classes,
scorers and stems (``index.schema``, ``index.reader``); its storage, writer and parser are not used.
"""

from index.analysis import Token, composed, fold, terms_of
from index.document import Attachment, Cursor, Document, Hit, Order, Page, Word
from index.engine import Index, destroy
from index.errors import IndexBusy, IndexDamaged, IndexDiskFull, IndexFault
from index.language import Chip, Parsed, parse
from index.query import (
    FIELDS,
    All,
    And,
    DateRange,
    Field,
    Filter,
    Fuzzy,
    Infix,
    Not,
    Nothing,
    Or,
    Phrase,
    Prefix,
    Query,
    Term,
    Within,
    Words,
    resolve,
)
from index.seqset import SeqSet

__all__ = [
    "FIELDS",
    "All",
    "And",
    "Attachment",
    "Chip",
    "Cursor",
    "DateRange",
    "Document",
    "Field",
    "Filter",
    "Fuzzy",
    "Hit",
    "Index",
    "IndexBusy",
    "IndexDamaged",
    "IndexDiskFull",
    "IndexFault",
    "Infix",
    "Not",
    "Nothing",
    "Or",
    "Order",
    "Page",
    "Parsed",
    "Phrase",
    "Prefix",
    "Query",
    "SeqSet",
    "Term",
    "Token",
    "Within",
    "Word",
    "Words",
    "composed",
    "destroy",
    "fold",
    "parse",
    "resolve",
    "terms_of",
]
