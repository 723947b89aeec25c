"""Statistics of promotion against published numbers, statsmodels and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.weightstats import ttost_paired

from genesis.domain.errors import InputError
from genesis.validation.anytime import e_process, half_width, tuned, upper_bound
from genesis.validation.cusum import bound_for, cusum, delay, run_length
from genesis.validation.drawdown import drawdown_bounds
from genesis.validation.equivalence import tost
from genesis.validation.sprt import log_likelihood_ratio, mean_times, sprt_bounds

YEAR = 365
ROOT = math.sqrt(YEAR)


@pytest.mark.parametrize("shift", [0.0, 0.03, 0.09, 0.2, -0.15])
@pytest.mark.parametrize("n", [2, 30, 400])
def test_equivalence_is_that_of_statsmodels(shift: float, n: int) -> None:
    rng = np.random.default_rng(n)
    first, noise = rng.normal(0.0, 1.0, n), rng.normal(shift, 0.2, n)
    p, _, _ = ttost_paired(first + noise, first, -0.1, 0.1)
    assert tost(noise, 0.1).p == pytest.approx(p, rel=1e-9)


def test_equivalence_of_what_does_not_vary_or_is_too_short() -> None:
    assert tost(np.zeros(10), 0.1).p == 0.0
    assert tost(np.full(10, 0.1), 0.1).p == 1.0  # at the margin is not inside
    assert tost(np.full(10, -0.2), 0.1).p == 1.0
    assert tost(np.zeros(1), 0.1).p == tost(np.zeros(0), 0.1).p == 1.0
    for margin in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError):
            tost(np.zeros(10), margin)


def test_the_bounds_of_the_ratio_are_walds() -> None:
    found = sprt_bounds()
    assert (round(found.lower, 2), round(found.upper, 2)) == (-1.56, 2.77)
    with pytest.raises(InputError):
        sprt_bounds(0.6, 0.5)


@pytest.mark.parametrize(
    ("annual", "with_edge", "without"),
    [(1.0, 1392, 979), (1.5, 619, 435), (2.0, 348, 245), (3.0, 155, 109)],
)
def test_mean_times_of_the_ratio_are_the_published_ones(
    annual: float, with_edge: int, without: int
) -> None:
    assert [round(t) for t in mean_times(annual / ROOT)] == [with_edge, without]


def test_the_ratio_is_that_of_the_normal_densities() -> None:
    x, s = np.array([0.3, -1.2, 2.0]), 0.4
    densities = np.exp(-0.5 * (x - s) ** 2) / np.exp(-0.5 * x**2)
    assert log_likelihood_ratio(x, s) == pytest.approx(float(np.log(np.prod(densities))))
    assert log_likelihood_ratio(np.empty(0), s) == 0.0


def test_the_ratio_decides_wrongly_as_often_as_it_says() -> None:
    """Simulated: at most alpha under H0, at most beta under H1, and about Wald's mean times."""
    rng, s, paths, days = np.random.default_rng(5), 0.3, 4_000, 600
    bounds, times = sprt_bounds(), mean_times(s)
    for mean, wrong_side, most, expected in ((0.0, 1, 0.05, times[1]), (s, -1, 0.2, times[0])):
        walk = np.cumsum(s * rng.normal(mean, 1.0, (paths, days)) - 0.5 * s * s, axis=1)
        out = (walk >= bounds.upper) | (walk <= bounds.lower)
        first = np.argmax(out, axis=1)
        assert out.any(axis=1).all()
        ends = walk[np.arange(paths), first]
        wrong = np.mean(ends > 0) if wrong_side > 0 else np.mean(ends < 0)
        assert wrong <= most + 2 * math.sqrt(most / paths)
        # The overshoot that Wald neglects makes it a little longer.
        assert expected <= np.mean(first + 1) <= 1.25 * expected


@pytest.mark.parametrize(
    ("annual", "h", "gone", "turned"),
    [(1.0, 30.1, 607, 318), (1.5, 26.5, 418, 199), (2.0, 23.8, 307, 139), (3.0, 19.8, 189, 80)],
)
def test_bounds_and_delays_of_the_cusum_are_the_published_ones(
    annual: float, h: float, gone: int, turned: int
) -> None:
    s = annual / ROOT
    found = bound_for(5 * YEAR, s)
    assert round(found, 1) == h
    assert round(delay(found, s)) == gone
    assert round(delay(found, s, -s)) == turned


@pytest.mark.parametrize("drift", [-0.1, 0.0, 1e-7, 0.1])
def test_run_lengths_are_those_of_simulated_sums(drift: float) -> None:
    rng, h, paths, days = np.random.default_rng(11), 5.0, 3_000, 3_000
    level, alarm = np.zeros(paths), np.zeros(paths)
    for day in range(1, days):
        level = np.maximum(level + rng.normal(drift, 1.0, paths), 0.0)
        alarm[(alarm == 0) & (level >= h)] = day
    assert (alarm > 0).all()
    assert run_length(h, drift) == pytest.approx(float(np.mean(alarm)), rel=0.06)


def test_the_cusum_is_its_recursion() -> None:
    rng, s = np.random.default_rng(2), 0.1
    x = rng.normal(s, 1.0, 500)
    level, expected = 0.0, []
    for value in x:
        level = max(0.0, level + s / 2 - value)
        expected.append(level)
    np.testing.assert_allclose(cusum(x, s), expected, atol=1e-12)
    for wrong in (0.0, -0.1, math.nan):
        with pytest.raises(InputError):
            cusum(x, wrong)


@pytest.mark.parametrize(("n", "width"), [(90, 6.1), (180, 4.3), (365, 3.0), (730, 2.1)])
def test_widths_of_the_confidence_sequence_are_the_published_ones(n: int, width: float) -> None:
    r = tuned(n)
    assert round(half_width(n, r) * ROOT, 1) == width
    assert half_width(n, r) < min(half_width(n, 0.7 * r), half_width(n, 1.4 * r))


def test_the_upper_bound_is_narrower_than_two_sides_and_holds_at_every_moment() -> None:
    rng, n, paths = np.random.default_rng(3), 300, 1_500
    r = tuned(n)
    x = rng.normal(0.0, 1.0, (paths, n))
    assert upper_bound(np.zeros(n), r) < half_width(n, r)
    # Where the sum is lowest relative to its bound is where it would fail; look at many moments.
    moments = range(1, n + 1, 7)
    widths = np.array([upper_bound(np.zeros(t), r) for t in moments])
    means = np.array([x[:, :t].mean(axis=1) for t in moments])
    missed = (means + widths[:, None] < 0.0).any(axis=0).mean()
    assert missed <= 0.05
    assert missed > 0.005  # and it is no empty promise


def test_the_bettor_wins_seldom_from_the_null_and_surely_from_its_opposite() -> None:
    rng, n, paths = np.random.default_rng(4), 400, 600
    fair = [e_process(rng.normal(0.05, 1.0, n), 0.05, 4.0) for _ in range(paths)]
    assert np.mean([np.max(e) >= 20.0 for e in fair]) <= 0.05
    assert np.mean([e[-1] for e in fair]) <= 1.3
    lost = [e_process(rng.normal(-0.3, 1.0, n), 0.05, 4.0)[-1] for _ in range(50)]
    assert min(lost) > 20.0
    # Bets depend on what came before alone: later values change nothing.
    x = rng.normal(0.0, 1.0, 50)
    np.testing.assert_array_equal(e_process(x, 0.05, 4.0)[:20], e_process(x[:20], 0.05, 4.0))


def test_a_value_beyond_the_bound_cannot_ruin_the_bettor() -> None:
    found = e_process(np.array([-4.0, -4.0, -4.0, 1e9, -1e9]), 0.1, 4.0)
    assert (found > 0.0).all()
    assert np.isfinite(found).all()
    with pytest.raises(InputError):
        e_process(np.zeros(3), 5.0, 4.0)


def test_drawdown_bounds_are_those_of_simulated_paths() -> None:
    rng = np.random.default_rng(8)
    returns = rng.normal(0.0005, 0.01, 2_000)
    found = drawdown_bounds(returns, (30, 60, 365), (0.5, 0.95), 3_000, np.random.default_rng(1))
    mean, sd = float(returns.mean()), float(returns.std())
    equity = np.cumsum(rng.normal(mean, sd, (6_000, 365)), axis=1)
    peak = np.maximum(np.maximum.accumulate(equity, axis=1), 0.0)
    for place, days in enumerate((30, 60, 365)):
        deepest = (peak - equity)[:, :days].max(axis=1)
        expected = np.quantile(deepest, (0.5, 0.95))
        np.testing.assert_allclose(found[:, place], expected, rtol=0.08)
    assert (np.diff(found, axis=1) >= 0).all()
    with pytest.raises(InputError):
        drawdown_bounds(returns[:29], (30,), (0.95,), 100, rng)


def test_a_driftless_walk_falls_as_theory_says() -> None:
    """Mean of the greatest drawdown is 1.2533 sigma sqrt(T); its median lies a little below."""
    returns = np.random.default_rng(9).normal(0.0, 1.0, 3_000)
    returns = (returns - returns.mean()) / returns.std()
    days = 400
    levels = tuple(np.linspace(0.005, 0.995, 100))
    found = drawdown_bounds(returns, (days,), levels, 1_500, np.random.default_rng(1))
    assert float(found.mean()) == pytest.approx(1.2533 * math.sqrt(days), rel=0.06)
