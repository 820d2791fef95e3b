"""The header lines of the page's answers: security policy, caching, which coding of a file a client takes."""

from __future__ import annotations

from collections.abc import Container

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'none'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
"""Nothing from elsewhere, no inline script or style, no markup made from text, no frames around the page."""

IMMUTABLE = b"Cache-Control: public, max-age=31536000, immutable\r\n"
"""For files whose name holds a hash of what is in them."""

REVALIDATE = b"Cache-Control: no-cache\r\n"

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".map": "application/json",
}


def security_head(configured: Container[str]) -> bytes:
    """The security headers, without those that the operator set (``configured``: names in lower case)."""
    return b"".join(
        f"{name}: {value}\r\n".encode() for name, value in SECURITY_HEADERS.items() if name.lower() not in configured
    )


def content_type(name: str) -> bytes:
    """The Content-Type line for a file's name."""
    _, dot, ending = name.rpartition(".")
    return f"Content-Type: {CONTENT_TYPES.get(dot + ending.lower(), 'application/octet-stream')}\r\n".encode()


def accepted_codings(accept_encoding: bytes | None) -> list[str]:
    """Of br and gzip those the client takes, the smaller first; a quality of 0 refuses."""
    taken = set()
    for part in (accept_encoding or b"").decode("latin-1").lower().split(","):
        coding, _, parameter = part.partition(";")
        name, _, value = parameter.strip().partition("=")
        refused = name.strip() == "q" and not value.strip().strip("0.")
        if not refused:
            taken.add(coding.strip())
    return [coding for coding in ("br", "gzip") if coding in taken]
