"""The parser names what carries a command out without importing it: every name must be there."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from appliance.cli.parser import Command, parser


def commands(given: argparse.ArgumentParser, words: str = "") -> Iterator[tuple[str, Command]]:
    chosen = given.get_default("command")
    if chosen is not None:
        assert isinstance(chosen, Command)
        yield words, chosen
    for action in given._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, under in action.choices.items():
                yield from commands(under, f"{words} {name}".strip())


def test_every_command_has_somebody_who_carries_it_out() -> None:
    found = dict(commands(parser()))
    assert {"run", "person add", "account set", "export", "verify", "index status"} <= set(found)
    for words, command in found.items():
        assert callable(getattr(import_module(command.module), command.name, None)), words


def test_a_process_of_the_service_does_not_carry_the_other_commands() -> None:
    code = "import sys, appliance.cli; print('appliance.fetch' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert answer.stdout.strip() == b"False"
