"""Keys and values in the page: every name, exact bytes and flags, many keys at once."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from browser_settings import DESKTOP
from seeding import DN, EXAMPLES, LOCK_FLAGS, NETWORK, call, get, put, put_many, session
from site_under_test import Site

from pyconsul.testing.processes import Cluster

expect: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra ui-test)").expect
pytestmark = pytest.mark.slow
LIVE_MS = 2000


@pytest.mark.parametrize(
    ("typed", "lands"),
    [
        ("#/dc1/kv/docker/nodes/", "dc1/kv/docker/nodes/"),
        ("#/dc1/nodes", "dc1/nodes"),
        ("dc1", "dc1/overview"),
        ("dc1/overview/server-status", "dc1/overview"),
        ("setting", "setting"),
        ("settings", "settings"),
        ("~default/dc1/nodes", "dc1/nodes"),
        ("dc1/services/web/outside/web", "dc1/services/web/instances/outside/web/health-checks"),
        ("dc1/nodes/docker1", "dc1/nodes/docker1/health-checks"),
        ("dc1/kv/app/motd", "dc1/kv/app/motd/edit"),
        ("dc1/kv/app", "dc1/kv/app/"),
        ("dc1/kv/gone/with/all/", "dc1/kv/gone/with/all/"),
    ],
)
def test_bookmarks_old_and_new_land(site: Site, typed: str, lands: str) -> None:
    page = site.open(typed)
    expect(page).to_have_url(f"{site.base}/ui/{lands}")
    expect(page.locator("h1")).not_to_have_text("Not found")


def test_an_unknown_datacenter_names_the_known_one(site: Site) -> None:
    page = site.open("dc7/nodes")
    page.get_by_role("link", name="dc1", exact=True).click()
    expect(page).to_have_url(f"{site.base}/ui/dc1/overview")


def test_a_missing_folder_says_so_and_leads_to_the_nearest(site: Site) -> None:
    page = site.open("dc1/kv/app/sub/none/at/all/")
    expect(page.get_by_text("No key begins with app/sub/none/at/all/")).to_be_visible()
    page.get_by_role("link", name="app/sub/", exact=True).click()
    expect(page.get_by_role("link", name="deep/")).to_be_visible()


ODD = ["odd/create", "odd/edit", "odd/a/edit", "/leading", "odd/a//b", "odd/50% ünï?#", "odd/folder/"]


@pytest.mark.parametrize("key", ODD)
def test_odd_names_are_opened_edited_and_deleted(site: Site, seeded: Cluster, key: str) -> None:
    agent = seeded.agents[0]
    page = site.open(f"dc1/kv?key={quote(key, safe='')}")
    expect(page.get_by_label("Value as text")).to_have_text(EXAMPLES[key].decode())
    page.reload()
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_role("textbox", name=f"Value of {key}").fill("edited")
    page.get_by_role("button", name="Save and close").click()
    expect(page.get_by_label("Value as text")).to_have_text("edited")
    entry = get(agent, key)
    assert entry is not None and entry["Value"] == b"edited"
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text(f"Deleted {key}")).to_be_visible()
    assert get(agent, key) is None
    put(agent, key, EXAMPLES[key])


def test_odd_names_are_found_by_clicking(site: Site) -> None:
    page = site.open("dc1/kv")
    page.get_by_role("link", name="∅/").click()
    page.get_by_role("link", name="leading").click()
    expect(page.get_by_label("Value as text")).to_have_text("6")
    site.open("dc1/kv/odd/")
    page.get_by_role("link", name="a/", exact=False).first.click()
    expect(page.get_by_role("link", name="∅/")).to_be_visible()


def test_a_folder_that_is_also_a_key_shows_its_value(site: Site) -> None:
    page = site.open("dc1/kv/odd/folder/")
    expect(page.get_by_role("heading", name="This folder is also a key")).to_be_visible()
    expect(page.get_by_label("Value as text")).to_have_text("a folder's own value")


def test_a_networks_value_is_readable_from_its_folder(site: Site, seeded: Cluster) -> None:
    page = site.open(f"dc1/kv/{DN}network/{NETWORK}/")
    shown = page.get_by_label("Value as JSON")
    expect(shown).to_contain_text('"name": "prod_net"')
    page.get_by_role("button", name="Unfolded").click()
    expect(shown).to_contain_text('"Pool": "10.0.0.0/24"')
    page.get_by_role("button", name="Delete this key alone").click()
    expect(page.get_by_role("dialog")).to_contain_text("This deletes the key")


def test_creating_in_a_folder_after_a_reload(site: Site, seeded: Cluster) -> None:
    page = site.open("dc1/kv/made//create")
    page.reload()
    page.get_by_label("Name").fill("x/y")
    expect(page.get_by_text("The key will be made/x/y")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.base}/ui/dc1/kv/made/x/y/edit")
    site.open("dc1/kv/made/create")
    page.get_by_label("Name").fill("alone/")
    page.get_by_role("button", name="Create the folder").click()
    expect(page).to_have_url(f"{site.base}/ui/dc1/kv/made/alone/")
    entry = get(seeded.agents[0], "made/alone/")
    assert entry is not None and entry["Value"] == b""
    call(seeded.agents[0], "DELETE", "/v1/kv/made/?recurse")


def test_creating_an_existing_key_overwrites_nothing(site: Site, seeded: Cluster) -> None:
    page = site.open("dc1/kv/app/create")
    page.get_by_label("Name").fill("motd")
    expect(page.get_by_text("This key exists already")).to_be_visible()
    page.get_by_role("textbox", name="Value").fill("other")
    page.get_by_role("button", name="Create the key").click()
    expect(page.get_by_role("link", name="Open it")).to_be_visible()
    entry = get(seeded.agents[0], "app/motd")
    assert entry is not None and entry["Value"] == EXAMPLES["app/motd"]


def test_flags_beyond_2_to_the_53_stay_exact(site: Site, seeded: Cluster) -> None:
    agent = seeded.agents[0]
    put(agent, "exact/flags", b"1", f"?flags={LOCK_FLAGS}")
    page = site.open("dc1/kv/exact/flags/edit")
    expect(page.get_by_text(f"{LOCK_FLAGS} (lock)")).to_be_visible()
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_role("textbox", name="Value of exact/flags").fill("2")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved exact/flags")).to_be_visible()
    entry = get(agent, "exact/flags")
    assert entry is not None and (entry["Flags"], entry["Value"]) == (LOCK_FLAGS, b"2")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("exact/flags is as it was")).to_be_visible()
    entry = get(agent, "exact/flags")
    assert entry is not None and (entry["Flags"], entry["Value"]) == (LOCK_FLAGS, b"1")
    call(agent, "DELETE", "/v1/kv/exact/flags")


def test_bytes_that_are_no_text_stay_equal(site: Site, seeded: Cluster, tmp_path: Path) -> None:
    agent = seeded.agents[0]
    page = site.open("dc1/kv/app/binary/edit")
    expect(page.get_by_label("Value as hex")).to_contain_text("000000f0  f0 f1 f2")
    page.get_by_role("button", name="Edit", exact=True).click()
    field = page.get_by_role("textbox", name="Value of app/binary")
    expect(field).to_have_value(base64.b64encode(EXAMPLES["app/binary"]).decode())
    page.get_by_role("button", name="Text", exact=True).click()
    expect(page.get_by_text("These bytes are no text")).to_be_visible()
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    changed = bytes(reversed(EXAMPLES["app/binary"]))
    field.fill(base64.b64encode(changed).decode())
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved app/binary")).to_be_visible()
    entry = get(agent, "app/binary")
    assert entry is not None and entry["Value"] == changed
    (tmp_path / "file").write_bytes(EXAMPLES["app/binary"])
    page.locator("input[type=file]").set_input_files(tmp_path / "file")
    expect(page.get_by_text("from file")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved app/binary")).to_have_count(2)
    entry = get(agent, "app/binary")
    assert entry is not None and entry["Value"] == EXAMPLES["app/binary"]


def test_line_ends_are_kept(site: Site, seeded: Cluster) -> None:
    page = site.open("dc1/kv/app/windows/edit")
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_role("textbox", name="Value of app/windows").fill("one\ntwo\ttab 🦀\n")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved app/windows")).to_be_visible()
    entry = get(seeded.agents[0], "app/windows")
    assert entry is not None and entry["Value"] == "one\r\ntwo\ttab 🦀\r\n".encode()
    put(seeded.agents[0], "app/windows", EXAMPLES["app/windows"])


def test_json_is_formatted_checked_and_saved_after_a_question(site: Site, seeded: Cluster) -> None:
    page = site.open("dc1/kv/app/config.json/edit")
    shown = page.get_by_label("Value as JSON")
    expect(shown).to_contain_text('"replicas": 3')
    expect(shown).to_contain_text("12345678901234567890")  # as it is written, not as a double
    page.get_by_role("button", name="Edit", exact=True).click()
    field = page.get_by_role("textbox", name="Value of app/config.json")
    field.fill('{\n  "a": 1,\n  "b": tru\n}')
    expect(page.get_by_text("Not valid JSON at line 3, column 8")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Save it all the same?")).to_be_visible()
    entry = get(seeded.agents[0], "app/config.json")
    assert entry is not None and entry["Value"] == EXAMPLES["app/config.json"]
    field.fill('{"a":[1,{}]}')
    page.get_by_role("button", name="Format").click()
    expect(field).to_have_value('{\n  "a": [\n    1,\n    {}\n  ]\n}')
    page.get_by_role("button", name="Compact").click()
    expect(field).to_have_value('{"a":[1,{}]}')


def test_an_address_is_no_invalid_json(site: Site) -> None:
    page = site.open("dc1/kv/docker/nodes/192.168.10.80:2375/edit")
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_role("textbox", name="Value of docker").fill("192.0.2.11:2376")
    expect(page.get_by_text("Not valid JSON")).to_have_count(0)


def test_leaving_an_edited_value_asks_first(site: Site) -> None:
    page = site.open("dc1/kv/app/")
    page.get_by_role("link", name="motd").click()
    page.get_by_role("button", name="Edit", exact=True).click()
    field = page.get_by_role("textbox", name="Value of app/motd")
    field.fill("unsaved")
    page.get_by_role("link", name="Nodes").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("not saved")
    dialog.get_by_role("button", name="Cancel").click()
    expect(field).to_have_value("unsaved")
    page.go_back()
    expect(dialog).to_contain_text("not saved")
    dialog.get_by_role("button", name="Cancel").click()
    expect(field).to_have_value("unsaved")
    page.get_by_role("button", name="Cancel").click()
    dialog.get_by_role("button", name="Cancel").click()
    expect(field).to_have_value("unsaved")
    page.get_by_role("link", name="Nodes").click()
    dialog.get_by_role("button", name="Leave").click()
    expect(page).to_have_url(f"{site.base}/ui/dc1/nodes")


def test_deleting_a_folder_counts_asks_and_spares_its_sibling(site: Site, seeded: Cluster) -> None:
    agent = seeded.agents[0]
    put_many(agent, [{"Verb": "set", "Key": f"bulk/{i:03}", "Value": "MQ==", "Flags": i} for i in range(150)])
    put(agent, "bulk.sibling", b"1")
    page = site.open("dc1/kv/bulk/")
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("150 keys")
    confirm = dialog.get_by_role("button", name="Delete 150 keys")
    expect(confirm).to_be_disabled()
    dialog.get_by_label("to confirm").fill("bulk")
    confirm.click()
    expect(page.get_by_text("Deleted 150 keys")).to_be_visible()
    assert get(agent, "bulk/000") is None and get(agent, "bulk.sibling") is not None
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Restored 150 keys")).to_be_visible()
    entry = get(agent, "bulk/149")
    assert entry is not None and (entry["Flags"], entry["Value"]) == (149, b"1")
    call(agent, "DELETE", "/v1/kv/bulk?recurse")


def test_moving_a_folder_and_selected_keys(site: Site, seeded: Cluster) -> None:
    agent = seeded.agents[0]
    put_many(agent, [{"Verb": "set", "Key": f"from/{i:03}", "Value": "MQ=="} for i in range(80)])
    put(agent, "to/001", b"in the way")
    page = site.open("dc1/kv/from/")
    page.get_by_label("Select 000").check()
    page.get_by_label("Select 001").check()
    page.get_by_role("button", name="Move selected").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("To the folder").fill("to")
    dialog.get_by_role("button", name="Move 2 keys").click()
    expect(dialog).to_contain_text("2 of 2, 1 failed")
    expect(dialog.get_by_role("listitem").last).to_contain_text("to/001")
    assert get(agent, "from/001") is not None and get(agent, "from/000") is None
    entry = get(agent, "to/001")
    assert entry is not None and entry["Value"] == b"in the way" and get(agent, "to/000") is not None
    dialog.get_by_role("button", name="Close").last.click()
    page.get_by_role("button", name="Move", exact=True).click()
    dialog.get_by_label("To the folder").fill("moved/here")
    dialog.get_by_role("button", name="Move 79 keys").click()
    expect(page).to_have_url(f"{site.base}/ui/dc1/kv/moved/here/")
    assert get(agent, "from/079") is None and get(agent, "moved/here/079") is not None
    for folder in ("from", "to", "moved"):
        call(agent, "DELETE", f"/v1/kv/{folder}/?recurse")


def test_export_and_import_give_equal_keys(site: Site, seeded: Cluster, tmp_path: Path) -> None:
    agent = seeded.agents[0]
    put(agent, "out/exact", bytes(range(256)), f"?flags={LOCK_FLAGS}")
    put(agent, "out/folder/", b"")
    page = site.open("dc1/kv/out/")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export", exact=True).click()
    file = tmp_path / "export.json"
    download.value.save_as(file)
    assert json.loads(file.read_text()) == [
        {"key": "out/exact", "flags": LOCK_FLAGS, "value": base64.b64encode(bytes(range(256))).decode()},
        {"key": "out/folder/", "flags": 0, "value": ""},
    ]
    call(agent, "DELETE", "/v1/kv/out/exact")
    put(agent, "out/folder/", b"changed")
    page.get_by_role("button", name="Import").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("File").set_input_files(file)
    expect(dialog).to_contain_text("1 new, 1 changed, 0 the same")
    dialog.get_by_label("Overwrite the 1 key that differ").check()
    dialog.get_by_role("button", name="Import 2 keys").click()
    expect(page.get_by_text("Imported 2 keys")).to_be_visible()
    entry, folder = get(agent, "out/exact"), get(agent, "out/folder/")
    assert entry is not None and (entry["Flags"], entry["Value"]) == (LOCK_FLAGS, bytes(range(256)))
    assert folder is not None and folder["Value"] == b""
    call(agent, "DELETE", "/v1/kv/out/?recurse")


def test_search_below_a_folder_in_names_and_values(site: Site) -> None:
    page = site.open("dc1/kv/app/")
    page.get_by_role("button", name="Search below").click()
    page.get_by_role("searchbox", name="Search all keys below app/").fill("NEEDLE")
    expect(page.get_by_role("link", name="sub/deep/needle")).to_be_visible()
    page.get_by_role("searchbox", name="Search all keys below app/").fill("haystack")
    expect(page.get_by_text("Nothing contains")).to_be_visible()
    page.get_by_label("in values too").check()
    expect(page.get_by_text("a haystack with a pin")).to_be_visible()
    page.reload()
    expect(page.get_by_text("a haystack with a pin")).to_be_visible()
    page.get_by_role("searchbox", name="Search all keys below app/").fill("")
    expect(page.get_by_role("link", name="sub/deep/needle")).to_be_visible()  # all keys in one list


def test_invalidating_a_session_updates_the_open_key(site: Site, seeded: Cluster) -> None:
    agent = seeded.agents[0]
    held_by = session(agent, name="short")
    put(agent, "locks/short", b"x", f"?acquire={held_by}")
    page = site.open("dc1/kv/locks/short/edit")
    page.get_by_role("button", name="Invalidate session").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 key will be deleted: locks/short")
    dialog.get_by_role("button", name="Invalidate").click()
    expect(page.get_by_text("deleted elsewhere while it was open")).to_be_visible(timeout=LIVE_MS)
    expect(page.get_by_role("region", name="Lock")).to_have_count(0)


def test_images_are_drawn(site: Site) -> None:
    page = site.open("dc1/kv/app/logo.png/edit")
    expect(page.get_by_role("img", name="Image 160 × 90")).to_be_visible()


def test_a_thousand_keys_scroll_without_gaps(site: Site) -> None:
    page = site.open("dc1/kv/many/")
    expect(page.get_by_role("link", name="key-0000")).to_be_visible(timeout=1000)
    assert page.locator("[data-row]").count() < 100
    for target in ("key-0400", "key-0999"):
        at = int(target[-4:])
        page.evaluate("(top) => window.scrollTo(0, top)", at * 40)
        expect(page.get_by_role("link", name=target)).to_be_in_viewport()
    page.get_by_role("link", name="key-0999").click()
    expect(page.locator("h1")).to_have_text("key-0999")
    page.go_back()
    expect(page.get_by_role("link", name="key-0999")).to_be_in_viewport()
    page.get_by_role("searchbox", name="Filter this folder").fill("key-05 -key-050")
    expect(page.get_by_text("90 of 1000")).to_be_visible()
    page.reload()
    expect(page.get_by_text("90 of 1000")).to_be_visible()


def test_a_long_value_opens_fast_and_fits(site: Site, seeded: Cluster) -> None:
    put(seeded.agents[0], "long/line", b"x" * 480_000)
    page = site.open("dc1/kv/long/line/edit")
    expect(page.get_by_label("Value as text")).to_be_visible(timeout=3000)
    assert page.evaluate("document.documentElement.scrollWidth") <= DESKTOP["width"]
    call(seeded.agents[0], "DELETE", "/v1/kv/long/line")


def test_reading_all_pages_sends_no_write(site: Site) -> None:
    for path in (
        "dc1/overview", "dc1/docker", "dc1/kv", "dc1/kv/app/", "dc1/kv/app/motd/edit", "dc1/kv/create", "dc1/nodes",
        "dc1/nodes/docker1", "dc1/sessions", "dc1/services", "dc1/services/web", "dc1/events", "dc1/search?q=app",
        "settings", "dc1/acls/tokens",
    ):  # fmt: skip
        page = site.open(path)
        expect(page.get_by_text("Loading")).to_have_count(0)
    assert site.writes == []
