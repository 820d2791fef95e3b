"""What is committed in pyconsul/ui/dist is what the sources in ui/ give."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "ui"
DIST = ROOT / "pyconsul" / "ui" / "dist"
COMPRESSED = {".gz", ".br"}
DEADLINE_S = 110


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources with what they need to be built: node_modules of the checkout, or newly installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js is not installed, so the web page cannot be built again")
    folder = tmp_path_factory.mktemp("workshop")
    shutil.copytree(SOURCES, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    if (SOURCES / "node_modules").is_dir():
        (folder / "node_modules").symlink_to(SOURCES / "node_modules")
        return folder
    installed = run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", folder=folder)
    if installed.returncode != 0:
        pytest.skip(f"npm ci failed, probably without a way to the registry: {installed.stderr[-300:]}")
    return folder


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_built_page_is_up_to_date(workshop: Path, tmp_path: Path) -> None:
    built = run("node", "build.mjs", str(tmp_path / "dist"), folder=workshop)
    assert built.returncode == 0, built.stderr
    fresh, kept = files_below(tmp_path / "dist"), files_below(DIST)
    assert sorted(fresh) == sorted(kept), "run `npm ci && npm run build` in ui/ and commit pyconsul/ui/dist"
    for name, content in fresh.items():
        # Compressed bytes depend on the version of zlib; what is in them does not.
        if Path(name).suffix not in COMPRESSED:
            assert content == kept[name], f"{name} differs: run `npm ci && npm run build` in ui/"
    for name, content in kept.items():
        if name.endswith(".gz"):
            assert gzip.decompress(content) == kept[name.removesuffix(".gz")], name


def test_the_sources_are_well_typed(workshop: Path) -> None:
    checked = run("npx", "--no-install", "tsc", "--noEmit", folder=workshop)
    assert checked.returncode == 0, checked.stdout


def test_all_of_the_page_goes_into_a_wheel() -> None:
    patterns = ("dist/*", "dist/assets/*")
    declared = (ROOT / "pyproject.toml").read_text()
    for pattern in patterns:
        assert f'"{pattern}"' in declared
    covered = {path for pattern in patterns for path in DIST.parent.glob(pattern) if path.is_file()}
    assert covered == {path for path in DIST.rglob("*") if path.is_file()}


LOAD = """
from pyconsul.ui.files import DIST, BuiltFiles
page = BuiltFiles("/ui/", "dc1").find("").body.decode()
print(DIST)
print("\\n".join(part.split('"')[0] for part in page.split('="/ui/')[1:]))
"""


@pytest.mark.slow
def test_an_installed_wheel_serves_the_page_without_node(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "installed"
    source.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in ("pyconsul", "cli"):
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    made = run(*pip, "wheel", "--no-deps", "--wheel-dir", str(tmp_path), ".", folder=source)
    if "No matching distribution found for setuptools" in made.stdout + made.stderr:
        pytest.skip("no way to a package index, from which a wheel's builder comes")
    assert made.returncode == 0, made.stderr[-2000:]
    [wheel] = tmp_path.glob("*.whl")
    done = run(*pip, "install", "--no-deps", "--no-compile", "--target", str(target), str(wheel), folder=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    environment = {"PYTHONPATH": str(target), "PATH": ""}
    command = [sys.executable, "-c", LOAD]
    loaded = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert loaded.returncode == 0, loaded.stderr
    place, *names = loaded.stdout.split()
    assert Path(place) == target / "pyconsul" / "ui" / "dist"
    assert files_below(Path(place)) == files_below(DIST)
    assert all((Path(place) / name).is_file() for name in names if name.startswith("assets/"))
    assert (Path(place) / "licenses.txt").stat().st_size > 1000


def test_the_tests_that_the_acceptance_page_names_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "design" / "ui-acceptance.md").read_text()))
    files = [*(ROOT / "tests" / "ui").glob("test_*.py"), *(ROOT / "tests" / "unit" / "ui").glob("test_*.py")]
    there = {name for path in files for name in re.findall(r"def (test_\w+)", path.read_text())}
    assert len(named) > 50
    assert named - there == set()
