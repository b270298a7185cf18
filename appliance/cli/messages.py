"""``hauspost import``, ``export``, ``search`` and ``show``."""

from __future__ import annotations

import argparse
import dataclasses

from appliance.cli.house import House
from appliance.cli.output import Output, day, one_line, size, span
from appliance.errors import UsageError
from appliance.mail.structure import section
from appliance.mail.types import Seq
from appliance.transfer import ExportProgress, ImportProgress, export, import_paths

_SHOWN_FAILURES = 20


def import_(house: House, output: Output, chosen: argparse.Namespace) -> int:
    """import"""
    person = house.person(chosen.person)
    house.archive.provision(person.name)

    def report(progress: ImportProgress) -> None:
        rate = progress.found / progress.seconds if progress.seconds else 0.0
        text = f"{progress.found} messages, {rate:.0f} a second, {one_line(progress.source, 40)}"
        output.progress(text, progress.done, progress.total)

    found = import_paths(
        chosen.paths, house.archive, person.name, chosen.mailbox, report, seen=chosen.seen
    )
    lines = [
        f"{found.found} found, {found.admitted} new, {found.duplicates} already here, "
        f"{len(found.failed)} failed, {size(found.octets)} in {span(found.seconds)}"
    ]
    lines += [f"failed: {path}: {reason}" for path, reason in found.failed[:_SHOWN_FAILURES]]
    if len(found.failed) > _SHOWN_FAILURES:
        lines.append(f"… and {len(found.failed) - _SHOWN_FAILURES} more (all with --json)")
    output.result({"person": person.name, **dataclasses.asdict(found)}, *lines)
    return 1 if found.failed else 0


def export_(house: House, output: Output, chosen: argparse.Namespace) -> int:
    """export"""
    person = house.person(chosen.person)
    what: list[Seq] | str
    if chosen.query is not None and chosen.mailbox is not None:
        raise UsageError("choose --query or --mailbox, not both (in:NAME works inside a query)")
    if chosen.query is not None:
        what = house.searcher.seqs(person.name, chosen.query)
    else:
        what = chosen.mailbox or "All Mail"

    def report(progress: ExportProgress) -> None:
        text = f"{progress.done} of {progress.total} messages, {size(progress.octets)}"
        output.progress(text, progress.done, progress.total)

    house.archive.provision(person.name)
    done = export(
        house.archive,
        person.name,
        what,
        chosen.format,
        chosen.dest,
        report,
        overwrite=chosen.overwrite,
    )
    lines = [
        f"{done.exported} messages, {size(done.octets)}, in {done.dest} (manifest: {done.manifest})"
    ]
    lines += [f"failed: message {seq}: {reason}" for seq, reason in done.failed]
    output.result({"person": person.name, **dataclasses.asdict(done)}, *lines)
    return 1 if done.failed else 0


def search(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """search"""
    person = house.person(chosen.person)
    if chosen.count:
        total = house.searcher.count(person.name, chosen.query)
        output.result({"total": total}, str(total))
        return
    found = house.searcher.find(
        person.name, chosen.query, order=chosen.sort, limit=chosen.limit, cursor=chosen.cursor
    )
    hits = [
        {
            "seq": hit.seq,
            "digest": hit.digest,
            "date": hit.date,
            "subject": hit.subject,
            "from": hit.sender,
            "mailboxes": list(hit.mailboxes),
            "snippet": "".join(text for text, _ in hit.snippet),
        }
        for hit in found.hits
    ]
    lines = [f"understood: {', '.join(chip.understood for chip in found.chips)}"]
    for hit in found.hits:
        lines.append(
            f"{hit.seq:>8}  {day(hit.date)}  {one_line(hit.sender, 28):<28}  "
            f"{one_line(hit.subject, 60)}"
        )
        if snippet := "".join(f"»{text}«" if marked else text for text, marked in hit.snippet):
            lines.append(f"          {one_line(snippet, 100)}")
    lines.append(
        f"{found.total} found" + (f", showing {len(hits)}" if len(hits) < found.total else "")
    )
    if found.suggestion:
        lines.append(f"did you mean: {found.suggestion}")
    if found.behind:
        lines.append(f"{found.behind} messages are not indexed yet")
    if found.notice:
        lines.append(found.notice)
    output.result(
        {
            "total": found.total,
            "hits": hits,
            "cursor": found.cursor,
            "understood": [chip.understood for chip in found.chips],
            "behind": found.behind,
            "suggestion": found.suggestion,
            "notice": found.notice,
        },
        *lines,
    )


def show(house: House, output: Output, chosen: argparse.Namespace) -> None:
    """show"""
    seq = Seq(chosen.seq)
    message = house.archive.message(seq)
    if chosen.raw:
        for piece in house.archive.chunks(seq):
            output.write_octets(piece)
        return
    if chosen.headers:
        output.write_octets(house.archive.header(seq))
        return
    root = house.archive.structure(seq)
    if chosen.part is not None:
        _show_part(house, output, seq, chosen.part)
        return
    octets = house.archive.octets(seq)
    from appliance.mail.text import reader_text

    text = reader_text(octets, root)
    parts = [
        {
            "part": ".".join(map(str, number)) or "1",
            "type": f"{part.media_type}/{part.subtype}",
            "filename": part.filename,
            "octets": part.end_at - part.body_at,
        }
        for number, part in root.walk()
        if not part.parts
    ]
    facts = {
        **{f.name: getattr(message, f.name) for f in dataclasses.fields(message)},
        "parts": parts,
        "text": text,
    }
    output.result(
        facts,
        f"From: {one_line(message.sender, 200)}",
        f"To: {one_line(message.recipients, 200)}",
        f"Date: {day(message.sent or message.internal_date)}",
        f"Subject: {one_line(message.subject, 300)}",
        "",
        "\n".join(one_line(line, 2000) for line in text.splitlines()),
        "",
        *[f"part {p['part']}: {p['type']} {p['filename'] or ''}" for p in parts if p["filename"]],
    )


def _show_part(house: House, output: Output, seq: Seq, number: str) -> None:
    from appliance.mail.decoding import decoded

    try:
        path = tuple(int(level) for level in number.split("."))
    except ValueError:
        raise UsageError(f"--part {number}: a part number is like 2 or 1.3") from None
    octets = house.archive.octets(seq)
    part = section(octets, house.archive.structure(seq), path)
    if part is None:
        raise UsageError(f"message {seq} has no part {number}")
    output.write_octets(decoded(octets, part))
