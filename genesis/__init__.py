"""Genesis: breed trading strategies, judge them honestly, promote what survives.

The names that a file of own seed families needs are importable from here; they load on first use,
so that the command line starts fast.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genesis.evolution.run import load_run
    from genesis.strategy.genes import Choice, Flag, Float, Int, Levels, Window
    from genesis.strategy.language import *  # noqa: F403
    from genesis.strategy.language import Market
    from genesis.strategy.registry import SeedRegistry
    from genesis.strategy.seed import Ordering, Seed, SeedKind, seed
    from genesis.strategy.strategy import Rules, Strategy

__all__ = [
    "Choice",
    "Flag",
    "Float",
    "Int",
    "Levels",
    "Market",
    "Ordering",
    "Rules",
    "Seed",
    "SeedKind",
    "SeedRegistry",
    "Strategy",
    "Window",
    "load_run",
    "seed",
]

_HOMES = {
    **dict.fromkeys(("Choice", "Flag", "Float", "Int", "Levels", "Window"), "strategy.genes"),
    **dict.fromkeys(("Ordering", "Seed", "SeedKind", "seed"), "strategy.seed"),
    **dict.fromkeys(("Rules", "Strategy"), "strategy.strategy"),
    "SeedRegistry": "strategy.registry",
    "load_run": "evolution.run",
}


def __getattr__(name: str) -> Any:
    # Indicators (ema, rsi, ...) need no list here: whatever the language defines is a name.
    if name.startswith("_"):
        raise AttributeError(f"module 'genesis' has no attribute '{name}'")
    if name not in _HOMES and find_spec(f"genesis.{name}") is not None:
        return import_module(f"genesis.{name}")
    home = import_module(f"genesis.{_HOMES.get(name, 'strategy.language')}")
    try:
        return getattr(home, name)
    except AttributeError:
        raise AttributeError(f"module 'genesis' has no attribute '{name}'") from None
