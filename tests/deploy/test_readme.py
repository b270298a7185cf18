"""What the guide quotes, the program says; what it links and names is there."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from appliance.certificate import LIFETIME
from appliance.cli.parser import parser
from tests.deploy.checkout import DEPLOY, ROOT

README = (DEPLOY / "README.md").read_text()
HOLE = "\0"


def first_cells() -> list[str]:
    """The messages that the table of troubles quotes."""
    table = README.partition("| You read |")[2].partition("\n\n")[0]
    cells = [line.split(" | ")[0].lstrip("| ") for line in table.splitlines()[2:]]
    return [quoted for cell in cells for quoted in re.findall(r"`([^`]+)`", cell)]


@cache
def sentences() -> tuple[str, ...]:
    """Every string of the program, with a hole where a value goes, and the installer's text."""
    found = []
    for top in ("appliance", "web", "index"):
        for path in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(re.sub(r"\{[a-z_]+\}", HOLE, node.value))
                elif isinstance(node, ast.JoinedStr):
                    found.append(
                        "".join(
                            str(part.value) if isinstance(part, ast.Constant) else HOLE
                            for part in node.values
                        )
                    )
        found += [path.read_text() for path in (ROOT / top).rglob("*.html")]
    installer = (DEPLOY / "install.sh").read_text()
    found.append(re.sub(r"\$\(owner\)|\\?\$\*", HOLE, installer))
    return tuple(found)


def said(message: str) -> bool:
    """Whether the program can say that; … stands for anything."""
    pattern = ".*".join(re.escape(piece) for piece in message.split("…"))
    return any(re.search(pattern, sentence) for sentence in sentences())


@pytest.mark.parametrize("message", first_cells())
def test_the_program_really_says_it(message: str) -> None:
    assert said(message)


def test_what_nobody_says_would_be_noticed() -> None:
    assert len(first_cells()) >= 15
    assert not said("The moon is nearly full: … are left.")


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", README))), ids=str
)
def test_linked_files_are_there(name: str) -> None:
    assert (DEPLOY / name).exists()


def test_linked_sections_are_there() -> None:
    titles = re.findall(r"^## (.+)$", README, re.M)
    anchors = {re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) == anchors


@pytest.mark.parametrize(
    "line", sorted(set(re.findall(r"sudo hauspost ([a-z][^\n`]*)", README))), ids=str
)
def test_commands_are_understood(line: str) -> None:
    if "…" not in line:
        assert parser().parse_args(line.split()).command


def test_pages_and_buttons_have_those_names() -> None:
    for name in re.findall(r"(?<!\*)\*([A-Z][a-z]+(?: [a-z]+)*)\*(?!\*)", README):
        if name in {"Accounts", "Devices", "People", "Status", "Find the server", "Test it", "Add"}:
            assert said(name)
    for name in ("Setup code", "Make a password", "Add an account"):
        assert f"*{name}*" in README
        assert said(name)


def test_figures_are_the_program_s() -> None:
    assert f"{LIFETIME.days} days" in README
    for key, port in {"web": 8025, "imaps": 1993, "smtp": 1025, "imap": 1143}.items():
        assert str(port) in README
        assert f"# {key}_port = {port}\n" in (DEPLOY / "config.example.toml").read_text()
