"""``python -m bench`` runs every bench, ``python -m bench NAME …`` some (docs/bench.md)."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.machine import machine_line


@dataclass(frozen=True, slots=True)
class Bench:
    """``python -m`` these words, in a process of its own: one does not weigh on the next."""

    what: str
    words: tuple[str, ...]


BENCHES = {
    "ingest": Bench("messages a second into the archive", ("bench.ingest",)),
    "fetch": Bench("fetching 3 000 messages, beside mbsync", ("bench.fetch", "speed")),
    "index": Bench(
        "building and asking the index, beside SQLite FTS5",
        ("bench.index", "--documents", "5000"),
    ),
    "responsiveness": Bench(
        "waiting while one client pulls everything and the index works", ("bench.responsiveness",)
    ),
    "large": Bench("a letter of 200 MB through every door: memory by its size", ("bench.large",)),
}


def main() -> int:
    """Run what was named; 1 when one failed."""
    arguments = argparse.ArgumentParser(
        prog="python -m bench",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"{name:16}{bench.what}" for name, bench in BENCHES.items()),
    )
    arguments.add_argument("names", nargs="*", metavar="NAME", help="default: all, ten minutes")
    names = arguments.parse_args().names or list(BENCHES)
    if unknown := [name for name in names if name not in BENCHES]:
        arguments.error(f"no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    print(machine_line())
    return max(_run(name) for name in names)


def _run(name: str) -> int:
    bench, began = BENCHES[name], time.monotonic()
    print(f"\n== {name}: {bench.what}", flush=True)
    root = Path(__file__).resolve().parent.parent
    status = subprocess.run([sys.executable, "-m", *bench.words], check=False, cwd=root).returncode
    failed = f", failed with status {status}" if status else ""
    print(f"  ({time.monotonic() - began:.0f} s{failed})", flush=True)
    return min(abs(status), 1)


if __name__ == "__main__":
    sys.exit(main())
