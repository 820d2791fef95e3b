"""What every run of the tests looks at: each page shows what is in the cluster, and follows it."""

from __future__ import annotations

from typing import Any

import pytest
from seeding import DN, ENGINES, NETWORK, call, get, put, register_engine
from site_under_test import Site

from pyconsul.testing.processes import Cluster

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra ui-test)").expect
LIVE_MS = 2000


def test_the_tutorials_bookmark_shows_the_registered_engines(site: Site) -> None:
    page = site.open("dc1/kv/docker/nodes/")
    for address in ENGINES:
        expect(page.get_by_role("link", name=address, exact=True)).to_be_visible()
    assert site.path == "dc1/kv/docker/nodes/"
    site.open("dc1/kv/docker/nodes")
    expect(page.get_by_role("link", name=ENGINES[0], exact=True)).to_be_visible()
    assert site.path == "dc1/kv/docker/nodes/"


def test_the_overview_says_in_a_sentence_how_the_cluster_is(site: Site, seeded: Cluster) -> None:
    page = site.open("")
    expect(page.locator("#verdict")).to_contain_text("1 check is critical: db answers on outside", timeout=LIVE_MS)
    assert site.path == "dc1/overview"
    expect(page.locator(".boot")).to_have_count(0)
    leader = seeded.leader().name
    expect(page.locator(".card.leader")).to_contain_text(leader)
    expect(page.get_by_text("up to date")).to_have_count(2)
    expect(page.locator(".figures")).to_contain_text("Commit index")
    expect(page.locator("main")).to_contain_text("3 of 3 engines")


def test_the_docker_page_shows_engines_networks_and_endpoints_and_what_is_wrong(site: Site, seeded: Cluster) -> None:
    page = site.open("dc1/docker")
    engines = page.get_by_role("table", name="Engines")
    for address in ENGINES:
        expect(engines.get_by_role("link", name=address, exact=True)).to_be_visible()
    expect(engines).to_contain_text("left")
    networks = page.get_by_role("table", name="Networks")
    expect(networks).to_contain_text("10.0.0.0/24")
    expect(networks).to_contain_text("10.0.0.1/24")
    expect(networks).to_contain_text("256")
    expect(page.get_by_role("table", name="Endpoints").get_by_role("row")).to_have_count(4)
    # A network appears, and says what it lacks; an engine goes with its session.
    agent = seeded.agents[1]
    put(agent, f"{DN}network/{'ab' * 32}/", b'{"name":"bare","networkType":"overlay"}')
    expect(networks).to_contain_text("there is no subnet data for it", timeout=LIVE_MS)
    call(agent, "DELETE", f"/v1/kv/{DN}network/{'ab' * 32}/")
    expect(networks).not_to_contain_text("bare", timeout=LIVE_MS)
    held_by = register_engine(agent, "10.9.9.9:2375")
    expect(engines).to_contain_text("10.9.9.9:2375", timeout=LIVE_MS)
    call(agent, "PUT", f"/v1/session/destroy/{held_by}")
    expect(engines).not_to_contain_text("10.9.9.9:2375", timeout=LIVE_MS)


def test_a_write_made_elsewhere_is_seen_within_a_second(site: Site, seeded: Cluster) -> None:
    page = site.open("dc1/kv/app/")
    expect(page.get_by_role("link", name="motd")).to_be_visible()
    put(seeded.agents[2], "app/arrived", b"1")
    expect(page.get_by_role("link", name="arrived")).to_be_visible(timeout=1000)
    call(seeded.agents[2], "DELETE", "/v1/kv/app/arrived")
    expect(page.get_by_role("link", name="arrived")).to_have_count(0, timeout=LIVE_MS)


def test_a_key_is_created_edited_deleted_and_brought_back(site: Site, seeded: Cluster) -> None:
    agent = seeded.agents[0]
    page = site.open("dc1/kv/app/")
    page.get_by_role("button", name="Create").click()
    page.get_by_label("Name").fill("new/thing")
    page.get_by_role("textbox", name="Value").fill("first")
    page.get_by_role("button", name="Create the key").click()
    expect(page.get_by_label("Value as text")).to_have_text("first")
    assert site.path == "dc1/kv/app/new/thing/edit"
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_role("textbox", name="Value of app/new/thing").fill("second")
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Saved app/new/thing")).to_be_visible()
    entry = get(agent, "app/new/thing")
    assert entry is not None and entry["Value"] == b"second"
    page.get_by_role("button", name="Close", exact=True).click()
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("app/new/thing")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("Deleted app/new/thing")).to_be_visible()
    assert get(agent, "app/new/thing") is None
    page.get_by_role("button", name="Undo").last.click()
    expect(page.get_by_text("Restored app/new/thing")).to_be_visible()
    entry = get(agent, "app/new/thing")
    assert entry is not None and entry["Value"] == b"second"
    call(agent, "DELETE", "/v1/kv/app/new/?recurse")


def test_two_editors_in_conflict_see_both_versions(site: Site, seeded: Cluster) -> None:
    agent = seeded.agents[0]
    put(agent, "conflict/key", b"line one\nline two\n")
    page = site.open("dc1/kv/conflict/key/edit")
    page.get_by_role("button", name="Edit", exact=True).click()
    field = page.get_by_role("textbox", name="Value of conflict/key")
    field.fill("line one\nmine\n")
    put(agent, "conflict/key", b"theirs\nline two\n")
    expect(page.get_by_text("changed elsewhere while you were editing")).to_be_visible(timeout=LIVE_MS)
    expect(field).to_have_value("line one\nmine\n")
    page.get_by_role("button", name="Save", exact=True).click()
    conflict = page.get_by_role("region", name="Conflict")
    expect(conflict).to_contain_text("Somebody else saved this key meanwhile")
    expect(conflict.get_by_label("Theirs")).to_contain_text("theirs")
    expect(conflict.get_by_label("Yours")).to_contain_text("mine")
    entry = get(agent, "conflict/key")
    assert entry is not None and entry["Value"] == b"theirs\nline two\n"
    conflict.get_by_role("button", name="Save mine").click()
    expect(page.get_by_text("Saved conflict/key")).to_be_visible()
    entry = get(agent, "conflict/key")
    assert entry is not None and entry["Value"] == b"line one\nmine\n"
    call(agent, "DELETE", "/v1/kv/conflict/key")


def test_stored_scripts_are_text(site: Site) -> None:
    page = site.open("dc1/kv/app/")
    page.get_by_role("link", name="<script>window.hacked").click()
    expect(page.get_by_label("Value as text")).to_contain_text("<script>window.hacked = 1</script>")


def test_a_locked_key_leads_to_its_session(site: Site, seeded: Cluster) -> None:
    page = site.open("dc1/kv/locks/job/edit")
    lock = page.get_by_role("region", name="Lock")
    expect(lock).to_contain_text("a named lock")
    expect(lock).to_contain_text("its keys are released")
    lock.get_by_role("link", name="a named lock").click()
    table = page.get_by_role("table", name="Sessions")
    expect(table.get_by_role("row")).to_have_count(2)
    expect(table).to_contain_text("locks/job")
    expect(table).to_contain_text("left")


def test_nodes_services_events_and_settings(site: Site, seeded: Cluster) -> None:
    page = site.open("dc1/nodes")
    table = page.get_by_role("table", name="Nodes")
    expect(table.get_by_text("Leader", exact=True)).to_have_count(1)
    expect(table.get_by_text("alive", exact=True)).to_have_count(3)
    expect(table).to_contain_text("registered by hand")
    page.get_by_role("link", name="Services").click()
    expect(page.get_by_role("table", name="Services").get_by_role("row").nth(1)).to_contain_text("critical")
    page.get_by_role("link", name="Events").click()
    expect(page.get_by_role("table", name="User events")).to_contain_text("deploy")
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("dark", exact=True).check()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_phone_needs_no_sideways_scrolling(phone: Site) -> None:
    for path in (
        "dc1/overview",
        "dc1/docker",
        "dc1/kv/docker/nodes/",
        "dc1/sessions",
        f"dc1/docker/networks/{NETWORK}",
    ):
        page = phone.open(path)
        page.get_by_role("button", name="Menu").wait_for()
        expect(page.get_by_role("status").first).to_be_attached()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_the_whole_page_is_small_and_fast(site: Site) -> None:
    page = site.open("dc1/overview")
    expect(page.locator("#verdict")).to_be_visible()
    sizes = page.evaluate(
        "performance.getEntriesByType('resource').filter((each) => each.name.includes('/assets/'))"
        ".map((each) => each.encodedBodySize)"
    )
    assert 0 < sum(sizes) < 100_000
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint < 5000  # ms; the one-second budget is for a machine without other work
