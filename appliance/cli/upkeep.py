"""``hauspost demo``, ``follow``, ``reindex``, ``index``, ``verify`` and ``status``."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from collections.abc import Callable

from appliance.cli.accounts import run_facts
from appliance.cli.house import House
from appliance.cli.output import Output, day, one_line, size, span, table
from appliance.follow import FollowProgress
from appliance.store import Damage


def demo(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """demo"""
    from appliance.demo import build

    build(house.config, house.household, house.archive, house.bell, output)


def follow(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """follow --until-idle"""
    from appliance.follow import Follower

    with Follower(house.archive, house.config.index, house.bell) as follower:
        taken = follower.until_idle(_following(output))
        facts = {"indexed": taken, "watermark": follower.watermark()}
    output.result(facts, f"{taken} messages indexed")


def reindex(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """reindex"""
    from appliance.follow import Follower

    with Follower(house.archive, house.config.index, house.bell) as follower:
        taken = follower.reindex(_following(output))
    output.result({"indexed": taken}, f"{taken} messages indexed anew")


def index_status(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """index status"""
    watermark, newest = house.searcher.watermark(), house.archive.newest()
    problem = house.searcher.problem()
    octets = sum(p.stat().st_size for p in house.config.index.rglob("*") if p.is_file())
    facts = {"watermark": watermark, "newest": newest, "octets": octets, "problem": problem}
    lines = [f"indexed up to message {watermark} of {newest}, {size(octets)}"]
    output.result(facts, *lines, *([problem] if problem else []))


def verify(house: House, output: Output, chosen: argparse.Namespace) -> int:
    """verify"""

    def report(done: int, total: int) -> None:
        output.progress(f"{done} of {total} messages", done, total)

    found = house.archive.verify(chosen.deep, report)
    depth = "every octet read" if chosen.deep else "records only; --deep reads every octet"
    lines = [
        f"{found.messages} messages, {found.parts} shared parts, {size(found.octets)}: "
        + ("all well" if found.clean else "NOT well")
        + f" ({depth})"
    ]
    for word, damages in (("damaged", found.damaged), ("missing", found.missing)):
        lines += [f"{word}: {_damage(one)}" for one in damages]
    lines += [f"problem: {problem}" for problem in found.problems]
    if found.damaged or found.missing:
        lines.append("Everything else stays readable. Bring the volume back from a backup.")
    output.result(
        {
            "messages": found.messages,
            "parts": found.parts,
            "octets": found.octets,
            "damaged": [dataclasses.asdict(one) for one in found.damaged],
            "missing": [dataclasses.asdict(one) for one in found.missing],
            "problems": list(found.problems),
        },
        *lines,
    )
    return 0 if found.clean else 1


def status(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """status"""
    totals = house.archive.totals()
    watermark, newest = house.searcher.watermark(), house.archive.newest()
    disk = shutil.disk_usage(house.config.data)
    accounts, problems = [], []
    for account in house.household.accounts():
        last = next(iter(house.archive.runs(account.name, 1)), None)
        failures = len(house.archive.failures(account.ledger))
        accounts.append(
            {
                "name": account.name,
                "person": account.person,
                "enabled": account.enabled,
                "failed": failures,
                "last_run": run_facts(last) if last else None,
            }
        )
        if last and last.error:
            problems.append(f"{account.name}: {last.error}")
        if failures:
            problems.append(f"{account.name}: {failures} messages could not be fetched")
    # A new house has no index yet, and nothing that could be in it.
    if newest and (problem := house.searcher.problem()) is not None:
        problems.append(problem)
    people = [
        {"name": person.name, "messages": house.archive.totals(person.name).messages}
        for person in house.household.persons()
    ]
    rows = [
        (str(a["name"]), str(a["person"]), "on" if a["enabled"] else "off", _last(a["last_run"]))
        for a in accounts
    ]
    output.result(
        {
            "messages": totals.messages,
            "places": totals.places,
            "octets": totals.octets,
            "stored_octets": totals.stored_octets,
            "indexed": watermark,
            "newest": newest,
            "disk_free": disk.free,
            "people": people,
            "accounts": accounts,
            "problems": problems,
        },
        f"{totals.messages} messages in {totals.places} places, {size(totals.octets)}, "
        f"stored in {size(totals.stored_octets)}; {size(disk.free)} free on the disk",
        f"indexed up to message {watermark} of {newest}",
        *[f"{person['name']}: {person['messages']} messages" for person in people],
        *(table(rows, ("account", "person", "", "last run")) if rows else []),
        *[f"problem: {one_line(problem, 200)}" for problem in problems],
    )


def _last(run: object) -> str:
    if not isinstance(run, dict):
        return "never"
    return f"{day(run['started'])}  {one_line(run['error'] or 'ok', 60)}"


def _damage(damage: Damage) -> str:
    where = ", ".join(damage.mailboxes) or "no mailbox"
    subject = one_line(damage.subject, 60)
    return f"message {damage.seq} “{subject}” of {day(damage.date)} in {where}: {damage.reason}"


def _following(output: Output) -> Callable[[FollowProgress], None]:
    def report(progress: FollowProgress) -> None:
        rate = progress.done / progress.seconds if progress.seconds else 0.0
        left = (progress.total - progress.done) / rate if rate else None
        text = (
            f"{progress.done} of {progress.total} messages, {rate:.0f} a second, {span(left)} left"
        )
        output.progress(text, progress.done, progress.total)

    return report
