"""Outside clients, fetched from their registries once and kept between runs.

A test that needs one is skipped, with the reason, where the tool is missing or the registry cannot be reached.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

FETCH_S = 300.0
RUN_S = 240.0


def cache_folder(name: str, *pins: Path) -> Path:
    """Where the client is kept; another folder when a file with its versions changes."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pyconsul-compat"
    digest = hashlib.sha256(b"".join(pin.read_bytes() for pin in pins) + sys.version.encode()).hexdigest()[:16]
    return base / f"{name}-{digest}"


def fetch(folder: Path, command: Sequence[str]) -> None:
    """Fills the folder by a command, unless an earlier run has; skips the test when that fails."""
    done = folder / "fetched"
    if done.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=FETCH_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{command[0]} could not fetch it within {FETCH_S:.0f} s")
    if result.returncode != 0:
        pytest.skip(f"cannot be fetched here: {(result.stdout + result.stderr)[-500:]}")
    done.touch()


def python_client(name: str, requirements: Path) -> Path:
    """A folder for PYTHONPATH with the pinned packages, and nothing of ours."""
    folder = cache_folder(name, requirements)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    fetch(folder, [*pip, "--target", str(folder / "packages"), "--requirement", str(requirements)])
    return folder / "packages"


def npm_client(name: str, package: Path, lock: Path) -> Path:
    """A folder with ``node_modules`` as the lock file says."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("npm or node is not on this machine")
    folder = cache_folder(name, package, lock)
    copy = f"cp '{package}' '{lock}' . && npm ci --silent --no-audit --no-fund"
    fetch(folder, ["sh", "-c", copy])
    return folder


def go() -> str:
    """The Go tool."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        pytest.skip("Go is not on this machine")
    return found


def go_test(module: Path, address: str) -> str:
    """Runs the tests of a small Go module against an agent (host:port); returns what they print."""
    tool = go()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CONSUL_")}
    downloaded = subprocess.run(
        [tool, "mod", "download"], cwd=module, env=environment, capture_output=True, text=True, timeout=FETCH_S,
        check=False,
    )  # fmt: skip
    if downloaded.returncode != 0:
        pytest.skip(f"the Go modules cannot be fetched here: {downloaded.stderr[-500:]}")
    environment["CONSUL_HTTP_ADDR"] = address
    return run([tool, "test", "-count=1", "-v", "."], module, environment)


def run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> str:
    """Runs a client's own checks; fails with what it printed."""
    result = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_S,
        check=False,
    )  # fmt: skip
    output = result.stdout + result.stderr
    print(output)
    assert result.returncode == 0, f"{' '.join(command)} ended with {result.returncode}:\n{output[-6000:]}"
    return output
