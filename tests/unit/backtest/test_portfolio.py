"""Portfolio of a candidate against sums made by hand and against the full-resolution backtest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from genesis.backtest import metrics as m
from genesis.backtest.combine import _deviation
from genesis.backtest.evaluator import EvaluationSetup, Evaluator
from genesis.backtest.portfolio import backtest_strategy, combine
from genesis.backtest.result import COLUMN, NO_TRADES, RAISED, TOO_SHORT, VALID, BlockResult
from genesis.domain.errors import GenesisError, StrategyError
from genesis.market.panel import Panel
from genesis.strategy.language import Market, sma
from genesis.strategy.strategy import PolicyParams, Rules, Strategy
from tests.oracle.wild_market import HOUR, wild_series, wild_strategy

SETUP = EvaluationSetup(orders_per_bar=3.0)


def wild_trio(bars: int = 600) -> Panel:
    """Three symbols: one whole, one listed late, one delisted."""
    rng = np.random.default_rng(4)
    symbols = (
        wild_series(rng, bars, name="A"),
        wild_series(rng, bars, name="B", starts=200),
        wild_series(rng, bars, name="C", ends=450),
    )
    ts = np.arange(bars, dtype=np.int64) * HOUR
    return Panel("trio", "test", HOUR, ts, symbols, "trio")


@pytest.fixture(scope="module")
def blocks() -> list[BlockResult]:
    evaluator = Evaluator(wild_trio(), SETUP)
    strategies = [wild_strategy(np.random.default_rng(seed)) for seed in range(8)]
    return [evaluator.evaluate(place, strategies) for place in range(3)]


def invalid(block: BlockResult, row: int, status: int, reason: str) -> BlockResult:
    """The block with one row made invalid."""
    codes, metrics = block.status.copy(), block.metrics.copy()
    sharpe, trades = block.fold_sharpe.copy(), block.fold_trades.copy()
    marks, phenotype = block.marks.copy(), block.phenotype.copy()
    codes[row], phenotype[row] = status, 0
    for values in (metrics, sharpe, trades, marks):
        values[row] = np.nan
    reasons = tuple(reason if i == row else text for i, text in enumerate(block.reasons))
    return BlockResult(codes, reasons, metrics, sharpe, trades, marks, phenotype)


def test_numbers_are_those_of_the_added_equities(blocks: list[BlockResult]) -> None:
    result = combine(blocks)
    assert result.valid.any()
    for i in np.flatnonzero(result.valid):
        rows = [b for b in blocks if b.status[i] == VALID]
        marks = sum(b.marks[i] for b in rows) / 3
        np.testing.assert_allclose(result.marks[i], marks, rtol=1e-12)
        daily = np.diff(marks, prepend=0.0)
        assert result.sharpe[i] == pytest.approx(m.sharpe(daily, 365.0))
        assert result.max_drawdown[i] == pytest.approx(m.max_drawdown(daily))
        assert result.cdar95[i] == pytest.approx(m.cdar(m.drawdowns(daily)))
        trades = [b.metrics[i, COLUMN["trades"]] for b in rows]
        assert result.trades[i] == sum(trades)
        wins = sum(b.metrics[i, COLUMN["win_rate"]] * t for b, t in zip(rows, trades, strict=True))
        assert result.win_rate[i] == pytest.approx(wins / sum(trades))
        assert result.min_fold_trades[i] == min(sum(b.fold_trades[i] for b in rows))
        ratios = np.concatenate([b.fold_sharpe[i][np.isfinite(b.fold_sharpe[i])] for b in rows])
        assert result.fold_sharpe_mean[i] == pytest.approx(ratios.mean())
        assert result.fold_sharpe_sd[i] == pytest.approx(ratios.std(ddof=1))


def test_search_and_full_resolution_agree() -> None:
    panel = wild_trio()
    evaluator = Evaluator(panel, SETUP)
    for seed in range(5):
        strategy = wild_strategy(np.random.default_rng(seed))
        result = combine([evaluator.evaluate(place, [strategy]) for place in range(3)])
        if not result.valid[0]:
            continue
        full = backtest_strategy(panel, strategy, SETUP)
        assert full.metrics["daily_sharpe"] == pytest.approx(result.sharpe[0], rel=1e-9)
        assert full.metrics["cdar95"] == pytest.approx(result.cdar95[0], rel=1e-9)
        assert full.equity[-1] == pytest.approx(result.total_return[0], rel=1e-9, abs=1e-12)
        for name in ("trades", "win_rate", "profit_factor", "turnover", "exposure", "fees"):
            want = getattr(result, name)[0]
            assert full.metrics[name] == pytest.approx(want, rel=1e-9), name
        assert full.metrics["holding_bars"] == pytest.approx(result.holding_bars[0])
        assert full.metrics["long_share"] == pytest.approx(_by_bars(full))
        entries = [trade.entry_ts_ms for _, trade in full.trades]
        assert entries == sorted(entries)


def _by_bars(full: object) -> float:
    positions = [s.position[: s.last + 1] for s in full.symbols]  # type: ignore[attr-defined]
    held = sum(np.count_nonzero(p) for p in positions)
    return sum(np.count_nonzero(p > 0) for p in positions) / held


def test_symbol_without_trades_counts_as_flat(blocks: list[BlockResult]) -> None:
    row = int(np.flatnonzero(combine(blocks).valid)[0])
    quiet = [blocks[0], invalid(blocks[1], row, NO_TRADES, "none"), blocks[2]]
    result = combine(quiet)
    assert result.valid[row]
    expected = blocks[0].marks[row] / 3
    if blocks[2].status[row] == VALID:
        expected = (blocks[0].marks[row] + blocks[2].marks[row]) / 3
    np.testing.assert_allclose(result.marks[row], expected)


def test_symbol_that_is_too_short_has_no_fold_ratios(blocks: list[BlockResult]) -> None:
    row = int(np.flatnonzero(combine(blocks).valid)[0])
    base = [invalid(b, row, NO_TRADES, "none") for b in blocks[1:]]
    flat = combine([blocks[0], *base])
    short = combine([blocks[0], *(invalid(b, row, TOO_SHORT, "short") for b in blocks[1:])])
    assert short.fold_sharpe_mean[row] == pytest.approx(3 * flat.fold_sharpe_mean[row])


def test_symbol_listed_too_late_is_flat_in_search_and_full_resolution() -> None:
    close = Market().close
    slow = Strategy(Rules(close > sma(close, 56), close < sma(close, 56)), PolicyParams())
    # B has 20 bars, C none: it is listed in the part that was cut off
    rng = np.random.default_rng(9)
    ts = np.arange(400, dtype=np.int64) * HOUR
    places = ("A", 0), ("B", 280), ("C", 350)
    series = [wild_series(rng, 400, name=name, starts=at) for name, at in places]
    panel = Panel("late", "test", HOUR, ts, tuple(series), "late").sliced(0, 300)
    evaluator = Evaluator(panel, SETUP)
    found = combine([evaluator.evaluate(place, [slow]) for place in range(3)])
    full = backtest_strategy(panel, slow, SETUP)
    assert [b.status[0] for b in full.blocks] == [VALID, TOO_SHORT, TOO_SHORT]
    assert [len(s.orders) > 0 for s in full.symbols] == [True, False, False]
    assert full.equity[-1] == pytest.approx(found.total_return[0], rel=1e-9)
    alone = Panel("late", "test", HOUR, panel.ts_ms, panel.symbols[1:], "late")
    with pytest.raises(StrategyError, match="any symbol") as caught:
        backtest_strategy(alone, slow, SETUP)
    assert "20 bars" in str(caught.value.why)


def test_fatal_status_of_one_symbol_is_that_of_the_candidate(blocks: list[BlockResult]) -> None:
    row = int(np.flatnonzero(combine(blocks).valid)[0])
    broken = [blocks[0], blocks[1], invalid(blocks[2], row, RAISED, "ValueError: x")]
    result = combine(broken, ["A", "B", "C"])
    assert result.status[row] == RAISED
    assert result.reasons[row] == "C: ValueError: x"
    assert np.isnan(result.sharpe[row])
    assert np.all(np.isnan(result.marks[row]))


def test_candidate_without_any_trade_is_invalid(blocks: list[BlockResult]) -> None:
    none = [invalid(b, 0, NO_TRADES, "no order was placed") for b in blocks]
    result = combine(none)
    assert result.status[0] == NO_TRADES
    assert result.reasons[0] == "no order was placed"


def test_phenotype_depends_on_the_symbol(blocks: list[BlockResult]) -> None:
    row = int(np.flatnonzero(combine(blocks).valid)[0])
    here, there = combine(blocks).phenotype, combine(blocks[::-1]).phenotype
    assert here[row] != there[row]
    assert here[row] == combine(list(blocks)).phenotype[row]


def test_blocks_of_other_candidates_are_refused(blocks: list[BlockResult]) -> None:
    odd = replace(blocks[1], marks=blocks[1].marks[:-1])
    with pytest.raises(GenesisError, match="same candidates"):
        combine([blocks[0], odd])
    with pytest.raises(GenesisError):
        combine([])


@pytest.mark.parametrize("size", [2, 4, 7, 8, 16, 129, 1460])
def test_the_deviation_has_the_bits_of_numpys(size: int) -> None:
    rng = np.random.default_rng(size)
    for scale in (1e-6, 1.0, 1e6):
        values = rng.normal(size=size) * scale
        assert _deviation(values) == np.std(values, ddof=1)
    assert _deviation(values[:1]) == 0.0


def test_bars_before_the_first_decision_warm_up_and_trade_nothing() -> None:
    panel = wild_trio()
    m = Market()
    average = sma(m.close, 40)
    rules = Rules(long=m.close > average, exit_long=m.close < average)
    strategy = Strategy(rules, PolicyParams(size=0.02))
    whole = backtest_strategy(panel, strategy, SETUP)
    start = 300
    late = backtest_strategy(panel, strategy, SETUP, decide_from=start)
    for full, part in zip(whole.symbols, late.symbols, strict=True):
        bars = [order.bar for order in part.orders]
        assert min(bars) > start, "the first decision is filled in the bar after it"
        # From the first bar at which the whole backtest holds nothing either, both are the same.
        flat = start + int(np.flatnonzero(full.position[start:] == 0.0)[0])
        assert np.array_equal(full.position[flat:], part.position[flat:])
    assert late.equity[start] == 0.0
    assert not np.array_equal(
        late.symbols[0].position[start:],
        backtest_strategy(panel.sliced(start, panel.bars), strategy, SETUP).symbols[0].position,
    ), "without the warm-up the average begins elsewhere"
