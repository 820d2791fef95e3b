"""Nodes, services and checks in the page: order, filters, what changes and what goes while it is looked at."""

from __future__ import annotations

import json
from typing import Any

import pytest
from browser_settings import DESKTOP
from seeding import call, register_service
from site_under_test import Site

from pyconsul.testing.processes import Cluster

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra ui-test)").expect
pytestmark = pytest.mark.slow
LIVE_MS = 2000


def test_a_check_that_turns_critical_moves_its_service_to_the_top(site: Site, seeded: Cluster) -> None:
    agent = seeded.agents[0]
    page = site.open("dc1/services?sort=Status%3Aasc")
    rows = page.get_by_role("table", name="Services").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("db")
    register_service(agent, "db", "passing", [])
    expect(rows.nth(1)).to_contain_text("cache", timeout=LIVE_MS)
    register_service(agent, "web", "critical", ["v1"])
    expect(rows.nth(1)).to_contain_text("web", timeout=LIVE_MS)
    register_service(agent, "web", "passing", ["v1", "blue"])
    register_service(agent, "db", "critical", ["primary"])


def test_a_tag_filters_the_list_and_the_address_keeps_it(site: Site) -> None:
    page = site.open("dc1/services")
    page.get_by_role("button", name="blue").click()
    expect(page.get_by_text("1 of 4")).to_be_visible()
    page.reload()
    expect(page.get_by_role("searchbox", name="Filter services")).to_have_value("tag:blue")
    page.get_by_role("link", name="web", exact=True).click()
    expect(page.locator("h1")).to_contain_text("web")
    page.go_back()
    expect(page.get_by_text("1 of 4")).to_be_visible()


def test_statuses_and_order_of_the_address(site: Site) -> None:
    page = site.open("dc1/nodes?status=critical,warning&sort=Node:desc")
    rows = page.get_by_role("table", name="Nodes").get_by_role("row")
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Status: critical").click()
    page.get_by_role("button", name="Status: warning").click()
    expect(rows).to_have_count(5)
    expect(rows.nth(1)).to_contain_text("outside")
    page.get_by_role("button", name="Node", exact=False).first.click()
    expect(rows.nth(1)).to_contain_text("docker1")


def test_a_service_that_is_deregistered_while_open_stays_on_the_page(site: Site, seeded: Cluster) -> None:
    agent = seeded.agents[0]
    register_service(agent, "brief", "passing", [])
    page = site.open("dc1/services/brief")
    table = page.get_by_role("table", name="Instances of brief")
    expect(table).to_contain_text("10.1.1.1:80")
    body = json.dumps({"Node": "outside", "ServiceID": "brief"}).encode()
    call(agent, "PUT", "/v1/catalog/deregister", body)
    expect(page.get_by_text("This service was deregistered while it was open")).to_be_visible(timeout=LIVE_MS)
    expect(table).to_contain_text("10.1.1.1:80")


def test_an_instance_shows_its_checks(site: Site) -> None:
    page = site.open("dc1/services/db/instances/outside/db")
    expect(page.locator(".checks .card").first).to_contain_text("critical")
    expect(page.get_by_label("Output of db answers")).to_contain_text("HTTP GET http://10.1.1.1: 200 OK")


def test_an_event_that_is_fired_is_listed(site: Site) -> None:
    page = site.open("dc1/events")
    page.get_by_role("button", name="Fire an event").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("from-the-page")
    dialog.get_by_label("Payload").fill("<b>text</b>")
    dialog.get_by_role("button", name="Fire", exact=True).click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("from-the-page")
    expect(page.get_by_role("row").nth(1)).to_contain_text("<b>text</b>")


def test_round_trip_times_to_every_other_node(site: Site) -> None:
    page = site.open("dc1/nodes/docker1/round-trip-time")
    table = page.get_by_role("table", name="Round-trip times")
    expect(table.get_by_role("row")).to_have_count(3, timeout=60_000)
    for name in ("docker2", "docker3"):
        expect(table.get_by_role("row").filter(has_text=name)).to_contain_text("ms")
    site.open("dc1/nodes")
    expect(page.get_by_role("table", name="Nodes")).to_contain_text("Round trip")


def test_a_failed_member_is_said_to_have_failed(browser: Any, fresh: Cluster) -> None:
    lost = fresh.followers()[0]
    with Site(browser, fresh.leader().http_url, DESKTOP) as site:
        page = site.open("dc1/nodes")
        table = page.get_by_role("table", name="Nodes")
        expect(table.get_by_text("alive", exact=True)).to_have_count(3)
        lost.kill9()
        row = table.get_by_role("row").filter(has_text=lost.name)
        expect(row).to_contain_text("failed", timeout=30_000)
        expect(table.get_by_text("Leader", exact=True)).to_have_count(1)
