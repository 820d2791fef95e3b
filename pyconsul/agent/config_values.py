"""Typed access to the merged configuration, collecting what is wrong with values instead of stopping at the first."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from pyconsul.agent.addresses import ListenAddress, Network, expand_template, parse_ip
from pyconsul.agent.config_keys import CONFIG
from pyconsul.agent.config_schema import Tree
from pyconsul.agent.config_sources import error_list, look_up
from pyconsul.codec.duration import parse_duration
from pyconsul.codec.quote import quote
from pyconsul.errors import ConfigError, DecodeError

UNIX_PREFIX = "unix://"


class Values:
    """Reads dotted paths. What a path does not hold comes from the schema's default."""

    def __init__(self, tree: Tree, network: Network) -> None:
        self.tree = tree
        self.network = network
        self.errors: list[str] = []

    def raise_errors(self) -> None:
        """Raises ConfigError that lists everything found so far."""
        if self.errors:
            raise ConfigError(error_list(self.errors))

    def get(self, path: str) -> object:
        value = look_up(self.tree, path)
        return CONFIG.default(path) if value is None else value

    def is_set(self, path: str) -> bool:
        return look_up(self.tree, path) is not None

    def text(self, path: str) -> str:
        value = self.get(path)
        return value if isinstance(value, str) else ""

    def boolean(self, path: str) -> bool:
        return self.get(path) is True

    def integer(self, path: str) -> int:
        value = self.get(path)
        return value if isinstance(value, int) else 0

    def number(self, path: str) -> float:
        value = self.get(path)
        return float(value) if isinstance(value, int | float) else 0.0

    def strings(self, path: str) -> tuple[str, ...]:
        value = self.get(path)
        return tuple(str(item) for item in value) if isinstance(value, list) else ()

    def mapping(self, path: str) -> dict[str, str]:
        value = self.get(path)
        return {str(key): str(item) for key, item in value.items()} if isinstance(value, dict) else {}

    def objects(self, path: str) -> tuple[dict[str, object], ...]:
        value = self.get(path)
        return tuple(item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()

    def seconds(self, path: str, name: str = "") -> float:
        """A duration; 0 when it is not set and has no default."""
        return self.parse_seconds(name or path, self.text(path))

    def parse_seconds(self, name: str, text: str) -> float:
        if not text:
            return 0.0
        try:
            return parse_duration(text) / 1e9
        except DecodeError as error:
            self.errors.append(f"{name}: invalid duration: {quote(text)}: {error}")
            return 0.0

    def port(self, name: str) -> int:
        """-1 when switched off."""
        value = self.integer(f"ports.{name}")
        if value > 65535:
            self.errors.append(f"ports.{name}: invalid port: {value}")
        return value if value > 0 else -1

    def cidrs(self, name: str, texts: Sequence[str]) -> list[str]:
        """The texts that are no networks."""
        bad = []
        for text in texts:
            try:
                if "/" not in text:
                    raise ValueError(text)
                ipaddress.ip_network(text, strict=False)
            except ValueError:
                bad.append(f"{name}: invalid cidr: {text}" if name else f"invalid cidr: {text}")
        return bad

    def expand(self, name: str, text: str) -> str:
        """The text with templates replaced; empty if a template is wrong."""
        try:
            return expand_template(text, self.network)
        except ConfigError as error:
            self.errors.append(f"{name}: error parsing {quote(text)}: {error}")
            return ""

    def addresses(self, name: str, text: str) -> list[str]:
        """Literal addresses and ``unix://`` paths separated by blanks; none if one of them is wrong."""
        result = []
        for word in self.expand(name, text).split():
            if word.startswith(UNIX_PREFIX):
                result.append(word)
                continue
            ip = parse_ip(word)
            if ip is None:
                self.errors.append(f"{name}: invalid ip address: {word}")
                return []
            result.append(ip)
        return result

    def ips(self, name: str, text: str) -> list[str]:
        """Literal addresses only."""
        found = self.addresses(name, text)
        if any(address.startswith(UNIX_PREFIX) for address in found):
            self.errors.append(f"{name} cannot be a unix socket")
            return []
        return found

    def one_ip(self, name: str, text: str) -> str:
        """A single address; empty if there is none."""
        found = self.ips(name, text) if text else []
        if len(found) > 1:
            self.errors.append(f"{name}: multiple addresses found: [{' '.join(found)}]")
        return found[0] if found else ""

    def hosts(self, path: str) -> tuple[str, ...]:
        """Addresses or names of others; one template may give several."""
        result: list[str] = []
        for text in self.strings(path):
            result.extend(self.expand(path, text).split() if "{{" in text else [text])
        return tuple(result)

    def listeners(self, protocol: str, client: Sequence[str], port: int) -> tuple[ListenAddress, ...]:
        """Where a protocol listens: its own addresses, else those of clients; none when its port is off."""
        name = f"addresses.{protocol}"
        own = self.addresses(name, self.text(name)) if self.is_set(name) else list(client)
        if port <= 0:
            return ()
        return tuple(
            ListenAddress(address.removeprefix(UNIX_PREFIX), -1, unix=True)
            if address.startswith(UNIX_PREFIX)
            else ListenAddress(address, port)
            for address in own
        )
