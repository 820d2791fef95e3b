"""curl, as people use it in shells: bodies from files and stdin, large bodies, compression, pipes, options of reads."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from pyconsul.testing.processes import AgentProcess

if shutil.which("curl") is None:
    pytest.skip("curl is not on this machine", allow_module_level=True)


def curl(*arguments: str, stdin: bytes = b"") -> bytes:
    """What curl prints; fails unless it ends with 0."""
    command = ["curl", "--silent", "--show-error", "--max-time", "20", *arguments]
    result = subprocess.run(command, input=stdin, capture_output=True, timeout=30, check=False)
    assert result.returncode == 0, f"{' '.join(command)}: {result.returncode}: {result.stderr.decode()}"
    return result.stdout


def test_put_get_delete(real_server: AgentProcess) -> None:
    url = f"{real_server.http_url}/v1/kv/curl/a"
    assert curl("-X", "PUT", "-d", "hello", url) == b"true"
    assert curl(f"{url}?raw") == b"hello"
    [entry] = json.loads(curl(url))
    assert entry["Value"] == "aGVsbG8="
    assert curl("--request", "DELETE", url) == b"true"
    assert curl("-o", "/dev/null", "-w", "%{http_code}", url) == b"404"


def test_bodies_of_every_kind(real_server: AgentProcess, tmp_path: Path) -> None:
    url = f"{real_server.http_url}/v1/kv/curl/body"
    data = bytes(range(256)) * 2000
    file = tmp_path / "body"
    file.write_bytes(data)
    assert curl("-T", str(file), url) == b"true"  # longer than 1 MiB would wait for 100 Continue
    assert curl(f"{url}?raw") == data
    assert curl("-H", "Expect: 100-continue", "-X", "PUT", "--data-binary", "@-", url, stdin=data[:5000]) == b"true"
    assert curl(f"{url}?raw") == data[:5000]
    assert curl("-H", "Transfer-Encoding: chunked", "-T", "-", url, stdin=data[:70_000]) == b"true"
    assert curl(f"{url}?raw") == data[:70_000]
    text = b"a" * 5000
    assert curl("-X", "PUT", "--data-binary", "@-", url, stdin=text) == b"true"
    assert curl("--compressed", f"{url}?raw") == text
    sizes = curl("-o", "/dev/null", "-H", "Accept-Encoding: gzip", "-w", "%{size_download}", f"{url}?raw")
    assert int(sizes) < 500
    curl("-X", "DELETE", url)


def test_a_body_that_is_too_large(real_server: AgentProcess) -> None:
    url = f"{real_server.http_url}/v1/kv/curl/large"
    answer = curl("-X", "PUT", "--data-binary", "@-", "-w", " %{http_code}", url, stdin=b"x" * 600_000)
    assert answer.startswith(b"Request body(600000 bytes) too large") and answer.endswith(b" 413"), answer


def test_one_connection_for_several(real_server: AgentProcess) -> None:
    url = f"{real_server.http_url}/v1/kv/curl/many"
    printed = curl("-w", "%{num_connects}\n", "-o", "/dev/null", f"{url}?raw", "-o", "/dev/null", f"{url}?keys")
    assert printed.split() == [b"1", b"0"], "the second request took the connection of the first"


def test_versions_of_http(real_server: AgentProcess) -> None:
    url = f"{real_server.http_url}/v1/status/leader"
    assert curl("--http1.0", "-w", " %{http_version}", url).endswith(b" 1")
    assert curl("--http1.1", "-w", " %{http_version}", url).endswith(b" 1.1")


def test_head_and_redirects(real_server: AgentProcess) -> None:
    assert b"405 Method Not Allowed" in curl("--head", f"{real_server.http_url}/v1/kv/x")
    shown = curl("--location", "--path-as-is", "-w", " %{http_code}", f"{real_server.http_url}/v1//status/./leader")
    assert shown.endswith(b" 200"), shown


def test_waiting_in_a_shell(real_server: AgentProcess) -> None:
    url = f"{real_server.http_url}/v1/kv/curl/wait"
    curl("-X", "PUT", "-d", "1", url)
    [entry] = json.loads(curl(url))
    index = entry["ModifyIndex"]
    waiting = subprocess.Popen(
        ["curl", "--silent", "--max-time", "20", f"{url}?raw&wait=20s&index={index}"], stdout=subprocess.PIPE
    )
    curl("-X", "PUT", "-d", "2", url)
    printed, _ = waiting.communicate(timeout=25)
    assert printed == b"2"
    curl("-X", "DELETE", url)
