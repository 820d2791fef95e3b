"""The page of agents that are configured otherwise: another path, refused requests; and its tree of folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browser_settings import DESKTOP
from seeding import put, seed_docker, session
from site_under_test import Site

from pyconsul.testing.processes import Cluster, wait_for

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra ui-test)").expect
pytestmark = pytest.mark.slow


def test_another_content_path(browser: Any, tmp_path: Path) -> None:
    with Cluster(tmp_path, size=1, extra=["-ui", "-ui-content-path=/a/page/"]) as cluster:
        cluster.start()
        agent = cluster.agents[0]
        put(agent, "app/key", b"found")
        assert agent.request("GET", "/ui/").status == 404
        with Site(browser, agent.http_url, DESKTOP) as site:
            page = site.page
            page.goto(f"{site.base}/")
            expect(page).to_have_url(f"{site.base}/a/page/dc1/overview")
            page.get_by_role("navigation", name="Pages").get_by_role("link", name="Key/Value").click()
            page.get_by_role("link", name="app/").click()
            page.get_by_role("link", name="key", exact=True).click()
            expect(page).to_have_url(f"{site.base}/a/page/dc1/kv/app/key/edit")
            page.reload()
            expect(page.get_by_label("Value as text")).to_have_text("found")


def test_without_ui_there_is_no_page(tmp_path: Path) -> None:
    with Cluster(tmp_path, size=1) as cluster:
        cluster.start()
        agent = cluster.agents[0]
        assert agent.request("GET", "/").body == b"Consul Agent"
        for path in ("/ui", "/ui/", "/ui/dc1/kv/docker/nodes/"):
            assert agent.request("GET", path).status == 404


def test_a_refused_request_says_so_keeps_the_address_and_offers_to_log_in(browser: Any, tmp_path: Path) -> None:
    refusing = tmp_path / "refusing.json"
    refusing.write_text(json.dumps({"http_config": {"block_endpoints": ["/v1/kv/secret/"]}}))
    with Cluster(tmp_path, size=1, extra=["-ui", f"-config-file={refusing}"]) as cluster:
        cluster.start()
        agent = cluster.agents[0]
        put(agent, "open/key", b"1")
        with Site(browser, agent.http_url, DESKTOP) as site:
            page = site.open("dc1/kv/secret/")
            expect(page.get_by_text("You may not see this folder")).to_be_visible()
            assert site.path == "dc1/kv/secret/"
            page.get_by_role("button", name="Log in with a token").click()
            dialog = page.get_by_role("dialog")
            dialog.get_by_label("Secret ID").fill("some-secret")
            dialog.get_by_role("button", name="Log in").click()
            expect(page.get_by_text("The token that this page uses does not allow it")).to_be_visible()
            assert page.evaluate("localStorage.getItem('pyconsul:token')") is None
            assert "some-secret" not in page.url
            refusing.write_text("{}")
            agent.restart()
            expect(page.get_by_text("No key begins with secret/")).to_be_visible(timeout=20_000)


def test_the_tree_of_folders(browser: Any, tmp_path: Path) -> None:
    with Cluster(tmp_path, size=3, extra=["-ui"]) as cluster:
        cluster.start()
        seed_docker(cluster)
        with Site(browser, cluster.agents[0].http_url, DESKTOP) as site:
            page = site.open("dc1/kv")
            page.get_by_role("button", name="Tree").click()
            tree = page.get_by_role("navigation", name="Folders as a tree")
            tree.get_by_role("button", name="Folders in docker").click()
            tree.get_by_role("link", name="nodes").click()
            expect(page.get_by_role("link", name="192.168.10.81:2375", exact=True)).to_be_visible()
            expect(tree.get_by_role("link", name="nodes")).to_have_attribute("aria-current", "page")
            page.reload()
            expect(tree.get_by_role("link", name="nodes")).to_have_attribute("aria-current", "page")


def test_a_client_agents_page_shows_the_cluster(browser: Any, tmp_path: Path) -> None:
    with Cluster(tmp_path, size=3) as cluster:
        cluster.start()
        seed_docker(cluster)
        client = cluster.add(cluster.new_agent(4))
        address = client.address
        client.arguments = ["-data-dir", str(client.data_dir), "-node", "client", "-bind", address, "-client", address]
        client.arguments += ["-ui", "-retry-join", cluster.agents[0].address]
        client.start()
        wait_for("the client finds a server", lambda: client.request("GET", "/v1/catalog/nodes").status == 200)
        with Site(browser, client.http_url, DESKTOP) as site:
            page = site.open("dc1/overview")
            expect(page.locator(".card.leader")).to_contain_text(cluster.leader().name)
            expect(page.locator("#verdict")).to_contain_text("3 of 4 Docker engines registered")
            page.get_by_role("link", name="Docker", exact=True).click()
            expect(page.get_by_role("table", name="Engines")).to_contain_text("left")


def test_docker_keys_behind_a_path_are_found(browser: Any, tmp_path: Path) -> None:
    with Cluster(tmp_path, size=1, extra=["-ui"]) as cluster:
        cluster.start()
        agent = cluster.agents[0]
        with Site(browser, agent.http_url, DESKTOP) as site:
            page = site.open("dc1/docker")
            expect(page.get_by_text("No Docker engine has registered here yet")).to_be_visible()
            expect(page.get_by_text(f"--cluster-store=consul://{agent.address}:8500")).to_be_visible()
            held_by = session(agent)
            put(agent, "network/docker/nodes/10.1.2.3:2375", b"10.1.2.3:2375", f"?acquire={held_by}")
            page.reload()
            expect(page.get_by_role("table", name="Engines")).to_contain_text("10.1.2.3:2375")
            put(agent, f"network/docker/network/v1.0/network/{'ab' * 32}/", b'{"name":"mine"}')
            expect(page.get_by_role("table", name="Networks")).to_contain_text("mine")


def test_a_hidden_tab_asks_for_nothing(browser: Any, tmp_path: Path) -> None:
    with Cluster(tmp_path, size=1, extra=["-ui"]) as cluster:
        cluster.start()
        with Site(browser, cluster.agents[0].http_url, DESKTOP) as site:
            page = site.open("dc1/overview")
            expect(page.locator("#verdict")).to_be_visible()
            hide = """(state) => {
                Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
                document.dispatchEvent(new Event('visibilitychange'));
            }"""
            page.evaluate(hide, "hidden")
            put(cluster.agents[0], "docker/nodes/10.7.7.7:2375", b"x")
            asked = page.evaluate("performance.getEntriesByType('resource').length")
            page.wait_for_function("(end) => performance.now() > end", arg=page.evaluate("performance.now()") + 4000)
            assert page.evaluate("performance.getEntriesByType('resource').length") <= asked + 1
            page.evaluate(hide, "visible")
            expect(page.locator("main")).to_contain_text("10.7.7.7:2375")
