"""What must hold of splits, sequences, jitter and regimes for any input."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.domain.errors import InputError
from genesis.validation import splits as sp
from genesis.validation.robustness import jitter_bars, regime_labels, trade_bootstrap
from genesis.validation.sequential import fallback_level, fallback_levels, sequential_p

SEEDS = st.integers(0, 2**32 - 1)
GAPS = st.integers(0, 12)


def assert_apart(split: sp.Split, n: int, purge: int, embargo: int) -> None:
    """No training bar within ``purge`` before, or ``purge + embargo`` after, a tested bar."""
    train = np.zeros(n, dtype=bool)
    train[split.train_bars] = True
    for ranges in (split.train, split.test):
        edges = [edge for part in ranges for edge in part]
        assert edges == sorted(edges)
        assert all(start < stop for start, stop in ranges)
    for t in split.test_bars.tolist():
        assert not train[max(t - purge, 0) : t + purge + embargo + 1].any()


@settings(deadline=None)
@given(st.integers(12, 150), st.integers(2, 8), st.data(), GAPS, GAPS)
def test_combinations_test_every_bar_phi_times_and_keep_apart(
    n: int, groups: int, data: st.DataObject, purge: int, embargo: int
) -> None:
    tested = data.draw(st.integers(1, groups - 1))
    try:
        cv = sp.combinatorial_purged(n, groups, tested, purge, embargo)
    except InputError:
        assert purge > 0 or embargo > 0
        return
    phi = comb(groups - 1, tested - 1)
    times = np.zeros(n, dtype=int)
    for split in cv.splits:
        times[split.test_bars] += 1
        assert_apart(split, n, purge, embargo)
        # Every other bar trains.
        near = np.zeros(n, dtype=bool)
        for t in split.test_bars.tolist():
            near[max(t - purge, 0) : t + purge + embargo + 1] = True
        assert split.train_bars.tolist() == np.flatnonzero(~near).tolist()
    assert (times == phi).all()
    # Each path covers the axis, and no split's test group serves two paths.
    marks = np.full((len(cv.splits), n), -1.0)
    for k, split in enumerate(cv.splits):
        marks[k, split.test_bars] = k
    paths = sp.path_returns(marks, cv)
    assert paths.shape == (phi, n)
    assert (paths >= 0.0).all()
    assert all(np.unique(paths[:, t]).size == phi for t in range(n))


@settings(deadline=None)
@given(
    st.integers(1, 200), st.integers(1, 60), st.integers(1, 40), st.booleans(), GAPS, GAPS
)  # fmt: skip
def test_a_walk_trains_before_it_tests(
    n: int, train: int, test: int, anchored: bool, purge: int, embargo: int
) -> None:
    if train + test + purge + embargo > n:
        with pytest.raises(InputError):
            sp.walk_forward(n, train=train, test=test, purge=purge, embargo=embargo)
        return
    walk = sp.walk_forward(
        n, train=train, test=test, anchored=anchored, purge=purge, embargo=embargo
    )
    tested = np.concatenate([s.test_bars for s in walk])
    assert tested.tolist() == list(range(n - test * len(walk), n))
    for split in walk:
        assert split.test_bars.size == test
        assert split.train_bars[-1] + purge + embargo + 1 == split.test_bars[0]
        assert split.train_bars.size == (split.train_bars[-1] + 1 if anchored else train)
        assert split.train_bars.size >= train
    # One more window would not have fitted.
    assert walk[0].test_bars[0] - train - purge - embargo < test


@pytest.mark.parametrize(("draws", "stop"), [(9, 1), (9, 3), (19, 4), (12, 12), (5, 9)])
def test_an_early_stopped_p_is_valid(draws: int, stop: int) -> None:
    """Exact under the null: the observation's rank among the draws is uniform.

    With u the chance that a draw exceeds the observation, u is uniform and the draws independent
    given it, so a sequence with g exceedances in m draws has chance ``g! (m - g)! / (m + 1)!``.
    """
    chances: dict[Fraction, Fraction] = {}

    def visit(sequence: list[bool]) -> None:
        p, decided = sequential_p(sequence, draws, stop)
        if not decided:
            visit([*sequence, False])
            visit([*sequence, True])
            return
        m, g = len(sequence), sum(sequence)
        key = Fraction(p).limit_denominator(1000)
        chances[key] = chances.get(key, Fraction(0)) + Fraction(1, (m + 1) * comb(m, g))

    if draws <= 12:
        visit([])
    else:
        chances = counted(draws, stop)
    assert sum(chances.values()) == 1
    for a in chances:
        assert sum(chance for p, chance in chances.items() if p <= a) <= a
    if stop <= draws:
        # And it is exact where it can be: at each attainable value.
        assert all(sum(c for p, c in chances.items() if p <= a) == a for a in chances)


def counted(draws: int, stop: int) -> dict[Fraction, Fraction]:
    """Chances of the p-values by counting the sequences that lead to each."""
    chances: dict[Fraction, Fraction] = {}
    for m in range(stop, draws + 1):
        sequence = [False] * (m - stop) + [True] * stop
        key = Fraction(sequential_p(sequence, draws, stop)[0]).limit_denominator(1000)
        weight = Fraction(comb(m - 1, stop - 1), (m + 1) * comb(m, stop))
        chances[key] = chances.get(key, Fraction(0)) + weight
    for g in range(stop):
        sequence = [True] * g + [False] * (draws - g)
        key = Fraction(sequential_p(sequence, draws, stop)[0]).limit_denominator(1000)
        chances[key] = chances.get(key, Fraction(0)) + Fraction(1, draws + 1)
    return chances


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=12), st.floats(0.001, 0.5), st.floats(0.01, 0.9))
def test_levels_never_exceed_alpha(outcomes: list[bool], alpha: float, share: float) -> None:
    levels = fallback_levels(outcomes, alpha, share)
    assert len(levels) == len(outcomes) + 1
    assert levels[-1] == fallback_level(outcomes, alpha, share)
    assert min(levels) > 0.0
    assert max(levels) <= alpha


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_fallback_controls_the_family_under_any_dependence(share: float) -> None:
    """For every set of true nulls, and whatever happens to the others: Bonferroni over the nulls.

    Until the first true null is rejected, the levels of the true nulls depend only on what happens
    to the false ones. If those levels add up to at most alpha for every such history, the chance of
    a first false rejection is at most alpha, however the p-values depend on each other.
    """
    alpha, length = 0.05, 7
    worst = 0.0
    for null in product((False, True), repeat=length):
        false = [j for j in range(length) if not null[j]]
        for history in product((False, True), repeat=len(false)):
            outcomes = [False] * length
            for j, rejected in zip(false, history, strict=True):
                outcomes[j] = rejected
            levels = fallback_levels(outcomes, alpha, share)
            worst = max(worst, sum(levels[j] for j in range(length) if null[j]))
    assert worst <= alpha * (1.0 + 1e-12)
    # All of what is owned can be at stake: the procedure gives nothing away.
    assert worst == pytest.approx(alpha * (1.0 - (1.0 - share) ** length))


@st.composite
def bars(draw: st.DrawFn) -> tuple[np.ndarray, ...]:
    n = draw(st.integers(1, 80))
    rng = np.random.default_rng(draw(SEEDS))
    close = draw(st.floats(1e-6, 1e5)) * np.exp(np.cumsum(rng.normal(0.0, 0.2, n)))
    opened = close * np.exp(rng.normal(0.0, 0.1, n))
    high = np.maximum(opened, close) * (1.0 + rng.exponential(0.2, n))
    low = np.minimum(opened, close) / (1.0 + rng.exponential(0.2, n))
    valid = rng.random(n) >= draw(st.sampled_from([0.0, 0.3, 1.0]))
    columns = (opened, high, low, close)
    for column in columns:
        column[~valid & (rng.random(n) < 0.8)] = np.nan
    return (*columns, valid)


@settings(deadline=None)
@given(bars(), st.floats(0.0, 3.0), SEEDS)
def test_jittered_bars_are_bars(given_: tuple[np.ndarray, ...], scale: float, seed: int) -> None:
    before = [x.copy() for x in given_]
    opened, high, low, close = jitter_bars(*given_, scale, np.random.default_rng(seed))
    valid = given_[4]
    assert (high[valid] >= np.maximum(opened, close)[valid]).all()
    assert (low[valid] <= np.minimum(opened, close)[valid]).all()
    assert (low[valid] > 0.0).all()
    assert np.isfinite(high[valid]).all()
    for old, new, kept in zip(before, (opened, high, low, close), given_, strict=False):
        assert np.array_equal(old, kept, equal_nan=True)
        assert np.array_equal(old[~valid], new[~valid], equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(5, 150), st.integers(2, 20))
def test_regimes_do_not_change_when_bars_are_added(seed: int, n: int, window: int) -> None:
    market = np.random.default_rng(seed).standard_normal(n)
    labels = regime_labels(market, window)
    assert ((labels >= 0) == (np.arange(n) >= 2 * window)).all()
    assert labels.max(initial=-1) < 6
    cut = n // 2
    assert regime_labels(market[:cut], window).tolist() == labels[:cut].tolist()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), max_size=40), SEEDS)
def test_percentiles_are_attained(pnl: list[float], seed: int) -> None:
    values = np.array(pnl)
    result = trade_bootstrap(values, 30, np.random.default_rng(seed))
    if len(pnl) >= 2:
        assert min(pnl) * len(pnl) - 1e-6 <= result.p5_total <= max(pnl) * len(pnl) + 1e-6
        assert not np.isnan(result.p5_sharpe)
    assert result.without_top5_total <= max(0.0, sum(sorted(pnl)[:-5])) + 1e-6
