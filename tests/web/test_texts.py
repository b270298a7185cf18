"""Every sentence of the pages is there in German, with the same facts in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import web
from tests.web.conftest import Browser
from web.texts import GERMAN

ROOM = Path(web.__file__).parent
_T = re.compile(r"\bt\(\s*((?:\"(?:[^\"\\]|\\.)*\"\s*|'(?:[^'\\]|\\.)*'\s*)+)")
_TN = re.compile(r"\btn\(\s*(\"(?:[^\"\\]|\\.)*\"),\s*(\"(?:[^\"\\]|\\.)*\")")


def sentences() -> set[str]:
    found: set[str] = set()
    for path in [
        *(set(ROOM.glob("*.py")) - {ROOM / "texts.py"}),
        *ROOM.glob("templates/**/*.html"),
    ]:
        text = path.read_text("utf-8")
        for match in [*_T.finditer(text), *_TN.finditer(text)]:
            found.update(ast.literal_eval(f"({one})") for one in match.groups())
    return found


def test_every_sentence_has_its_german() -> None:
    assert len(sentences()) > 200
    assert sentences() - set(GERMAN) == set()


@pytest.mark.parametrize(("english", "german"), GERMAN.items(), ids=list(GERMAN))
def test_both_languages_name_the_same_facts(english: str, german: str) -> None:
    assert set(re.findall(r"\{\w+\}", german)) == set(re.findall(r"\{\w+\}", english))


@pytest.mark.parametrize(
    ("accepted", "word"),
    [
        ("de", "Anmelden"),
        ("de-AT, en;q=0.5", "Anmelden"),
        ("fr, en;q=0.5", "Sign in"),
        ("", "Sign in"),
    ],
)
def test_the_browsers_language_is_spoken(stranger: Browser, accepted: str, word: str) -> None:
    page = stranger.get("/sign-in", headers={"Accept-Language": accepted}).text
    assert f"{word}</button>" in page
    assert f'<html lang="{"de" if word == "Anmelden" else "en"}">' in page


def test_a_chosen_language_stays_and_leads_back_to_pages_of_ours(stranger: Browser) -> None:
    assert stranger.get("/language/de?next=/sign-in").location == "/sign-in"
    assert "Anmelden</button>" in stranger.get("/sign-in").text
    assert stranger.get("/language/en?next=//evil.example").location == "/"
