"""What the page keeps for the person who edits: drafts, bookmarks, what changed, what an import would change."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from seeding import LOCK_FLAGS, call, get, put, session
from site_under_test import Site

from pyconsul.testing.processes import Cluster

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra ui-test)").expect
pytestmark = pytest.mark.slow
LIVE_MS = 2000


def test_a_draft_stays_over_a_reload_and_still_notices_others(site: Site, seeded: Cluster) -> None:
    agent = seeded.agents[0]
    put(agent, "draft/key", b"first\n")
    page = site.open("dc1/kv/draft/key/edit")
    page.get_by_role("button", name="Edit", exact=True).click()
    field = page.get_by_role("textbox", name="Value of draft/key")
    field.fill("first\nmine\n")
    page.on("dialog", lambda dialog: dialog.accept())  # the browser's own question before leaving
    page.reload()
    expect(page.get_by_text("A draft of this value is kept in this tab")).to_be_visible()
    assert get(agent, "draft/key")["Value"] == b"first\n"  # type: ignore[index]
    put(agent, "draft/key", b"theirs\n")
    page.get_by_role("button", name="Go on editing").click()
    expect(field).to_have_value("first\nmine\n")
    expect(page.get_by_text("changed elsewhere while you were editing")).to_be_visible(timeout=LIVE_MS)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("region", name="Conflict")).to_be_visible()
    page.get_by_role("button", name="Save mine").click()
    expect(page.get_by_text("Saved draft/key")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Value as text")).to_have_text("first\nmine\n")
    expect(page.get_by_text("A draft of this value")).to_have_count(0)
    page.get_by_role("button", name="Edit", exact=True).click()
    field.fill("to be thrown away")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Leave").click()
    expect(page.get_by_label("Value as text")).to_have_text("first\nmine\n")
    expect(page.get_by_text("A draft of this value")).to_have_count(0)
    call(agent, "DELETE", "/v1/kv/draft/key")


def test_a_change_made_elsewhere_is_told_while_a_value_is_looked_at(site: Site, seeded: Cluster) -> None:
    agent = seeded.agents[1]
    put(agent, "seen/key", b"one\ntwo\n")
    page = site.open("dc1/kv/seen/key/edit")
    expect(page.get_by_label("Value as text")).to_have_text("one\ntwo\n")
    put(agent, "seen/key", b"one\nthree\n")
    expect(page.get_by_text("This value was changed elsewhere while it was open")).to_be_visible(timeout=LIVE_MS)
    page.get_by_role("button", name="Show what changed").click()
    shown = page.get_by_label("What changed")
    expect(shown).to_contain_text("removed: − two")
    expect(shown).to_contain_text("added: + three")
    page.get_by_role("button", name="Dismiss", exact=True).first.click()
    expect(page.get_by_text("This value was changed elsewhere")).to_have_count(0)
    # What the page itself saves is no news.
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_role("textbox", name="Value of seen/key").fill("four")
    page.keyboard.press("Control+Shift+S")
    expect(page.get_by_label("Value as text")).to_have_text("four")
    expect(page.get_by_text("This value was changed elsewhere")).to_have_count(0)
    call(agent, "DELETE", "/v1/kv/seen/key")


def test_bookmarks_and_recent_keys(site: Site) -> None:
    page = site.open("dc1/kv/app/motd/edit")
    page.get_by_role("button", name="Bookmark").click()
    site.open("dc1/kv/odd/")
    expect(page.get_by_role("link", name="create", exact=True)).to_be_visible()
    site.open("dc1/kv")
    bookmarks, recent = page.get_by_role("navigation", name="Bookmarks"), page.get_by_role("navigation", name="Recent")
    expect(bookmarks.get_by_role("link")).to_have_text(["app/motd"])
    expect(recent.get_by_role("link")).to_have_text(["odd/"])
    bookmarks.get_by_role("link", name="app/motd").click()
    expect(page.get_by_label("Value as text")).to_be_visible()
    page.get_by_role("button", name="Bookmark").click()
    site.open("dc1/kv")
    expect(bookmarks).to_have_count(0)
    expect(recent.get_by_role("link")).to_have_text(["app/motd", "odd/"])
    site.open("settings")
    page.get_by_role("button", name="Forget bookmarks and recent keys").click()
    site.open("dc1/kv")
    expect(page.get_by_role("table").get_by_role("link", name="app/")).to_be_visible()
    expect(recent).to_have_count(0)


def test_an_import_shows_each_difference_first(site: Site, seeded: Cluster, tmp_path: Path) -> None:
    agent = seeded.agents[0]
    put(agent, "in/differs", b"one\ntwo\n")
    put(agent, "in/same", b"same")
    entries = [("in/differs", 7, b"one\nthree\n"), ("in/same", 0, b"same"), ("in/new", 0, b"x"), ("in/new", 0, b"y")]
    text = json.dumps([{"key": k, "flags": f, "value": base64.b64encode(v).decode()} for k, f, v in entries])
    (tmp_path / "import.json").write_text(text)
    page = site.open("dc1/kv/in/")
    page.get_by_role("button", name="Import").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("File").set_input_files(tmp_path / "import.json")
    expect(dialog).to_contain_text("1 new, 1 changed, 1 the same.")
    expect(dialog).to_contain_text("1 entry of the file are repeated later in it")
    dialog.get_by_role("region", name="Values that differ").get_by_text("in/differs").click()
    expect(dialog.get_by_text("Flags: 0 becomes 7")).to_be_visible()
    shown = dialog.get_by_label("Stored and new value of in/differs")
    expect(shown).to_contain_text("removed: − two")
    expect(shown).to_contain_text("added: + three")
    assert get(agent, "in/differs")["Value"] == b"one\ntwo\n"  # type: ignore[index]
    dialog.get_by_role("button", name="Import 1 key").click()
    expect(page.get_by_text("Imported 1 key")).to_be_visible()
    assert get(agent, "in/differs")["Value"] == b"one\ntwo\n"  # type: ignore[index]
    assert get(agent, "in/new")["Value"] == b"y"  # type: ignore[index]
    call(agent, "DELETE", "/v1/kv/in/?recurse")


def test_an_export_into_an_empty_store_gives_equal_keys(site: Site, seeded: Cluster, tmp_path: Path) -> None:
    agent = seeded.agents[0]
    values = {"whole/a": bytes(range(256)), "whole/b/": b"", "whole/b/c": "ünï\r\n".encode(), "whole/d": b"<script>"}
    for key, value in values.items():
        put(agent, key, value, f"?flags={LOCK_FLAGS}")
    page = site.open("dc1/kv/whole/")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export", exact=True).click()
    download.value.save_as(tmp_path / "all.json")
    call(agent, "DELETE", "/v1/kv/whole/?recurse")
    expect(page.get_by_text("No key begins with whole/")).to_be_visible(timeout=LIVE_MS)
    page.get_by_role("button", name="Import").click()
    page.get_by_role("dialog").get_by_label("File").set_input_files(tmp_path / "all.json")
    page.get_by_role("dialog").get_by_role("button", name="Import 4 keys").click()
    expect(page.get_by_text("Imported 4 keys")).to_be_visible()
    for key, value in values.items():
        entry = get(agent, key)
        assert entry is not None and (entry["Flags"], entry["Value"]) == (LOCK_FLAGS, value)
    call(agent, "DELETE", "/v1/kv/whole/?recurse")


def test_text_is_stored_byte_for_byte_and_runs_nothing(site: Site, seeded: Cluster) -> None:
    agent = seeded.agents[0]
    text = "a\tb\n<script>window.hacked = 1</script>\n🦀 𝒳\n"
    page = site.open("dc1/kv/bytes/create")
    page.get_by_label("Name").fill("text")
    page.get_by_role("textbox", name="Value").fill(text)
    page.get_by_role("button", name="Create the key").click()
    expect(page.get_by_label("Value as text")).to_have_text(text)
    assert get(agent, "bytes/text")["Value"] == text.encode()  # type: ignore[index]
    assert page.evaluate("document.querySelector('[aria-label=\"Value as text\"]').textContent") == text
    call(agent, "DELETE", "/v1/kv/bytes/text")


def test_a_folder_that_is_created_is_one_empty_key(site: Site, seeded: Cluster) -> None:
    agent = seeded.agents[0]
    page = site.open("dc1/kv/only/create")
    page.get_by_label("Name").fill("a/")
    page.get_by_role("button", name="Create the folder").click()
    expect(page.get_by_role("heading", name="This folder is also a key")).to_be_visible()
    [entry] = call(agent, "GET", "/v1/kv/only/?recurse")
    assert (entry["Key"], entry["Value"], entry["Flags"]) == ("only/a/", None, 0)
    call(agent, "DELETE", "/v1/kv/only/?recurse")


def test_a_lock_tells_its_node_ttl_behaviour_and_other_keys(site: Site, seeded: Cluster) -> None:
    agent = seeded.agents[0]
    held_by = session(agent, ttl="45m", behavior="release", name="two keys")
    for key in ("held/one", "held/two"):
        put(agent, key, b"x", f"?acquire={held_by}")
    page = site.open("dc1/kv/held/one/edit")
    lock = page.get_by_role("region", name="Lock")
    expect(lock).to_contain_text("45m")
    expect(lock).to_contain_text("its keys are released")
    expect(lock.get_by_role("link", name=agent.name)).to_be_visible()
    expect(lock.get_by_role("link", name="held/two")).to_be_visible()
    lock.get_by_role("button", name="Invalidate session").click()
    page.get_by_role("dialog").get_by_role("button", name="Invalidate").click()
    expect(lock).to_have_count(0, timeout=LIVE_MS)
    expect(page.get_by_label("Value as text")).to_have_text("x")
    call(agent, "DELETE", "/v1/kv/held/?recurse")
