"""Pictures of every page, light and dark, at a desktop's and a phone's width, for docs/images.

PYCONSUL_SCREENSHOTS names the folder to write them to; without it they are only taken. They are for people to look at:
nothing compares their pixels.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_settings import DESKTOP, PHONE
from seeding import DN, LOCK_FLAGS, put, register_engine, seed_docker, seed_examples
from site_under_test import Site

from pyconsul.testing.processes import Cluster

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra ui-test)").expect
pytestmark = pytest.mark.slow

BACKEND = "a1" * 32
PAGES = {
    "overview": "dc1/overview",
    "docker": "dc1/docker",
    "network": f"dc1/docker/networks/{BACKEND}",
    "folder": "dc1/kv/docker/nodes/",
    "folder-of-many": "dc1/kv/many/",
    "value": "dc1/kv/app/config.json/edit",
    "locked": "dc1/kv/docker/nodes/192.168.10.80:2375/edit",
    "create": "dc1/kv/app/create",
    "nodes": "dc1/nodes",
    "node": "dc1/nodes/docker1/metadata",
    "sessions": "dc1/sessions",
    "services": "dc1/services",
    "events": "dc1/events",
    "settings": "settings",
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The usual keys, and a second network with an endpoint that was left over."""
    with Cluster(tmp_path_factory.mktemp("pictures"), size=3, extra=["-ui"]) as cluster:
        cluster.start()
        seed_docker(cluster)
        agent = cluster.agents[0]
        seed_examples(agent)
        register_engine(agent, "192.168.10.83:2375", ttl="30s")
        pool = json.dumps({"AddressSpace": "GlobalDefault", "Gateway": "10.0.1.1/24", "Pool": "10.0.1.0/24"})
        network = {"id": BACKEND, "name": "backend", "networkType": "overlay", "ipamV4Info": f"[{{}},{pool}]"}
        overlay = {
            "mtu": 0,
            "secure": True,
            "subnets": [{"SubnetIP": "10.0.1.0/24", "GwIP": "10.0.1.1/24", "Vni": 257}],
        }
        endpoint = {"name": "old_db", "ep_iface": {"addr": "10.0.1.2/24", "mac": "02:42:0a:00:01:02"}}
        for key, value in (
            (f"network/{BACKEND}/", network),
            (f"overlay/network/{BACKEND}/", overlay),
            (f"endpoint_count/{BACKEND}/", {"Count": 2}),
            (f"endpoint/{BACKEND}/{'dd' * 32}/", {**endpoint, "locator": "192.168.10.99"}),
        ):
            put(agent, DN + key, json.dumps(value).encode(), f"?flags={LOCK_FLAGS}")
        yield cluster
    cluster.assert_no_tracebacks()


@pytest.mark.parametrize("width", ["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_of_every_page(browser: Any, shown: Cluster, tmp_path: Path, scheme: str, width: str) -> None:
    folder = Path(os.environ.get("PYCONSUL_SCREENSHOTS") or tmp_path)
    size = DESKTOP if width == "desktop" else PHONE
    with Site(browser, shown.agents[0].http_url, size, scheme) as site:
        for name, path in PAGES.items():
            page = site.open(path)
            expect(page.get_by_text("Loading")).to_have_count(0)
            if name.startswith("folder") and width == "desktop":
                expect(page.locator(".table-body .numeric").first).to_contain_text("B")  # sizes come after names
            whole = name not in ("folder-of-many", "nodes")
            target = folder / f"ui-{name}-{width}-{scheme}.png"
            page.screenshot(path=target, full_page=whole)
            assert target.stat().st_size > 5000, name
        put(shown.agents[0], "app/motd", b"Hello\nworld\n")
        page = site.open("dc1/kv/app/motd/edit")
        page.get_by_role("button", name="Edit", exact=True).click()
        page.get_by_role("textbox", name="Value of app/motd").fill("Hello\nall of you\n")
        put(shown.agents[0], "app/motd", b"Good morning\nworld\n")
        expect(page.get_by_text("changed elsewhere while")).to_be_visible()
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("region", name="Conflict")).to_be_visible()
        page.screenshot(path=folder / f"ui-conflict-{width}-{scheme}.png", full_page=True)
