"""A browser tab with the page in it, and what must never happen there whatever the test does."""

from __future__ import annotations

from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

LOAD_MS = 10_000
SAFE_METHODS = ("GET", "HEAD")
BROWSERS_OWN = ("Failed to load resource", "The Cross-Origin-Opener-Policy header has been ignored")
ASKED = "/v1/internal/acl/authorize"  # a question, though it is a POST


class Site:
    """``open`` shows a path below the content path. Leaving the context fails on errors in the console, on reports of
    the security policy, on requests to another origin, and on a script of a stored value that ran."""

    def __init__(self, browser: Any, base: str, viewport: dict[str, int], scheme: str = "light", **more: Any) -> None:
        self.base = base
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme, **more)
        self.context.set_default_timeout(LOAD_MS)
        self.page = self.context.new_page()
        self.problems: list[str] = []
        self.writes: list[str] = []
        self.page.add_init_script(
            "document.addEventListener('securitypolicyviolation',"
            " (event) => console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI));"
        )
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        self.page.on("request", self._request)

    def _console(self, message: Any) -> None:
        # What the browser itself says of an answer (a missing key, a stopped agent) is no fault of the page, nor is
        # it that plain HTTP does without one of the headers.
        if message.type == "error" and not message.text.startswith(BROWSERS_OWN):
            self.problems.append(f"console: {message.text}")

    def _request(self, request: Any) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.base).netloc:
            self.problems.append(f"request to another origin: {request.url}")
        if request.method not in SAFE_METHODS and urlsplit(request.url).path != ASKED:
            self.writes.append(f"{request.method} {request.url}")

    def open(self, path: str) -> Any:
        self.page.goto(f"{self.base}/ui/{path}")
        self.page.locator("h1").wait_for()
        return self.page

    @property
    def path(self) -> str:
        """What stands in the address bar, behind the content path."""
        return str(self.page.url).removeprefix(f"{self.base}/ui/")

    def main_text(self) -> str:
        return str(self.page.locator("main").inner_text())

    def __enter__(self) -> Site:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        hacked = None
        if kind is None and self.page.url.startswith("http"):
            hacked = self.page.evaluate("window.hacked")
        self.context.close()
        if kind is None:
            assert self.problems == []
            assert hacked is None, "a stored script ran"
