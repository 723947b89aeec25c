"""A small market, an executor that scores genomes by a formula, and a strategy that moves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genesis.backtest.result import METRICS, RAISED, BlockResult
from genesis.domain.instrument import Instrument
from genesis.domain.timeline import HOUR_MS
from genesis.evolution.config import StudyConfig, parse_config
from genesis.evolution.fitness import ScoreRule
from genesis.evolution.pool import GeneticStrategyPool, StudyIdentity
from genesis.evolution.strategy_export import export_strategy
from genesis.evolution.trials import TrialLedger
from genesis.evolution.work import ExecutorStats, StudyJob, UnitResult, WorkUnit
from genesis.market.panel import Panel, SymbolSeries
from genesis.strategy.genome import from_text
from genesis.strategy.registry import SeedRegistry
from tests.unit.evolution.exported import two_studies
from tests.unit.evolution.trial_homes import Home

DAYS = 30


class StepClock:
    """Advances by one second whenever it is read."""

    def __init__(self) -> None:
        self.reads = 0

    def now_ms(self) -> int:
        self.reads += 1
        return 1_700_000_000_000 + 1000 * self.reads

    def monotonic(self) -> float:
        self.reads += 1
        return float(self.reads)


def _row(text: str, symbol: int) -> dict[str, float]:
    """Numbers that favour a long stop and few genes: any smooth function of the genes will do."""
    genome = from_text(text)
    stop = float(genome.genes["policy.stop_atr"])
    digest = hashlib.blake2b(f"{text}/{symbol}".encode(), digest_size=8).digest()
    noise = int.from_bytes(digest, "big") / 2**64
    size = float(genome.genes["policy.size"])
    sharpe = 2.0 - (stop - 4.0) ** 2 / 8.0 + 0.3 * noise
    return {
        "sharpe": sharpe,
        "sharpe_2x": sharpe - 0.2,
        "trades": 80.0 + 40.0 * noise,
        "exposure": 0.4,
        "holding_bars": 1.0 + 400.0 * noise * noise,
        "turnover": 20.0 * size / 0.05,
        "long_share": float(genome.genes["policy.direction"] == "long"),
        "win_rate": 0.5,
        "profit_factor": 1.2,
        "gross_profit": 1.2,
        "gross_loss": 1.0,
        "drawdown": 0.05 + size,
        "hash": float(int.from_bytes(digest[:6], "big")),
    }


class FormulaExecutor:
    """In-process executor over `_row`.

    ``shuffle`` answers units in reverse; ``broken`` picks genomes that raise; ``stop_after`` raises
    KeyboardInterrupt in the middle of that many answered units.
    """

    name = "formula"

    def __init__(
        self,
        *,
        shuffle: bool = False,
        broken: Callable[[str], bool] = lambda _: False,
        stop_after: int | None = None,
    ) -> None:
        self.stats = ExecutorStats(workers=1)
        self.shuffle = shuffle
        self.broken = broken
        self.left = stop_after
        self.genomes = 0
        self.closed = False
        self.job: StudyJob | None = None

    def start(self, job: StudyJob) -> None:
        self.job = job

    def run(self, units: Sequence[WorkUnit]) -> Iterator[UnitResult]:
        for unit in reversed(units) if self.shuffle else units:
            if self.left is not None:
                if self.left == 0:
                    raise KeyboardInterrupt
                self.left -= 1
            self.genomes += len(unit.genomes)
            self.stats.busy_seconds += 0.5
            yield UnitResult(unit.unit, self._block(unit), 0.5, "fake", 3, 1)

    def _block(self, unit: WorkUnit) -> BlockResult:
        n = len(unit.genomes)
        status = np.zeros(n, dtype=np.int8)
        reasons = [""] * n
        metrics = np.full((n, len(METRICS)), np.nan)
        folds = np.full((n, 2), np.nan)
        trades = np.full((n, 2), np.nan)
        marks = np.full((n, DAYS), np.nan)
        phenotype = np.zeros(n, dtype=np.uint64)
        for i, text in enumerate(unit.genomes):
            if self.broken(text):
                status[i], reasons[i] = RAISED, "ValueError: broken on purpose"
                continue
            row = _row(text, unit.symbol)
            metrics[i] = [row.get(name, 0.0) for name in METRICS]
            folds[i] = row["sharpe"] + 0.1, row["sharpe"] - 0.1
            trades[i] = row["trades"] / 2
            wave = np.sin(np.arange(DAYS))
            marks[i] = row["sharpe"] * np.arange(DAYS) * 1e-3 + row["drawdown"] * wave * 0.1
            phenotype[i] = np.uint64(int(row["hash"]))
        return BlockResult(status, tuple(reasons), metrics, folds, trades, marks, phenotype)

    def close(self) -> None:
        self.closed = True


def small_panel(bars: int = 2000, symbols: tuple[str, ...] = ("AAAUSDT", "BBBUSDT")) -> Panel:
    """Random walks without funding."""
    series = []
    for place, name in enumerate(symbols):
        rng = np.random.default_rng(place)
        close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.01, bars)))
        open_ = np.concatenate([[100.0], close[:-1]])
        none = np.full(bars, np.nan)
        series.append(
            SymbolSeries(
                Instrument(name, name[:3]),
                open_,
                np.maximum(open_, close) * 1.001,
                np.minimum(open_, close) * 0.999,
                close,
                np.full(bars, 10.0),
                np.ones(bars, dtype=np.bool_),
                0,
                bars - 1,
                np.zeros(bars),
                none,
                none,
                False,
            )
        )
    ts_ms = 1_600_000_000_000 // HOUR_MS * HOUR_MS + HOUR_MS * np.arange(bars, dtype=np.int64)
    return Panel("test:AAA,BBB:1h", "test", HOUR_MS, ts_ms, tuple(series), "d" * 64)


BASE = """
schema: 1
name: small
dataset: {venue: test, symbols: [AAAUSDT, BBBUSDT], interval: 1h, funding: none}
split: {folds: 2}
seeds: {families: [ema_cross, donchian, rsi]}
evolution: {population_size: 24, generations: 5, islands: 2, migration_every: 2, seed: 7}
constraints: {min_trades: 50, min_trades_per_fold: 5}
"""


def small_config(**overrides: Any) -> StudyConfig:
    """A study of seconds; overrides as in `with_overrides`."""
    from genesis.evolution.config import with_overrides

    config = parse_config(BASE)
    return with_overrides(config, **overrides) if overrides else config


class Factory:
    """Builds pools over the formula executor in one folder."""

    StepClock = StepClock
    FormulaExecutor = FormulaExecutor
    panel = staticmethod(small_panel)
    config = staticmethod(small_config)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = SeedRegistry()

    def pool(
        self,
        name: str = "a",
        *,
        executor: FormulaExecutor | None = None,
        config: StudyConfig | None = None,
    ) -> GeneticStrategyPool:
        """A pool with a ledger of its own under ``name``."""
        chosen = config or small_config()
        panel = small_panel()
        runner = executor or FormulaExecutor()
        return GeneticStrategyPool(
            chosen,
            self.registry,
            panel,
            runner,
            TrialLedger(self.folder / f"{name}.jsonl"),
            score=ScoreRule.of(chosen, panel, self.registry).scores,
            identity=StudyIdentity(chosen.config_hash, "d" * 64, "c" * 64, "s" * 64),
            clock=StepClock(),
        )


@pytest.fixture
def factory(tmp_path: Path) -> Factory:
    """Pools over a formula, in a folder of the test."""
    return Factory(tmp_path)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Two studies on the same market, and one elsewhere; the first found a strategy."""
    return two_studies(tmp_path / "home")


@pytest.fixture
def file(home: Home, tmp_path: Path) -> Path:
    """The strategy, exported."""
    return export_strategy(home.path, "strat_", tmp_path / "out" / "best.json").path


@pytest.fixture
def other(tmp_path: Path) -> Home:
    """Another workspace, which made trials of its own on the market."""
    other = Home(tmp_path / "other")
    other.study("own", "ae")
    return other
