"""``hauspost account`` and ``hauspost fetch``."""

from __future__ import annotations

import argparse
import dataclasses
import threading

from appliance.cli.house import House
from appliance.cli.output import Output, day, one_line, size, span, table
from appliance.cli.people import read_password
from appliance.errors import UsageError
from appliance.fetch import (
    Fetcher,
    Progress,
    check_account,
    hint_for,
    insecure,
    presets_for,
    test_account,
)
from appliance.household import Account
from appliance.mail.types import FetchRun

PORTS = {("imap", "implicit"): 993, ("imap", "starttls"): 143, ("imap", "none"): 143}
PORTS |= {("pop3", "implicit"): 995, ("pop3", "starttls"): 110, ("pop3", "none"): 110}


def add(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """account add"""
    account = Account(
        name=chosen.name,
        person=chosen.person,
        protocol=chosen.protocol,
        host=chosen.host,
        port=chosen.port or PORTS[chosen.protocol, chosen.tls],
        tls=chosen.tls,
        user=chosen.user,
        every_s=chosen.every,
        remove_after_days=chosen.remove_after,
        mailboxes=tuple(chosen.mailboxes or ("*",)),
        pin=chosen.pin,
    )
    check_account(account)
    password = read_password(chosen.password_stdin, f"Password of {account.user}: ")
    house.household.add_account(account, password)
    house.bell.ring()
    lines = [f"{account.name}: added; it is fetched every {span(account.every_s)}"]
    if (warning := insecure(account)) is not None:
        lines.append(f"Warning: {warning}")
    output.result(_account(house, account), *lines)


def list_accounts(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """account list"""
    accounts = house.household.accounts(chosen.person)
    rows = []
    for account in accounts:
        run = next(iter(house.archive.runs(account.name, 1)), None)
        state = "off" if not account.enabled else _state(run)
        rows.append(
            (
                *(account.name, account.person, account.protocol, account.host, state),
                day(run.started) if run else "never",
            )
        )
    output.result(
        {"accounts": [_account(house, account) for account in accounts]},
        *table(rows, ("name", "person", "protocol", "host", "state", "last run")),
    )


def show(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """account show"""
    account = house.household.account(chosen.name)
    facts = _account(house, account)
    failures = house.archive.failures(account.ledger)
    runs = house.archive.runs(account.name, 10)
    facts["failures"] = [
        {
            **dataclasses.asdict(f.origin),
            "reason": f.reason,
            "tries": f.tries,
            "next_try": f.next_try,
        }
        for f in failures
    ]
    facts["runs"] = [run_facts(run) for run in runs]
    lines = [f"{key}: {value}" for key, value in facts.items() if key not in ("failures", "runs")]
    lines += [f"failed: {f.origin.mailbox} {f.origin.uid}: {f.reason}" for f in failures]
    lines += [f"run {day(run.started)}: {_told(run)}" for run in runs]
    output.result(facts, *lines)


def test(house: House, output: Output, chosen: argparse.Namespace) -> int:
    """account test"""
    account = house.household.account(chosen.name)
    found = test_account(account, house.household.account_password(account.name))
    lines = [found.message]
    if found.warning:
        lines.append(f"Warning: {found.warning}")
    if found.fingerprint:
        lines.append(f"Its fingerprint (SHA-256, for --pin): {found.fingerprint}")
    if not found.ok and (hint := hint_for(account.host)):
        lines.append(hint)
    output.result({"account": account.name, **dataclasses.asdict(found)}, *lines)
    return 0 if found.ok else 1


def set_account(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """account set"""
    account = house.household.account(chosen.name)
    given = {
        "host": chosen.host,
        "port": chosen.port,
        "tls": chosen.tls,
        "user": chosen.user,
        "every_s": chosen.every,
        "mailboxes": tuple(chosen.mailboxes) if chosen.mailboxes else None,
        "enabled": chosen.enabled,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    if "remove_after" in chosen:
        changes["remove_after_days"] = chosen.remove_after
    if "pin" in chosen:
        changes["pin"] = chosen.pin
    changed = dataclasses.replace(account, **changes)
    check_account(changed)
    password = None
    if chosen.password_stdin or chosen.ask_password:
        password = read_password(chosen.password_stdin, f"Password of {changed.user}: ")
    if not changes and password is None:
        raise UsageError("nothing to set: see hauspost account set --help")
    house.household.update_account(changed, password)
    if changed.enabled:
        # It may have been left in peace because it kept failing.
        house.household.request_fetch(changed.name)
    house.bell.ring()
    output.result(_account(house, changed), f"{account.name}: changed")


def remove(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """account remove"""
    house.household.remove_account(chosen.name)
    house.bell.ring()
    output.result(
        {"name": chosen.name},
        f"{chosen.name} is fetched no more; all that came from it stays in the archive",
    )


def discover(house: House, output: Output, chosen: argparse.Namespace) -> int:
    """account discover"""
    preset = presets_for(chosen.address)
    if preset is None:
        raise UsageError(
            f"no settings are known for {chosen.address}: ask the provider for host and port "
            "and give them to hauspost account add"
        )
    lines = [f"{preset.name}: sign in as {preset.user}"]
    for protocol, server in (("imap", preset.imap), ("pop3", preset.pop3)):
        if server is not None:
            lines.append(f"  {protocol}  {server.host} port {server.port}, tls {server.tls}")
    lines += [line for line in (preset.hint("en"), preset.help_url) if line]
    output.result(dataclasses.asdict(preset), *lines)
    return 0


def fetch(house: House, output: Output, chosen: argparse.Namespace) -> int:
    """fetch"""
    fetcher = Fetcher(house.household, house.archive, house.config, house.bell)
    latest: dict[str, Progress] = {}
    lock = threading.Lock()

    def report(progress: Progress) -> None:
        with lock:
            latest[progress.account] = progress
            done = sum(one.done for one in latest.values())
            total = sum(one.total for one in latest.values())
            eta = max((one.eta_s or 0.0 for one in latest.values()), default=0.0)
            octets = sum(one.octets for one in latest.values())
            text = f"{done} of {total} messages, {size(octets)}, {span(eta)} left"
            output.progress(text, done, total)

    try:
        runs = fetcher.run(chosen.accounts or None, chosen.wait, report)
    except KeyboardInterrupt:
        fetcher.stop()
        raise
    rows = [(run.account, _told(run)) for run in runs]
    output.result(
        {"accounts": [run_facts(run) for run in runs]},
        *([f"{account}: {told}" for account, told in rows] or ["there is no account to fetch"]),
    )
    return 1 if any(run.error for run in runs) else 0


def run_facts(run: FetchRun) -> dict[str, object]:
    """A run as JSON has it (house.md §8)."""
    return {
        "account": run.account,
        "started": run.started,
        "listed": run.listed,
        "admitted": run.admitted,
        "duplicates": run.duplicates,
        "failed": [
            {"mailbox": f.origin.mailbox, "uid": f.origin.uid, "reason": f.reason}
            for f in run.failed
        ],
        "removed": run.removed,
        "octets": run.octets,
        "seconds": round(run.seconds, 3),
        "error": run.error,
    }


def _told(run: FetchRun) -> str:
    told = (
        f"{run.listed} listed, {run.admitted} new, {run.duplicates} already here, "
        f"{len(run.failed)} failed, {size(run.octets)} in {span(run.seconds)}"
    )
    return f"{run.error} ({told})" if run.error else told


def _state(run: FetchRun | None) -> str:
    if run is None:
        return "not yet"
    return one_line(run.error, 50) if run.error else "ok"


def _account(house: House, account: Account) -> dict[str, object]:
    run = next(iter(house.archive.runs(account.name, 1)), None)
    return {
        **{f.name: getattr(account, f.name) for f in dataclasses.fields(account)},
        "last_run": run_facts(run) if run else None,
    }
