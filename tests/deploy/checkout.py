"""A copy of the checkout that can be installed without a network.

``install.sh`` lets pip build and install; here pip finds a build backend inside
the copy, and the libraries of this Python on PYTHONPATH. What the backend packs
is what pyproject.toml says: packages and their data files.
"""

from __future__ import annotations

import os
import shutil
import site
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
_NAMES = ("pyproject.toml", "README.md", "LICENSE", "appliance", "web", "index", "deploy")


def copied(to: Path) -> Path:
    """The checkout, copied to ``to`` and changed so that pip builds it by this module."""
    to.mkdir()
    for name in _NAMES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to / name)
    text = (to / "pyproject.toml").read_text()
    start, end = text.index("[build-system]"), text.index("[project]")
    here = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    (to / "appliance" / "_backend.py").write_text(
        here + "from tests.deploy.checkout import build_wheel as build_wheel\n"
    )
    system = '[build-system]\nrequires = []\nbuild-backend = "_backend"\n'
    system += 'backend-path = ["appliance"]\n\n'
    (to / "pyproject.toml").write_text(text[:start] + system + text[end:])
    return to


def environment(shelf: Path) -> dict[str, str]:
    """The environment in which pip needs no network; ``shelf`` is a directory to make."""
    shelf.mkdir()
    # pip lies on the shelf, too: unpacking another takes most of the time of an installation.
    python = shelf.with_suffix(".python")
    python.write_text(
        f'#!/bin/sh\n[ "$1 $2" = "-m venv" ] && shift 2 && set -- -m venv --without-pip "$@"\n'
        f'exec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    for directory in site.getsitepackages():
        for library in Path(directory).glob("*"):  # Debian names directories that are not there
            ours = library.name.lower().startswith(("hauspost", "__editable__", "_virtualenv"))
            if not ours and library.suffix != ".pth" and not (shelf / library.name).exists():
                (shelf / library.name).symlink_to(library)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        "PYTHON": str(python),
        "PYTHONPATH": str(shelf),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
    }


def build_wheel(directory: str, settings: object = None, metadata: object = None) -> str:
    """The hook of PEP 517: a wheel of the project in the current directory."""
    project = tomllib.loads(Path("pyproject.toml").read_text())
    name, version = project["project"]["name"], project["project"]["version"]
    info = f"{name}-{version}.dist-info"
    wheel = f"{name}-{version}-py3-none-any.whl"
    scripts = "".join(f"{k} = {v}\n" for k, v in project["project"]["scripts"].items())
    texts = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        "Provides-Extra: pdf\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": f"[console_scripts]\n{scripts}",
    }
    data = project["tool"]["setuptools"]["package-data"]
    paths = [
        path
        for top in ("appliance", "index", "web")
        for pattern in ("**/*.py", *data.get(top, ()))
        for path in sorted(Path(top).glob(pattern))
        if path.is_file() and path.name != "_backend.py"
    ]
    with zipfile.ZipFile(Path(directory) / wheel, "w") as file:
        for path in dict.fromkeys(paths):
            file.write(path, path.as_posix())
        for member, text in texts.items():
            file.writestr(f"{info}/{member}", text)
        names = [*file.namelist(), f"{info}/RECORD"]
        file.writestr(f"{info}/RECORD", "".join(f"{member},,\n" for member in names))
    return wheel
