"""What tracking says of a run: flat numbers and texts, without credentials."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from genesis.evolution.tracking.redact import redact_text


def numbers_of(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Finite numbers of a nested mapping under dotted names."""
    flat: dict[str, float] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(numbers_of(value, f"{name}."))
        elif isinstance(value, (int, float)) and math.isfinite(value):
            flat[name] = float(value)
    return flat


def _texts(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Leaves of a nested mapping as text under dotted names, credentials blanked out."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat.update(_texts(value, f"{name}."))
        elif isinstance(value, str):
            flat[name] = value
        else:
            flat[name] = json.dumps(value, default=str)
    return {key: redact_text(f"{key}: {value}")[len(key) + 2 :] for key, value in flat.items()}


def params_of(path: Path) -> dict[str, str]:
    """Keys of a YAML file under dotted names; nothing where it cannot be read."""
    with contextlib.suppress(OSError, yaml.YAMLError):
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
        if isinstance(plain, Mapping):
            return _texts(plain)
    return {}


def tags_of(path: Path) -> dict[str, str]:
    """Entries of a JSON file as ``genesis.NAME``; nothing where it cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        plain = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(plain, Mapping):
            return {f"genesis.{key}": value for key, value in _texts(plain).items()}
    return {}
