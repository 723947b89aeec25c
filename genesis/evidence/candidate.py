"""Measures of one strategy on the searched bars: gates G0 and G2."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.metrics import sharpe
from genesis.backtest.portfolio import PortfolioBacktest, backtest_strategy, marks_per_year
from genesis.domain.errors import ExecutorError, InputError
from genesis.evidence.blocks import portfolio_marks
from genesis.evidence.campaign import Campaign, Candidate
from genesis.evidence.gates import Settings
from genesis.evidence.integrity import accounting_error, prefix_mismatches
from genesis.evidence.length import cpcv_shortage, purge_days, walk_forward_shortage
from genesis.evidence.multiplicity import Multiplicity
from genesis.evidence.neighbours import grid_neighbours
from genesis.evidence.progress import Progress, untold
from genesis.evidence.returns import daily_returns, hedged, market_returns
from genesis.evidence.worker import request
from genesis.evolution.work import Executor
from genesis.strategy.genome import warmup_bars
from genesis.validation.robustness import plateau, regime_table, trade_bootstrap
from genesis.validation.sharpe import (
    autocorrelation_adjusted,
    deflated_sharpe,
    min_track_record,
    moments,
)
from genesis.validation.splits import combinatorial_purged, path_sharpes, walk_forward
from genesis.validation.walkforward import walk_forward_efficiency

Floats = npt.NDArray[np.float64]

_BOOTSTRAP_DRAWS = 1_000
_BOOTSTRAP_SEED = 20200101
_REGIME_DAYS = 30


@dataclass(slots=True)
class CandidateEvidence:
    """What was measured of a strategy.

    Attributes
    ----------
    candidate : Candidate
    measures : dict
        Measure to its value, or to a value and a note.
    details : dict
        What stands behind the measures, for the dossier.
    returns : float64, shape (days,)
        Daily returns on the searched bars, fractions of capital.
    """

    candidate: Candidate
    measures: dict[str, Any]
    details: dict[str, Any]
    returns: Floats = field(repr=False)


def measure_candidates(
    campaign: Campaign,
    candidates: Sequence[Candidate],
    executor: Executor,
    settings: Settings,
    trials: Multiplicity,
    progress: Progress = untold,
) -> list[CandidateEvidence]:
    """Take all measures of G0 and G2 but the correlation, which depends on who was promoted.

    Parameters
    ----------
    campaign : Campaign
    candidates : sequence of Candidate
    executor : Executor
        Started with the campaign's job.
    settings : Settings
    trials : Multiplicity
    progress : callable
        Told (step, done, in all).
    """
    noise = _noise(candidates, executor, settings, progress)
    market = market_returns(campaign.search)
    found = []
    for place, candidate in enumerate(candidates):
        progress("candidates", place, len(candidates))
        result = backtest_strategy(
            campaign.search, candidate.record.strategy, campaign.material.setup
        )
        returns = daily_returns(campaign.search.ts_ms, result.returns)
        evidence = CandidateEvidence(candidate, {}, {}, returns)
        evidence.measures["noise_profitable"] = noise[place]
        _integrity(evidence, campaign, result)
        _deflation(evidence, market, trials, campaign)
        _variants(evidence, campaign, executor, settings, result)
        _trades(evidence, result)
        _replay(evidence, campaign, settings)
        _regimes(evidence, market, campaign)
        found.append(evidence)
    progress("candidates", len(candidates), len(candidates))
    return found


def _integrity(evidence: CandidateEvidence, campaign: Campaign, result: PortfolioBacktest) -> None:
    setup, strategy = campaign.material.setup, evidence.candidate.record.strategy
    evidence.measures |= {
        "prefix_invariance": float(prefix_mismatches(campaign.search, strategy, setup)),
        "accounting_error": accounting_error(campaign.search, result, setup),
        "trades": result.metrics["trades"],
        "sharpe_2x": result.metrics["daily_sharpe_2x"],
    }
    evidence.details["metrics"] = dict(result.metrics)


def _deflation(
    evidence: CandidateEvidence, market: Floats, trials: Multiplicity, campaign: Campaign
) -> None:
    """Deflated Sharpe ratio and track record, on returns without the market's part."""
    periods = marks_per_year(campaign.search.interval_ms)
    own = moments(hedged(evidence.returns, market))
    raw = moments(evidence.returns)
    needed = min_track_record(own)
    evidence.measures |= {
        "deflated_sharpe": deflated_sharpe(own, trials.effective),
        "deflated_sharpe_ledger": deflated_sharpe(
            own, float(max(trials.count.unique, 1)), trials.variance
        ),
        "track_record": (needed / own.n, f"{needed:.0f} days needed, {own.n} searched"),
    }
    evidence.details["sharpe"] = {
        "annual": float(np.nan_to_num(raw.sharpe)) * math.sqrt(periods),
        "annual_without_market": _finite(own.sharpe * math.sqrt(periods)),
        "annual_autocorrelation_adjusted": _finite(
            autocorrelation_adjusted(evidence.returns, round(periods))
        ),
        "days": own.n,
        "skew": _finite(own.skew),
        "kurtosis": _finite(own.kurtosis),
        "deflated_without_hedge": _finite(deflated_sharpe(raw, trials.effective)),
        "track_record_without_hedge": _finite(min_track_record(raw) / raw.n),
    }


def _variants(
    evidence: CandidateEvidence,
    campaign: Campaign,
    executor: Executor,
    settings: Settings,
    result: PortfolioBacktest,
) -> None:
    """Plateau, CPCV and walk-forward over the strategy and its grid neighbours."""
    genome = evidence.candidate.genome
    limit = int(campaign.config.constraints.max_warmup * campaign.search.bars)
    near = grid_neighbours(genome, campaign.material.registry, limit)
    periods = marks_per_year(campaign.search.interval_ms)
    texts = [g.to_text() for g in near]
    marks = portfolio_marks(executor, texts, len(campaign.search.symbols))
    marks = np.nan_to_num(marks)  # a neighbour that cannot be judged earns nothing
    rows = np.diff(marks, axis=1, prepend=0.0) if marks.size else np.empty((0, 0))
    ratios = np.array([sharpe(row, periods) for row in rows])
    centre = float(np.nan_to_num(sharpe(evidence.returns, periods)))
    if len(near):
        flat = plateau(centre, ratios)
        evidence.measures["plateau_median"] = (flat.median_share, f"{len(near)} neighbours")
        evidence.measures["plateau_p10"] = flat.p10
    else:
        none = "no gene of it has a neighbour"
        evidence.measures |= {"plateau_median": (1.0, none), "plateau_p10": (centre, none)}
    evidence.details["neighbours"] = {"sharpe": [_finite(r) for r in ratios], "own": centre}
    table = np.vstack([evidence.returns, rows]) if len(near) else evidence.returns[None, :]
    hold = max((t.exit_bar - t.entry_bar for s in result.symbols for t in s.trades), default=0)
    strategy, interval_ms = evidence.candidate.record.strategy, campaign.search.interval_ms
    purge = purge_days(strategy, hold, interval_ms)
    _cross_validated(evidence, table, settings, purge, periods)
    _walked_forward(evidence, table, settings, purge, periods)


def _best_row(table: Floats, days: npt.NDArray[np.int64], periods: float) -> int:
    """Row with the highest Sharpe ratio on some days, the strategy itself where all are equal."""
    ratios = [float(np.nan_to_num(sharpe(row[days], periods), nan=-np.inf)) for row in table]
    return int(np.argmax(ratios))


def _cross_validated(
    evidence: CandidateEvidence, table: Floats, settings: Settings, purge: int, periods: float
) -> None:
    """Paths of combinatorial purged cross-validation, the variant chosen anew in each split."""
    days = table.shape[1]
    embargo = math.ceil(settings.embargo * days)
    short = cpcv_shortage(days, settings, purge)
    if short is not None:
        evidence.measures["cpcv_p25"] = (None, f"{short.text} with a purge of {purge} days")
        return
    cv = combinatorial_purged(days, settings.cpcv_groups, settings.cpcv_test_groups, purge, embargo)
    chosen = np.array([table[_best_row(table, s.train_bars, periods)] for s in cv.splits])
    ratios = np.nan_to_num(path_sharpes(chosen, cv, periods))
    evidence.measures["cpcv_p25"] = (
        float(np.quantile(ratios, 0.25)),
        f"{len(cv.splits)} splits, {len(ratios)} paths, purge {purge} and embargo {embargo} days",
    )
    evidence.details["cpcv"] = {"paths": ratios.tolist(), "purge_days": purge}


def _walked_forward(
    evidence: CandidateEvidence, table: Floats, settings: Settings, purge: int, periods: float
) -> None:
    """Walk-forward efficiency, the variant chosen anew on everything before each window."""
    days = table.shape[1]
    windows = settings.walk_forward_windows
    test = days // (windows + 1)
    train = days - windows * test - purge
    short = walk_forward_shortage(days, settings, purge)
    if short is not None:
        note = f"{short.text} with a purge of {purge} days"
        evidence.measures["walk_forward_efficiency"] = (None, note)
        return
    before, after = [], []
    for split in walk_forward(days, train=train, test=test, anchored=True, purge=purge):
        row = table[_best_row(table, split.train_bars, periods)]
        before.append(float(np.nan_to_num(sharpe(row[split.train_bars], periods))))
        after.append(float(np.nan_to_num(sharpe(row[split.test_bars], periods))))
    evidence.measures["walk_forward_efficiency"] = (
        _finite(walk_forward_efficiency(np.array(before), np.array(after))),
        f"{len(before)} anchored windows of {test} days",
    )
    evidence.details["walk_forward"] = {"in_sample": before, "out_of_sample": after}


def _trades(evidence: CandidateEvidence, result: PortfolioBacktest) -> None:
    """Bootstrap of closed trades in order of their exits."""
    closed = [
        (trade.exit_ts_ms, trade.entry_ts_ms, trade.pnl)
        for symbol in result.symbols
        for trade in symbol.trades
        if trade.closed
    ]
    pnl = np.array([row[2] for row in sorted(closed)])
    boot = trade_bootstrap(pnl, _BOOTSTRAP_DRAWS, np.random.default_rng(_BOOTSTRAP_SEED))
    evidence.measures |= {
        "trade_bootstrap": _finite(boot.p5_sharpe),
        "without_top5": _finite(boot.without_top5_sharpe),
    }


def _replay(evidence: CandidateEvidence, campaign: Campaign, settings: Settings) -> None:
    """Disjoint windows, each replayed alone from a flat account after its own warm-up."""
    search, strategy = campaign.search, evidence.candidate.record.strategy
    periods = marks_per_year(search.interval_ms)
    history = warmup_bars(strategy)
    edges = [search.bars * i // settings.replay_windows for i in range(settings.replay_windows + 1)]
    ratios = []
    for start, stop in pairwise(edges):
        first = max(start - history, 0)
        part = search.sliced(first, stop)
        try:
            result = backtest_strategy(part, strategy, campaign.material.setup)
        except InputError:  # no symbol is long enough there
            ratios.append(0.0)
            continue
        own = daily_returns(search.ts_ms[start:stop], result.returns[start - first :])
        ratios.append(float(np.nan_to_num(sharpe(own, periods))))
    mean, spread = float(np.mean(ratios)), float(np.std(ratios, ddof=1))
    evidence.measures |= {
        "replay_sharpe": (mean, ", ".join(f"{r:.2f}" for r in ratios)),
        "replay_consistency": 1.0 - spread / max(abs(mean), 0.1),
    }
    evidence.details["replay"] = ratios


def _regimes(evidence: CandidateEvidence, market: Floats, campaign: Campaign) -> None:
    """Table of the strategy in each regime of its market; for people, no gate reads it."""
    rows = regime_table(
        market, evidence.returns, marks_per_year(campaign.search.interval_ms), _REGIME_DAYS
    )
    evidence.details["regimes"] = [
        {k: _finite(v) if isinstance(v, float) else v for k, v in asdict(row).items()}
        for row in rows
    ]


def _noise(
    candidates: Sequence[Candidate],
    executor: Executor,
    settings: Settings,
    progress: Progress,
) -> list[tuple[float, str]]:
    """Share of jittered markets on which each candidate makes a profit."""
    if not candidates:
        return []
    texts = [candidate.genome.to_text() for candidate in candidates]
    units = [
        request(i, "jitter", index=i, seed=0, scale=settings.noise_scale, genomes=texts)
        for i in range(settings.noise_draws)
    ]
    profits = np.zeros(len(candidates))
    done = 0
    for result in executor.run(units):
        totals = json.loads(result.payload)["total_return"]
        profits += [total is not None and total > 0.0 for total in totals]
        done += 1
        progress("noise", done, len(units))
    if done != len(units):
        raise ExecutorError(f"{len(units) - done} jittered markets were not answered")
    note = f"{settings.noise_draws} draws of {settings.noise_scale:g} ATR"
    return [(float(share), note) for share in profits / settings.noise_draws]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
