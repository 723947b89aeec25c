"""YAML text to a checked tree: every wrong key and value is found, not only the first."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec
import yaml
from msgspec import inspect as mi

from genesis.domain.broken_text import broken_text, mend
from genesis.domain.errors import ConfigError, did_you_mean
from genesis.domain.shipped import shipped

EXAMPLE = "configs/crypto_perps_1h.yaml"


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong key or value: the dotted key, and what is wrong and allowed."""

    key: str
    text: str


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars: dates and ``on`` stay text, ``1e-4`` is a number."""


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would not read back as text."""


_SCALARS = (
    ("bool", r"^(?:true|True|false|False)$", "tTfF"),
    ("null", r"^(?:null|Null|~|)$", ("n", "N", "~", "")),
    ("int", r"^[-+]?[0-9][0-9_]*$", "-+0123456789"),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|nan))$",
        "-+.0123456789",
    ),
)


def _set_resolvers() -> None:
    for kind in (_Loader, _Dumper):
        kind.yaml_implicit_resolvers = {}
        for name, pattern, first in _SCALARS:
            kind.add_implicit_resolver(
                f"tag:yaml.org,2002:{name}", re.compile(pattern), list(first)
            )


_set_resolvers()


def write_yaml(value: Mapping[str, Any]) -> str:
    """YAML text that `read_yaml` reads back as an equal mapping."""
    text: str = yaml.dump(dict(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def read_yaml(
    text: str, name: str, example: str = EXAMPLE
) -> tuple[dict[str, Any], dict[str, int]]:
    """Parse YAML into plain values and the line (from 1) of each dotted key.

    Raises
    ------
    ConfigError
        If the text is no YAML mapping or has a key twice.
    """
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if not isinstance(root, yaml.MappingNode):
                raise ConfigError(f"{name} is not a mapping of keys", fix=f"see {shipped(example)}")
            lines = dict(_lines(root, "", name))
            value = loader.construct_document(root)
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError) as error:  # 08 is an octal number to YAML, and none
        what, why = broken_text(name, text, error)
        raise ConfigError(what, why=why, fix=mend(f"{shipped(example)} shows the form")) from None
    return value, lines


def _lines(node: yaml.Node, path: str, name: str) -> Iterator[tuple[str, int]]:
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        dotted = f"{path}{key.value}"
        line = key.start_mark.line + 1
        if dotted in seen:
            raise ConfigError(
                f"{name}:{line}: the key '{dotted}' is written twice", fix="remove one of the two"
            )
        seen.add(dotted)
        yield dotted, line
        yield from _lines(value, f"{dotted}.", name)


def check_shape(kind: Any, raw: Any, path: str, problems: list[Problem]) -> Any:
    """Check a plain value against a struct type, key by key, collecting problems."""
    info = mi.type_info(kind)
    assert isinstance(info, mi.StructType)
    return _check_struct(info, raw, path, problems)


def _check_struct(info: mi.StructType, raw: Any, path: str, problems: list[Problem]) -> Any:
    if not isinstance(raw, Mapping):
        problems.append(Problem(path.rstrip("."), f"must be a block of keys, not {_shown(raw)}"))
        return raw
    fields = {f.encode_name: f for f in info.fields}
    for key in raw:
        if key not in fields:
            hint = did_you_mean(str(key), fields)
            problems.append(
                Problem(f"{path}{key}", f"is not a key{hint}; known: {', '.join(fields)}")
            )
    for name, spec in fields.items():
        if name not in raw:
            if spec.required:
                problems.append(Problem(f"{path}{name}", f"is missing: {allowed(spec.type)}"))
            continue
        if isinstance(spec.type, mi.StructType):
            _check_struct(spec.type, raw[name], f"{path}{name}.", problems)
        else:
            _check_value(info.cls, spec, raw[name], f"{path}{name}", problems)
    return raw


def _check_value(cls: type, spec: mi.Field, value: Any, key: str, problems: list[Problem]) -> None:
    annotated = _annotation(cls, spec.name)
    bad = isinstance(value, float) and not math.isfinite(value)
    if not bad:
        try:
            msgspec.convert(value, annotated, strict=True)
        except msgspec.ValidationError:
            bad = True
    if bad:
        words = list(_words(spec.type))
        wrong = value if isinstance(value, list) else [value]
        hints = [did_you_mean(str(v), words) for v in wrong if words and v not in words]
        hint = next((h for h in hints if h), "")
        problems.append(
            Problem(key, f"cannot be {_shown(value)}{hint}; allowed: {allowed(spec.type)}")
        )


def _annotation(cls: type, name: str) -> Any:
    from typing import get_type_hints

    return get_type_hints(cls, include_extras=True)[name]


def _words(info: mi.Type) -> Iterator[str]:
    if isinstance(info, mi.LiteralType):
        yield from (str(v) for v in info.values)
    elif isinstance(info, mi.UnionType):
        for part in info.types:
            yield from _words(part)
    elif isinstance(info, mi.VarTupleType):
        yield from _words(info.item_type)


def allowed(info: mi.Type) -> str:
    """What a type accepts, in words."""
    if isinstance(info, mi.Metadata):
        return allowed(info.type)
    if isinstance(info, mi.UnionType):
        return " or ".join(allowed(part) for part in info.types)
    if isinstance(info, mi.LiteralType):
        values = [str(v) for v in info.values]
        return values[0] if len(values) == 1 else "one of " + ", ".join(values)
    if isinstance(info, mi.VarTupleType):
        least, most = info.min_length or 0, info.max_length
        size = f" of {least} to {most}" if most else (f" of at least {least}" if least else "")
        return f"a list{size} ({allowed(info.item_type)})"
    if isinstance(info, mi.BoolType):
        return "true or false"
    if isinstance(info, mi.NoneType):
        return "null"
    if isinstance(info, mi.IntType):
        return "a whole number" + _bounds(info)
    if isinstance(info, mi.FloatType):
        return "a number" + _bounds(info)
    if isinstance(info, mi.StrType):
        if info.pattern:
            return "letters, digits, '_', '.' and '-', at most 64, first a letter or digit"
        return "a text"
    return "a block of keys"


def _bounds(info: mi.IntType | mi.FloatType) -> str:
    low = info.ge if info.ge is not None else info.gt
    high = info.le if info.le is not None else info.lt
    above = "at least" if info.ge is not None else "above"
    below = "at most" if info.le is not None else "below"
    if low is not None and high is not None:
        return f" {above} {low} and {below} {high}"
    if low is not None:
        return f" {above} {low}"
    return "" if high is None else f" {below} {high}"


def _shown(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def raise_problems(
    name: str, problems: list[Problem], lines: Mapping[str, int], example: str = EXAMPLE
) -> NoReturn:
    """Raise one error that lists every problem with its line.

    Raises
    ------
    ConfigError
        Always.
    """
    texts = []
    for problem in problems:
        line = lines.get(problem.key)
        where = f"{name}:{line}" if line else name
        texts.append(f"{where}: {problem.key} {problem.text}")
    fix = f"{shipped(example)} documents every key"
    if len(texts) == 1:
        raise ConfigError(texts[0], fix=fix)
    raise ConfigError(
        f"{name} has {len(texts)} problems",
        why="\n  " + "\n  ".join(texts),
        fix=fix,
    )
