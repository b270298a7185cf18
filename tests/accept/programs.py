"""Mail programs run as programs; neomutt with keys that somebody else has thought of."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

MBSYNC, NEOMUTT, CURL, SCRIPT = map(shutil.which, ("mbsync", "neomutt", "curl", "script"))
"""``script`` gives neomutt the terminal it insists on."""
_TIMEOUT_S = 120


def configure_neomutt(home: Path, user: str, password: str, port: int) -> None:
    """Make ``home`` with an rc file for the IMAP server on this machine."""
    home.mkdir()
    (home / "rc").write_text(
        f"""
set imap_user = "{user}"
set imap_pass = "{password}"
set folder = "imap://localhost:{port}/"
set spoolfile = "+INBOX"
set header_cache = "{home}/headers"
set message_cachedir = "{home}/bodies"
set imap_condstore = yes
set imap_qresync = yes
set imap_idle = yes
set ssl_starttls = no
set ssl_force_tls = no
set confirmcreate = no
set confirmappend = no
set delete = yes
set quit = yes
set move = no
set wait_key = no
set sleep_time = 0
set sort = mailbox-order
set mark_old = no
"""
    )


def press(home: Path, keys: str) -> None:
    """Start it with the rc file of ``home``, press the keys, and wait for its end."""
    assert NEOMUTT
    assert SCRIPT
    run([SCRIPT, "-qec", f"{NEOMUTT} -n -F {home}/rc -e 'push \"{keys}\"'", "/dev/null"], home)


def run(arguments: list[str], home: Path) -> bytes:
    """What a program prints; it must end well."""
    environ = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm"}
    done = subprocess.run(
        arguments,
        check=False,
        capture_output=True,
        timeout=_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        env=environ,
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode("utf-8", "replace")
    return done.stdout
