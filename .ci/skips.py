"""Fails when a test was skipped for a reason that the README's list does not name.

usage: skips.py README.md LOG …    where a LOG is what pytest -ra printed
"""

import re
import sys
from pathlib import Path

SECTION = "## Optional skips"


def main(readme: str, *logs: str) -> int:
    """The exit status: 0 when every skip is allowed and tests were run at all."""
    _, found, after = Path(readme).read_text(encoding="utf-8").partition(SECTION)
    if not found:
        print(f"{readme} has no section “{SECTION}”")
        return 1
    allowed = re.findall(r"^- `([^`]+)`", after.split("\n## ")[0], re.M)
    bad = 0
    for log in logs:
        text = Path(log).read_text(encoding="utf-8", errors="replace")
        if not re.search(r"\b\d+ passed\b", text):
            print(f"{log}: no test was run")
            bad += 1
        for line in re.findall(r"^SKIPPED .*$", text, re.M):
            if not any(reason in line for reason in allowed):
                print(f"not an optional skip: {line}")
                bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
