"""The two faces of a version: our own, and the Consul API level stated to peers and clients."""

from __future__ import annotations

VERSION = "0.1.0"
"""pyconsul's own version."""

CONSUL_API_VERSION = "1.16.1"
"""The Consul release whose API this release implements; what agents and clients are told."""

BUILD_TAG = f"{CONSUL_API_VERSION}:pyconsul"
"""Gossip tag ``build``. Consul's tools show only what stands before the colon."""
