"""Addresses, templates and the host's interfaces."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from pyconsul.agent.addresses import ListenAddress, Network, expand_template, is_any, parse_ip
from pyconsul.agent.interfaces import (
    InterfaceAddress,
    default_route_names,
    host_interfaces,
    private_ipv4,
    public_ipv6,
)
from pyconsul.errors import ConfigError


def address(name: str, ip: str, size: int, *, up: bool = True, loopback: bool = False) -> InterfaceAddress:
    return InterfaceAddress(name, ipaddress.ip_address(ip), size, up, loopback)


LO = address("lo", "127.0.0.1", 8, loopback=True)
LO6 = address("lo", "::1", 128, loopback=True)
ETH0 = address("eth0", "10.0.0.7", 24)
ETH0_6 = address("eth0", "2a00:1450::7", 64)
ETH0_LOCAL = address("eth0", "fe80::7", 64)
ETH1 = address("eth1", "192.168.1.7", 16)
ETH2 = address("eth2", "8.8.8.7", 30)
DOWN = address("eth3", "172.16.0.7", 24, up=False)
HOST = Network(lambda: [LO, LO6, ETH0_LOCAL, ETH0_6, ETH0, ETH1, ETH2, DOWN], lambda: ["eth1"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.1", "10.0.0.1"),
        (" 10.0.0.1 ", "10.0.0.1"),
        ("{{ GetPrivateIP }}", "192.168.1.7"),
        ("{{GetPrivateIPs}}", "192.168.1.7"),
        ("{{ GetPublicIP }}", "8.8.8.7"),
        ("{{ GetPublicIPs }}", "8.8.8.7 2a00:1450::7"),
        ('{{ GetInterfaceIP "eth0" }}', "10.0.0.7"),
        ('{{ GetInterfaceIP "lo" }}', ""),
        ('{{ GetInterfaceIP "nosuch" }}', ""),
        ("{{ GetInterfaceIP `eth1` }}", "192.168.1.7"),
        ('{{ GetInterfaceIPs "eth0" }}', "10.0.0.7 fe80::7 2a00:1450::7"),
        ('a {{ GetInterfaceIP "eth1" }} b {{ GetPrivateIP }}', "a 192.168.1.7 b 192.168.1.7"),
        ("{{ GetDefaultInterfaces }}", "192.168.1.7"),
        ('{{ GetAllInterfaces | include "name" "^eth[01]$" | include "type" "ipv4" | attr "address" }}', "10.0.0.7"),
        ('{{ GetAllInterfaces | include "network" "10.0.0.0/8|192.168.0.0/16" }}', "10.0.0.7 192.168.1.7"),
        ('{{ GetAllInterfaces | exclude "flags" "loopback" | include "rfc" "1918" | sort "-address" }}',
         "192.168.1.7 172.16.0.7 10.0.0.7"),
        ('{{ GetAllInterfaces | include "flags" "up|forwardable" | include "rfc" "6890" | sort "size,name" }}',
         "10.0.0.7 192.168.1.7"),
        ('{{ GetAllInterfaces | include "type" "IPv4" | sort "-size" | offset 1 | limit 2 | join "address" "," }}',
         "192.168.1.7,10.0.0.7"),
        ('{{ GetAllInterfaces | include "name" "eth0" | unique "name" | attr "name" }}', "eth0"),
        ('{{ GetAllInterfaces | include "size" "/16" | attr "network" }}', "192.168.0.0/16"),
        ('{{ GetAllInterfaces | include "address" "^9" | attr "address" }}', ""),
        ('{{ GetPrivateInterfaces | attr "type" }}/{{ GetPrivateInterfaces | attr "size" }}', "IPv4/16"),
    ],
)  # fmt: skip
def test_templates(text: str, found: str) -> None:
    assert expand_template(text, HOST) == found


@pytest.mark.parametrize(
    "text",
    [
        "{{ GetPrivateIP",
        "{{ }}",
        "{{ Nope }}",
        "{{ GetInterfaceIP }}",
        '{{ GetInterfaceIP "eth0 }}',
        "{{ GetPrivateIP | attr }}",
        "{{ GetAllInterfaces | }}",
        '{{ GetAllInterfaces | nope "x" }}',
        '{{ GetAllInterfaces | attr "nope" }}',
        '{{ GetAllInterfaces | include "nope" "x" }}',
        '{{ GetAllInterfaces | include "name" "(" }}',
        '{{ GetAllInterfaces | include "rfc" "1" }}',
        '{{ GetAllInterfaces | include "flags" "nope" }}',
        '{{ GetAllInterfaces | include "network" "x" }}',
        '{{ GetAllInterfaces | sort "nope" }}',
        '{{ GetAllInterfaces | limit "x" }}',
    ],
)
def test_what_is_no_template_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^template"):
        expand_template(text, HOST)


def test_without_a_default_route_any_private_address_will_do() -> None:
    host = Network(lambda: [LO, ETH0], list)
    assert expand_template("{{ GetPrivateIP }}", host) == "10.0.0.7"


def test_candidates_for_any_address() -> None:
    assert private_ipv4([LO, ETH0, ETH2, DOWN]) == ["10.0.0.7"]
    assert private_ipv4([LO, ETH0, ETH1]) == ["10.0.0.7", "192.168.1.7"]
    assert private_ipv4([LO, ETH2]) == []
    assert private_ipv4([LO]) == ["127.0.0.1"]
    assert private_ipv4([]) == []
    assert public_ipv6([LO6, ETH0_LOCAL, ETH0_6, ETH0]) == ["2a00:1450::7"]


@pytest.mark.parametrize("ip", ["100.64.0.1", "169.254.1.1", "172.31.0.1", "192.0.0.1", "192.0.2.1", "127.5.0.1"])
def test_private_blocks(ip: str) -> None:
    assert address("x", ip, 24).private
    assert not address("x", "172.32.0.1", 24).private


def test_literal_addresses() -> None:
    assert parse_ip("[::1]") == "::1"
    assert parse_ip("0:0:0:0:0:0:0:1") == "::1"
    assert parse_ip("fe80::1%eth0") is None
    assert parse_ip("localhost") is None
    assert parse_ip("1.2.3") is None
    assert all(is_any(text) for text in ("0.0.0.0", "::", "[::]"))
    assert not is_any("") and not is_any("127.0.0.1")


def test_listeners_as_text() -> None:
    assert str(ListenAddress("::1", 8500)) == "[::1]:8500"
    assert str(ListenAddress("127.0.0.1", 8500)) == "127.0.0.1:8500"
    unix = ListenAddress("/run/x", -1, unix=True)
    assert str(unix) == "/run/x" and unix.network == "unix"


def test_the_interfaces_of_this_host() -> None:
    found = host_interfaces()
    loopback = [one for one in found if str(one.ip) == "127.0.0.1"]
    if found:
        assert loopback and loopback[0].loopback and loopback[0].prefix_length == 8


def test_default_routes(tmp_path: Path) -> None:
    table = tmp_path / "route"
    table.write_text(
        "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
        "eth0 00000000 010000C0 0003 0 0 0 00000000 0 0 0\n"
        "eth1 0000000A 00000000 0001 0 0 0 000000FF 0 0 0\n"
    )
    assert default_route_names(table) == ["eth0"]
    assert default_route_names(tmp_path / "nosuch") == []
