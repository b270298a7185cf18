"""Did you mean: the query in words the dictionary has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from index import Index, SeqSet
from index.query import Query, Term

_MOST_WORDS: Final = 6
_MOST_SPELLINGS: Final = 3


def respelt(text: str, query: Query, index: Index, within: SeqSet) -> Iterator[str]:
    """What was typed with better spellings of its words, the likeliest first.

    The dictionary is of everybody's mail: each spelling is one that stands in
    what this person may see, whatever else was typed beside it.
    """
    better: dict[str, list[str]] = {}
    for word in _words(query):
        found = [one for one in index.suggest(word) if index.count(Term(None, one), within)]
        if found:
            better[word] = found
    seen = {text}
    for rank in range(_MOST_SPELLINGS if better else 0):
        changed = text
        for word, spellings in better.items():
            spelling = spellings[min(rank, len(spellings) - 1)]
            # Words of the dictionary are letters and digits: nothing in them is special here.
            changed = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", spelling, changed)
        if changed not in seen:
            seen.add(changed)
            yield changed


def _words(query: Query) -> list[str]:
    found: list[str] = []
    stack: list[Query] = [query]
    while stack and len(found) < _MOST_WORDS:
        node = stack.pop()
        if isinstance(node, Term):
            found.append(node.word)
        # What is excluded finds nothing by being spelt better.
        stack.extend(reversed(getattr(node, "parts", ())))
    return found
