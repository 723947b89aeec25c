"""Which code a result belongs to: hashes of the sources, versions of the libraries."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata
from pathlib import Path

from genesis.domain.canonical import content_hash
from genesis.strategy.registry import SeedRegistry

# What can change a number. Executors, tracking, reports and the CLI cannot.
_PACKAGES = ("domain", "market", "costs", "strategy", "backtest", "evolution")
_WITHOUT = ("evolution/executors", "evolution/tracking", "market/sources")
_LIBRARIES = ("numpy", "numba", "deap", "vectorbt", "vectorbt-rust", "ray", "scikit-learn")


def code_hash(registry: SeedRegistry) -> str:
    """SHA-256 over the sources that results depend on, the user's families included."""
    return content_hash([source_hash(*_PACKAGES), registry.source_hash()])


def source_hash(*packages: str) -> str:
    """SHA-256 over the sources of some packages that can change a number."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for package in packages:
        for file in sorted((root / package).rglob("*.py")):
            name = file.relative_to(root).as_posix()
            if name.startswith(_WITHOUT) or file.name.startswith(("report", "charts")):
                continue
            digest.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python, genesis and the libraries that results depend on."""
    found = {"python": platform.python_version()}
    for name in ("genesis", *_LIBRARIES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found
