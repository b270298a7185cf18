"""How fast the index builds and answers, beside SQLite FTS5 over the same documents.

    python bench/index.py [--documents N] [--commit N] [--folder DIR] [--json]

Documents are generated (seeded): a Zipf vocabulary of German and English pieces, German
compounds, numbers and identifiers nobody else has. Times are CPU milliseconds; build is
documents per CPU second, text extraction apart. Ratios are ours by the peer's.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from statistics import quantiles

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from index import All, Document, Index, Infix, Order, SeqSet, Term, parse
from index.query import Query
from index.snippet import snippet

_PIECES = (
    "be ge ver ent rech nung strom haus ver trag mie te kin der schu le gar ten ar beit zeit "
    "in voice re port meet ing pro ject sche dule or der house com mit pa per is sue bran ch "
    "up date sum ma ry dra ft bud get mu ster an hang brief kas ten po st lie fer schein"
)
_SYLLABLES = _PIECES.split()
_TODAY = date(2026, 1, 1)


def vocabulary(size: int = 40_000) -> tuple[list[str], list[float]]:
    rng = random.Random("vocabulary")
    found = dict.fromkeys(("the", "and", "of", "to", "in", "is", "der", "die", "das", "rechnung"))
    while len(found) < size:
        found["".join(rng.choices(_SYLLABLES, k=rng.choice((1, 2, 2, 3, 3, 4))))] = None
    total, weights = 0.0, []
    for rank in range(size):
        total += 1.0 / (rank + 6)
        weights.append(total)
    return list(found), weights


def documents(count: int) -> Iterator[Document]:
    words, weights = vocabulary()
    rng = random.Random("documents")
    people = [
        f"{w.title()} <{w}@{d}.example>" for w, d in zip(words[50:450], words[450:], strict=False)
    ]
    for seq in range(1, count + 1):
        text = rng.choices(words, cum_weights=weights, k=int(rng.lognormvariate(5.7, 0.8)) + 20)
        for _ in range(6):
            text[rng.randrange(len(text))] = rng.choice(
                (
                    f"RE-{seq}-{rng.randrange(10**5):05}",
                    f"{rng.getrandbits(48):x}",
                    f"{rng.random():.4f}",
                )
            )
        yield Document(
            seq=seq,
            date=1_400_000_000 + seq * 3600 + rng.randrange(7200),
            subject=" ".join(rng.choices(words, cum_weights=weights, k=6)),
            people=(("from", rng.choice(people)), ("to", rng.choice(people))),
            text=" ".join(text),
            ids=(f"<{seq}.{rng.getrandbits(40):x}@mail.example>",),
        )


class Peer:
    """SQLite FTS5 with positions; the text is kept outside."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.execute(
            "CREATE VIRTUAL TABLE t USING fts5(subject, people, text, content='', "
            "tokenize='unicode61 remove_diacritics 2', prefix='2 3')"
        )

    def add(self, batch: list[Document]) -> None:
        self.db.execute("BEGIN")
        self.db.executemany(
            "INSERT INTO t (rowid, subject, people, text) VALUES (?, ?, ?, ?)",
            ((d.seq, d.subject, " ".join(t for _, t in d.roles()), d.text) for d in batch),
        )
        self.db.execute("COMMIT")

    def newest(self, match: str) -> None:
        statement = "SELECT rowid FROM t WHERE t MATCH ? ORDER BY rowid DESC LIMIT 50"
        self.db.execute(statement, (match,)).fetchall()

    def count(self, match: str) -> None:
        self.db.execute("SELECT count(*) FROM t WHERE t MATCH ?", (match,)).fetchall()


def cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1000


def spread(times: list[float]) -> tuple[float, float]:
    cuts = quantiles(times, n=20)
    return round(cuts[9], 2), round(cuts[18], 2)


def private_mb() -> float:
    """Private memory of this process, in MB; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    kb = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    return round(kb / 1024, 1)


def build(folder: Path, count: int, commit: int) -> dict[str, float]:
    text = ours = theirs = 0.0
    peer = Peer(folder / "peer.sqlite")
    batch: list[Document] = []
    with Index(folder / "index", writable=True) as index:
        for document in documents(count):
            batch.append(document)
            text += len(document.text) + len(document.subject)
            if len(batch) == commit or document.seq == count:
                taken = batch
                ours += cpu(lambda d=taken: index.add(d, d[-1].seq))  # type: ignore[misc]
                theirs += cpu(lambda d=taken: peer.add(d))  # type: ignore[misc]
                batch = []
    size = sum(file.stat().st_size for file in (folder / "index").iterdir())
    return {
        "documents": count,
        "documents_of_a_commit": commit,
        "text_mb": round(text / 1e6, 1),
        "index_mb": round(size / 1e6, 1),
        "index_by_text": round(size / text, 2),
        "documents_per_cpu_second": round(count / ours * 1000),
        "peer_documents_per_cpu_second": round(count / theirs * 1000),
        "ratio": round(theirs / ours, 2),
    }


def ask(folder: Path, count: int) -> dict[str, dict[str, object]]:
    words, _ = vocabulary()
    rng = random.Random("queries")
    everyone = SeqSet.from_iterable(range(1, count + 1))
    peer = Peer.__new__(Peer)
    peer.db = sqlite3.connect(folder / "peer.sqlite")
    index = Index(folder / "index")

    def newest(query: Query) -> Callable[[], object]:
        return lambda: index.search(query, limit=50, within=everyone)

    def some(low: int, high: int) -> str:
        return words[rng.randrange(low, high)]

    def figures(
        ours: list[Callable[[], object]], theirs: list[Callable[[], object]] | None = None
    ) -> dict[str, object]:
        mine = spread([cpu(one) for one in ours])
        found: dict[str, object] = {"p50": mine[0], "p95": mine[1]}
        if theirs:
            other = spread([cpu(one) for one in theirs])
            found |= {"peer_p50": other[0], "peer_p95": other[1]}
        return found

    common = [some(14, 400) for _ in range(60)]
    rare = [some(5000, 40_000) for _ in range(60)]
    pairs = [(some(14, 300), some(300, 3000)) for _ in range(60)]
    return {
        "common word": figures(
            [newest(Term(None, w)) for w in common],
            [lambda w=w: peer.newest(w) for w in common],  # type: ignore[misc]
        ),
        "rare word": figures(
            [newest(Term(None, w)) for w in rare],
            [lambda w=w: peer.newest(w) for w in rare],  # type: ignore[misc]
        ),
        "and": figures(
            [newest(parse(f"{a} {b}", _TODAY).query) for a, b in pairs],
            [lambda a=a, b=b: peer.newest(f"{a} AND {b}") for a, b in pairs],  # type: ignore[misc]
        ),
        "phrase": figures(
            [newest(parse(f'"{a} {b}"', _TODAY).query) for a, b in pairs],
            [lambda a=a, b=b: peer.newest(f'"{a} {b}"') for a, b in pairs],  # type: ignore[misc]
        ),
        "prefix": figures(
            [newest(parse(f"{w[:5]}*", _TODAY).query) for w in common],
            [lambda w=w: peer.newest(f"{w[:5]}*") for w in common],  # type: ignore[misc]
        ),
        "from": figures([newest(Term("from", words[rng.randrange(50, 450)])) for _ in range(60)]),
        "date": figures([newest(parse(f"{w} year:2014", _TODAY).query) for w in common]),
        "infix": figures([newest(Infix(None, w[1:5])) for w in rare]),
        "fuzzy": figures([newest(parse(f"~{w[:-1]}", _TODAY).query) for w in rare]),
        "count common": figures(
            [lambda w=w: index.count(Term(None, w), everyone) for w in common],  # type: ignore[misc]
            [lambda w=w: peer.count(w) for w in common],  # type: ignore[misc]
        ),
        "facets common": figures(
            [lambda w=w: index.facets(Term(None, w), everyone) for w in common]  # type: ignore[misc]
        ),
        "best 20": figures(
            [
                lambda w=w: index.search(  # type: ignore[misc]
                    Term(None, w), order=Order.BEST, limit=20, within=everyone
                )
                for w in common
            ]
        ),
        "did you mean": figures([lambda w=w: index.suggest(w[:-1]) for w in rare]),  # type: ignore[misc]
        "all": figures([newest(All()) for _ in range(20)]),
        "snippet of 4 kB": figures(
            [lambda w=w: snippet((w + " und mehr davon ") * 200, Term(None, w)) for w in common]  # type: ignore[misc]
        ),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--documents", type=int, default=20_000)
    options.add_argument("--commit", type=int, default=4000, help="documents of a commit")
    options.add_argument("--json", action="store_true")
    options.add_argument("--folder", type=Path, help="keep the indexes here")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        built = folder.joinpath("index").exists()
        figures: dict[str, object] = (
            {} if built else {"build": build(folder, given.documents, given.commit)}
        )
        # In a process of its own, so that its memory is a reader's.
        if os.fork() == 0:
            sys.stdout.flush()
            before = private_mb()
            asked = ask(folder, given.documents)
            report(
                figures | {"queries": asked, "reader_private_mb": private_mb(), "before": before},
                given.json,
            )
            sys.stdout.flush()
            os._exit(0)
        os.wait()


def report(figures: dict[str, object], as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures, indent=1))
        return
    for name, value in figures.items():
        if isinstance(value, dict):
            print(f"{name}:")
            for key, inner in value.items():
                print(f"  {key:30} {inner}")
        else:
            print(f"{name:32} {value}")


if __name__ == "__main__":
    main()
