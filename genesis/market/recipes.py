"""Command lines that bring missing bars into the store."""

from __future__ import annotations

import re
from collections.abc import Sequence

from genesis.domain.timeline import interval_ms, interval_name
from genesis.market.dataset_spec import DatasetSpec
from genesis.market.sources.ccxt import is_known
from genesis.market.store import BarStore

DEMO_INTERVAL = "4h"
"""Bars that `genesis demo` makes."""
_SYNTHETIC = re.compile(r"^SYN([1-9][0-9]*)$")
_DEMO = re.compile(r"^demo-([0-9]+)$")


def demo_seed(venue: str) -> int | None:
    """Seed of the demo that makes a venue; None if none does."""
    found = _DEMO.match(venue)
    return int(found[1]) if found else None


def recipes(store: BarStore, spec: DatasetSpec, missing: Sequence[str]) -> list[str]:
    """Command lines that put the missing bars into the store, and what is there instead."""
    made = _resampling(store, spec, missing)
    if spec.venue == "synth":
        return [*made, *_synthetic(store, spec), *_stored_instead(store, spec)]
    seed = demo_seed(spec.venue)
    if seed is not None:
        demo = [f"genesis demo --seed {seed}   (bars of {DEMO_INTERVAL})"]
        fits = interval_ms(spec.interval) % interval_ms(DEMO_INTERVAL) == 0
        return [*made, *(demo if fits and not made else []), *_stored_instead(store, spec)]
    venue, interval = spec.venue, spec.interval
    lines = [
        f"genesis data import FILE --venue {venue} --symbol {symbol} --interval {interval}"
        for symbol in missing
    ]
    wanted = DatasetSpec(spec.venue, tuple(missing), spec.interval, spec.start_ms, spec.end_ms)
    fetched = venue == "hyperliquid" or is_known(venue)
    return [
        *made,
        "genesis data import FOLDER   (laid out candles/VENUE/SYMBOL/INTERVAL.parquet)",
        *lines,
        *([f"genesis data fetch {wanted.text}"] if fetched else []),
        *_stored_instead(store, spec),
    ]


def _synthetic(store: BarStore, spec: DatasetSpec) -> list[str]:
    """Command line that draws the market, in a way that the store does not refuse."""
    numbers = [_SYNTHETIC.match(symbol) for symbol in spec.symbols]
    if not all(numbers):
        return []  # no synthetic market has such a symbol
    assets = max(int(one[1]) for one in numbers if one is not None)
    synth = f"data synth --assets {assets} --interval {spec.interval}"
    held = [s for s in store.symbols(spec.venue) if s in {f"SYN{n + 1}" for n in range(assets)}]
    if not held:
        return [f"genesis {synth}"]
    return [
        f"genesis --home ANOTHER {synth}   (beside the synthetic market that is here)",
        f"genesis {synth} --replace   (instead of {', '.join(held)}, which are here)",
    ]


def _stored_instead(store: BarStore, spec: DatasetSpec) -> list[str]:
    """What of the venue is stored, in words that follow the command lines."""
    known = store.symbols(spec.venue)
    if not known:
        return []
    there = [set(store.intervals(spec.venue, s)) for s in spec.symbols]
    common = sorted(set.intersection(*there), key=interval_ms)
    if common:
        return [f"or use {spec.venue}:{','.join(spec.symbols)}:{common[0]}"]
    shown = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
    return [f"or use what is stored of {spec.venue}: {shown} (genesis data list)"]


def _resampling(store: BarStore, spec: DatasetSpec, missing: Sequence[str]) -> list[str]:
    """Command line that makes the missing bars of shorter ones, where every symbol has them."""
    wanted = interval_ms(spec.interval)
    held = [set(store.intervals(spec.venue, symbol)) for symbol in missing]
    lengths = [interval_ms(name) for name in set.intersection(*held)]
    # The longest of those that divide it is the least work.
    fitting = max((ms for ms in lengths if ms < wanted and wanted % ms == 0), default=None)
    if fitting is None:
        return []
    source = f"{spec.venue}:{','.join(missing)}:{interval_name(fitting)}"
    return [f"genesis data resample {source} {spec.interval}"]
