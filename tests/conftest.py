"""Fixtures that several test areas use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genesis.domain.instrument import Instrument, base_asset
from genesis.market.panel import Panel, SymbolSeries

REPOSITORY = Path(__file__).resolve().parent.parent


def require(present: bool, what: str) -> None:
    """Skip when something is missing, or fail where everything is required."""
    if present:
        return
    if os.environ.get("GENESIS_REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is missing and GENESIS_REQUIRE_ALL=1")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real market data beside the repository."""
    folder = REPOSITORY.parent / "shared" / "data"
    require(folder.is_dir(), "real market data (../shared/data)")
    return folder


def random_series(symbol: str, bars: int, seed: int, missing: float) -> SymbolSeries:
    """A random walk with opening gaps, volume, funding, sentiment and a share of missing bars."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, bars)))
    opened = np.r_[close[:1], close[:-1]] * np.exp(rng.normal(0.0, 0.001, bars))
    high = np.maximum(opened, close) * (1.0 + rng.exponential(0.003, bars))
    low = np.minimum(opened, close) * (1.0 - rng.exponential(0.003, bars))
    volume = rng.exponential(10.0, bars)
    valid = rng.random(bars) >= missing
    for column in (opened, high, low, close, volume):
        column[~valid] = np.nan
    places = np.flatnonzero(valid)
    return SymbolSeries(
        instrument=Instrument(symbol, base_asset(symbol)),
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume,
        valid=valid,
        first=int(places[0]) if places.size else 0,
        last=int(places[-1]) if places.size else -1,
        funding_due=np.zeros(bars),
        funding=rng.normal(1e-4, 1e-4, bars),
        sentiment=rng.uniform(0.0, 100.0, bars),
        has_funding=True,
    )


@pytest.fixture(scope="session")
def random_panel() -> Callable[..., Panel]:
    """Make a seeded panel of random walks: ``random_panel(bars, seed, missing, symbols)``."""

    def make(
        bars: int = 400,
        seed: int = 0,
        missing: float = 0.0,
        symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"),
    ) -> Panel:
        return Panel(
            name="random",
            venue="test",
            interval_ms=3_600_000,
            ts_ms=np.arange(bars, dtype=np.int64) * 3_600_000,
            symbols=tuple(
                random_series(s, bars, 1000 * seed + k, missing) for k, s in enumerate(symbols)
            ),
            dataset_hash=f"random-{seed}-{missing}-{','.join(symbols)}",
        )

    return make
