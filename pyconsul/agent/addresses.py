"""Addresses in the configuration: literal ones, templates like ``{{ GetPrivateIP }}``, and Unix sockets.

Templates are those of go-sockaddr in the forms that configurations use: a source, then filters after ``|``. A template
that finds nothing is an empty text; one that cannot be understood raises ConfigError.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyconsul.agent.interfaces import InterfaceAddress, default_route_names, host_interfaces
from pyconsul.codec.go_numbers import parse_int
from pyconsul.codec.quote import quote
from pyconsul.errors import ConfigError

_TEMPLATE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_WORD = re.compile(r'\s*(?:(\|)|"((?:[^"\\]|\\.)*)"|`([^`]*)`|([^\s|"`]+))')

_RFC_BLOCKS = {
    "1918": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    "6598": ("100.64.0.0/10",),
    "3927": ("169.254.0.0/16",),
    "4193": ("fc00::/7",),
    "4291": ("::1/128", "fe80::/10"),
}


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where a listener is, or is advertised: host and port, or the path of a Unix socket (then port is -1)."""

    host: str
    port: int
    unix: bool = False

    def __str__(self) -> str:
        if self.unix:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def network(self) -> str:
        return "unix" if self.unix else "tcp"


@dataclass(frozen=True, slots=True)
class Network:
    """What templates and detection see of the host; tests give another one."""

    interfaces: Callable[[], Sequence[InterfaceAddress]] = host_interfaces
    default_routes: Callable[[], Sequence[str]] = default_route_names


def parse_ip(text: str) -> str | None:
    """The normal form of a literal address, with or without brackets; None if it is none."""
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    if "%" in text:
        return None
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def is_any(text: str) -> bool:
    """0.0.0.0, :: or [::]: every address of the host, which nobody else can dial."""
    ip = parse_ip(text)
    return ip is not None and ipaddress.ip_address(ip).is_unspecified


def expand_template(text: str, network: Network) -> str:
    """The text with every ``{{ ... }}`` replaced by what it finds. Raises ConfigError for one that is no template."""
    if "{{" not in text:
        return text.strip()
    if text.count("{{") != len(_TEMPLATE.findall(text)):
        raise ConfigError(f"template {quote(text)}: {{{{ without }}}}")
    return _TEMPLATE.sub(lambda found: _pipeline(found.group(1), network), text).strip()


def _pipeline(text: str, network: Network) -> str:
    stages: list[list[str]] = [[]]
    at = 0
    text = text.strip()
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            raise ConfigError(f"template {quote(text)}: unterminated quoted string")
        bar, quoted, raw, word = found.groups()
        if bar:
            stages.append([])
        elif quoted is not None:
            stages[-1].append(re.sub(r"\\(.)", r"\1", quoted))
        else:
            stages[-1].append(raw if raw is not None else word)
        at = found.end()
    if not all(stages):
        raise ConfigError(f"template {quote(text)}: missing value for command")
    value = _source(stages[0], network)
    for stage in stages[1:]:
        if isinstance(value, str):
            raise ConfigError(f"template {quote(text)}: nothing can follow a text")
        value = _filter(stage, value)
    if isinstance(value, str):
        return value
    return " ".join(str(address.ip) for address in value)


Found = str | list[InterfaceAddress]


def _source(words: list[str], network: Network) -> Found:
    name, arguments = words[0], words[1:]
    everything = list(network.interfaces())
    up = [address for address in everything if address.up and not address.loopback]
    up.sort(key=lambda address: address.ip.version)
    if name == "GetAllInterfaces" and not arguments:
        return everything
    if name == "GetDefaultInterfaces" and not arguments:
        return _on_default_route(up, network)
    if name in ("GetPrivateInterfaces", "GetPrivateIP", "GetPrivateIPs") and not arguments:
        private = [address for address in up if address.private and not address.ip.is_link_local]
        chosen = _on_default_route(private, network) or private
        return _named(name, "GetPrivateInterfaces", chosen)
    if name in ("GetPublicInterfaces", "GetPublicIP", "GetPublicIPs") and not arguments:
        return _named(name, "GetPublicInterfaces", [address for address in up if address.public])
    if name in ("GetInterfaceIP", "GetInterfaceIPs") and len(arguments) == 1:
        return _named(name, "", [address for address in up if address.name == arguments[0]])
    raise ConfigError(f"template: function {quote(name)} not defined, or with wrong arguments")


def _named(name: str, interfaces: str, chosen: list[InterfaceAddress]) -> Found:
    """All of them for the plural and the interface form, else the first."""
    if name == interfaces:
        return chosen
    ips = [str(address.ip) for address in chosen]
    return " ".join(ips) if name.endswith("s") else (ips[0] if ips else "")


def _on_default_route(addresses: list[InterfaceAddress], network: Network) -> list[InterfaceAddress]:
    names = set(network.default_routes())
    return [address for address in addresses if address.name in names]


def _filter(words: list[str], given: list[InterfaceAddress]) -> Found:
    match words:
        case ["include", selector, value]:
            return [address for address in given if _matches(address, selector, value)]
        case ["exclude", selector, value]:
            return [address for address in given if not _matches(address, selector, value)]
        case ["attr", attribute]:
            return _attribute(given[0], attribute) if given else ""
        case ["join", attribute, separator]:
            return separator.join(_attribute(address, attribute) for address in given)
        case ["limit", count]:
            return given[: _count(count)]
        case ["offset", count]:
            return given[_count(count) :]
        case ["sort", order]:
            return _sorted(given, order)
        case ["unique", attribute]:
            return list({_attribute(address, attribute): address for address in reversed(given)}.values())[::-1]
        case _:
            raise ConfigError(f"template: filter {quote(' '.join(words))} is not understood")


def _count(text: str) -> int:
    try:
        return parse_int(text)
    except ValueError as error:
        raise ConfigError(f"template: {error}") from error


def _attribute(address: InterfaceAddress, name: str) -> str:
    match name:
        case "address":
            return str(address.ip)
        case "name":
            return address.name
        case "network":
            return str(ipaddress.ip_interface(f"{address.ip}/{address.prefix_length}").network)
        case "size":
            return str(address.prefix_length)
        case "type":
            return f"IPv{address.ip.version}"
        case _:
            raise ConfigError(f"template: attribute {quote(name)} is not understood")


def _matches(address: InterfaceAddress, selector: str, value: str) -> bool:
    match selector:
        case "name" | "address":
            try:
                return re.search(value, _attribute(address, selector)) is not None
            except re.error as error:
                raise ConfigError(f"template: {quote(value)} is not a regular expression: {error}") from error
        case "type":
            return value.lower() in ("ip", f"ipv{address.ip.version}")
        case "size":
            return _attribute(address, "size") == value.lstrip("/")
        case "network":
            return any(_inside(address, block) for block in value.split("|"))
        case "rfc":
            if value == "6890":
                return address.private
            if value not in _RFC_BLOCKS:
                raise ConfigError(f"template: rfc {quote(value)} is not understood")
            return any(_inside(address, block) for block in _RFC_BLOCKS[value])
        case "flags" | "flag":
            have = {"up": address.up, "loopback": address.loopback}
            have["forwardable"] = not address.loopback and not address.ip.is_link_local
            have["global unicast"] = address.ip.is_global or address.private
            if not all(flag in have for flag in value.split("|")):
                raise ConfigError(f"template: flags {quote(value)} are not understood")
            return all(have[flag] for flag in value.split("|"))
        case _:
            raise ConfigError(f"template: selector {quote(selector)} is not understood")


def _inside(address: InterfaceAddress, block: str) -> bool:
    try:
        network = ipaddress.ip_network(block.strip(), strict=False)
    except ValueError as error:
        raise ConfigError(f"template: {quote(block)} is not a network") from error
    return network.version == address.ip.version and address.ip in network


def _sorted(given: list[InterfaceAddress], order: str) -> list[InterfaceAddress]:
    """By comma-separated attributes, ``+`` or nothing ascending, ``-`` descending; the first is the most important."""
    keys: dict[str, Callable[[InterfaceAddress], tuple[int, int] | str]] = {
        "address": lambda address: (address.ip.version, int(address.ip)),
        "name": lambda address: address.name,
        "size": lambda address: (address.ip.version, -address.prefix_length),
        "type": lambda address: (address.ip.version, 0),
        "private": lambda address: (0 if address.private else 1, 0),
        "default": lambda address: address.name,
    }
    result = list(given)
    for part in reversed(order.split(",")):
        name = part.strip().lstrip("+-")
        if name not in keys:
            raise ConfigError(f"template: cannot sort by {quote(part)}")
        result.sort(key=keys[name], reverse=part.strip().startswith("-"))
    return result
