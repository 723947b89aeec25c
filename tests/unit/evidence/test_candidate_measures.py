"""Every measure of a strategy, computed again by plain loops from its bar by bar equity."""

from __future__ import annotations

import math
from itertools import combinations
from statistics import NormalDist
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from genesis.backtest.portfolio import PortfolioBacktest, backtest_strategy
from genesis.domain.timeline import DAY_MS
from genesis.evidence.campaign import Campaign, Candidate
from genesis.evidence.candidate import CandidateEvidence, measure_candidates
from genesis.evidence.gates import Settings
from genesis.evidence.jitter import jittered
from genesis.evidence.neighbours import grid_neighbours
from genesis.market.panel import Panel
from genesis.strategy.genome import warmup_bars
from genesis.validation.robustness import trade_bootstrap
from tests.unit.evidence.small_study import started

SETTINGS = Settings(
    noise_draws=5, noise_scale=0.3, cpcv_groups=6, cpcv_test_groups=2, walk_forward_windows=3
)
TRIALS = SimpleNamespace(effective=12.5, variance=0.004, count=SimpleNamespace(unique=321))
NORMAL = NormalDist()
YEAR = math.sqrt(365.0)


def ratio(values: np.ndarray) -> float:
    """Sharpe ratio of a day; 0 where there is none."""
    if len(values) < 2 or np.std(values) < 1e-14:
        return 0.0
    return float(np.mean(values) / np.std(values, ddof=1))


def by_day(ts: np.ndarray, equity: np.ndarray, before: float = 0.0) -> np.ndarray:
    marks: dict[int, float] = {}
    for at, value in zip(ts.tolist(), equity.tolist(), strict=True):
        marks[at // DAY_MS] = value
    return np.diff([before, *marks.values()])


def holding(panel: Panel) -> np.ndarray:
    """Daily return of equal parts of every symbol; all of them have every bar here."""
    closes: dict[int, list[float]] = {}
    for at, ts in enumerate(panel.ts_ms.tolist()):
        closes[ts // DAY_MS] = [float(s.close[at]) for s in panel.symbols]
    table = np.array([[float(s.open[0]) for s in panel.symbols], *closes.values()])
    return (table[1:] / table[:-1] - 1.0).mean(axis=1)


def without(returns: np.ndarray, market: np.ndarray) -> np.ndarray:
    slope, _ = np.polyfit(market, returns, 1)
    return returns - slope * market


def spread_of(values: np.ndarray) -> float:
    """``1 - g3 S + (g4 - 1) / 4 S^2``."""
    unit = (values - values.mean()) / values.std()
    s = ratio(values)
    return float(1 - (unit**3).mean() * s + ((unit**4).mean() - 1) / 4 * s * s)


def probability(values: np.ndarray, hurdle: float) -> float:
    z = (ratio(values) - hurdle) * math.sqrt((len(values) - 1) / spread_of(values))
    return NORMAL.cdf(z)


def expected_best(n: float) -> float:
    gamma = 0.5772156649015329
    return (1 - gamma) * NORMAL.inv_cdf(1 - 1 / n) + gamma * NORMAL.inv_cdf(1 - 1 / (n * math.e))


class Case:
    """A candidate, its backtest, and the evidence that is checked against it."""

    def __init__(
        self, campaign: Campaign, candidate: Candidate, evidence: CandidateEvidence
    ) -> None:
        self.campaign = campaign
        self.candidate = candidate
        self.evidence = evidence
        self.panel = campaign.search
        self.result = self.backtest(self.panel)
        self.daily = by_day(self.panel.ts_ms, self.result.equity)

    def backtest(self, panel: Panel, strategy: Any = None) -> PortfolioBacktest:
        chosen = strategy or self.candidate.record.strategy
        return backtest_strategy(panel, chosen, self.campaign.material.setup)

    def value(self, name: str) -> Any:
        found = self.evidence.measures[name]
        return found[0] if isinstance(found, tuple) else found

    def table(self) -> np.ndarray:
        """Daily returns of the strategy and then of each neighbour."""
        registry = self.campaign.material.registry
        limit = int(self.campaign.config.constraints.max_warmup * self.panel.bars)
        rows = [self.daily]
        for genome in grid_neighbours(self.candidate.genome, registry, limit):
            equity = self.backtest(self.panel, registry.express(genome)).equity
            rows.append(by_day(self.panel.ts_ms, equity))
        return np.array(rows)

    def purge(self) -> int:
        held = [t.exit_bar - t.entry_bar for s in self.result.symbols for t in s.trades]
        bars = max(held) + warmup_bars(self.candidate.record.strategy)
        return math.ceil(bars * self.panel.interval_ms / DAY_MS)


@pytest.fixture(scope="module")
def evidence(read_campaign: Campaign) -> list[CandidateEvidence]:
    found = read_campaign.candidates(4)
    return measure_candidates(
        read_campaign,
        found,
        started(read_campaign),
        SETTINGS,
        TRIALS,  # type: ignore[arg-type]
    )


@pytest.fixture(params=range(4))
def case(
    request: pytest.FixtureRequest, read_campaign: Campaign, evidence: list[CandidateEvidence]
) -> Case:
    found = evidence[request.param]
    return Case(read_campaign, found.candidate, found)


def test_returns_are_those_of_the_equity(case: Case) -> None:
    np.testing.assert_allclose(case.evidence.returns, case.daily, atol=1e-15)
    assert case.evidence.details["sharpe"]["annual"] == pytest.approx(ratio(case.daily) * YEAR)


def test_deflated_ratios_and_the_length_of_record(case: Case) -> None:
    alone = without(case.daily, holding(case.panel))
    days = len(alone)
    null = math.sqrt(1 / (days - 1)) * expected_best(12.5)
    ledger = math.sqrt(0.004) * expected_best(321)
    assert case.value("deflated_sharpe") == pytest.approx(probability(alone, null), abs=1e-9)
    assert case.value("deflated_sharpe_ledger") == pytest.approx(
        probability(alone, ledger), abs=1e-9
    )
    needed = 1 + spread_of(alone) * (NORMAL.inv_cdf(0.95) / ratio(alone)) ** 2
    assert case.value("track_record") == pytest.approx(needed / days)
    details = case.evidence.details["sharpe"]
    assert details["annual_without_market"] == pytest.approx(ratio(alone) * YEAR)
    assert details["deflated_without_hedge"] == pytest.approx(
        probability(case.daily, null), abs=1e-9
    )


def test_trades_and_twice_the_costs(case: Case) -> None:
    trades = [t for s in case.result.symbols for t in s.trades if t.closed]
    assert case.value("trades") == len(trades) > 0
    dear = sum(s.gross - 2.0 * s.cost for s in case.result.symbols) / len(case.result.symbols)
    expected = ratio(by_day(case.panel.ts_ms, np.cumsum(dear))) * YEAR
    assert case.value("sharpe_2x") == pytest.approx(expected)
    assert case.value("sharpe_2x") < ratio(case.daily) * YEAR
    assert case.value("prefix_invariance") == 0.0
    assert case.value("accounting_error") < 1e-12


def test_the_plateau(case: Case) -> None:
    ratios = sorted(ratio(row) * YEAR for row in case.table()[1:])
    assert len(ratios) > 3
    assert case.value("plateau_median") == pytest.approx(
        float(np.median(ratios)) / (ratio(case.daily) * YEAR)
    )
    assert case.value("plateau_p10") == pytest.approx(float(np.percentile(ratios, 10)))
    assert sorted(case.evidence.details["neighbours"]["sharpe"]) == pytest.approx(ratios)


def test_paths_of_cross_validation(case: Case) -> None:
    """Every pair of six groups tested in turn, the variant chosen on what is left of the rest."""
    table, purge = case.table(), case.purge()
    days = table.shape[1]
    embargo = math.ceil(0.01 * days)
    groups = np.array_split(np.arange(days), 6)
    series = {group: [] for group in range(6)}  # type: ignore[var-annotated]
    for pair in combinations(range(6), 2):
        free = np.ones(days, dtype=bool)
        for group in pair:
            first, last = groups[group][0], groups[group][-1]
            free[max(first - purge, 0) : last + 1 + purge + embargo] = False
        if not free.any():
            assert case.value("cpcv_p25") is None
            return
        best = int(np.argmax([ratio(row[free]) for row in table]))
        for group in pair:
            series[group].append(table[best][groups[group]])
    paths = [np.concatenate([series[group][k] for group in range(6)]) for k in range(5)]
    ratios = [ratio(path) * YEAR for path in paths]
    assert case.value("cpcv_p25") == pytest.approx(float(np.quantile(ratios, 0.25)))
    assert case.evidence.details["cpcv"]["paths"] == pytest.approx(ratios)
    assert case.evidence.details["cpcv"]["purge_days"] == purge


def test_some_case_has_paths(evidence: list[CandidateEvidence]) -> None:
    values = [e.measures["cpcv_p25"][0] for e in evidence]
    assert any(value is not None for value in values)


def test_walk_forward(case: Case) -> None:
    """Three anchored windows, each variant chosen on all days before but for the purged."""
    table, purge = case.table(), case.purge()
    days = table.shape[1]
    size = days // 4
    before, after = [], []
    for window in range(3):
        start = days - (3 - window) * size
        seen = table[:, : max(start - purge, 0)]
        if seen.shape[1] < 2:
            assert case.value("walk_forward_efficiency") is None
            return
        best = int(np.argmax([ratio(row) for row in seen]))
        before.append(ratio(seen[best]) * YEAR)
        after.append(ratio(table[best, start : start + size]) * YEAR)
    details = case.evidence.details["walk_forward"]
    assert details["in_sample"] == pytest.approx(before)
    assert details["out_of_sample"] == pytest.approx(after)
    expected = np.mean(after) / np.mean(before)
    assert case.value("walk_forward_efficiency") == pytest.approx(float(expected))


def test_noise(case: Case) -> None:
    profits = [
        float(np.sum(case.backtest(jittered(case.panel, 0.3, index, 0)).returns)) > 0.0
        for index in range(5)
    ]
    assert case.value("noise_profitable") == pytest.approx(np.mean(profits))


def test_trades_in_order_of_their_exits(case: Case) -> None:
    closed = [t for s in case.result.symbols for t in s.trades if t.closed]
    closed.sort(key=lambda t: (t.exit_ts_ms, t.entry_ts_ms, t.pnl))
    pnl = np.array([t.pnl for t in closed])
    rest = np.sort(pnl)[:-5]
    assert case.value("without_top5") == pytest.approx(ratio(rest))
    boot = trade_bootstrap(pnl, 1000, np.random.default_rng(20200101))
    assert case.value("trade_bootstrap") == pytest.approx(boot.p5_sharpe)
    assert boot.p5_sharpe < ratio(pnl)


def test_replay_of_three_windows_alone(case: Case) -> None:
    bars, history = case.panel.bars, warmup_bars(case.candidate.record.strategy)
    ratios = []
    for window in range(3):
        start, stop = bars * window // 3, bars * (window + 1) // 3
        first = max(start - history, 0)
        part = case.backtest(case.panel.sliced(first, stop))
        kept = part.equity[start - first :]
        before = float(part.equity[start - first - 1]) if start > first else 0.0
        ratios.append(ratio(by_day(case.panel.ts_ms[start:stop], kept, before)) * YEAR)
    assert case.value("replay_sharpe") == pytest.approx(float(np.mean(ratios)))
    steady = 1 - np.std(ratios, ddof=1) / abs(np.mean(ratios))
    assert case.value("replay_consistency") == pytest.approx(max(0.0, float(steady)))
    assert case.evidence.details["replay"] == pytest.approx(ratios)


def test_details_are_plain_numbers_that_json_knows(case: Case) -> None:
    import json

    text = json.dumps(case.evidence.details, allow_nan=False)
    assert len(json.loads(text)["regimes"]) == 6


def test_a_strategy_that_loses_has_details_too(read_campaign: Campaign) -> None:
    """Infinite and unknown numbers become null: the dossier of a failure can be written."""
    import json

    registry = read_campaign.material.registry
    search = [row for row in read_campaign.trials if row["status"] == "valid"]
    from genesis.evolution.candidate import Score
    from genesis.strategy.genome import from_plain

    worst = min(search, key=lambda row: row["measures"]["total_return"])
    assert worst["measures"]["total_return"] < 0.0
    genome = from_plain(worst["plain"])
    record = SimpleNamespace(strategy=registry.express(genome), id="strat_worst")
    candidate = Candidate(record, genome, Score.from_plain(worst))  # type: ignore[arg-type]
    (found,) = measure_candidates(
        read_campaign, [candidate], started(read_campaign), SETTINGS, TRIALS  # type: ignore[arg-type]
    )  # fmt: skip
    json.dumps(found.details, allow_nan=False)
    assert found.details["sharpe"]["annual"] < 0.0
    assert found.details["sharpe"]["track_record_without_hedge"] is None


def test_nobody_to_judge(read_campaign: Campaign) -> None:
    executor = started(read_campaign)
    assert measure_candidates(read_campaign, [], executor, SETTINGS, TRIALS) == []  # type: ignore[arg-type]
