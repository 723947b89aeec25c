"""Neighbourhoods, jitter, resampled trades, regimes and two closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genesis.domain.errors import InputError
from genesis.validation import robustness as ro


def walk(seed: int, n: int = 500) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, n)))
    opened = np.r_[close[:1], close[:-1]]
    high = np.maximum(opened, close) * (1.0 + rng.exponential(0.003, n))
    low = np.minimum(opened, close) * (1.0 - rng.exponential(0.003, n))
    return opened, high, low, close


def test_plateau() -> None:
    wide = ro.plateau(2.0, np.array([1.0, 1.4, 1.6, 1.9, 2.2]))
    assert wide.median_share == pytest.approx(0.8)
    assert wide.p10 == pytest.approx(1.0 + 0.4 * 0.4)
    idle = ro.plateau(2.0, np.array([1.0, math.nan, math.nan]))
    assert (idle.median_share, idle.p10) == (0.0, 0.0)
    assert math.isnan(ro.plateau(0.0, np.array([1.0])).median_share)
    with pytest.raises(InputError):
        ro.plateau(1.0, np.array([]))


def test_average_true_range_is_the_mean_of_the_last_ranges() -> None:
    _, high, low, close = walk(1, 60)
    got = ro.average_true_range(high, low, close)
    for t in (0, 5, 13, 14, 59):
        ranges = [
            max(high[k], close[max(k - 1, 0)]) - min(low[k], close[max(k - 1, 0)])
            for k in range(max(0, t - 13), t + 1)
        ]
        assert got[t] == pytest.approx(np.mean(ranges), rel=1e-9)


def test_jitter_has_the_asked_size() -> None:
    opened, high, low, close = walk(2, 20_000)
    valid = np.ones(20_000, dtype=bool)
    atr = ro.average_true_range(high, low, close)
    new = ro.jitter_bars(opened, high, low, close, valid, 0.15, np.random.default_rng(0))
    for before, after in ((opened, new[0]), (close, new[3])):
        noise = (after - before) / atr
        assert noise.std() == pytest.approx(0.15, rel=0.03)
        assert abs(noise.mean()) < 0.005
    assert abs(np.corrcoef(new[0] - opened, new[3] - close)[0, 1]) < 0.03


def test_jitter_of_nothing_changes_nothing() -> None:
    bars = walk(3)
    new = ro.jitter_bars(*bars, np.ones(500, dtype=bool), 0.0, np.random.default_rng(0))
    assert all((a == b).all() for a, b in zip(bars, new, strict=True))
    with pytest.raises(InputError):
        ro.jitter_bars(*bars, np.ones(500, dtype=bool), -0.1, np.random.default_rng(0))


def test_trades_that_hang_on_a_few_are_found_out() -> None:
    rng = np.random.default_rng(4)
    steady = rng.normal(0.3, 1.0, 300)
    lucky = rng.normal(-0.05, 0.1, 300)
    lucky[[30, 90, 150, 210, 270]] = 20.0
    good = ro.trade_bootstrap(steady, 500, np.random.default_rng(5))
    luck = ro.trade_bootstrap(lucky, 500, np.random.default_rng(5))
    assert good.p5_sharpe > 0.0
    assert good.without_top5_sharpe > 0.0
    assert lucky.sum() > 50.0
    assert luck.without_top5_total == pytest.approx(np.sort(lucky)[:-5].sum())
    assert luck.without_top5_total < 0.0 > luck.without_top5_sharpe


def test_trade_percentiles_are_those_of_the_sampling_distribution() -> None:
    pnl = np.random.default_rng(6).normal(0.2, 1.0, 400)
    got = ro.trade_bootstrap(pnl, 4000, np.random.default_rng(7))
    sd = pnl.std() * math.sqrt(400)
    assert got.p5_total == pytest.approx(pnl.sum() - 1.645 * sd, abs=0.15 * sd)
    ratio = pnl.mean() / pnl.std(ddof=1)
    assert got.p5_sharpe == pytest.approx(ratio - 1.645 / 20.0, abs=0.012)


def test_few_trades() -> None:
    rng = np.random.default_rng(8)
    one = ro.trade_bootstrap(np.array([1.0]), 50, rng)
    assert math.isnan(one.p5_sharpe)
    assert math.isnan(one.p5_total)
    two = ro.trade_bootstrap(np.array([1.0, -2.0]), 400, rng)
    assert (two.p5_sharpe, two.p5_total) == (-math.inf, -4.0)
    assert two.without_top5_total == 0.0
    assert math.isnan(two.without_top5_sharpe)


def test_regimes_follow_volatility_and_trend() -> None:
    rng = np.random.default_rng(9)
    part = np.repeat(np.arange(8) % 2, 500)
    market = rng.normal(0.0, 1.0, 4000) * np.where(part == 0, 0.5, 2.0)
    market += np.where(np.repeat(np.arange(4) % 2, 1000) == 0, 0.3, -0.3)
    labels = ro.regime_labels(market, 50)
    settled = (np.arange(4000) % 500 > 100) & (np.arange(4000) > 1000)
    assert (labels[settled & (part == 0)] <= 3).mean() > 0.9
    assert (labels[settled & (part == 1)] >= 2).mean() > 0.9
    up = labels[settled] % 2 == 1
    rising = np.repeat(np.arange(4) % 2, 1000)[settled] == 0
    assert (up == rising).mean() > 0.85


def test_a_label_knows_only_what_was_before_its_bar() -> None:
    market = np.random.default_rng(10).standard_normal(600)
    labels = ro.regime_labels(market, 20)
    assert (labels[:40] == -1).all()
    assert (labels[40:] >= 0).all()
    for t in (45, 200, 599):
        changed = market.copy()
        changed[t:] = 50.0 * changed[t:][::-1] + 7.0
        assert ro.regime_labels(changed, 20)[: t + 1].tolist() == labels[: t + 1].tolist()
        assert ro.regime_labels(market[: t + 1], 20).tolist() == labels[: t + 1].tolist()


def test_terciles_are_thirds_and_rows_add_up() -> None:
    rng = np.random.default_rng(11)
    market, own = rng.standard_normal(6000), rng.standard_normal(6000) + 0.05
    rows = ro.regime_table(market, own, 365.0, 30)
    assert [r.regime for r in rows] == list(ro.REGIMES)
    assert sum(r.bars for r in rows) == 6000 - 60
    assert sum(r.share for r in rows) == pytest.approx(1.0)
    for k in range(3):
        assert rows[2 * k].share + rows[2 * k + 1].share == pytest.approx(1 / 3, abs=0.06)
    labels = ro.regime_labels(market, 30)
    chosen = own[labels == 3]
    assert rows[3].regime == "middle volatility, up"
    assert rows[3].mean == pytest.approx(chosen.mean())
    assert rows[3].sharpe == pytest.approx(chosen.mean() / chosen.std(ddof=1) * math.sqrt(365.0))


def test_regimes_without_bars_or_data() -> None:
    rows = ro.regime_table(np.zeros(10), np.zeros(10), 365.0, 20)
    assert all(r.bars == 0 and r.share == 0.0 and math.isnan(r.mean) for r in rows)
    with pytest.raises(InputError):
        ro.regime_table(np.zeros(10), np.zeros(9), 365.0, 2)
    with pytest.raises(InputError):
        ro.regime_labels(np.array([1.0, math.nan, 2.0]), 2)
    with pytest.raises(InputError):
        ro.regime_labels(np.zeros(5), 1)


@pytest.mark.parametrize(
    ("fraction", "value", "seen"), [(1.0, 0.5, 0.46), (0.5, 0.125, 0.107), (0.25, 0.0078, 0.007)]
)
def test_kelly_halving(fraction: float, value: float, seen: float) -> None:
    assert ro.kelly_halving_probability(fraction) == pytest.approx(value, abs=5e-5)
    # Log wealth in steps of sd 0.1 c at full Kelly; between steps the worst goes unseen.
    rng = np.random.default_rng(12)
    paths = 4000
    steps = rng.standard_normal((paths, 1000)) * 0.1 * fraction
    steps += 0.01 * (fraction - fraction**2 / 2.0)
    halved = int((np.cumsum(steps, axis=1).min(axis=1) <= math.log(0.5)).sum())
    error = 3.5 * math.sqrt(seen * (1.0 - seen) / paths)
    assert abs(halved / paths - seen) < error + 0.02 * seen
    assert halved / paths < value + error


def test_kelly_beyond_twice_is_refused() -> None:
    assert ro.kelly_halving_probability(2.0) == 1.0
    for fraction in (0.0, 2.1):
        with pytest.raises(InputError):
            ro.kelly_halving_probability(fraction)


def test_greatest_drawdown_of_a_driftless_walk() -> None:
    assert ro.expected_max_drawdown(1.0, 1.0) == pytest.approx(1.2533, abs=5e-5)
    walks = np.cumsum(np.random.default_rng(13).standard_normal((1500, 5000)), axis=1)
    peaks = np.maximum(np.maximum.accumulate(walks, axis=1), 0.0)
    mean = float((peaks - walks).max(axis=1).mean()) / math.sqrt(5000)
    assert mean == pytest.approx(1.237, abs=0.035)
    assert mean * math.sqrt(5000) < ro.expected_max_drawdown(1.0, 5000) * 1.02
