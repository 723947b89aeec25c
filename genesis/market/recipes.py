"""Command lines that bring missing bars into the store."""

from __future__ import annotations

from collections.abc import Sequence

from genesis.domain.timeline import interval_ms, interval_name
from genesis.market.dataset_spec import DatasetSpec
from genesis.market.store import BarStore


def recipes(store: BarStore, spec: DatasetSpec, missing: Sequence[str]) -> list[str]:
    """Command lines that put the missing bars into the store."""
    longer = _resampling(store, spec, missing)
    if spec.venue == "synth":
        synth = f"genesis data synth --assets {len(spec.symbols)} --interval {spec.interval}"
        return [*longer, synth]
    venue, interval = spec.venue, spec.interval
    lines = [
        f"genesis data import FILE --venue {venue} --symbol {symbol} --interval {interval}"
        for symbol in missing
    ]
    wanted = DatasetSpec(spec.venue, tuple(missing), spec.interval, spec.start_ms, spec.end_ms)
    return [
        *longer,
        "genesis data import FOLDER   (laid out candles/VENUE/SYMBOL/INTERVAL.parquet)",
        *lines,
        f"genesis data fetch {wanted.text}",
    ]


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
