"""The arrows of docs/house.md: an import goes to a lower floor only, and never in a ring."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
FLOORS = (
    {"appliance", "mail", "errors", "config", "database", "bell", "certificate", "index"},
    {"wire", "store", "household"},
    {"search"},
    {"fetch", "smtp", "imap", "transfer"},
    {"web", "schedule", "follow"},
    {"supervisor", "demo"},
    {"service"},
    {"cli"},
    {"__main__"},
)
MODULES = [p for top in ("appliance", "index", "web") for p in sorted((ROOT / top).rglob("*.py"))]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    parts = module.split(".")
    return parts[0] if parts[0] != "appliance" or len(parts) == 1 else parts[1]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(module, whether at import time) for each of our own modules that a file imports."""
    known = {module_name(p) for p in MODULES}
    tree = ast.parse(path.read_text())
    within = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports name their module in full"
            base = node.module or ""
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for name in names:
            if name in known:
                yield name, id(node) not in within


def test_every_room_stands_on_a_floor() -> None:
    rooms = {room(module_name(path)) for path in MODULES}
    assert rooms <= set.union(*FLOORS), "a new room needs a floor, here and in docs/house.md"


def test_imports_go_down_and_neighbours_do_not_meet() -> None:
    level = {name: n for n, floor in enumerate(FLOORS) for name in floor}
    wrong = []
    for path in MODULES:
        here = room(module_name(path))
        for name, _ in imports(path):
            there = room(name)
            lower = level[there] < level[here] or (level[there] == level[here] == 0)
            if there not in (here, "appliance") and not lower:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_index_knows_documents_and_not_mail() -> None:
    assert not [
        f"{path.name} imports {name}"
        for path in MODULES
        if room(module_name(path)) == "index"
        for name, _ in imports(path)
        if room(name) != "index"
    ]


def test_no_module_imports_itself_in_a_ring() -> None:
    graph = {
        module_name(path): {
            name
            for name, at_import in imports(path)
            # A package's __init__ names its modules; that they name the package is no ring.
            if at_import and not module_name(path).startswith(name + ".")
        }
        for path in MODULES
    }
    packages = {name for name in graph if (ROOT / name.replace(".", "/") / "__init__.py").exists()}
    TopologicalSorter({k: v - packages for k, v in graph.items()}).prepare()


def test_only_the_doors_open_sockets() -> None:
    """A socket is opened by a door, the bell (inside the house) or the supervisor (to systemd)."""
    doors = {"bell", "fetch", "smtp", "imap", "web", "demo", "service", "supervisor"}
    speaking = {"socket", "asyncio", "ssl", "aiosmtpd", "imapclient", "http", "urllib"}
    wrong = []
    for path in MODULES:
        if room(module_name(path)) in doors | {"certificate"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            wrong += [
                f"{path.relative_to(ROOT)} imports {name}"
                for name in names
                if name.split(".")[0] in speaking and name != "urllib.parse"
            ]
    assert not wrong, "\n".join(wrong)
