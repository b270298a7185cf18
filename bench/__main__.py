"""``python -m bench`` runs every bench, ``python -m bench NAME …`` some."""

from __future__ import annotations

import argparse
import time
from importlib import import_module

from bench.machine import machine_line

BENCHES = {
    "ingest": "messages a second into the archive, and memory",
    "responsiveness": "waiting while one client pulls everything and the index works",
    "large": "a letter of 200 MB through every door: memory by its size",
}


def main() -> None:
    """Run what was named."""
    arguments = argparse.ArgumentParser(
        prog="python -m bench",
        epilog="; ".join(f"{name}: {what}" for name, what in BENCHES.items()),
    )
    arguments.add_argument("names", nargs="*", choices=[*BENCHES, []], metavar="NAME")
    chosen = arguments.parse_args().names or list(BENCHES)
    print(machine_line())
    for name in chosen:
        began = time.monotonic()
        print(f"\n== {name}: {BENCHES[name]}", flush=True)
        import_module(f"bench.{name}").main()
        print(f"  ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
