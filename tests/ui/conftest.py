"""A real cluster with Docker's keys in it, and a real browser (Debian's chromium) that looks at it.

Set PYCONSUL_TEST_CHROMIUM to use another browser than /usr/bin/chromium. Without a browser or without playwright these
tests are skipped and say so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from browser_settings import CHROMIUM, DESKTOP, FLAGS, PHONE
from seeding import seed_docker, seed_examples
from site_under_test import Site

from pyconsul.testing.processes import Cluster


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """One browser per module: playwright must be stopped before tests with an event loop of their own run."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra ui-test)")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM} (apt-get install chromium, or set PYCONSUL_TEST_CHROMIUM)")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three servers that tests leave running and find with the same keys; what a test adds has a name of its own."""
    with Cluster(tmp_path_factory.mktemp("ui"), size=3, extra=["-ui"]) as cluster:
        cluster.start()
        seed_docker(cluster)
        seed_examples(cluster.agents[0])
        yield cluster
    cluster.assert_no_tracebacks()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Cluster]:
    """Three servers for a test that stops some of them."""
    with Cluster(tmp_path, size=3, extra=["-ui"]) as cluster:
        cluster.start()
        seed_docker(cluster)
        yield cluster
    cluster.assert_no_tracebacks()


@pytest.fixture
def site(browser: object, seeded: Cluster) -> Iterator[Site]:
    """The page of the first server, at a desktop's width."""
    with Site(browser, seeded.agents[0].http_url, DESKTOP) as opened:
        yield opened


@pytest.fixture
def phone(browser: object, seeded: Cluster) -> Iterator[Site]:
    with Site(browser, seeded.agents[0].http_url, PHONE) as opened:
        yield opened
