"""Accessibility, keyboard, widths, a hundred thousand keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser_settings import CHROMIUM, DESKTOP, FLAGS, PHONE
from seeding import ENGINES, NETWORK, put_many
from site_under_test import Site

from pyconsul.testing.processes import Cluster

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra ui-test)").expect
pytestmark = pytest.mark.slow

AXE = (Path(__file__).parent / "data" / "axe-4.14.1.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
ROUTES = [
    "dc1/overview",
    "dc1/docker",
    f"dc1/docker/networks/{NETWORK}",
    f"dc1/docker/engines/{ENGINES[0]}",
    "dc1/kv",
    "dc1/kv/app/",
    "dc1/kv/app/?below=1&q=ee&values=1",
    "dc1/kv/none/here/",
    "dc1/kv/many/",
    "dc1/kv/app/config.json/edit",
    "dc1/kv/app/logo.png/edit",
    "dc1/kv/locks/job/edit",
    "dc1/kv/missing/edit",
    "dc1/kv/app/create",
    "dc1/nodes",
    "dc1/nodes?status=critical,warning&sort=Node:desc",
    "dc1/nodes/docker1/health-checks",
    "dc1/nodes/docker1/metadata",
    "dc1/nodes/outside",
    "dc1/sessions",
    "dc1/services",
    "dc1/services/web/instances",
    "dc1/events",
    "dc1/search?q=web",
    "settings",
    "dc1/acls/tokens",
    "dc1/nothing/here",
    "dc9/overview",
]


def violations(page: Any) -> list[str]:
    page.evaluate(AXE)
    found = page.evaluate("(tags) => axe.run({ runOnly: { type: 'tag', values: tags } })", RULES)
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("width", ["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_breaks_a_rule_of_accessibility(browser: Any, seeded: Cluster, scheme: str, width: str) -> None:
    size = DESKTOP if width == "desktop" else PHONE
    problems: dict[str, list[str]] = {}
    with Site(browser, seeded.agents[0].http_url, size, scheme) as site:
        for route in ROUTES:
            page = site.open(route)
            expect(page.get_by_text("Loading")).to_have_count(0)
            found = violations(page)
            if found:
                problems[route] = found
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], route
    assert problems == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dialogs_and_the_editor_break_no_rule(browser: Any, seeded: Cluster, scheme: str) -> None:
    with Site(browser, seeded.agents[0].http_url, DESKTOP, scheme) as site:
        page = site.open("dc1/kv/app/")
        for name in ("Import", "Move", "Delete"):
            page.get_by_role("button", name=name, exact=True).click()
            expect(page.get_by_role("dialog")).to_be_visible()
            expect(page.get_by_text("Loading")).to_have_count(0)
            assert violations(page) == [], name
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)
            expect(page.get_by_role("button", name=name, exact=True)).to_be_focused()
        page.locator("summary", has_text="Kind").click()
        page.get_by_role("checkbox", name="folder", exact=True).check()
        expect(page.get_by_role("group", name="Active filters")).to_be_visible()
        assert violations(page) == []
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Kind: folder").click()
        page.locator("main").focus()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
        assert violations(page) == []
        page.keyboard.press("Escape")
        site.open("dc1/kv/app/config.json/edit")
        page.get_by_role("button", name="Edit", exact=True).click()
        page.get_by_role("textbox", name="Value of").fill("{")
        assert violations(page) == []


@pytest.mark.parametrize("width", [320, 640])
def test_narrow_windows_need_no_sideways_scrolling(browser: Any, seeded: Cluster, width: int) -> None:
    """320 pixels; and 640, which is what 1280 pixels are at 200 %."""
    with Site(browser, seeded.agents[0].http_url, {"width": width, "height": 700}) as site:
        for route in ROUTES:
            page = site.open(route)
            expect(page.get_by_text("Loading")).to_have_count(0)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, route


def test_a_walk_with_the_keyboard_alone(site: Site, seeded: Cluster) -> None:
    page = site.open("dc1/overview")
    keyboard = page.keyboard
    keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    keyboard.press("g")
    keyboard.press("k")
    expect(page.locator("h1")).to_contain_text("Key/Value")
    expect(page.locator("main")).to_be_focused()
    keyboard.press("/")
    search = page.get_by_role("searchbox", name="Filter this folder")
    expect(search).to_be_focused()
    keyboard.type("docke")
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page.get_by_role("link", name="docker/")).to_be_visible()
    keyboard.press("Tab")
    while not page.get_by_role("link", name="docker/").evaluate("(each) => each === document.activeElement"):
        keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", "the focus cannot be seen"
    keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("docker")
    first = page.get_by_role("link", name="network/")
    expect(first).to_be_visible()
    keyboard.press("j")
    expect(first).to_be_focused()
    keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("network")
    keyboard.press("u")
    expect(page.locator("h1")).to_contain_text("docker")
    site.open("dc1/kv/app/motd/edit")
    expect(page.get_by_label("Value as text")).to_be_visible()
    keyboard.press("e")
    field = page.get_by_role("textbox", name="Value of app/motd")
    expect(field).to_be_focused()
    keyboard.press("Control+a")
    keyboard.type("g k ? /")  # no shortcut works in a field
    expect(field).to_have_value("g k ? /")
    expect(page.get_by_role("dialog")).to_have_count(0)
    keyboard.press("Control+Shift+S")
    expect(page.get_by_label("Value as text")).to_have_text("g k ? /")
    keyboard.press("Control+k")
    expect(page.get_by_role("searchbox", name="Search all keys")).to_be_focused()
    keyboard.type("needle")
    expect(page.get_by_role("link", name="app/sub/deep/needle")).to_be_visible()


def test_shortcuts_can_be_turned_off(site: Site) -> None:
    page = site.open("settings")
    page.get_by_role("group", name="Keyboard shortcuts").get_by_label("off").check()
    page.locator("main").focus()
    page.keyboard.press("?")
    page.keyboard.press("g")
    page.keyboard.press("k")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("h1")).to_have_text("Settings")


def test_nothing_moves_with_reduced_motion(browser: Any, seeded: Cluster) -> None:
    with Site(browser, seeded.agents[0].http_url, DESKTOP, reduced_motion="reduce") as site:
        page = site.open("dc1/overview")
        expect(page.locator("#verdict")).to_be_visible()
        assert page.evaluate("document.getAnimations().length") == 0


def test_the_first_frame_has_the_systems_colours(browser: Any, seeded: Cluster) -> None:
    with Site(browser, seeded.agents[0].http_url, DESKTOP, "dark") as site:
        page = site.open("dc1/overview")
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(20, 23, 28)"
        page.get_by_role("button", name="Colours: system").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "light")
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(246, 246, 246)"


def test_copying_works_without_a_secure_origin(site: Site) -> None:
    page = site.open("dc1/kv/app/motd/edit")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Copy the key").click()
    expect(page.get_by_text("Copied the key")).to_be_visible()


def test_a_hundred_thousand_keys_in_a_folder(browser: Any, fresh: Cluster) -> None:
    agent = fresh.leader()
    put_many(agent, [{"Verb": "set", "Key": f"huge/{number:06}", "Value": ""} for number in range(100_000)])
    with Site(browser, agent.http_url, DESKTOP) as site:
        page = site.open("dc1/kv/huge/")
        expect(page.get_by_text("100 000 entries")).to_be_visible(timeout=3000)
        assert page.locator("[data-row]").count() < 100
        page.evaluate("window.scrollTo(0, 40 * 77777)")
        expect(page.get_by_role("link", name="077777")).to_be_in_viewport(timeout=1000)
        page.get_by_role("searchbox", name="Filter this folder").fill("99999")
        expect(page.get_by_text("1 of 100000")).to_be_visible(timeout=1000)
        frame = page.evaluate(
            """() => new Promise((done) => {
                const times = [];
                let before = performance.now();
                const step = (now) => {
                    times.push(now - before);
                    before = now;
                    if (times.length === 30) done(Math.max(...times.slice(2)));
                    else { window.scrollBy(0, 400); requestAnimationFrame(step); }
                };
                document.querySelector('.filter-input').value = '';
                requestAnimationFrame(step);
            })"""
        )
        assert frame < 1000, "scrolling stops the page"


def test_copying_over_plain_http_to_a_name(browser: Any, seeded: Cluster) -> None:
    """Over http:// to another name than localhost there is no clipboard interface; all else works."""
    agent = seeded.agents[0]
    rule = f"--host-resolver-rules=MAP ui.test {agent.address}"
    other = browser.browser_type.launch(executable_path=CHROMIUM, args=[*FLAGS[:-1], rule])
    try:
        with Site(other, agent.http_url.replace(agent.address, "ui.test"), DESKTOP) as site:
            page = site.open("dc1/kv/app/motd/edit")
            assert page.evaluate("isSecureContext") is False
            assert page.evaluate("navigator.clipboard === undefined")
            page.get_by_role("button", name="Copy the key").click()
            expect(page.get_by_text("Copied the key")).to_be_visible()
            page.get_by_role("button", name="Edit", exact=True).click()
            field = page.get_by_role("textbox", name="Value of app/motd")
            field.fill("")
            field.press("Control+v")
            expect(field).to_have_value("app/motd")
    finally:
        other.close()


def test_every_link_and_button_can_be_hovered(site: Site) -> None:
    """What is hovered asks nobody else for anything: the site fails on requests to another origin."""
    for route in ("dc1/overview", "dc1/docker", "dc1/kv/app/", "dc1/kv/app/motd/edit", "dc1/nodes", "settings"):
        page = site.open(route)
        expect(page.get_by_text("Loading")).to_have_count(0)
        page.evaluate(
            "for (const each of document.querySelectorAll('a, button'))"
            " for (const type of ['pointerover', 'mouseover', 'mouseenter', 'focus'])"
            " each.dispatchEvent(new Event(type, { bubbles: true }))"
        )
        targets = page.evaluate("[...document.querySelectorAll('a[href]')].map((each) => each.origin)")
        assert set(targets) == {site.base}
