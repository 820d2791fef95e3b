"""How the web page is served: bookmarks, files, caching, compression, security headers, content path."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

import pytest

from pyconsul.api.app import App
from pyconsul.api.context import Api
from pyconsul.api.events import EventBuffer
from pyconsul.api.limits import HttpSettings
from pyconsul.api.request import Request
from pyconsul.clock import SystemClock
from pyconsul.errors import ConfigError
from pyconsul.testing.local_backend import LocalBackend
from pyconsul.ui.files import DIST, BuiltFiles, Files, FolderFiles
from pyconsul.ui.handler import UiHandler
from pyconsul.ui.headers import SECURITY_HEADERS, accepted_codings

PAGE = b'<!doctype html><html data-datacenter=""><script src="/ui/assets/app-1.js"></script></html>'
SCRIPT = b"console.log(1);" * 200


class Answer:
    def __init__(self, wire: bytes) -> None:
        head, _, self.body = wire.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.lines = [line.split(": ", 1) for line in lines]
        self.headers = {name.lower(): value for name, value in self.lines}


class Site:
    def __init__(self, files: Files, content_path: str = "/ui/", **settings: Any) -> None:
        settings.setdefault("ui_enabled", True)
        configured = HttpSettings(**settings)
        self.api = Api(LocalBackend(), configured, EventBuffer(), SystemClock(), random.Random(1))
        names = {name.lower() for name in configured.response_headers}
        self.api.ui_path = content_path.encode()
        self.api.ui_handler = UiHandler(files, content_path, lambda: names)
        self.app = App(self.api)

    def ask(self, target: str, method: str = "GET", **headers: str) -> Answer:
        wire = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        request = Request(method.encode(), target.encode(), wire)
        answer: Any = self.app.handle(request)
        return Answer(self.app.wire(request, answer, True))


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / "assets" / "app-1.js").write_bytes(SCRIPT)
    (tmp_path / "assets" / "app-1.js.gz").write_bytes(gzip.compress(SCRIPT))
    (tmp_path / "assets" / "app-1.js.br").write_bytes(b"as brotli")
    return tmp_path


@pytest.fixture
async def site(dist: Path) -> Site:
    return Site(BuiltFiles("/ui/", "dc1", dist))


@pytest.mark.parametrize(
    "path",
    ["/ui/", "/ui/dc1/kv/docker/nodes/", "/ui/dc1/kv/docker/nodes", "/ui/dc1/kv/a//b/edit", "/ui/dc1/overview?x=1"],
)
async def test_every_bookmark_is_the_page_itself(site: Site, path: str) -> None:
    answer = site.ask(path)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b'data-datacenter="dc1"' in answer.body
    assert answer.headers["cache-control"] == "no-cache"


async def test_redirects_and_what_is_not_there(site: Site) -> None:
    assert (site.ask("/").status, site.ask("/").headers["location"]) == (301, "/ui/")
    assert (site.ask("/ui").status, site.ask("/ui").headers["location"]) == (301, "/ui/")
    assert (site.ask("/ui/index.html").status, site.ask("/ui/index.html").headers["location"]) == (301, "/ui/")
    assert site.ask("/ui/assets/other.js").status == 404
    assert site.ask("/ui/", "POST").status == 405
    assert site.ask("/favicon.ico").status == 404
    assert site.ask("/robots.txt").body == b"User-agent: *\nDisallow: /\n"


async def test_without_the_page_its_paths_are_404(dist: Path) -> None:
    site = Site(BuiltFiles("/ui/", "dc1", dist), ui_enabled=False)
    assert site.ask("/").body == b"Consul Agent"
    for path in ("/ui", "/ui/", "/ui/dc1/kv", "/robots.txt", "/ui/assets/app-1.js"):
        assert site.ask(path).status == 404, path


async def test_files_come_as_they_were_compressed_beforehand(site: Site) -> None:
    path = "/ui/assets/app-1.js"
    plain, zipped, smaller = (
        site.ask(path, accept_encoding=each) for each in ("identity", "gzip", "gzip, deflate, br")
    )
    assert plain.body == SCRIPT and "content-encoding" not in plain.headers
    assert gzip.decompress(zipped.body) == SCRIPT and zipped.headers["content-encoding"] == "gzip"
    assert smaller.body == b"as brotli" and smaller.headers["content-encoding"] == "br"
    assert site.ask(path, accept_encoding="br;q=0, gzip;q=0").body == SCRIPT
    for answer in (plain, zipped, smaller):
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert int(answer.headers["content-length"]) == len(answer.body)
    head = site.ask(path, "HEAD")
    assert head.body == b"" and int(head.headers["content-length"]) == len(SCRIPT)


async def test_an_unchanged_page_is_not_sent_again(site: Site) -> None:
    etag = site.ask("/ui/").headers["etag"]
    again = site.ask("/ui/dc1/nodes", if_none_match=f'"other", W/{etag}')
    assert (again.status, again.body) == (304, b"")
    assert site.ask("/ui/", if_none_match='"other"').status == 200


async def test_security_headers_are_on_every_answer_of_the_page(site: Site, dist: Path) -> None:
    for path in ("/ui/", "/ui/assets/app-1.js", "/ui/dc1/services"):
        headers = site.ask(path).headers
        for name, value in SECURITY_HEADERS.items():
            assert headers[name.lower()] == value
    assert "unsafe" not in SECURITY_HEADERS["Content-Security-Policy"]
    own = Site(BuiltFiles("/ui/", "dc1", dist), response_headers={"X-Frame-Options": "SAMEORIGIN", "X-Other": "1"})
    lines = own.ask("/ui/").lines
    assert [value for name, value in lines if name.lower() == "x-frame-options"] == ["SAMEORIGIN"]
    assert [value for name, value in lines if name.lower() == "x-content-type-options"] == ["nosniff"]


async def test_another_content_path(dist: Path) -> None:
    site = Site(BuiltFiles("/c/page/", 'a"b', dist), "/c/page/")
    assert site.ask("/").headers["location"] == "/c/page/"
    page = site.ask("/c/page/dc1/kv/x")
    assert b'src="/c/page/assets/app-1.js"' in page.body
    assert b'data-datacenter="a&quot;b"' in page.body
    assert site.ask("/ui/").status == 404
    assert site.ask("/c/page/assets/app-1.js").status == 200


async def test_the_page_at_the_root_leaves_the_api_alone(dist: Path) -> None:
    site = Site(BuiltFiles("/", "dc1", dist), "/")
    assert site.ask("/dc1/nodes").status == 200
    assert site.ask("/v1/status/leader").headers["content-type"] == "application/json"


async def test_a_folder_of_the_operator(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret"
    secret.write_text("secret")
    (dist / "link").symlink_to(secret)
    site = Site(FolderFiles(dist))
    assert site.ask("/ui/").body == PAGE
    assert site.ask("/ui/assets/app-1.js").body == SCRIPT
    assert site.ask("/ui/assets/app-1.js").headers["cache-control"] == "no-cache"
    for path in ("/ui/link", "/ui/../../etc/passwd", "/ui/%2e%2e/%2e%2e/etc/passwd", f"/ui/{secret}"):
        assert b"secret" not in site.ask(path).body and b"root:" not in site.ask(path).body, path
    (dist / "index.html").unlink()
    assert site.ask("/ui/").status == 404


def test_an_unbuilt_page_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not part of this installation"):
        BuiltFiles("/ui/", "dc1", tmp_path)


async def test_what_is_in_the_package_is_complete_and_small() -> None:
    site = Site(BuiltFiles("/ui/", "dc1"))
    page = site.ask("/ui/").body.decode()
    names = [part.split('"')[0] for part in page.split('="/ui/')[1:]]
    names = [name for name in names if name.startswith("assets/")]
    assert len(names) == 3
    total = 0
    for name in names:
        answer = site.ask(f"/ui/{name}", accept_encoding="gzip")
        assert answer.status == 200 and answer.headers["content-encoding"] == "gzip", name
        assert gzip.decompress(answer.body) == (DIST / name).read_bytes()
        total += len(answer.body)
    assert total < 100_000
    assert "<script>" not in page and "style=" not in page and "{{" not in page
    assert b"Preact" in (DIST / "licenses.txt").read_bytes() or b"preact" in (DIST / "licenses.txt").read_bytes()


def test_codings_that_a_client_takes() -> None:
    assert accepted_codings(None) == []
    assert accepted_codings(b"gzip, br") == ["br", "gzip"]
    assert accepted_codings(b"gzip;q=1.0, br;q=0.0") == ["gzip"]
    assert accepted_codings(b"GZIP ; q=0.5") == ["gzip"]
