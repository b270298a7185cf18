"""Run a program as the unit does: its system calls, address families, no W+X memory.

    python sandbox.py UNIT PROGRAM ARGUMENT …

The filter is taken from the unit and from what ``systemd-analyze`` says its groups
hold, and is loaded with systemd's own library for it, libseccomp.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

PR_SET_NO_NEW_PRIVS = 38
PR_SET_MDWE = 65  # prctl(2), since Linux 6.3: the kernel's own MemoryDenyWriteExecute
SCMP_ACT_ALLOW = 0x7FFF0000
SCMP_ACT_ERRNO = 0x00050000
SCMP_CMP_EQ = 4


class _Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp`` of seccomp_rule_add(3)."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def allowed(unit: Path) -> list[str]:
    """The names of the system calls that the unit's SystemCallFilter lets through."""
    groups = _groups()
    names: set[str] = set()
    for line in unit.read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "SystemCallFilter":
            found = {call for word in value.strip("~").split() for call in _calls(groups, word)}
            names = names - found if value.startswith("~") else names | found
    return sorted(names)


def families(unit: Path) -> list[int]:
    """The address families that the unit's RestrictAddressFamilies lets through."""
    for line in unit.read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "RestrictAddressFamilies":
            return [int(getattr(socket, family)) for family in value.split()]
    raise ValueError(f"{unit} has no RestrictAddressFamilies")


def _groups() -> dict[str, list[str]]:
    text = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    groups: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("@"):
            name = line.strip()
            groups[name] = []
        elif line.startswith("    ") and not line.strip().startswith("#"):
            groups[name].append(line.strip())
    return groups


def _calls(groups: dict[str, list[str]], word: str) -> set[str]:
    if not word.startswith("@"):
        return {word}
    return {call for member in groups[word] for call in _calls(groups, member)}


def enter(names: list[str], families: list[int]) -> None:
    """Filter this process and all it starts; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    libc.prctl(PR_SET_MDWE, 1, 0, 0, 0)  # an older kernel does not know it: only the filter then
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    filter_ = ctypes.c_void_p(seccomp.seccomp_init(SCMP_ACT_ERRNO | errno.EPERM))
    for name in names:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number < 0:  # a call of other machines
            continue
        if name != "socket":
            seccomp.seccomp_rule_add(filter_, SCMP_ACT_ALLOW, number, 0)
            continue
        for family in families:
            same = _Comparison(0, SCMP_CMP_EQ, family, 0)
            seccomp.seccomp_rule_add_array(filter_, SCMP_ACT_ALLOW, number, 1, ctypes.byref(same))
    if failed := seccomp.seccomp_load(filter_):
        raise OSError(-failed, "seccomp_load")


if __name__ == "__main__":
    unit = Path(sys.argv[1])
    enter(allowed(unit), families(unit))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - replacing ourselves is the purpose
