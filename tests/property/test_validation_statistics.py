"""What must hold of the statistics for any input."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from genesis.validation import multiple as m
from genesis.validation import sharpe as s
from genesis.validation.bootstrap import politis_white_length, resample_counts, stationary_indices
from genesis.validation.cscv import pbo
from genesis.validation.snooping import spa, step_m

SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def records(draw: st.DrawFn) -> s.Moments:
    """Moments of a real series, so that skew and kurtosis belong together."""
    rng = np.random.default_rng(draw(SEEDS))
    n = draw(st.integers(3, 60))
    shape = draw(st.floats(0.2, 9.0))
    r = draw(st.floats(-2.0, 2.0)) + rng.gamma(shape, 1.0, n) * draw(st.sampled_from([1.0, -1.0]))
    return s.moments(r)


@settings(deadline=None)
@given(records(), st.floats(-2.0, 2.0), st.floats(0.0, 2.0))
def test_probability_falls_with_the_benchmark(m_: s.Moments, low: float, step: float) -> None:
    a, b = s.probabilistic_sharpe(m_, low), s.probabilistic_sharpe(m_, low + step)
    assert 0.0 <= b <= a <= 1.0


@settings(deadline=None)
@given(records(), st.floats(1.0, 1e5), st.floats(0.0, 1e5), st.floats(0.0, 1.0))
def test_deflation_grows_with_the_trials(
    m_: s.Moments, trials: float, more: float, variance: float
) -> None:
    for v in (None, variance):
        few, many = s.deflated_sharpe(m_, trials, v), s.deflated_sharpe(m_, trials + more, v)
        assert many <= few + 1e-12 <= s.probabilistic_sharpe(m_) + 2e-12


@settings(deadline=None)
@given(records(), st.floats(-1.0, 1.0), st.floats(0.6, 0.99))
def test_a_record_of_the_least_length_reaches_the_confidence(
    m_: s.Moments, benchmark: float, confidence: float
) -> None:
    n = s.min_track_record(m_, benchmark, confidence)
    if m_.sharpe <= benchmark:
        assert n == math.inf
        return
    assume(n < 1e12 and m_.shape > 1e-6)
    whole = math.ceil(n) + 1
    longer = s.Moments(whole, m_.mean, m_.sd, m_.skew, m_.kurtosis)
    assert s.probabilistic_sharpe(longer, benchmark) >= confidence


@settings(deadline=None)
@given(records(), st.floats(1e-6, 1e6))
def test_ratios_do_not_depend_on_the_scale(m_: s.Moments, scale: float) -> None:
    scaled = s.Moments(m_.n, m_.mean * scale, m_.sd * scale, m_.skew, m_.kurtosis)
    assert math.isclose(
        s.probabilistic_sharpe(scaled, 0.1), s.probabilistic_sharpe(m_, 0.1), abs_tol=1e-9
    )


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_adjusted_p_values_are_ordered(values: list[float]) -> None:
    p = np.array(values)
    bonferroni, holm, bhy = m.bonferroni(p), m.holm(p), m.bhy(p)
    slack = 1e-12
    assert (p <= holm + slack).all()
    assert (holm <= bonferroni + slack).all()
    assert (p <= bhy + slack).all()
    assert max(float(x.max()) for x in (bonferroni, holm, bhy)) <= 1.0
    order = np.argsort(p)
    for adjusted in (bonferroni, holm, bhy):
        assert (np.diff(adjusted[order]) >= -slack).all()
    shuffled = np.random.default_rng(0).permutation(p.size)
    assert np.allclose(m.holm(p[shuffled]), holm[shuffled])
    assert np.allclose(m.bhy(p[shuffled]), bhy[shuffled])


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(0, 400), st.floats(0.5, 0.999))
def test_an_interval_holds_its_share(n: int, successes: int, confidence: float) -> None:
    assume(successes <= n)
    low, high = m.binomial_interval(successes, n, confidence)
    assert 0.0 <= low <= successes / n <= high <= 1.0
    wider = m.binomial_interval(successes, n, 0.9999)
    assert wider[0] <= low
    assert high <= wider[1]


@settings(deadline=None)
@given(st.integers(1, 60), st.floats(1.0, 80.0), SEEDS)
def test_a_resample_has_n_of_n(n: int, length: float, seed: int) -> None:
    rows = stationary_indices(n, length, np.random.default_rng(seed))
    assert rows.shape == (n,)
    assert rows.dtype == np.int64
    assert 0 <= rows.min() <= rows.max() < n
    counts = resample_counts(n, 4, length, np.random.default_rng(seed))
    assert (counts.sum(axis=1) == n).all()
    assert counts[0].tolist() == np.bincount(rows, minlength=n).tolist()


@settings(deadline=None)
@given(st.integers(3, 200), SEEDS, st.floats(0.01, 100.0), st.floats(-5.0, 5.0))
def test_block_length_ignores_scale_and_shift(
    n: int, seed: int, scale: float, shift: float
) -> None:
    x = np.random.default_rng(seed).standard_normal(n)
    a, b = politis_white_length(x), politis_white_length(scale * x + shift)
    assert math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(10, 80), st.integers(1, 8), st.floats(1.0, 6.0))
def test_p_values_are_ordered_and_superior_columns_positive(
    seed: int, rows: int, columns: int, block: float
) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.standard_normal((rows, columns)) * rng.uniform(0.1, 9.0, columns)
    returns += rng.uniform(-1.0, 1.0, columns)
    result = spa(returns, draws=60, block=block, rng=np.random.default_rng(seed))
    assert 0.0 < result.lower <= result.consistent <= result.upper <= 1.0
    mask = step_m(returns, draws=60, block=block, rng=np.random.default_rng(seed))
    # The first step is the test itself.
    assert mask.any() == (result.consistent <= 0.05)
    assert (returns.mean(axis=0)[mask] > 0.0).all()
    # Scales of columns cannot matter.
    scaled = returns * rng.uniform(0.01, 100.0, columns)
    again = spa(scaled, draws=60, block=block, rng=np.random.default_rng(seed))
    assert math.isclose(again.consistent, result.consistent, abs_tol=1e-9)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(2, 9), st.integers(2, 4))
def test_overfitting_does_not_depend_on_the_order_of_columns(
    seed: int, columns: int, half: int
) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.standard_normal((2 * half * 5, columns))
    order = rng.permutation(columns)
    a, b = pbo(returns, 2 * half), pbo(returns[:, order], 2 * half)
    assert 0.0 <= a.pbo <= 1.0
    assert a.pbo == b.pbo
    assert (order[b.winners] == a.winners).all()
    # The complement of a split is the split from the other end: in and out change places.
    assert np.allclose(np.abs(a.logits), np.abs(b.logits))
