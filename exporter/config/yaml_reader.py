"""Reads YAML files strictly: an unknown key or a value of another type is an error that names the line.

Values may be secrets (a private key, a hash), so messages name keys and never quote a value.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

import yaml

from exporter.config.settings import SettingsError

#: A settings file has a page or two, and some more with an inline certificate chain.
_MAX_BYTES = 1024 * 1024
_NULL, _BOOL = "tag:yaml.org,2002:null", "tag:yaml.org,2002:bool"
_MERGE = "tag:yaml.org,2002:merge"
_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_TRUE = ("yes", "true", "on")

Value = TypeVar("Value")


class YamlEntry:
    """One value of a file, with its line. Each method converts it to one type, or raises SettingsError."""

    def __init__(self, file: str, name: str, node: yaml.Node, key: yaml.Node | None = None) -> None:
        self.line = (key or node).start_mark.line + 1  # a value may begin below its key
        self._file = file
        self.name = name
        self._node = node
        self._merging: tuple[yaml.Node, ...] = ()

    def error(self, text: str) -> SettingsError:
        """Make an error that names this line, to be raised by the caller."""
        return SettingsError(f"{self._file}:{self.line}: {text}")

    @property
    def empty(self) -> bool:
        """Whether there is no value: null, or nothing after the colon."""
        return isinstance(self._node, yaml.ScalarNode) and self._node.tag == _NULL

    def mapping(self) -> Iterator[tuple[str, "YamlEntry"]]:
        """Yield the keys with their entries; a key that comes twice is an error."""
        if self.empty:
            return
        if not isinstance(self._node, yaml.MappingNode):
            raise self.error(f"{self.name}: a mapping (key: value) is expected")
        seen: set[str] = set()
        merged: dict[str, YamlEntry] = {}
        for key, node in self._node.value:
            if key.tag == _MERGE:
                merged = {**dict(self._merged(node)), **merged}
                continue
            at = YamlEntry(self._file, self.name, key)
            if not isinstance(key, yaml.ScalarNode):
                raise at.error(f"{self.name}: a key must be plain text")
            if key.value in seen:
                raise at.error(f"{key.value}: is given twice")
            seen.add(key.value)
            yield key.value, YamlEntry(self._file, key.value, node, key)
        yield from ((name, entry) for name, entry in merged.items() if name not in seen)

    def _merged(self, node: yaml.Node) -> Iterator[tuple[str, "YamlEntry"]]:
        """The entries that a merge key (`<<`) adds. In a list of mappings, the first that has a key counts."""
        nodes = reversed(node.value) if isinstance(node, yaml.SequenceNode) else [node]
        for one in nodes:
            merging = (*self._merging, self._node)
            if any(one is above for above in merging) or not isinstance(one, yaml.MappingNode):
                raise self.error(f"{self.name}: << takes another mapping, or a list of them")
            entry = YamlEntry(self._file, self.name, one)
            entry._merging = merging
            yield from entry.mapping()

    def known(self, **takers: Callable[["YamlEntry"], Value]) -> dict[str, Value]:
        """Read a mapping. `takers`: a function by key that reads the value. Keys without a value are left out."""
        taken: dict[str, Value] = {}
        for key, entry in self.mapping():
            if key not in takers:
                raise entry.error(f"unknown key {key!r}; expected: {', '.join(sorted(takers))}")
            if not entry.empty:
                taken[key] = takers[key](entry)
        return taken

    def sequence(self) -> list["YamlEntry"]:
        """The entries of a list."""
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.error(f"{self.name}: a list is expected")
        return [YamlEntry(self._file, self.name, one) for one in self._node.value]

    @property
    def is_mapping(self) -> bool:
        """Whether it has keys."""
        return isinstance(self._node, yaml.MappingNode)

    @property
    def is_sequence(self) -> bool:
        """Whether it is a list."""
        return isinstance(self._node, yaml.SequenceNode)

    def text(self) -> str:
        """The value as written in the file. A number or a date is text here."""
        if not isinstance(self._node, yaml.ScalarNode) or self._node.tag == _NULL:
            raise self.error(f"{self.name}: text is expected")
        return str(self._node.value)

    def texts(self) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(one.text() for one in self.sequence())

    def boolean(self) -> bool:
        """The value as true or false."""
        if self._node.tag != _BOOL:
            raise self.error(f"{self.name}: true or false is expected")
        return str(self._node.value).lower() in _TRUE

    def integer(self) -> int:
        """The value as a whole number in decimal."""
        try:
            if self._node.tag == _INT:
                return int(self._node.value)
        except ValueError:
            pass
        raise self.error(f"{self.name}: a whole number is expected")

    @property
    def is_number(self) -> bool:
        """Whether it is written as a number."""
        return self._node.tag in {_INT, _FLOAT}


def read(file: str) -> YamlEntry:
    """Read a YAML file; return its top entry. Raises SettingsError."""
    try:
        with open(file, "rb") as source:
            content = source.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file}: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > _MAX_BYTES:
        raise SettingsError(f"{file}: is larger than {_MAX_BYTES} bytes")
    try:
        node = yaml.compose(content, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        # The text of the mark is left out: it quotes the file, and may quote a secret.
        raise SettingsError(f"{file}{line}: not YAML: {error.context or error.problem or 'malformed'}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SettingsError(f"{file}: not YAML: it has characters that YAML does not allow") from None
    except RecursionError:
        raise SettingsError(f"{file}: not YAML: nested too deeply") from None
    if node is None:
        start = yaml.Mark(file, 0, 0, 0, None, 0)
        node = yaml.ScalarNode(_NULL, "", start, start)
    return YamlEntry(file, "the file", node)
