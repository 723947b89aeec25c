"""The one way to compile a kernel: numba, cached on disk, strict IEEE arithmetic.

`fastmath` stays off and nothing runs in parallel, because results must be equal bit for bit on
every worker. Numba invalidates a cached function when its own file changes, but not when a
function that it inlines from another file does; the cache folder is therefore keyed by the
sources whose functions others inline.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = Path(__file__).resolve().parent.parent
_INLINED_SOURCES = (
    "backtest/passes.py",
    "costs",
    "domain/jit.py",
    "evolution/risk",
    "risk/formulas.py",
    "risk/genome.py",
    "risk/measures.py",
    "strategy/kernels",
    "strategy/learners",
    "strategy/policy.py",
)


def cache_folder() -> Path:
    """Folder of compiled kernels, private to the user (``GENESIS_CACHE`` overrides its parent)."""
    parent = os.environ.get("GENESIS_CACHE")
    root = Path(parent) if parent else Path.home() / ".cache" / "genesis"
    digest = hashlib.blake2b(digest_size=6)
    for name in _INLINED_SOURCES:
        place = _PACKAGE / name
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            if file.exists():
                digest.update(file.read_bytes())
    folder = root / "numba" / digest.hexdigest()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


if not os.environ.get("NUMBA_CACHE_DIR"):
    numba.config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]


def kernel(function: F) -> F:
    """Compile a function on first use; no GIL, no fastmath, numpy's division rules."""
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return cast(F, compiled)
