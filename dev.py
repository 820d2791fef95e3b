#!/usr/bin/env python3
"""One command for everything a checkout is for; needs Python 3.11 or later, git and access to a package index.

python3 dev.py serve    a single server on this machine, data in ./pyconsul-data
python3 dev.py test     all tests of the default run
python3 dev.py check    linters, types, import directions
python3 dev.py ready    only make .venv with pyconsul and its tools in it
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
STAMP = VENV / "pyconsul-installed"

CHECKS = (
    ["ruff", "check", "."],
    ["ruff", "format", "--check", "."],
    ["mypy"],
    ["lint-imports"],
)

IMPORTED_BY_TESTS = ("cli", "compat", "tests/check")
"""Whose modules tests of other folders import."""
PACKAGES_OF_TESTS = ("docker_cluster_store",)
"""Folders whose modules are imported as ``folder.module``."""


def run(*command: str) -> int:
    print("+", " ".join(command), flush=True)
    try:
        return subprocess.run(command, cwd=ROOT, check=False).returncode
    except KeyboardInterrupt:
        return 130


def ready() -> None:
    """Makes .venv when it is missing or older than pyproject.toml."""
    declared = ROOT / "pyproject.toml"
    if STAMP.exists() and STAMP.stat().st_mtime >= declared.stat().st_mtime:
        return
    if sys.version_info < (3, 11):  # noqa: UP036 (whoever runs this may have an older one)
        sys.exit(f"pyconsul needs Python 3.11 or later, this is {sys.version.split()[0]}")
    print("making .venv (once; takes about a minute)", flush=True)
    if not (BIN / "python").exists():
        venv.create(VENV, with_pip=True, symlinks=os.name != "nt")
    code = run(str(BIN / "python"), "-m", "pip", "install", "--quiet", "--editable", f"{ROOT}[test,ui-test]")
    if code != 0:
        sys.exit(code)
    STAMP.touch()


def serve(arguments: list[str]) -> int:
    data = ROOT / "pyconsul-data"
    print(f"data: {data}\nUI:   http://127.0.0.1:8500/ui/\nAPI:  http://127.0.0.1:8500/v1/   (Ctrl-C ends it)")
    flags = ["-server", "-bootstrap", "-ui", "-bind=127.0.0.1", f"-data-dir={data}"]
    return run(str(BIN / "pyconsul"), "agent", *flags, *arguments)


def check_types_of_tests() -> int:
    """Folder by folder: each has a ``conftest`` or helpers whose names another has too."""
    codes = [0]
    for folder in sorted({path.parent for top in ("tests", "compat") for path in (ROOT / top).rglob("*.py")}):
        name = folder.relative_to(ROOT).as_posix()
        if "node_modules" in name:
            continue
        print("+ mypy", name, flush=True)
        places = [*IMPORTED_BY_TESTS, *([] if folder.name in PACKAGES_OF_TESTS else [name])]
        command = [str(BIN / "mypy"), "--no-error-summary", "--explicit-package-bases"]
        command += [str(path) for path in sorted(folder.glob("*.py"))]
        environment = {**os.environ, "MYPYPATH": os.pathsep.join(str(ROOT / place) for place in places)}
        codes.append(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)
    return max(codes)


def check() -> int:
    codes = [run(str(BIN / command[0]), *command[1:]) for command in CHECKS]
    return max(*codes, check_types_of_tests())


def main(argv: list[str]) -> int:
    if not argv or argv[0] not in {"serve", "test", "check", "ready"}:
        print(__doc__)
        return 2
    ready()
    if argv[0] == "serve":
        return serve(argv[1:])
    if argv[0] == "test":
        return run(str(BIN / "python"), "-m", "pytest", *argv[1:])
    if argv[0] == "check":
        return check()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
