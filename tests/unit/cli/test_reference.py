"""The reference and the completion scripts follow the declarations; starting is cheap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from canned_agent import Run

from pyconsul_cli import completion
from pyconsul_cli.reference import markdown

ROOT = Path(__file__).parents[3]


def test_reference_is_up_to_date() -> None:
    written = (ROOT / "docs/reference/cli.md").read_text("utf-8")
    assert written == markdown(), "run: python -m pyconsul_cli.reference > docs/reference/cli.md"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_and_taken_away(run: Run, tmp_path: Path, shell: str) -> None:
    start_up = tmp_path / f".{shell}rc"
    if shell != "fish":
        start_up.write_text("alias x=y\n")
    environ = {"SHELL": f"/bin/{shell}", "HOME": str(tmp_path)}
    for _ in range(2):
        code, stdout, stderr = run("-autocomplete-install", environ=environ)
        assert (code, stderr) == (0, "")
    script = Path(stdout.removeprefix("Written: ").strip())
    assert "list-peers" in script.read_text() and "modify-index" in script.read_text()
    if shell != "fish":
        assert start_up.read_text().count(completion.MARK) == 1
    assert run("--autocomplete-uninstall", environ=environ)[0] == 0
    assert not script.exists()
    if shell != "fish":
        assert start_up.read_text() == "alias x=y\n"


def test_bash_completes_commands_and_flags(tmp_path: Path) -> None:
    script = tmp_path / "completion"
    script.write_text(completion.bash_script())

    def complete(*words: str) -> list[str]:
        line = " ".join(f"'{word}'" for word in words)
        setting = f"COMP_WORDS=(pyconsul {line}); COMP_CWORD={len(words)}"
        program = f'source {script}; {setting}; _pyconsul; echo "${{COMPREPLY[@]}}"'
        return subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert complete("memb") == ["members"]
    assert complete("operator", "raft", "li") == ["list-peers"]
    assert complete("kv", "get", "-rec") == ["-recurse"]


def test_starting_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]; from pyconsul_cli.main import main; "
        "main(['members'], environ={'CONSUL_HTTP_ADDR': '127.0.0.1:1'}); print(*sys.modules, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, str(ROOT / "cli"), str(ROOT)], capture_output=True, text=True, check=True
    )
    heavy = {"asyncio", "aiohttp", "uvloop", "msgspec", "dataclasses", "typing", "http.client", "ssl", "re", "json"}
    assert heavy & set(done.stdout.split()) == set()
