"""How configuration text becomes checked values: kinds of keys, strict decoding, merging.

A ``Key`` says what a key holds. ``decode`` turns a parsed document into a tree of dicts with normal key names (lower
case, aliases resolved) that holds only what was set; ``merge`` lays one tree over another. The keys themselves are in
``config_keys``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pyconsul.agent.hcl import Blocks
from pyconsul.errors import ConfigError

STRING = "string"
BOOL = "bool"
INT = "int"
FLOAT = "float64"
DURATION = "duration"
"""A text such as ``10s``; it is a plain string until the whole configuration is built."""
STRINGS = "strings"
MAP = "map"
"""Texts by text."""
LISTS = "lists"
"""Lists of texts by text."""
OBJECT = "object"
OBJECTS = "objects"
MAPS = "maps"
"""A list of free-form objects."""
ANY = "any"
"""Anything; looked at later, or by somebody else."""

Value = str | bool | int | float | list[object] | dict[str, object]
Tree = dict[str, object]


@dataclass(frozen=True, slots=True)
class Key:
    """One configuration key. ``default`` is in the form of a file (durations are texts); None: not set."""

    name: str
    kind: str
    default: Value | None = None
    help: str = ""
    keys: tuple[Key, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(slots=True)
class Document:
    """One decoded file or fragment."""

    tree: Tree
    unknown: list[str] = field(default_factory=list)
    """Paths of keys that do not exist, as written."""


class Schema:
    """A set of keys with fast lookup by any of their names."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self.keys = keys
        self._by_name = {name: key for key in keys for name in (key.name, *key.aliases)}
        self._children = {key.name: Schema(key.keys) for key in keys if key.kind in (OBJECT, OBJECTS)}

    def find(self, written: str) -> Key | None:
        """The key of a name as written in a file: case does not matter, underscores do."""
        return self._by_name.get(written.lower())

    def child(self, name: str) -> Schema:
        return self._children[name]

    def default(self, path: str) -> Value | None:
        """The default of a dotted path. KeyError for a path that does not exist: a mistake in this program."""
        schema = self
        *parents, last = path.split(".")
        for parent in parents:
            schema = schema.child(parent)
        return schema._by_name[last].default


def decode(schema: Schema, document: dict[str, object]) -> Document:
    """Raises ConfigError that lists every value of a wrong type; unknown keys are returned."""
    decoder = _Decoder()
    tree = decoder.decode_object(schema, document, "")
    if decoder.errors:
        listed = "\n".join(f"* {error}" for error in sorted(decoder.errors))
        raise ConfigError(f"{len(decoder.errors)} error(s) decoding:\n\n{listed}")
    return Document(tree, decoder.unknown)


class _WrongType(Exception):
    pass


class _Decoder:
    def __init__(self) -> None:
        self.errors: list[str] = []
        self.unknown: list[str] = []

    def decode_object(self, schema: Schema, given: dict[str, object], path: str) -> Tree:
        tree: Tree = {}
        unknown = []
        for written, value in given.items():
            name = f"{path}.{written}" if path else written
            key = schema.find(written)
            if key is None:
                unknown.append(name)
            elif value is not None:
                try:
                    tree[key.name] = self.decode_value(schema, key, value, name)
                except _WrongType as error:
                    self.errors.append(str(error))
        self.unknown.extend(sorted(unknown))
        return tree

    def decode_value(self, schema: Schema, key: Key, value: object, name: str) -> Value:
        if key.kind in (STRINGS, OBJECTS, MAPS):
            return self.decode_list(schema, key, value, name)
        # A list of one passes for its only element.
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if key.kind == ANY:
            return plain(value)
        if key.kind == OBJECT:
            return self.decode_object(schema.child(key.name), _mapping(value, name), name)
        if key.kind == MAP:
            items = _mapping(value, name).items()
            return {text: _scalar(STRING, item, f"{name}[{text}]") for text, item in items if item is not None}
        if key.kind == LISTS:
            items = _mapping(value, name).items()
            return {text: _strings(item, f"{name}[{text}]") for text, item in items if item is not None}
        return _scalar(STRING if key.kind == DURATION else key.kind, value, name)

    def decode_list(self, schema: Schema, key: Key, value: object, name: str) -> list[object]:
        if key.kind == STRINGS:
            return _strings(value, name)
        if not isinstance(value, list):
            raise _WrongType(f"'{name}': source data must be an array or slice, got {_go_kind(value)}")
        if key.kind == MAPS:
            return [plain(_mapping(item, f"{name}[{at}]")) for at, item in enumerate(value)]
        child = schema.child(key.name)
        return [
            self.decode_object(child, _mapping(item, f"{name}[{at}]"), f"{name}[{at}]") for at, item in enumerate(value)
        ]


def _mapping(value: object, name: str) -> dict[str, object]:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        return value
    raise _WrongType(f"'{name}' expected a map, got '{_go_kind(value)}'")


def _strings(value: object, name: str) -> list[object]:
    if not isinstance(value, list):
        raise _WrongType(f"'{name}': source data must be an array or slice, got {_go_kind(value)}")
    return [_scalar(STRING, item, f"{name}[{at}]") for at, item in enumerate(value)]


def _scalar(kind: str, value: object, name: str) -> str | bool | int | float:
    if kind == STRING and isinstance(value, str):
        return value
    if kind == BOOL and isinstance(value, bool):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if kind == INT:
            return int(value)
        if kind == FLOAT:
            return float(value)
    shown = go_text(value)
    raise _WrongType(f"'{name}' expected type '{kind}', got unconvertible type '{_go_type(value)}', value: '{shown}'")


def plain(value: object) -> Value:
    """A free-form value without the marks of the parser: a block that stands once is an object."""
    if isinstance(value, Blocks):
        return plain(value[0]) if len(value) == 1 else [plain(item) for item in value]
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, str | bool | int | float):
        return value
    return ""


def _go_kind(value: object) -> str:
    return "slice" if isinstance(value, list) else "map" if isinstance(value, dict) else _go_type(value)


def _go_type(value: object) -> str:
    if isinstance(value, Blocks):
        return "[]map[string]interface {}"
    for python, name in ((bool, "bool"), (int, "int"), (float, "float64"), (str, "string"), (list, "[]interface {}")):
        if isinstance(value, python):
            return name
    return "map[string]interface {}" if isinstance(value, dict) else "<nil>"


def go_text(value: object) -> str:
    """A value as Go prints it with ``%v``."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _go_float(value)
    if isinstance(value, list):
        return "[" + " ".join(go_text(item) for item in value) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{name}:{go_text(value[name])}" for name in sorted(value)) + "]"
    return str(value)


def _go_float(value: float) -> str:
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


def merge(schema: Schema, below: Tree, above: Tree) -> Tree:
    """A new tree: scalars of ``above`` win, objects key by key, maps overlaid, lists appended."""
    result = dict(below)
    for name, value in above.items():
        earlier = result.get(name)
        key = schema.find(name)
        if key is None or earlier is None:
            result[name] = value
        elif key.kind == OBJECT and isinstance(earlier, dict) and isinstance(value, dict):
            result[name] = merge(schema.child(name), earlier, value)
        elif key.kind in (MAP, LISTS) and isinstance(earlier, dict) and isinstance(value, dict):
            result[name] = {**earlier, **value}
        elif isinstance(earlier, list) and isinstance(value, list):
            result[name] = [*earlier, *value]
        else:
            result[name] = value
    return result
