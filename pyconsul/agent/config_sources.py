"""Where configuration comes from, in the order in which it counts: defaults of ``-dev``, files, flags, ``-hcl``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyconsul.agent.config_keys import CONFIG
from pyconsul.agent.config_schema import Tree, decode, merge
from pyconsul.agent.flags import AGENT_FLAGS, config_of_flags
from pyconsul.agent.hcl import parse_hcl
from pyconsul.agent.json_text import parse_json_object
from pyconsul.errors import ConfigError

FILE_BYTES_MAX = 16 * 1024 * 1024
"""Nobody writes such a configuration file; a path that was meant for something else may be that large."""

_FAST_GOSSIP: Tree = {
    "gossip_interval": "100ms",
    "probe_interval": "100ms",
    "probe_timeout": "100ms",
    "suspicion_mult": 3,
}
DEV: Tree = {
    "bind_addr": "127.0.0.1",
    "disable_anonymous_signature": True,
    "disable_keyring_file": True,
    "disable_update_check": True,
    "enable_debug": True,
    "gossip_lan": _FAST_GOSSIP,
    "gossip_wan": _FAST_GOSSIP,
    "log_level": "DEBUG",
    "performance": {"raft_multiplier": 1},
    "ports": {"grpc": 8502},
    "server": True,
    "ui_config": {"enabled": True},
}
"""What ``-dev`` sets, below files and flags."""

ENTERPRISE_KEYS = (
    ("read_replica", "read_replica (or the deprecated non_voting_server)"),
    ("segments", "segments"),
    ("autopilot.redundancy_zone_tag", "autopilot.redundancy_zone_tag"),
    ("autopilot.upgrade_version_tag", "autopilot.upgrade_version_tag"),
    ("autopilot.disable_upgrade_migration", "autopilot.disable_upgrade_migration"),
    ("dns_config.prefer_namespace", "dns_config.prefer_namespace"),
    ("acl.msp_disable_bootstrap", "acl.msp_disable_bootstrap"),
    ("acl.tokens.managed_service_provider", "acl.tokens.managed_service_provider"),
    ("audit", "audit"),
    ("license_path", "license_path"),
)


@dataclass(slots=True)
class Sources:
    """All that was given, merged."""

    tree: Tree = field(default_factory=dict)
    dev: bool = False
    files: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, tree: Tree) -> None:
        """Lays a decoded source over what is there."""
        if "acl_enforce_version_8" in tree:
            self.warnings.append('config key "acl_enforce_version_8" is deprecated and should be removed')
        for path, shown in ENTERPRISE_KEYS:
            if look_up(tree, path) not in (None, "", [], {}):
                self.warnings.append(f'"{shown}" is a Consul Enterprise configuration and will have no effect')
        tree = _single_definitions(tree)
        self.tree = merge(CONFIG, self.tree, tree)


def look_up(tree: Tree, path: str) -> object:
    """The value at a dotted path; None if it is not set."""
    *parents, last = path.split(".")
    for parent in parents:
        inner = tree.get(parent)
        if not isinstance(inner, dict):
            return None
        tree = inner
    return tree.get(last)


def _single_definitions(tree: Tree) -> Tree:
    """``service`` and ``check`` of one source come after its ``services`` and ``checks``."""
    result = dict(tree)
    for one, many in (("service", "services"), ("check", "checks")):
        if one in result:
            several = result.get(many, [])
            result[many] = [*(several if isinstance(several, list) else []), result.pop(one)]
    return result


def from_command_line(argv: Sequence[str]) -> Sources:
    """All sources that the words after ``agent`` name. Raises FlagError, or ConfigError for the first bad source."""
    parsed = AGENT_FLAGS.parse(argv)
    if parsed.args:
        raise ConfigError(f"Unexpected extra arguments: [{' '.join(parsed.args)}]")
    sources = Sources(dev=parsed.boolean("dev"))
    texts = _files(parsed.strings("config-file"), parsed.string("config-format"), sources, "config: ")
    lists, others = config_of_flags(parsed)
    # Lists are appended, and those of flags are wanted first.
    sources.add(lists)
    if sources.dev:
        sources.add(DEV)
    for name, text, kind in texts:
        _add_text(sources, name, text, kind)
    sources.add(others)
    for at, fragment in enumerate(parsed.strings("hcl")):
        _add_text(sources, f"flags-{at}.hcl", fragment, "hcl")
    return sources


def from_files(paths: Sequence[str], config_format: str = "") -> Sources:
    """What ``pyconsul validate`` reads. Raises ConfigError."""
    sources = Sources()
    for name, text, kind in _files(paths, config_format, sources, ""):
        _add_text(sources, name, text, kind)
    return sources


def _files(paths: Sequence[str], config_format: str, sources: Sources, prefix: str) -> list[tuple[str, str, str]]:
    """Name, text and format of every file that is named or lies in a named folder."""
    if config_format not in ("", "hcl", "json"):
        raise ConfigError(f"{prefix}-config-format must be either 'hcl' or 'json{chr(39) if prefix else ''}")
    found: list[tuple[str, str, str]] = []
    for path in paths:
        try:
            names = [path] if not Path(path).is_dir() else _in_folder(path)
            for name in names:
                extension = name.rpartition(".")[2] if "." in name.rpartition("/")[2] else ""
                kind = config_format or (extension if extension in ("hcl", "json") else "")
                if not kind:
                    Path(name).stat()
                    sources.warnings.append(
                        f"skipping file {name}, extension must be .hcl or .json, or config format must be set"
                    )
                    continue
                found.append((name, _read(name), kind))
                sources.files.append(name)
        except OSError as error:
            reason = go_os_error("open", error, path)
            raise ConfigError(f"config: Open failed on {path}. {reason}") from error
    return found


def _in_folder(path: str) -> list[str]:
    """Files of a folder by name; no folders in it, symbolic links followed."""
    names = sorted(os.listdir(path))  # noqa: PTH208 - the path is shown as it was written
    joined = [f"{path.rstrip('/') or '/'}/{name}".replace("//", "/") for name in names]
    return [name for name in joined if not Path(name).is_dir()]


def _read(name: str) -> str:
    with Path(name).open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"failed to parse {name}: larger than {FILE_BYTES_MAX} bytes")
    return data.decode("utf-8", "replace")


def _add_text(sources: Sources, name: str, text: str, kind: str) -> None:
    if not text.strip():
        return
    try:
        document = decode(CONFIG, parse_json_object(text) if kind == "json" else parse_hcl(text))
        if document.unknown:
            raise ConfigError(error_list([f"invalid config key {path}" for path in document.unknown]))
    except ConfigError as error:
        raise ConfigError(f"failed to parse {name}: {error}") from error
    sources.add(document.tree)


def error_list(errors: Sequence[str]) -> str:
    """Several errors as one text, in the shape that Consul prints."""
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    listed = "".join(f"\n\t* {error}" for error in errors)
    return f"{count} occurred:{listed}\n\n"


def go_os_error(operation: str, error: OSError, path: str | None = None) -> str:
    """``open NAME: no such file or directory``: the system's words as Go writes them."""
    words = os.strerror(error.errno).lower() if error.errno is not None else str(error)
    return f"{operation} {path or error.filename}: {words}"
