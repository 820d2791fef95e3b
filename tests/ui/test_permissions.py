"""The page where writing is refused, and its tokens.

This agent has no access control lists, so what one would answer comes from the test: these two endpoints, here alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browser_settings import DESKTOP
from seeding import put
from site_under_test import Site

from pyconsul.testing.processes import Cluster

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra ui-test)").expect
pytestmark = pytest.mark.slow

WRITING = ("Create", "Import", "Move", "Delete", "Edit", "Rename", "Duplicate", "Save", "Invalidate session")


def expect_no_write_action(page: Any) -> None:
    for name in WRITING:
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)


def test_an_agent_that_takes_no_writes_from_here(browser: Any, tmp_path: Path) -> None:
    closing = tmp_path / "closing.json"
    closing.write_text("{}")
    with Cluster(tmp_path, size=1, extra=["-ui", f"-config-file={closing}"]) as cluster:
        cluster.start()
        agent = cluster.agents[0]
        put(agent, "app/key", b"value")
        closing.write_text(json.dumps({"http_config": {"allow_write_http_from": ["192.0.2.0/24"]}}))
        agent.restart()
        with Site(browser, agent.http_url, DESKTOP) as site:
            page = site.open("dc1/kv/app/")
            expect(page.get_by_text("Read-only: This agent takes no changes from this address")).to_be_visible()
            expect(page.get_by_role("link", name="key", exact=True)).to_be_visible()
            expect_no_write_action(page)
            page.get_by_role("link", name="key", exact=True).click()
            expect(page.get_by_label("Value as text")).to_have_text("value")
            expect_no_write_action(page)
            page.keyboard.press("e")
            expect(page.get_by_role("textbox", name="Value of app/key")).to_have_count(0)


def test_a_token_that_may_only_read_sees_no_write_action(site: Site) -> None:
    def authorize(route: Any) -> None:
        [wanted] = json.loads(route.request.post_data)
        allowed = wanted["Resource"] == "key" and wanted.get("Segment", "").startswith("app/")
        route.fulfill(json=[{**wanted, "Allow": allowed}])

    site.page.route("**/v1/internal/acl/authorize", authorize)
    page = site.open("dc1/kv/docker/nodes/")
    expect(page.get_by_text("Read-only: Without a token this page may not write here")).to_be_visible()
    expect(page.get_by_role("link", name="192.168.10.80:2375", exact=True)).to_be_visible()
    expect_no_write_action(page)
    page.get_by_role("link", name="192.168.10.80:2375", exact=True).click()
    expect(page.get_by_label("Value as text")).to_have_text("192.168.10.80:2375")
    expect_no_write_action(page)
    site.open("dc1/kv/app/")
    expect(page.get_by_role("button", name="Create", exact=True)).to_be_visible()
    expect(page.get_by_text("Read-only")).to_have_count(0)


def test_a_wrong_secret_is_said_in_the_dialog_and_kept_nowhere(site: Site) -> None:
    def token_self(route: Any) -> None:
        known = route.request.headers.get("x-consul-token") == "right-secret"
        if known:
            route.fulfill(json={"AccessorID": "a", "Description": ""})
        else:
            route.fulfill(status=403, body="ACL not found")

    site.page.route("**/v1/acl/token/self", token_self)
    page = site.open("settings")
    page.get_by_role("button", name="Log in with a token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Secret ID").fill("wrong-secret")
    dialog.get_by_role("button", name="Log in").click()
    expect(dialog).to_contain_text("The agent does not know this token")
    stored = page.evaluate("JSON.stringify({ ...localStorage, ...sessionStorage })")
    assert "wrong-secret" not in stored and "wrong-secret" not in page.url
    dialog.get_by_label("Secret ID").fill("right-secret")
    dialog.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("All requests carry a token, for this tab only")).to_be_visible()
    assert "right-secret" not in page.evaluate("JSON.stringify({ ...localStorage })")
    page.get_by_role("button", name="Log out").click()
    assert "right-secret" not in page.evaluate("JSON.stringify({ ...localStorage, ...sessionStorage })")


@pytest.mark.parametrize("area", ["", "/tokens", "/policies", "/roles", "/auth-methods"])
def test_every_page_of_access_control_says_that_it_is_off(site: Site, area: str) -> None:
    page = site.open(f"dc1/acls{area}")
    expect(page.get_by_text("Access control is off in this cluster")).to_be_visible()
    assert "403" not in site.main_text()
