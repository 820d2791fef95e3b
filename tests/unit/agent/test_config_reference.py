"""The reference page is what the definitions say."""

from __future__ import annotations

from pathlib import Path

from pyconsul.agent.config_reference import reference

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"


def test_the_page_is_up_to_date() -> None:
    # To write it anew: python -m pyconsul.agent.config_reference > docs/reference/configuration.md
    assert PAGE.read_text(encoding="utf-8") == reference()


def test_rows() -> None:
    page = reference()
    assert "| `ports.http` | int | `8500` | HTTP API and web page. |" in page
    assert "| `-non-voting-server` | bool | `read_replica` |" in page
    assert "| `-config-dir` | list |  |" in page
    assert "| `services[].checks[].interval` | duration |  |" in page
