"""The page while servers stop and leaders change: it says so, keeps what it had, and recovers by itself."""

from __future__ import annotations

from typing import Any

import pytest
from browser_settings import DESKTOP
from seeding import ENGINES, put, register_engine
from site_under_test import Site

from pyconsul.testing.processes import Cluster

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra ui-test)").expect
pytestmark = pytest.mark.slow


def test_a_killed_leader_is_followed_by_another_while_the_page_is_open(browser: Any, fresh: Cluster) -> None:
    watched, leader = fresh.followers()[0], fresh.leader()
    with Site(browser, watched.http_url, DESKTOP) as site:
        page = site.open("dc1/overview")
        expect(page.locator(".card.leader")).to_contain_text(leader.name)
        expect(page.locator("#verdict")).to_contain_text("Healthy. All 3 servers are alive")
        leader.kill9()
        expect(page.locator(".card.leader")).not_to_contain_text(leader.name, timeout=15_000)
        expect(page.locator("#verdict")).to_contain_text(f"Degraded. {leader.name} is not alive", timeout=30_000)
        expect(page.locator("#verdict")).to_contain_text("survives no further loss")
        expect(page.locator(".feed")).to_contain_text("leads now")


def test_without_a_leader_the_page_says_so_and_writes_are_off_until_one_is_back(browser: Any, fresh: Cluster) -> None:
    watched, second, third = fresh.agents
    with Site(browser, watched.http_url, DESKTOP) as site:
        page = site.open("dc1/kv/docker/nodes/")
        expect(page.get_by_role("link", name=ENGINES[0], exact=True)).to_be_visible()
        second.kill9()
        third.kill9()
        expect(page.get_by_text("No leader since")).to_be_visible(timeout=20_000)
        create = page.get_by_role("button", name="Create", exact=True)
        expect(create).to_be_disabled()
        expect(create).to_have_attribute("title", "The cluster has no leader, so nothing can be written")
        # Pages opened now show what this server has.
        page.reload()
        expect(page.get_by_role("link", name=ENGINES[0], exact=True)).to_be_visible(timeout=5000)
        page.get_by_role("link", name=ENGINES[0], exact=True).click()
        expect(page.get_by_label("Value as text")).to_have_text(ENGINES[0])
        expect(page.get_by_text("No leader since")).to_be_visible()
        page.get_by_role("link", name="Overview").click()
        expect(page.locator("#verdict")).to_contain_text("No leader. Writes are refused since", timeout=10_000)
        second.start()
        third.start()
        expect(page.get_by_text("No leader since")).to_have_count(0, timeout=30_000)
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Key/Value").click()
        create.click()
        page.get_by_label("Name").fill("written-again")
        page.get_by_role("button", name="Create the key").click()
        expect(page.get_by_text("Created written-again")).to_be_visible()


def test_an_agent_that_is_gone_leaves_its_data_on_the_page_and_is_noticed_when_it_is_back(
    browser: Any, fresh: Cluster
) -> None:
    watched = fresh.agents[0]
    with Site(browser, watched.http_url, DESKTOP) as site:
        page = site.open("dc1/docker")
        engines = page.get_by_role("table", name="Engines")
        expect(engines).to_contain_text(ENGINES[2])
        watched.kill9()
        expect(page.get_by_text("Cannot reach")).to_be_visible(timeout=5000)
        expect(page.get_by_role("button", name="Offline")).to_be_visible()
        expect(engines).to_contain_text(ENGINES[2])
        page.get_by_role("link", name="Overview").click()
        expect(page.locator("#verdict")).to_contain_text("Unreachable.")
        page.get_by_role("link", name="Docker").click()
        expect(engines).to_contain_text(ENGINES[2])
        watched.start()
        expect(page.get_by_text("Cannot reach")).to_have_count(0, timeout=15_000)
        register_engine(fresh.agents[1], "10.4.4.4:2375")
        expect(engines).to_contain_text("10.4.4.4:2375", timeout=15_000)


def test_an_engine_that_stops_renewing_is_said_to(browser: Any, fresh: Cluster) -> None:
    register_engine(fresh.agents[1], "10.5.5.5:2375", ttl="10s")
    with Site(browser, fresh.followers()[0].http_url, DESKTOP) as site:
        page = site.open("dc1/docker")
        expect(page.locator("#docker-problems")).to_contain_text(
            "Engine 10.5.5.5:2375 stopped renewing its session", timeout=20_000
        )
        expect(page.get_by_role("table", name="Engines")).not_to_contain_text("10.5.5.5:2375", timeout=30_000)


def test_a_paused_page_stays_as_it_is(browser: Any, fresh: Cluster) -> None:
    with Site(browser, fresh.agents[0].http_url, DESKTOP) as site:
        page = site.open("dc1/kv/paused/")
        expect(page.get_by_text("No key begins with paused/")).to_be_visible()
        page.get_by_role("button", name="Live").click()
        expect(page.get_by_text("Paused since")).to_be_visible()
        put(fresh.agents[1], "paused/key", b"1")
        put(fresh.agents[0], "paused/other", b"1")
        page.get_by_role("link", name="Overview").click()
        page.go_back()
        expect(page.get_by_text("No key begins with paused/")).to_be_visible()
        page.get_by_role("button", name="Follow again").click()
        expect(page.get_by_role("link", name="key", exact=True)).to_be_visible()


def test_two_windows_keep_few_requests_open_and_do_not_delay_a_save(browser: Any, fresh: Cluster) -> None:
    agent = fresh.agents[0]
    put(agent, "two/windows", b"1")
    with Site(browser, agent.http_url, DESKTOP) as site:
        waiting: set[Any] = set()
        second = site.context.new_page()
        for page in (site.page, second):
            page.on("request", lambda request: waiting.add(request) if "wait=" in request.url else None)
            page.on("requestfinished", lambda request: waiting.discard(request))
            page.on("requestfailed", lambda request: waiting.discard(request))
        site.open("dc1/overview")
        second.goto(f"{site.base}/ui/dc1/kv/two/windows/edit")
        second.get_by_role("button", name="Edit", exact=True).click()
        second.get_by_role("textbox", name="Value of two/windows").fill("2")
        assert len(waiting) <= 4
        second.keyboard.press("Control+s")
        expect(second.get_by_text("Saved two/windows")).to_be_visible(timeout=2000)
