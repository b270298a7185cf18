"""How the house is: sizes, room on the disk, the index, the last runs and what went wrong."""

from __future__ import annotations

import shutil

from flask import Blueprint, render_template

from web.house import house, person

room = Blueprint("status", __name__)
LOW_DISK = 0.10
"""Below this share of free room the page warns."""
COUNTED = 100_000
"""Letters waiting for the index are counted up to here."""


@room.get("/status")
def shown() -> str:
    """The keeper sees the house; others see what is theirs."""
    home, me = house(), person()
    accounts = home.household.accounts(None if me.keeper else me.name)
    names = {account.name for account in accounts}
    runs = [run for run in home.archive.runs(limit=100) if me.keeper or run.account in names][:20]
    failures = [
        (account.name, failure)
        for account in accounts
        for failure in home.archive.failures(account.ledger)
    ]
    disk = shutil.disk_usage(home.config.data)
    return render_template(
        "status.html",
        mine=home.archive.totals(me.name),
        whole=home.archive.totals() if me.keeper else None,
        behind=_behind(),
        index_problem=home.searcher.problem(),
        disk=disk,
        low=disk.free < disk.total * LOW_DISK,
        runs=runs,
        failures=failures[:50],
        failure_count=len(failures),
        audit=home.household.audit(20) if me.keeper else (),
    )


def _behind() -> int:
    """Letters of the house that are not found by their words yet."""
    home = house()
    waiting = home.archive.seqs_after(home.searcher.watermark(), COUNTED)
    return len(waiting)
