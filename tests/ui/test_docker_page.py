"""The Docker page with more than one network, with what is wrong in them, and by keyboard alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from seeding import DN, ENGINES, call, put, register_engine
from site_under_test import Site

from pyconsul.testing.processes import Cluster

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra ui-test)").expect
pytestmark = pytest.mark.slow
LIVE_MS = 2000

SECOND = "b2" * 32
BROKEN = "c3" * 32
ENDPOINT = f"{DN}endpoint/{SECOND}/{'dd' * 32}/"


@pytest.fixture
def second_network(seeded: Cluster) -> Iterator[Cluster]:
    """A network whose counter is wrong, with one endpoint whose engine is not registered; and one that is no JSON."""
    pool = json.dumps({"AddressSpace": "GlobalDefault", "Gateway": "10.0.1.1/24", "Pool": "10.0.1.0/24"})
    subnet = {"SubnetIP": "10.0.1.0/24", "GwIP": "10.0.1.1/24", "Vni": 257}
    values = {
        f"{DN}network/{SECOND}/": {"id": SECOND, "name": "back", "networkType": "overlay", "ipamV4Info": f"[{pool}]"},
        f"{DN}overlay/network/{SECOND}/": {"mtu": 0, "secure": True, "subnets": [subnet]},
        f"{DN}endpoint_count/{SECOND}/": {"Count": 2},
        ENDPOINT: {"name": "old_db", "ep_iface": {"addr": "10.0.1.2/24"}, "locator": "192.168.10.99"},
    }
    agent = seeded.agents[0]
    for key, value in values.items():
        put(agent, key, json.dumps(value).encode())
    yield seeded
    for key in values:
        call(agent, "DELETE", f"/v1/kv/{key}")


def test_two_networks_four_endpoints_and_what_is_wrong(site: Site, second_network: Cluster) -> None:
    agent = second_network.agents[0]
    page = site.open("dc1/docker")
    engines, networks = page.get_by_role("table", name="Engines"), page.get_by_role("table", name="Networks")
    endpoints = page.get_by_role("table", name="Endpoints")
    expect(engines.get_by_role("row")).to_have_count(4)
    expect(networks.get_by_role("row")).to_have_count(3)
    expect(endpoints.get_by_role("row")).to_have_count(5)
    back = networks.get_by_role("row").filter(has_text="back")
    for text in ("10.0.1.0/24", "10.0.1.1/24", "257", "encrypted", "1 (counted: 2)"):
        expect(back).to_contain_text(text)
    stale = endpoints.get_by_role("row").filter(has_text="old_db")
    for text in ("10.0.1.2", "192.168.10.99", "its engine is not registered"):
        expect(stale).to_contain_text(text)
    # A value that is no JSON is a problem of its row alone, and can be read.
    put(agent, f"{DN}network/{BROKEN}/", b"no json at all")
    expect(networks.get_by_role("row")).to_have_count(4, timeout=LIVE_MS)
    expect(endpoints.get_by_role("row")).to_have_count(5)
    networks.get_by_role("row").filter(has_text=BROKEN[:6]).get_by_role("link").first.click()
    page.get_by_role("button", name="Show JSON").click()
    expect(page.locator("main")).to_contain_text("no json at all")
    call(agent, "DELETE", f"/v1/kv/{DN}network/{BROKEN}/")


def test_an_engine_that_goes_lowers_the_overviews_count(site: Site, seeded: Cluster) -> None:
    agent = seeded.agents[0]
    held_by = register_engine(agent, "10.9.9.8:2375")
    page = site.open("dc1/overview")
    expect(page.locator("main")).to_contain_text("4 engines")
    call(agent, "PUT", f"/v1/session/destroy/{held_by}")
    expect(page.locator("main")).to_contain_text("3 of 3 engines", timeout=LIVE_MS)


def focus_by_tab(page: Any, target: Any) -> None:
    """Walks with Tab until the target has the focus; every stop on the way can be seen."""
    for _ in range(120):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        inside = page.evaluate("getComputedStyle(document.activeElement.parentElement).outlineStyle")
        assert "none" not in (outline, inside) or outline != "none" or inside != "none", "the focus cannot be seen"
        if target.evaluate("(each) => each === document.activeElement"):
            return
    raise AssertionError("Tab does not lead there")


def test_the_docker_pages_by_keyboard_alone(site: Site, second_network: Cluster) -> None:
    agent = second_network.agents[0]
    page = site.open("dc1/overview")
    expect(page.locator("#verdict")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("d")
    expect(page.get_by_role("link", name=ENGINES[0], exact=True)).to_be_visible()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name=ENGINES[0], exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text(ENGINES[0])
    focus_by_tab(page, page.get_by_role("navigation", name="Path").get_by_role("link", name="Docker"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("table", name="Networks")).to_be_visible()
    focus_by_tab(page, page.get_by_role("link", name="back", exact=True).first)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("back")
    focus_by_tab(page, page.get_by_role("button", name="Show JSON"))
    page.keyboard.press("Enter")
    expect(page.get_by_label("Value as JSON")).to_be_visible()
    focus_by_tab(page, page.get_by_role("button", name="Copy the command"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Copied the command")).to_be_visible()
    focus_by_tab(page, page.get_by_role("button", name="Delete the key of old_db"))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("This deletes the key")
    focus_by_tab(page, dialog.get_by_role("button", name="Delete", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_text("No container is connected")).to_be_visible(timeout=LIVE_MS)
    put(agent, ENDPOINT, b"{}")  # for the fixture to remove
