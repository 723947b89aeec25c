"""Sharpe statistics against published numbers, quantstats, purgedcv and simulation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from genesis.domain.errors import InputError
from genesis.validation import sharpe as s
from genesis.validation.sharpe import Moments


def given(annual: float, periods: float, n: int, skew: float = 0.0, kurt: float = 3.0) -> Moments:
    """Moments with a given annual Sharpe ratio."""
    return Moments(n, annual / math.sqrt(periods), 1.0, skew, kurt)


def skewed(seed: int, n: int = 500) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 0.01 * (rng.gamma(2.0, 1.0, n) - 1.9)


def test_moments_equal_scipy() -> None:
    r = skewed(1)
    m = s.moments(r)
    assert m.n == 500
    assert m.mean == pytest.approx(r.mean(), rel=1e-12)
    assert m.sd == pytest.approx(r.std(ddof=1), rel=1e-12)
    assert m.skew == pytest.approx(stats.skew(r), rel=1e-9)
    assert m.kurtosis == pytest.approx(stats.kurtosis(r, fisher=False), rel=1e-9)
    assert s.annual_sharpe(r, 365) == pytest.approx(r.mean() / r.std(ddof=1) * math.sqrt(365))


@pytest.mark.parametrize("series", [[], [0.1], [0.0] * 9, [0.1] * 9])
def test_without_variation_every_ratio_is_nan_and_passes_nothing(series: list[float]) -> None:
    m = s.moments(np.array(series))
    results = (
        m.sharpe,
        s.probabilistic_sharpe(m),
        s.deflated_sharpe(m, 10.0),
        s.min_track_record(m),
        s.autocorrelation_adjusted(np.array(series), 12),
    )
    assert all(math.isnan(x) for x in results)


@pytest.mark.parametrize(
    ("n", "value"), [(10, 1.5746), (45, 2.2356), (100, 2.5306028932), (1e6, 4.8679)]
)
def test_expected_max_has_its_published_values(n: float, value: float) -> None:
    assert s.expected_max(n) == pytest.approx(value, abs=5e-5)
    assert s.expected_max(100) == pytest.approx(2.5306028932016815, rel=1e-12)


def test_expected_max_is_near_the_exact_integral() -> None:
    grid = np.linspace(-9.0, 9.0, 20_001)
    for n in (5, 20, 100, 1000):
        density = n * stats.norm.pdf(grid) * stats.norm.cdf(grid) ** (n - 1)
        exact = np.trapezoid(grid * density, grid)
        assert s.expected_max(n) == pytest.approx(exact, rel=0.035)


def test_expected_max_of_one_trial_is_zero_and_fewer_are_refused() -> None:
    assert s.expected_max(1) == 0.0
    assert s.expected_max(1.01) == 0.0
    assert 0.0 < s.expected_max(1.8) < s.expected_max(2.0)
    for n in (0.99, 0.0, math.nan):
        with pytest.raises(InputError):
            s.expected_max(n)


def test_probabilistic_sharpe_has_its_published_values() -> None:
    # Two years of months: the root is that of T - 1.
    hedge = given(1.585, 12, 24, -2.448, 10.164)
    assert s.probabilistic_sharpe(hedge) == pytest.approx(0.9132343069, abs=5e-11)
    assert s.probabilistic_sharpe(Moments(24, 0.458, 1.0, 0.0, 3.0)) == pytest.approx(
        0.9817, abs=5e-5
    )


@pytest.mark.parametrize("seed", range(3))
def test_probabilistic_sharpe_equals_quantstats(seed: int) -> None:
    import quantstats.stats as qs

    r = skewed(seed, 4000)
    ours = s.probabilistic_sharpe(s.moments(r))
    # quantstats corrects skew and kurtosis for their bias, which is gone at this length.
    index = pd.date_range("2020-01-01", periods=r.size)
    theirs = float(qs.probabilistic_sharpe_ratio(pd.Series(r, index=index)))
    assert ours == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_probabilistic_and_deflated_sharpe_equal_purgedcv(seed: int) -> None:
    import purgedcv

    r = skewed(seed) - 0.0008
    n = r.size
    m = s.moments(r)
    # purgedcv takes the population sd and moments corrected for bias.
    theirs = Moments(
        n, m.mean, float(r.std()), float(stats.skew(r, bias=False)),
        float(stats.kurtosis(r, bias=False, fisher=False)),
    )  # fmt: skip
    assert s.probabilistic_sharpe(theirs, 0.02) == pytest.approx(
        purgedcv.probabilistic_sharpe_ratio(r, 0.02), rel=1e-10
    )
    assert s.deflated_sharpe(theirs, 40, 0.001) == pytest.approx(
        purgedcv.deflated_sharpe_ratio(r, 40, 0.001), rel=1e-10
    )
    assert s.min_backtest_length(40, 1.5) == pytest.approx(
        purgedcv.minimum_backtest_length(40, 1.5), rel=1e-10
    )


def test_deflated_sharpe_has_its_published_values() -> None:
    fat = given(2.5, 250, 1250, -3.0, 10.0)
    assert math.sqrt(0.5 / 250) * s.expected_max(100) == pytest.approx(0.11317, abs=5e-6)
    assert s.deflated_sharpe(fat, 100, 0.5 / 250) == pytest.approx(0.9003968344, abs=5e-11)
    # Trials at which the ratio stops being significant, fat tails and normal.
    assert s.deflated_sharpe(fat, 46, 0.5 / 250) == pytest.approx(0.9505, abs=5e-5)
    assert s.deflated_sharpe(given(2.5, 250, 1250), 88, 0.5 / 250) == pytest.approx(
        0.9505, abs=5e-5
    )


def test_deflated_sharpe_without_a_variance_takes_that_of_no_skill() -> None:
    m = given(2.0, 365, 1000)
    assert s.deflated_sharpe(m, 50) == s.deflated_sharpe(m, 50, 1.0 / 999)
    assert s.deflated_sharpe(m, 1) == s.probabilistic_sharpe(m)


def test_probabilistic_sharpe_is_uniform_on_noise() -> None:
    rng = np.random.default_rng(5)
    noise = rng.exponential(1.0, (2000, 400)) - 1.0
    p = [s.probabilistic_sharpe(s.moments(row)) for row in noise]
    assert stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize(
    ("sharpe", "benchmark", "periods", "skew", "kurt", "years"),
    [
        (2.0, 1.0, 250, 0.0, 3.0, 2.7311878),
        (2.0, 1.0, 52, 0.0, 3.0, 2.8288336),
        (2.0, 1.0, 12, 0.0, 3.0, 3.2398),
        (2.0, 1.0, 12, -0.72, 5.78, 4.9913),
        (3.0, 2.5, 12, -0.72, 5.78, 27.35292),
    ],
)
def test_min_track_record_has_its_published_values(
    sharpe: float, benchmark: float, periods: int, skew: float, kurt: float, years: float
) -> None:
    m = given(sharpe, periods, 100, skew, kurt)
    n = s.min_track_record(m, benchmark / math.sqrt(periods))
    assert n / periods == pytest.approx(years, rel=1e-5)


def test_min_track_record_inverts_the_probabilistic_ratio() -> None:
    m = given(1.5, 365, 100, -1.0, 7.0)
    n = s.min_track_record(m, 0.01, 0.9)
    lower, upper = math.floor(n), math.ceil(n)
    at = [
        s.probabilistic_sharpe(Moments(k, m.mean, m.sd, m.skew, m.kurtosis), 0.01)
        for k in (lower, upper)
    ]
    assert at[0] < 0.9 < at[1]
    assert s.min_track_record(m, m.sharpe) == math.inf
    assert s.min_track_record(m, 1.0) == math.inf


def test_min_backtest_length_has_its_published_value() -> None:
    assert s.min_backtest_length(45) == pytest.approx(4.998087, abs=5e-7)
    assert s.min_backtest_length(45, 2.0) == pytest.approx(4.998087 / 4.0, abs=5e-7)
    with pytest.raises(InputError):
        s.min_backtest_length(45, 0.0)


def test_impossible_moments_are_refused() -> None:
    # An excess kurtosis of 0 in place of 3 with a high ratio and skew.
    with pytest.raises(InputError, match="raw kurtosis"):
        s.probabilistic_sharpe(Moments(100, 3.0, 1.0, 2.0, 0.0))
    with pytest.raises(InputError):
        s.deflated_sharpe(given(1.0, 365, 100), 10, -0.1)


@pytest.mark.parametrize(("rho", "factor"), [(0.0, 3.46), (-0.2, 4.17), (0.2, 2.88)])
def test_annualisation_factor_is_lo_2002(rho: float, factor: float) -> None:
    """Monthly returns with autocorrelations rho^k; the factors are in Lo's text."""
    correlations = rho ** np.arange(1.0, 12.0)
    assert s.annualisation_factor(correlations, 12) == pytest.approx(factor, abs=0.005)


def test_adjusted_sharpe_is_that_of_sums() -> None:
    """An AR(1) series: the ratio of a year is that of its non-overlapping yearly sums."""
    rng = np.random.default_rng(3)
    shocks = rng.standard_normal(600_000)
    from scipy.signal import lfilter

    r = lfilter([1.0], [1.0, -0.3], shocks) + 0.1
    yearly = r.reshape(-1, 12).sum(axis=1)
    true = yearly.mean() / yearly.std(ddof=1)
    assert s.autocorrelation_adjusted(r, 12) == pytest.approx(true, rel=0.02)
    assert s.autocorrelation_adjusted(r, 12, lags=0) == pytest.approx(s.annual_sharpe(r, 12))
    assert s.annual_sharpe(r, 12) > 1.2 * true


def test_autocorrelations_equal_statsmodels() -> None:
    from statsmodels.tsa import stattools as tools

    r = skewed(9, 200)
    assert s.autocorrelations(r, 20) == pytest.approx(tools.acf(r, nlags=20)[1:], abs=1e-12)
