"""The words the command line understands (the contract of docs/house.md)."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from appliance import __version__

_PIN = "for a home server: its certificate's SHA-256 fingerprint, or its authority's PEM file"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Command:
    """A function of a module, imported when it is called."""

    module: str
    name: str

    def __call__(self, *given: Any) -> Any:
        return getattr(import_module(self.module), self.name)(*given)


class _Room:
    """A module of commands. Each process of the service is a command and has no use for others."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Command:
        return Command(self._module, name)


accounts, messages, people, running, upkeep = (
    _Room(f"appliance.cli.{name}")
    for name in ("accounts", "messages", "people", "running", "upkeep")
)


def parser() -> argparse.ArgumentParser:
    """The parser of ``hauspost``; each command sets ``command`` to what carries it out."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="the data directory (default: $HAUSPOST_DATA, else the platform's)",
    )
    common.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object"
    )
    top = argparse.ArgumentParser(
        prog="hauspost",
        description="A mail archive for the home, open in every mail program.",
        parents=[common],
    )
    top.add_argument("--version", action="version", version=f"hauspost {__version__}")
    top.set_defaults(data=None, json=False)
    commands = _Commands(top, common)
    _service(commands)
    _household(commands)
    _fetching(commands)
    _messages(commands)
    _upkeep(commands)
    return top


class _Commands:
    """Sub-commands that all take the common options."""

    def __init__(self, top: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
        self._common = common
        self._under = top.add_subparsers(metavar="COMMAND", required=True)

    def add(self, name: str, command: Any, help: str) -> argparse.ArgumentParser:
        """A command; ``command(house, output, chosen)`` carries it out."""
        made = self._under.add_parser(name, help=help, description=help, parents=[self._common])
        made.set_defaults(command=command)
        return made

    def group(self, name: str, help: str) -> _Commands:
        """Commands of two words."""
        made = self._under.add_parser(name, help=help, description=help, parents=[self._common])
        return _Commands(made, self._common)


def _service(commands: _Commands) -> None:
    run = commands.add("run", running.run, "run the service until it is stopped")
    run.add_argument("--only", choices=("mail", "index", "web"), help="one process alone")
    run.add_argument("--host", metavar="H", help="the address to listen on")
    for door in ("imap", "imaps", "smtp", "web"):
        run.add_argument(f"--{door}-port", type=int, metavar="N", help=f"{door.upper()}; 0 is off")
    commands.add("demo", upkeep.demo, "a household with sample mail, fetched and searchable")


def _household(commands: _Commands) -> None:
    person = commands.group("person", "the people of the household")
    add = person.add("add", people.add, "add a person; the first one is the keeper")
    add.add_argument("name", metavar="NAME", help="the sign-in name: letters, digits, . _ -")
    add.add_argument("--display-name", metavar="TEXT")
    add.add_argument("--address", action="append", metavar="ADDRESS", help="mail for it is theirs")
    add.add_argument("--password-stdin", action="store_true")
    person.add("list", people.list_people, "who lives here")
    passwd = person.add("passwd", people.passwd, "a new password for the web pages")
    passwd.add_argument("name", metavar="NAME")
    passwd.add_argument("--password-stdin", action="store_true")
    person.add("remove", people.remove, "remove a person; the mail stays").add_argument(
        "name", metavar="NAME"
    )
    device = commands.group("device", "mail programs: one password for each")
    add = device.add("add", people.device_add, "a device and its password, shown once")
    add.add_argument("person", metavar="PERSON")
    add.add_argument("name", metavar="NAME")
    device.add("list", people.device_list, "devices").add_argument(
        "person", metavar="PERSON", nargs="?"
    )
    device.add("revoke", people.device_revoke, "let a device in no more").add_argument(
        "id", metavar="ID", type=int
    )


def _fetching(commands: _Commands) -> None:
    account = commands.group("account", "accounts to fetch mail from")
    add = account.add("add", accounts.add, "add an account")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--person", required=True, metavar="P")
    add.add_argument("--protocol", required=True, choices=("imap", "pop3"))
    add.add_argument("--host", required=True, metavar="H")
    add.add_argument("--tls", default="implicit", choices=("implicit", "starttls", "none"))
    add.add_argument("--user", required=True, metavar="U")
    add.add_argument("--every", type=_seconds, default=300, metavar="5m")
    add.add_argument("--remove-after", type=_days, default=None, metavar="never|0d|30d")
    add.add_argument("--pin", type=_pin, default=None, metavar="FINGERPRINT|FILE", help=_PIN)
    _account_options(add)
    account.add("list", accounts.list_accounts, "accounts and how they do").add_argument(
        "--person", metavar="P"
    )
    for name, command, help in (
        ("show", accounts.show, "settings, failures and runs of an account"),
        ("test", accounts.test, "try to sign in; nothing is fetched"),
        ("remove", accounts.remove, "fetch from it no more; the mail stays"),
    ):
        account.add(name, command, help).add_argument("name", metavar="NAME")
    change = account.add("set", accounts.set_account, "change an account")
    change.add_argument("name", metavar="NAME")
    change.add_argument("--host", metavar="H")
    change.add_argument("--tls", choices=("implicit", "starttls", "none"))
    change.add_argument("--user", metavar="U")
    change.add_argument("--every", type=_seconds, metavar="5m")
    change.add_argument(
        "--remove-after", type=_days, default=argparse.SUPPRESS, metavar="never|0d|30d"
    )
    change.add_argument(
        "--pin", type=_pin, default=argparse.SUPPRESS, metavar="FINGERPRINT|FILE|none", help=_PIN
    )
    change.add_argument("--on", dest="enabled", action="store_true", default=None)
    change.add_argument("--off", dest="enabled", action="store_false", default=None)
    change.add_argument("--password", dest="ask_password", action="store_true")
    _account_options(change)
    account.add("discover", accounts.discover, "the servers of an address").add_argument(
        "address", metavar="ADDRESS"
    )
    fetch = commands.add("fetch", accounts.fetch, "fetch now, with progress")
    fetch.add_argument("accounts", metavar="ACCOUNT", nargs="*", help="default: all that are on")
    fetch.add_argument(
        "--wait", action="store_true", help="wait for an account that is being fetched already"
    )


def _account_options(made: argparse.ArgumentParser) -> None:
    made.add_argument("--port", type=int, metavar="N", help="default: the protocol's own")
    made.add_argument(
        "--mailboxes", nargs="+", metavar="GLOB", help="IMAP: which mailboxes (default: all)"
    )
    made.add_argument("--password-stdin", action="store_true")


def _messages(commands: _Commands) -> None:
    take = commands.add("import", messages.import_, "take in mbox files, Maildirs, .eml files")
    take.add_argument("paths", metavar="PATH", nargs="+", type=Path)
    take.add_argument("--person", metavar="P")
    take.add_argument("--mailbox", metavar="M", help="default: as the files are named")
    take.add_argument("--seen", action="store_true", help="mark everything as read")
    give = commands.add("export", messages.export_, "write messages to files, octet for octet")
    give.add_argument("dest", metavar="DEST", type=Path)
    give.add_argument("--person", metavar="P")
    give.add_argument("--mailbox", metavar="M", help="default: all mail")
    give.add_argument("--query", metavar="Q")
    give.add_argument("--format", choices=("mbox", "eml"), default="mbox")
    give.add_argument("--overwrite", action="store_true")
    search = commands.add("search", messages.search, "find messages")
    search.add_argument("query", metavar="QUERY")
    search.add_argument("--person", metavar="P")
    search.add_argument("--limit", type=int, default=20, metavar="N")
    search.add_argument("--sort", choices=("newest", "oldest", "best"), default="newest")
    search.add_argument("--cursor", metavar="C", help="the next page of an earlier search")
    search.add_argument("--count", action="store_true")
    show = commands.add("show", messages.show, "show a message")
    show.add_argument("seq", metavar="SEQ", type=_seq)
    how = show.add_mutually_exclusive_group()
    how.add_argument("--raw", action="store_true", help="octet for octet")
    how.add_argument("--headers", action="store_true")
    how.add_argument("--part", metavar="N", help="a part, decoded, such as 2 or 1.3")


def _upkeep(commands: _Commands) -> None:
    index = commands.group("index", "the full-text index")
    index.add("status", upkeep.index_status, "how far it is")
    commands.add("reindex", upkeep.reindex, "build the index anew; the old one answers until then")
    follow = commands.add("follow", upkeep.follow, "index what is not indexed yet")
    follow.add_argument("--until-idle", action="store_true", required=True)
    verify = commands.add("verify", upkeep.verify, "check the archive")
    verify.add_argument("--deep", action="store_true", help="read and compare every octet")
    commands.add("status", upkeep.status, "messages, accounts, runs, problems")


def _seq(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:20]) < 1 << 63:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not the number of a message")
    return int(text)


def _seconds(text: str) -> int:
    """``5m`` → 300."""
    found = re.fullmatch(r"(\d{1,6})([smhd]?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90s, 5m, 1h")
    return int(found[1]) * _UNITS[found[2] or "s"]


def _pin(text: str) -> str | None:
    """A fingerprint as it stands; a file by its whole path; ``none`` → None."""
    if text == "none":
        return None
    is_fingerprint = re.fullmatch(r"(sha256:)?([0-9a-f]{2}:?){32}", text, re.IGNORECASE)
    return text if is_fingerprint else str(Path(text).resolve())


def _days(text: str) -> int | None:
    """``never`` → None, ``30d`` → 30."""
    if text == "never":
        return None
    found = re.fullmatch(r"(\d{1,5})d", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not never, 0d, 30d …")
    return int(found[1])
