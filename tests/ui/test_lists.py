"""Lists of the page: filters in the address, what lights up, what stays over reloads and on the way back."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from browser_settings import DESKTOP
from seeding import call, put, register_service
from site_under_test import Site

from pyconsul.testing.processes import Cluster

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra ui-test)").expect
pytestmark = pytest.mark.slow
LIVE_MS = 2000

# Collects the keys of rows that light up, however short that is.
WATCH_LIT = """() => {
    window.lit = [];
    new MutationObserver(() => {
        for (const row of document.querySelectorAll('.table-row.changed')) window.lit.push(row.innerText);
    }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ['class'] });
}"""


def test_a_status_is_chosen_shown_as_a_chip_kept_and_removed(site: Site) -> None:
    page = site.open("dc1/nodes?unknown=1")
    rows = page.get_by_role("table", name="Nodes").get_by_role("row")
    expect(rows).to_have_count(5)
    page.locator("summary", has_text="Status").click()
    page.get_by_role("checkbox", name="critical").check()
    page.get_by_role("checkbox", name="warning").check()
    expect(rows).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.get_by_role("checkbox", name="critical")).to_have_count(0)
    expect(page.locator("summary", has_text="Status")).to_be_focused()
    page.get_by_role("button", name="Node", exact=True).click()
    assert site.path == "dc1/nodes?unknown=1&status=warning%2Ccritical&sort=Node%3Aasc"
    page.reload()
    expect(rows).to_have_count(2)
    assert site.path == "dc1/nodes?unknown=1&status=warning%2Ccritical&sort=Node%3Aasc"
    page.get_by_role("button", name="Status: critical").click()
    expect(page.get_by_text("No nodes match status warning")).to_be_visible()
    page.get_by_role("button", name="Clear the filter").click()
    expect(rows).to_have_count(5)


def test_the_search_looks_only_at_the_properties_that_the_address_names(site: Site) -> None:
    page = site.open("dc1/services?filter=blue")
    expect(page.get_by_text("1 of 4")).to_be_visible()
    page.locator("summary", has_text="Search in").click()
    page.get_by_role("checkbox", name="Tags").uncheck()
    expect(page.get_by_text("No services match “blue” in Name")).to_be_visible()
    assert "searchproperty=Name" in site.path
    page.reload()
    expect(page.get_by_text("No services match “blue” in Name")).to_be_visible()
    site.open("dc1/nodes?filter=10.1.1.1&searchproperty=Address")
    expect(page.get_by_text("1 of 4")).to_be_visible()
    site.open("dc1/nodes?filter=10.1.1.1&searchproperty=Node,Meta")
    expect(page.get_by_text("No nodes match")).to_be_visible()


def test_kinds_and_types_of_checks(site: Site) -> None:
    page = site.open("dc1/nodes/outside/health-checks?status=critical")
    cards = page.locator(".checks .card")
    expect(cards).to_have_count(1)
    expect(cards).to_contain_text("db answers")
    page.get_by_role("button", name="Status: critical").click()
    expect(cards).to_have_count(3)
    expect(cards.first).to_contain_text("db answers")
    page.get_by_role("button", name="By name").click()
    expect(cards.first).to_contain_text("cache answers")
    site.open("dc1/nodes/outside/health-checks?kind=node")
    expect(page.get_by_text("No checks match kind node")).to_be_visible()
    site.open("dc1/nodes/docker1/health-checks?check=serf")
    expect(cards).to_have_count(1)
    expect(page.get_by_role("button", name="Type: serf")).to_be_visible()


def test_instances_by_source_and_in_maintenance(site: Site, seeded: Cluster) -> None:
    agent = seeded.agents[0]
    check = {"CheckID": "_service_maintenance:batch", "Name": "Maintenance", "Status": "critical", "ServiceID": "batch"}
    service = {"Service": "batch", "ID": "batch", "Port": 81, "Meta": {"external-source": "nomad"}}
    body = {"Node": "outside", "Address": "10.1.1.1", "Service": service, "Check": check}
    call(agent, "PUT", "/v1/catalog/register", json.dumps(body).encode())
    page = site.open("dc1/services/batch?source=nomad")
    table = page.get_by_role("table", name="Instances of batch")
    expect(table).to_contain_text("maintenance")
    page.get_by_role("button", name="Source: nomad").click()
    expect(table.get_by_role("row")).to_have_count(2)
    site.open("dc1/services/batch?source=kubernetes")
    expect(page.get_by_text("No instances match source kubernetes")).to_be_visible()
    call(agent, "PUT", "/v1/catalog/deregister", json.dumps({"Node": "outside", "ServiceID": "batch"}).encode())


def test_folders_and_keys_apart(site: Site) -> None:
    page = site.open("dc1/kv?kind=folder")
    expect(page.get_by_role("link", name="app/")).to_be_visible()
    expect(page.get_by_role("link", name="app.other")).to_have_count(0)
    page.get_by_role("button", name="Kind: folder").click()
    expect(page.get_by_role("link", name="app.other")).to_be_visible()


def test_rows_that_appear_or_change_light_up_and_others_do_not(site: Site, seeded: Cluster) -> None:
    agent = seeded.agents[1]
    put(agent, "lit/quiet", b"1")
    put(agent, "lit/value", b"1")
    page = site.open("dc1/kv/lit/")
    expect(page.locator(".table-body .preview")).to_have_count(2)  # the values were read
    page.evaluate(WATCH_LIT)
    put(agent, "lit/new", b"1")
    page.wait_for_function("() => window.lit.some((text) => text.includes('new'))")
    put(agent, "lit/value", b"2")
    page.wait_for_function("() => window.lit.some((text) => text.includes('value'))")
    assert not any("quiet" in text for text in page.evaluate("window.lit"))
    site.open("dc1/services")
    expect(page.get_by_role("table", name="Services")).to_contain_text("critical")
    page.evaluate(WATCH_LIT)
    register_service(agent, "cache", "critical", [])
    page.wait_for_function("() => window.lit.some((text) => text.includes('cache'))")
    register_service(agent, "cache", "warning", [])
    page.get_by_role("searchbox", name="Filter services").fill("db")
    page.get_by_role("searchbox", name="Filter services").fill("")
    expect(page.get_by_role("link", name="web", exact=True)).to_be_visible()
    assert not any(re.match("web|db", text) for text in page.evaluate("window.lit"))
    call(agent, "DELETE", "/v1/kv/lit/?recurse")


@pytest.mark.parametrize("path", ["dc1/nodes", "dc1/services", "dc1/docker", "dc1/sessions", "dc1/kv/app/"])
def test_nothing_lights_up_while_a_page_loads(site: Site, path: str) -> None:
    site.page.add_init_script(f"document.addEventListener('DOMContentLoaded', {WATCH_LIT})")
    page = site.open(path)
    expect(page.get_by_role("row").nth(1)).to_be_visible()
    # Until everything that a page reads has come: what polls has come twice.
    page.wait_for_function("(end) => performance.now() > end", arg=4000)
    assert page.evaluate("window.lit") == []


def test_nothing_lights_up_with_reduced_motion(browser: Any, seeded: Cluster) -> None:
    agent = seeded.agents[0]
    with Site(browser, agent.http_url, DESKTOP, reduced_motion="reduce") as site:
        page = site.open("dc1/kv/app/")
        expect(page.get_by_role("link", name="motd")).to_be_visible()
        put(agent, "app/calm", b"1")
        expect(page.get_by_role("link", name="calm")).to_be_visible()
        assert page.evaluate("document.getAnimations().length") == 0
        call(agent, "DELETE", "/v1/kv/app/calm")


def test_back_and_forward_restore_position_and_search(site: Site) -> None:
    page = site.open("dc1/kv/many/?filter=key-0")
    expect(page.get_by_role("link", name="key-0000")).to_be_visible()
    page.evaluate("window.scrollTo(0, 40 * 600)")
    expect(page.get_by_role("link", name="key-0600")).to_be_in_viewport()
    page.get_by_role("link", name="key-0600").click()
    expect(page.locator("h1")).to_have_text("key-0600")
    page.go_back()
    expect(page.get_by_role("link", name="key-0600")).to_be_in_viewport()
    expect(page.get_by_role("searchbox", name="Filter this folder")).to_have_value("key-0")
    page.go_forward()
    expect(page.locator("h1")).to_have_text("key-0600")
    page.go_back()
    expect(page.get_by_role("link", name="key-0600")).to_be_in_viewport()
    page.reload()
    expect(page.get_by_role("link", name="key-0600")).to_be_in_viewport()


def test_one_leader_when_two_nodes_share_an_address(site: Site, seeded: Cluster) -> None:
    agent, leader = seeded.agents[0], seeded.leader()
    body = json.dumps({"Node": "double", "Address": leader.address}).encode()
    call(agent, "PUT", "/v1/catalog/register", body)
    page = site.open("dc1/nodes")
    table = page.get_by_role("table", name="Nodes")
    expect(table).to_contain_text("double")
    expect(table.get_by_text("Leader", exact=True)).to_have_count(1)
    expect(table.get_by_role("row").filter(has_text=leader.name)).to_contain_text("Leader")
    call(agent, "PUT", "/v1/catalog/deregister", json.dumps({"Node": "double"}).encode())


def test_addresses_of_engines_stay_whole_in_the_list_of_sessions(site: Site) -> None:
    page = site.open("dc1/sessions")
    links = page.get_by_role("table", name="Sessions").get_by_role("link", name="docker/nodes/192.168.10.")
    expect(links).to_have_count(3)
    lines = links.evaluate_all(
        """(all) => all.map((each) => {
            const range = document.createRange();
            range.selectNodeContents(each.lastChild);
            return [range.toString().slice(0, 11), range.getClientRects().length];
        })"""
    )
    assert lines == [["192.168.10.", 1]] * 3


def test_the_first_page_and_its_steps_can_be_chosen(site: Site, seeded: Cluster) -> None:
    page = site.open("settings")
    page.get_by_label("services, as in Consul").check()
    site.open("")
    expect(page).to_have_url(f"{site.base}/ui/dc1/services")
    site.open("settings")
    page.get_by_role("button", name="Reset all settings").click()
    site.open("")
    expect(page).to_have_url(f"{site.base}/ui/dc1/overview")
