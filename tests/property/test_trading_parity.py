"""Strategies of every family on wild markets: the paper run is the backtest, fill for fill."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from genesis.paper.parity import ParityReport
from genesis.strategy.genome import random_genome
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.strategy import Strategy
from tests.unit.paper.engine_runs import parity, settings_of, take, wild_market

REGISTRY = SeedRegistry()
MARKETS = (
    {"scale": 0.012, "funding": 2e-3},
    {"scale": 0.02, "tick": 0.01, "lot": 0.001, "min_notional": 5.0},
    {"scale": 0.015, "missing": 0.15, "funding": 5e-3},
)


def of_every_family(seed: int, size: float = 0.3) -> Iterator[Strategy]:
    """One random strategy of each family, the learning ones too."""
    rng = random.Random(seed)
    for name in REGISTRY.names():
        made = REGISTRY.express(random_genome(REGISTRY.get(name), rng))
        yield replace(made, policy=replace(made.policy, size=size))


def run(seed: int, bars: int) -> ParityReport:
    """Every family on a market with a late listing and a delisting."""
    panel = wild_market(seed, bars, symbols=3, **MARKETS[seed % len(MARKETS)])
    strategies = {s.id: s for s in of_every_family(seed)}
    with tempfile.TemporaryDirectory() as folder:
        outcome, _ = take(Path(folder) / "run", panel, settings_of(list(strategies.values())))
        assert outcome.finished
        return parity(Path(folder) / "run", panel, list(strategies.values()))


def test_there_are_fourteen_families() -> None:
    assert len(REGISTRY.names()) == 14
    assert len(REGISTRY.names(ml=True)) == 2


@pytest.mark.parametrize("seed", [0, 1])
def test_every_family_trades_on_paper_as_in_its_backtest(seed: int) -> None:
    report = run(seed, 700)
    assert report.equal, report.to_plain()
    assert report.fills > 200


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 14))
def test_every_family_trades_on_paper_as_in_its_backtest_at_length(seed: int) -> None:
    report = run(seed, 2_000)
    assert report.equal, report.to_plain()
    assert report.fills > 500
