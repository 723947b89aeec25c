"""What is wrong in a file of settings, and in which line, without showing what may be a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from genesis.domain.errors import did_you_mean
from genesis.monitoring.alerts.secret_urls import without_urls


def broken(error: yaml.YAMLError) -> str:
    """Line of a text that is no YAML, and what YAML says of it but for what it quotes."""
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or "")
    if "'\\t'" in problem:
        said = "a tab; indent with spaces"
    else:
        said = problem.partition("'")[0].partition('"')[0].strip() or "it is no YAML"
    return f"line {mark.line + 1}: {said}" if mark is not None else said


def lines_of(text: str) -> dict[str, int]:
    """Line, from 1, of each key (``quiet_hours.from``) and each channel (``channel phone``)."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return dict(_keys(root, "", set()))


def _keys(node: yaml.Node | None, path: str, seen: set[int]) -> Iterator[tuple[str, int]]:
    if id(node) in seen:  # an alias of what was looked at, or of what it lies in
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{path}{key.value}"
            yield name, key.start_mark.line + 1
            yield from _keys(value, f"{name}.", seen)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            name = f"{path}{place}"
            yield name, value.start_mark.line + 1
            yield from _keys(value, f"{name}.", seen)
            if isinstance(value, yaml.MappingNode):
                named = [v.value for k, v in value.value if k.value == "name"]
                yield from ((f"channel {one}", value.start_mark.line + 1) for one in named[:1])


def placed(why: str, lines: Mapping[str, int]) -> str:
    """A reason that begins with the key or channel that it is about, with its line."""
    words = [word.rstrip(":") for word in why.split()]
    key = " ".join(words[:2]) if words[0] == "channel" else words[0]
    return f"line {lines[key]}: {why}" if key in lines else why


def unknown_key(given: Any, known: Sequence[str], path: str, lines: Mapping[str, int]) -> str:
    """What is wrong with the first key that nobody knows; empty where there is none."""
    for name in given if isinstance(given, Mapping) else ():
        if name not in known:
            hint = did_you_mean(str(name), known) or f"; there are {', '.join(known)}"
            line = lines.get(f"{path}{name}")
            where = f"line {line}: " if line else ""
            return f"{where}there is no key {path}{without_urls(str(name))}{hint}"
    return ""
