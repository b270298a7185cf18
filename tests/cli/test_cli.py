"""The command line: its contract, its exit statuses, its words."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from appliance.cli import main
from appliance.cli.output import Output, day, one_line, size, span, table

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command with --json in a scratch data directory: (status, the object)."""

    def call(*words: str, stdin: str = "") -> tuple[int, dict[str, Any]]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        status = main([*words, "--data", str(tmp_path / "data"), "--json"])
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 1, lines
        return status, json.loads(lines[0])

    return call


def letters(folder: Path, count: int) -> Path:
    folder.mkdir()
    for n in range(count):
        folder.joinpath(f"{n}.eml").write_bytes(
            b"From: Oma <oma@example.com>\r\nTo: anna@example.org\r\nSubject: Brief %d\r\n"
            b"Message-ID: <%d@example.com>\r\nDate: Wed, 01 May 2024 12:00:0%d +0200\r\n\r\n"
            b"Die Rechnung Nummer wort%d liegt bei.\r\n" % (n, n, n, n)
        )
    return folder


def test_the_first_person_is_the_keeper(run: Run) -> None:
    status, person = run("person", "add", "anna", "--password-stdin", stdin="not-a-real-one\n")
    assert (status, person["name"], person["keeper"]) == (0, "anna", True)
    assert "anna@hauspost.local" in person["addresses"]
    status, other = run("person", "add", "ben", "--password-stdin", stdin="not-a-real-one\n")
    assert not other["keeper"]
    assert [p["name"] for p in run("person", "list")[1]["people"]] == ["anna", "ben"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_text_is_printed_whatever_the_terminal_knows(encoding: str) -> None:
    text = "“Grüße” \U0001f600 \udcff"
    for json_wanted in (True, False):
        octets = io.BytesIO()
        out = io.TextIOWrapper(octets, encoding=encoding)
        output = Output(json_wanted, out, out)
        output.result({"text": text}, text)
        output.failed(text)
        out.flush()
        lines = octets.getvalue().splitlines()
        assert len(lines) == 2
        if json_wanted:
            assert json.loads(lines[0]) == {"text": text}
            assert json.loads(lines[1]) == {"error": text}


def test_a_date_at_the_end_of_the_calendar_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone in ("America/New_York", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert day(datetime.min.replace(tzinfo=UTC)).startswith("1-01-01 ")
        assert day(datetime.max.replace(tzinfo=UTC)).startswith("9999-12-31 ")
    monkeypatch.undo()
    time.tzset()


def test_a_failure_is_one_object_with_its_reason_and_status_1(run: Run) -> None:
    assert run("person", "passwd", "nobody", "--password-stdin", stdin="x\n")[0] == 1
    status, told = run("account", "show", "none")
    assert (status, list(told)) == (1, ["error"])
    assert "none" in told["error"]


@pytest.mark.parametrize(
    "words",
    [[], ["nonsense"], ["fetch", "--nonsense"], ["show"], ["show", "x"], ["run", "--only", "x"]],
)
def test_wrong_usage_is_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: hauspost" in capsys.readouterr().err


def test_a_device_password_is_shown_once_and_never_again(run: Run) -> None:
    run("person", "add", "anna", "--password-stdin", stdin="not-a-real-one\n")
    _, made = run("device", "add", "anna", "phone")
    assert len(made["password"].replace("-", "")) >= 26
    _, listed = run("device", "list", "anna")
    assert made["password"] not in json.dumps(listed)
    assert run("device", "revoke", str(made["id"]))[0] == 0
    assert run("device", "list")[1]["devices"] == []


def test_mail_goes_in_is_found_shown_verified_and_comes_out_octet_for_octet(
    run: Run, tmp_path: Path
) -> None:
    run("person", "add", "anna", "--password-stdin", stdin="not-a-real-one\n")
    source = letters(tmp_path / "letters", 4)
    status, taken = run("import", str(source))
    assert (status, taken["found"], taken["admitted"], taken["failed"]) == (0, 4, 4, [])
    assert run("import", str(source))[1]["admitted"] == 0
    assert run("follow", "--until-idle")[1]["indexed"] == 4
    _, found = run("search", "wort2")
    assert (found["total"], found["behind"]) == (1, 0)
    (hit,) = found["hits"]
    assert set(hit) >= {"seq", "digest", "date", "subject", "from", "mailboxes", "snippet"}
    assert hit["subject"] == "Brief 2"
    assert "wort2" in hit["snippet"]
    assert run("search", "rechnung", "--count")[1] == {"total": 4}
    _, shown = run("show", str(hit["seq"]))
    assert "wort2" in shown["text"]
    _, checked = run("verify", "--deep")
    assert (checked["messages"], checked["damaged"], checked["missing"]) == (4, [], [])
    _, stands = run("status")
    assert (stands["messages"], stands["indexed"], stands["problems"]) == (4, 4, [])
    assert stands["people"] == [{"name": "anna", "messages": 4}]
    status, gone = run("export", str(tmp_path / "out"), "--format", "eml", "--query", "rechnung")
    assert (status, gone["exported"]) == (0, 4)
    out = {path.read_bytes() for path in (tmp_path / "out").glob("*.eml")}
    assert out == {path.read_bytes() for path in source.glob("*.eml")}
    assert run("reindex")[1] == {"indexed": 4}
    assert run("search", "wort2")[1]["hits"] == found["hits"]


def test_raw_octets_are_the_message_and_nothing_else(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = letters(tmp_path / "letters", 1)
    data = str(tmp_path / "data")
    monkeypatch.setattr(sys, "stdin", io.StringIO("not-a-real-one\n"))
    assert main(["person", "add", "anna", "--password-stdin", "--data", data]) == 0
    assert main(["import", str(source), "--data", data]) == 0
    capfdbinary.readouterr()
    assert main(["show", "1", "--raw", "--data", data]) == 0
    assert capfdbinary.readouterr().out == (source / "0.eml").read_bytes()


ADD = ["account", "add", "gmx", "--person", "anna", "--protocol", "imap", "--host", "imap.example"]
ADD += ["--user", "anna@example.org", "--password-stdin"]


def test_an_account_is_added_changed_shown_and_removed(run: Run) -> None:
    run("person", "add", "anna", "--password-stdin", stdin="not-a-real-one\n")
    status, made = run(*ADD, stdin="pretend\n")
    assert (status, made["port"], made["tls"], made["every_s"]) == (0, 993, "implicit", 300)
    _, changed = run(
        "account", "set", "gmx", "--every", "1h", "--off", "--mailboxes", "INBOX", "A*"
    )
    assert (changed["every_s"], changed["enabled"]) == (3600, False)
    _, shown = run("account", "show", "gmx")
    assert shown["mailboxes"] == ["INBOX", "A*"]
    assert "pretend" not in json.dumps(shown)
    assert run("account", "list")[1]["accounts"][0]["name"] == "gmx"
    assert run("account", "remove", "gmx")[0] == 0
    assert run("account", "list")[1]["accounts"] == []


def test_the_servers_of_an_address_are_told_with_what_to_do_first(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, preset = run("account", "discover", "anna@gmx.de")
    assert (status, preset["imap"]["host"]) == (0, "imap.gmx.net")
    assert main(["account", "discover", "anna@gmx.de", "--data", str(tmp_path)]) == 0
    assert "imap  imap.gmx.net port 993, tls implicit" in capsys.readouterr().out
    status, told = run("account", "discover", "anna@nobody.example")
    assert status == 1
    assert "ask the provider" in told["error"]


def test_what_is_not_built_is_refused_and_not_silently_taken(run: Run) -> None:
    run("person", "add", "anna", "--password-stdin", stdin="not-a-real-one\n")
    status, told = run(*ADD, "--remove-after", "30d", stdin="pretend\n")
    assert status == 1
    assert "does not remove mail from the server in this version" in told["error"]


def test_a_home_servers_certificate_is_pinned_and_unpinned(run: Run) -> None:
    run("person", "add", "anna", "--password-stdin", stdin="not-a-real-one\n")
    fingerprint = ":".join(["aB"] * 32)
    assert run(*ADD, "--pin", fingerprint, stdin="pretend\n")[1]["pin"] == fingerprint
    assert run("account", "set", "gmx", "--pin", "none")[1]["pin"] is None
    status, told = run("account", "set", "gmx", "--pin", "nowhere.pem")
    assert status == 1
    assert "nowhere.pem: certificate authority: " in told["error"]


def test_an_account_that_cannot_be_reached_is_status_1_in_plain_words(run: Run) -> None:
    run("person", "add", "anna", "--password-stdin", stdin="not-a-real-one\n")
    run(*ADD[:-4], "127.0.0.1", "--port", "1", "--user", "u", "--password-stdin", stdin="p\n")
    status, told = run("fetch")
    (account,) = told["accounts"]
    assert status == 1
    keys = {"listed", "admitted", "duplicates", "failed", "removed", "octets", "seconds", "error"}
    assert keys <= set(account)
    assert "127.0.0.1" in account["error"]
    assert run("account", "test", "gmx")[0] == 1


def test_an_unknown_key_in_the_configuration_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "config.toml").write_text("web_prot = 1\n")
    status, told = run("status")
    assert status == 1
    assert told["error"].startswith("config.toml: web_prot: unknown")


def test_the_progress_bar_stays_off_what_is_not_a_terminal() -> None:
    out, err = io.StringIO(), io.StringIO()
    output = Output(False, out, err)
    output.progress("half", 1, 2)
    output.result({}, "done")
    assert (out.getvalue(), err.getvalue()) == ("done\n", "")


def test_the_progress_bar_is_wiped_before_the_outcome() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out, err = io.StringIO(), Terminal()
    output = Output(False, out, err)
    output.progress("half of it", 1, 2)
    output.result({}, "done")
    shown = err.getvalue()
    assert "half of it" in shown
    assert shown.endswith("\r")


@pytest.mark.parametrize(
    ("octets", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123_456, "123 kB"), (5_250_000_000, "5.2 GB")],
)
def test_octets_for_people(octets: int, shown: str) -> None:
    assert size(octets) == shown


def test_spans_and_tables_for_people() -> None:
    assert [span(s) for s in (None, 5, 600, 7200)] == ["?", "5 s", "10 min", "2.0 h"]
    assert table([("a", "bbb")], ("one", "b")) == ["one  b", "a    bbb"]


def test_a_subject_cannot_write_to_the_terminal() -> None:
    assert one_line("a\x1b[2Jb\nc") == "a [2Jb c"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("show", "99999999999999999999999"), 2),
        (("show", "0"), 2),
        (("show", "9223372036854775807"), 1),
        (("search", "a\udcff"), 1),
        (("export", "/", "--mailbox", "INBOX"), 1),
    ],
)
def test_what_cannot_be_meant_is_no_internal_error(
    run: Run, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], status: int
) -> None:
    run("person", "add", "anna", "--password-stdin", stdin="not-a-real-one\n")
    if status == 2:
        with pytest.raises(SystemExit, match="2"):
            run(*words)
        assert "is not the number of a message" in capsys.readouterr().err
        return
    answer, told = run(*words)
    assert answer == status
    assert "internal error" not in told["error"]
