"""News of fetches, for every process to read."""

from __future__ import annotations

import json
import os
from pathlib import Path

from appliance.fetch import Progress, ProgressBoard

GOING_ON = Progress("anna@gmail.com", "fetching", listed=9, done=3, total=5, eta_s=2.5)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_posted_can_be_read_by_another_process(tmp_path: Path) -> None:
    ProgressBoard(tmp_path).post(GOING_ON)
    assert ProgressBoard(tmp_path).read() == {"anna@gmail.com": GOING_ON}


def test_news_of_one_phase_is_written_at_most_twice_a_second(tmp_path: Path) -> None:
    clock = Clock()
    board = ProgressBoard(tmp_path, clock)
    written = []
    for done in range(100):
        clock.now += 0.05
        board.post(Progress("a", "fetching", done=done))
        written.append(board.read()["a"].done)
    assert 8 <= len(set(written)) <= 11


def test_a_new_phase_and_the_end_are_always_written(tmp_path: Path) -> None:
    board = ProgressBoard(tmp_path, Clock())
    for phase in ("connecting", "listing", "fetching", "done"):
        board.post(Progress("a", phase))
        assert board.read()["a"].phase == phase
    board.post(Progress("a", "done", admitted=7))
    assert board.read()["a"].admitted == 7


def test_what_a_dead_process_left_is_not_going_on(tmp_path: Path) -> None:
    board = ProgressBoard(tmp_path)
    board.post(GOING_ON)
    board.post(Progress("other", "done"))
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    for path in tmp_path.glob("progress-*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "pid": dead}))
    assert set(board.read()) == {"other"}


def test_a_broken_file_or_a_missing_directory_is_no_news(tmp_path: Path) -> None:
    (tmp_path / "progress-x.json").write_text("{")
    (tmp_path / "progress-y.json").write_text("[]")
    assert ProgressBoard(tmp_path).read() == {}
    elsewhere = ProgressBoard(tmp_path / "nowhere")
    elsewhere.post(GOING_ON)
    assert elsewhere.read() == {}


def test_an_account_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    board = ProgressBoard(tmp_path)
    board.post(Progress("a/../b", "done"))
    assert set(board.read()) == {"a/../b"}
    board.clear("a/../b")
    assert board.read() == {}
    assert list(tmp_path.iterdir()) == []
