"""Files of schedules and news: YAML or JSON lines as entries that know where they stand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import yaml

from genesis.domain.broken_text import broken_text, mend
from genesis.domain.errors import ConfigError, InputError, did_you_mean

VERSION = "1"
MOST_BYTES = 64 * 1024 * 1024
_JSON_LINES = (".jsonl", ".ndjson")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One block of keys of a file; every value is a text or a list of texts.

    Attributes
    ----------
    where : str
        ``file:line`` of its beginning.
    fields : dict
        Key to texts (one text is a tuple of one) and ``file:line`` of the key.
    """

    where: str
    fields: dict[str, tuple[tuple[str, ...], str]]

    def fault(self, key: str, what: str, fix: str = "") -> ConfigError:
        """Error that names file, line and key."""
        where = self.fields[key][1] if key in self.fields else self.where
        return ConfigError(f"{where}: {key}: {what}", fix=fix)

    def texts(self, key: str) -> tuple[str, ...]:
        """Texts of a key, none if it is absent."""
        return self.fields[key][0] if key in self.fields else ()

    def text(self, key: str, default: str = "") -> str:
        """The one text of a key.

        Raises
        ------
        ConfigError
            If it is a list of several.
        """
        found = self.texts(key)
        if len(found) > 1:
            raise self.fault(key, "is a list", "write one value")
        return found[0] if found else default

    def required(self, key: str) -> str:
        """Text of a key that must be there.

        Raises
        ------
        ConfigError
            If it is absent or empty.
        """
        found = self.text(key).strip()
        if not found:
            raise self.fault(key, "is missing", f"add a line {key}: …")
        return found

    def parsed(self, key: str, parse: Callable[[str], T]) -> T | None:
        """Value of a key through a parser, None if it is absent.

        Raises
        ------
        ConfigError
            With what the parser said.
        """
        if key not in self.fields:
            return None
        try:
            return parse(self.text(key))
        except InputError as error:
            raise self.fault(key, error.what, error.fix) from None

    def check_keys(self, known: Collection[str]) -> None:
        """Refuse keys that are not known.

        Raises
        ------
        ConfigError
            At the first one.
        """
        for key in self.fields:
            if key not in known:
                hint = did_you_mean(key, known)
                raise self.fault(key, f"is no key here{hint}", f"use {', '.join(known)}")

    def one_of(self, key: str, known: Collection[str] | None) -> tuple[str, ...]:
        """Texts of a key, each of which must be known (``known`` None: anything goes).

        Raises
        ------
        ConfigError
            At the first that is not, or that is empty.
        """
        for text in self.texts(key):
            if not text.strip():
                raise self.fault(key, "is empty", "leave the key out, or name something")
            if known is not None and text not in known:
                hint = did_you_mean(text, known)
                raise self.fault(key, f"'{text}' is not known{hint}", f"use {', '.join(known)}")
        return self.texts(key)


def read_entries(path: Path, section: str) -> list[Entry]:
    """Entries of a file, in its order.

    A YAML file has ``version: 1`` and a list under ``section``; a JSON-lines file (``.jsonl``,
    ``.ndjson``) has one object a line. Plain YAML values stay text as they are written, so that
    ``12:05`` is no number.

    Raises
    ------
    ConfigError
        If the file cannot be read or is not of that form, with file, line and key.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path} is larger than {MOST_BYTES >> 20} MB", fix="split it")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read", why=str(error), fix="check the path, and that it is UTF-8"
        ) from None
    if path.suffix.lower() in _JSON_LINES:
        return list(_json_lines(path, text))
    return list(_yaml(path, text, section))


def _json_lines(path: Path, text: str) -> Iterator[Entry]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            value = msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            raise ConfigError(f"{where}: is no JSON", why=str(error)) from None
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: is no JSON object", fix='write {"id": …} on one line')
        yield Entry(where, {key: (_texts(key, item, where), where) for key, item in value.items()})


def _texts(key: str, value: object, where: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ConfigError(f"{where}: {key}: is neither a text nor a list of texts")


def _yaml(path: Path, text: str, section: str) -> Iterator[Entry]:
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        what, why = broken_text(str(path), text, error)
        raise ConfigError(what, why=why, fix=mend("docs/trading.md shows the form")) from None
    head = _mapping(path, root, "the file")
    for key, node in head.items():
        if key not in ("version", section):
            hint = did_you_mean(key, ("version", section))
            raise ConfigError(f"{_where(path, node)}: {key}: is no key here{hint}")
    version = head.get("version")
    if not isinstance(version, yaml.ScalarNode) or version.value != VERSION:
        where = _where(path, version) if version is not None else str(path)
        raise ConfigError(
            f"{where}: version: is not {VERSION}", fix=f"begin the file with version: {VERSION}"
        )
    listed = head.get(section)
    if not isinstance(listed, yaml.SequenceNode):
        where = _where(path, listed) if listed is not None else str(path)
        raise ConfigError(f"{where}: {section}: is no list", fix=f"write {section}: and - entries")
    for node in listed.value:
        pairs = _mapping(path, node, f"an entry of {section}")
        fields = {
            key: (_scalars(path, key, item), _where(path, item)) for key, item in pairs.items()
        }
        yield Entry(_where(path, node), fields)


def _mapping(path: Path, node: yaml.Node | None, what: str) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        where = _where(path, node) if node is not None else str(path)
        raise ConfigError(f"{where}: {what} is no block of keys")
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{_where(path, key)}: a key is no text")
        if key.value in found:
            raise ConfigError(f"{_where(path, key)}: {key.value}: is written twice")
        found[key.value] = value
    return found


def _scalars(path: Path, key: str, node: yaml.Node) -> tuple[str, ...]:
    if isinstance(node, yaml.ScalarNode):
        return (str(node.value),)
    items: list[yaml.Node] = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if not all(isinstance(item, yaml.ScalarNode) for item in items):
        raise ConfigError(f"{_where(path, node)}: {key}: is neither a text nor a list of texts")
    return tuple(str(item.value) for item in items)


def _where(path: Path, node: yaml.Node) -> str:
    return f"{path}:{node.start_mark.line + 1}"
