"""Metrics against quantstats, empyrical and brute force on the same return series.

Equity here adds returns; the libraries compound them. For ``x = exp(r) - 1`` the compounded equity
is ``exp`` of the added one, hence ``added drawdown = -log(1 - compounded drawdown)``: that is how
a compounding library checks a drawdown that is not compounded.
"""

from __future__ import annotations

import math

import empyrical
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from genesis.backtest import metrics as m

HOURS = 24 * 365


def returns(seed: int, n: int = 2000) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return 0.01 * rng.standard_t(4, n) + 0.0003


@pytest.mark.parametrize("seed", range(4))
def test_sharpe_and_sortino_equal_empyrical(seed: int) -> None:
    r = returns(seed)
    assert m.sharpe(r, HOURS) == pytest.approx(
        empyrical.sharpe_ratio(r, annualization=HOURS), rel=1e-9
    )
    assert m.sortino(r, HOURS) == pytest.approx(
        empyrical.sortino_ratio(r, annualization=HOURS), rel=1e-9
    )


def test_sharpe_and_sortino_equal_quantstats() -> None:
    import quantstats.stats as qs

    r = returns(9)
    series = pd.Series(r, index=pd.date_range("2024-01-01", periods=r.size, freq="h"))
    assert m.sharpe(r, HOURS) == pytest.approx(qs.sharpe(series, periods=HOURS), rel=1e-9)
    assert m.sortino(r, HOURS) == pytest.approx(qs.sortino(series, periods=HOURS), rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_drawdown_and_calmar_equal_empyrical_in_logs(seed: int) -> None:
    r = returns(seed)
    compounded = -empyrical.max_drawdown(np.expm1(r))
    assert m.max_drawdown(r) == pytest.approx(-math.log1p(-compounded), rel=1e-9)
    annual = math.log1p(empyrical.annual_return(np.expm1(r), annualization=HOURS))
    assert m.annual_return(r, HOURS) == pytest.approx(annual, rel=1e-9)
    want = annual / -math.log1p(-compounded)
    assert m.calmar(r, HOURS) == pytest.approx(want, rel=1e-9)


def test_drawdown_is_positive_and_counts_from_the_start() -> None:
    assert m.max_drawdown(np.array([-0.1, -0.2, 0.05])) == pytest.approx(0.3)
    assert m.max_drawdown(np.array([0.1, 0.2])) == 0.0
    np.testing.assert_allclose(m.drawdowns(np.array([0.1, -0.3, 0.1])), [0.0, 0.3, 0.2])


@pytest.mark.parametrize("n", [1, 7, 20, 21, 100, 399])
@pytest.mark.parametrize("level", [0.95, 0.5])
def test_cdar_is_the_rockafellar_uryasev_minimum(n: int, level: float) -> None:
    falls = np.random.default_rng(n).exponential(0.1, n).round(2)
    brute = min(z + np.mean(np.maximum(falls - z, 0)) / (1 - level) for z in falls)
    assert m.cdar(falls, level) == pytest.approx(brute, rel=1e-9)


def test_cdar_of_a_known_tail() -> None:
    falls = np.append(np.zeros(95), [0.1, 0.2, 0.3, 0.4, 0.5])
    assert m.cdar(falls) == pytest.approx(0.3)
    assert m.cdar(np.empty(0)) == 0.0


def test_series_without_variation_has_no_ratio() -> None:
    assert math.isnan(m.sharpe(np.full(500, 0.001), HOURS))
    assert math.isnan(m.sharpe(np.zeros(500), HOURS))
    assert math.isnan(m.sharpe(np.array([0.1]), HOURS))


def test_ratios_without_denominator_are_capped() -> None:
    assert m.ratio(1.0, 0.0) == m.RATIO_CAP
    assert m.ratio(-1.0, 0.0) == -m.RATIO_CAP
    assert m.ratio(0.0, 0.0) == 0.0
    assert m.sortino(np.array([0.1, 0.2]), HOURS) == m.RATIO_CAP
    assert m.calmar(np.array([0.1, 0.2]), HOURS) == m.RATIO_CAP


def test_monthly_ratio_equals_pandas_on_months_of_thirty_days() -> None:
    daily = returns(5, 400)
    marks = np.cumsum(daily)
    months = pd.Series(daily).groupby(np.arange(400) // 30).sum().iloc[:13]
    assert m.monthly_ratio(marks) == pytest.approx(months.mean() / months.std(), rel=1e-9)
    assert m.monthly_ratio(marks[:59]) == 0.0


def test_composite_fitness_by_hand() -> None:
    # 0.5 * 2/5 + 0.3 * 0.9 + 0.15 * 0.6 + 0.05 * 0.5
    assert m.composite_fitness(2.0, 0.1, 0.6, 0.5) == pytest.approx(0.2 + 0.27 + 0.09 + 0.025)
    # min(1, 1.2), min(1, 0.5), clip(0.7), max(0, 0.5)
    assert m.consistency(0.6, 1.5, 0.2, 0.1) == pytest.approx((1 + 0.5 + 0.7 + 0.5) / 4)


def test_drawdown_lowers_the_composite_fitness() -> None:
    values = [m.composite_fitness(1.0, fall, 0.5, 0.5) for fall in (0.0, 0.1, 0.5, 0.9)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4
    assert m.composite_fitness(-1.0, 0.1, 0.5, 0.5) < m.composite_fitness(0.0, 0.1, 0.5, 0.5)
