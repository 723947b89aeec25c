"""A small job and units for any executor."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from genesis.domain.instrument import Instrument
from genesis.evolution.executors.ray_session import RaySession
from genesis.evolution.work import StudyJob, WorkUnit
from genesis.market.panel import Panel, SymbolSeries


@pytest.fixture(scope="module", autouse=True)
def importable_evaluators() -> Iterator[None]:
    """Workers import what the driver imports: put the fake evaluators on the path."""
    folder = str(Path(__file__).parent)
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def ray_session(importable_evaluators: None) -> Iterator[None]:
    """A local Ray cluster that the tests' executors share; starting one takes seconds."""
    session = RaySession(None, workers=4, store_bytes=128 << 20)
    yield
    session.close()


@pytest.fixture(autouse=True)
def ray_where_needed(request: pytest.FixtureRequest) -> None:
    """Bring the cluster up for tests whose executor is Ray."""
    callspec = getattr(request.node, "callspec", None)
    if callspec is not None and str(callspec.params.get("kind", "")).startswith("ray"):
        request.getfixturevalue("ray_session")


def make_series(symbol: str, bars: int, seed: int) -> SymbolSeries:
    """A random walk with a gap in the middle."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, bars)))
    open_ = np.concatenate(([100.0], close[:-1]))
    valid = np.ones(bars, dtype=np.bool_)
    valid[bars // 2] = False
    columns = {
        "open": open_,
        "high": np.maximum(open_, close) * 1.002,
        "low": np.minimum(open_, close) * 0.998,
        "close": close,
        "volume": rng.uniform(1.0, 2.0, bars),
    }
    for column in columns.values():
        column[~valid] = np.nan
    return SymbolSeries(
        instrument=Instrument(symbol, symbol.removesuffix("USDT"), tick=0.01, lot=0.001),
        valid=valid,
        first=0,
        last=bars - 1,
        funding_due=np.zeros(bars),
        funding=np.full(bars, np.nan),
        sentiment=np.full(bars, np.nan),
        has_funding=False,
        **columns,
    )


@pytest.fixture(scope="session")
def panel() -> Panel:
    """Three symbols, 900 bars of an hour."""
    names = ("AAAUSDT", "BBBUSDT", "CCCUSDT")
    return Panel(
        name="test:" + ",".join(names) + ":1h",
        venue="test",
        interval_ms=3_600_000,
        ts_ms=1_600_000_000_000 // 3_600_000 * 3_600_000 + np.arange(900) * 3_600_000,
        symbols=tuple(make_series(name, 900, seed) for seed, name in enumerate(names)),
        dataset_hash="0" * 64,
    )


@pytest.fixture(scope="session")
def job(panel: Panel) -> StudyJob:
    """The panel with an empty setup, for the fake evaluators."""
    return StudyJob(panel=panel, setup={"folds": 4}, memory_bytes=64 << 20)


UnitsOf = Callable[..., list[WorkUnit]]


@pytest.fixture(scope="session")
def units_of() -> UnitsOf:
    """Blocks of genomes on each symbol, symbol-major, as the search makes them."""

    def build(*blocks: tuple[str, ...], symbols: int = 3) -> list[WorkUnit]:
        pairs = [(symbol, block) for symbol in range(symbols) for block in blocks]
        return [WorkUnit(number, symbol, block) for number, (symbol, block) in enumerate(pairs)]

    return build


@pytest.fixture(scope="session")
def plain_units(units_of: UnitsOf) -> list[WorkUnit]:
    """Twelve units, one block with a genome that raises."""
    return units_of(
        ("plain:a", "plain:b"), ("plain:c",), ("raise:no such window", "plain:d"), ("plain:e",)
    )
