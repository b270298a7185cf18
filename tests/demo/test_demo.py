"""The sample household: the same mail each time, really served, really fetched."""

from __future__ import annotations

import asyncio
import io
import json
import poplib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.config import Config
from appliance.demo.letters import letters, pdf, picture
from appliance.demo.pop3_server import Pop3Server
from appliance.demo.provider import Provider
from appliance.fetch import Fetcher
from appliance.household import Household
from appliance.mail.reading import read_message
from appliance.mail.types import SEEN, digest_of
from appliance.search import Searcher
from appliance.store import Archive

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def test_the_mail_is_the_same_each_time_and_no_parser_stumbles() -> None:
    once, twice = letters(NOW), letters(NOW)
    assert [letter.octets for letter in once] == [letter.octets for letter in twice]
    assert len(once) > 60
    for letter in once:
        reading = read_message(letter.octets)
        assert reading.problem is None
        assert reading.subject
        assert letter.date <= NOW


def test_some_letters_were_received_by_both_and_some_mail_is_new() -> None:
    where: dict[bytes, set[str]] = {}
    for letter in letters(NOW):
        where.setdefault(digest_of(letter.octets), set()).add(letter.account.split("-")[0])
    assert [accounts for accounts in where.values() if accounts == {"anna", "ben"}]
    assert any(SEEN not in letter.flags for letter in letters(NOW))


def test_pictures_and_papers_are_what_they_say() -> None:
    assert picture(8, 8, 1).startswith(b"\x89PNG\r\n\x1a\n")
    pypdfium2 = pytest.importorskip("pypdfium2", reason="pypdfium2 is not installed")
    page = pypdfium2.PdfDocument(pdf(["Stromrechnung 4711", "Betrag: 12,50 EUR"]))[0]
    assert "Stromrechnung 4711" in page.get_textpage().get_text_range()


@contextmanager
def served(messages: list[bytes]) -> Iterator[int]:
    """A POP3 server in a thread of its own; answers its port."""
    loop = asyncio.new_event_loop()
    server = Pop3Server("anna", "pretend", messages)
    port = loop.run_until_complete(server.start(0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield port
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_poplib_reads_every_octet_and_nobody_else_gets_in() -> None:
    messages = [b"Subject: a\r\n\r\n.dot\r\n..two\r\n", b"Subject: b\r\n\r\nno line end"]
    with served(messages) as port:
        client = poplib.POP3("127.0.0.1", port, timeout=10)
        client.user("anna")
        with pytest.raises(poplib.error_proto):
            client.pass_("wrong")
        client.user("anna")
        client.pass_("pretend")
        assert client.stat() == (2, sum(map(len, messages)))
        for n, octets in enumerate(messages, 1):
            lines = client.retr(n)[1]
            assert b"\r\n".join(lines) == octets.removesuffix(b"\r\n")
        assert len({line.split()[1] for line in client.uidl()[1]}) == 2
        client.quit()


def test_the_sample_household_is_fetched_indexed_and_can_be_fetched_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    assert main(["demo", "--data", str(data), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    distinct = len({digest_of(letter.octets) for letter in letters(datetime.now(UTC))})
    assert told["messages"] == distinct
    config = Config(data=data)
    with Archive(config.archive) as archive, Household(data) as household:
        assert household.check_device("anna", told["device_passwords"]["anna"], "127.0.0.1")
        searcher = Searcher(archive, config.index)
        # Once in the message, and once in the PDF alone.
        assert searcher.find("anna", "Stromrechnung").total >= 10
        assert searcher.find("anna", "Kundennummer").total >= 10
        assert searcher.find("ben", "Stromrechnung").total == 0
        searcher.close()
        provider = Provider(data)
        provider.start()
        runs = Fetcher(household, archive, config).run()
        provider.stop()
        assert [(run.error, run.admitted, run.octets) for run in runs] == [(None, 0, 0)] * 3


def test_a_second_demo_does_not_touch_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = str(tmp_path / "data")
    monkeypatch.setattr("sys.stdin", io.StringIO("not-a-real-one\n"))
    assert main(["person", "add", "anna", "--password-stdin", "--data", data]) == 0
    capsys.readouterr()
    assert main(["demo", "--data", data]) == 1
    assert "has a household already" in capsys.readouterr().err
