"""Canonical JSON and content hashes: one spelling per value, so that equal things hash alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_OWN_FORM = frozenset((str, int, bool, type(None)))


def canonical_json(value: Any) -> str:
    """Spell a value in exactly one way: sorted keys, no spaces, floats as ``float.hex``.

    Raises
    ------
    TypeError
        For a value that JSON has no form for.
    """
    return _ENCODER.encode(_plain(value))


def _plain(value: Any) -> Any:
    # The exact types first: a search spells every genome and every row of its ledger.
    kind = type(value)
    if kind is float:
        return value.hex()
    if kind in _OWN_FORM:
        return value
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, Mapping)):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value).hex()
    if isinstance(value, (list, tuple, Sequence)):
        return [_plain(v) for v in value]
    raise TypeError(f"no canonical form for {type(value).__name__}")


def content_hash(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of a value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def array_hash(*arrays: npt.NDArray[Any]) -> str:
    """SHA-256 (hex) over dtype, shape and bytes of each array in turn."""
    digest = hashlib.sha256()
    for array in arrays:
        data = np.ascontiguousarray(array)
        digest.update(f"{data.dtype.str}{data.shape}".encode())
        digest.update(data.tobytes())
    return digest.hexdigest()
