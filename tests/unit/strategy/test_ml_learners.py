"""The learners against scikit-learn and numpy, and against leaks."""

from __future__ import annotations

import numpy as np
import pytest

from genesis.domain.errors import StrategyError
from genesis.strategy.explain import sentence
from genesis.strategy.genome import default_genome
from genesis.strategy.learners.linear_svc import fit_machine
from genesis.strategy.learners.quantile_forest import (
    MIN_LEAF,
    eigen_symmetric,
    grow_tree,
    principal_axes,
    quantile_of,
)
from genesis.strategy.learners.samples import FEATURES, decided, gather, standardise
from genesis.strategy.node import OPS, apply, series
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.text import dump_strategy, load_strategy

BARS = 3000
SVC = (6, 112, 5, 3, 4, 2, 64, 1.0)
FOREST = (3, 4, 20, 160, 5, 2, 64, 1, 0.5)
LEARNERS = [("svc", SVC), ("quantile_forest", FOREST)]


def fed(name: str, params: tuple[float, ...], rows: np.ndarray, price: np.ndarray) -> np.ndarray:
    op = OPS[name]
    out = np.empty(price.size)
    op.run([*rows, price], params, np.zeros(op.state_size(params)), out)
    return out


def random_walk(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    rows = rng.normal(size=(FEATURES, BARS))
    return rows, 100 * np.exp(np.cumsum(rng.normal(0, 0.01, BARS)))


def planted(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features 0 to 5 lead the next returns, the others are noise.

    Several carry the lead because principal components only see what features share.
    """
    rows = rng.normal(size=(FEATURES, BARS))
    lead = np.repeat(rng.choice([-1.0, 1.0], BARS // 20), 20)
    rows[:6] = lead + rng.normal(0, 0.3, (6, BARS))
    returns = rng.normal(0, 0.01, BARS)
    returns[1:] += 0.006 * lead[:-1]
    return rows, 100 * np.exp(np.cumsum(returns))


def test_machine_solves_the_problem_of_scikit_learn() -> None:
    svm = pytest.importorskip("sklearn.svm", reason="scikit-learn is missing")
    rng = np.random.default_rng(2)
    for n, k, c in ((60, 3, 0.5), (200, 8, 1.0), (120, 15, 2.0)):
        x = rng.normal(size=(n, k))
        y = np.sign(x @ rng.normal(size=k) + rng.normal(0, 1.5, n) + 0.3)
        use = rng.random(n) < 0.8
        w = np.empty(k + 1)
        fit_machine(x, y, use, c, w)
        reference = svm.LinearSVC(C=c, tol=1e-12, max_iter=1_000_000).fit(x[use], y[use])
        np.testing.assert_allclose(w[:k], reference.coef_[0], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(w[k], reference.intercept_[0], rtol=1e-6, atol=1e-8)


def test_eigenvectors_and_axes_against_numpy() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(150, 15)) @ rng.normal(size=(15, 15))
    means, scales = np.empty(15), np.empty(15)
    raw = x.copy()
    standardise(x, means, scales)
    np.testing.assert_allclose(x, (raw - raw.mean(0)) / raw.std(0), atol=1e-10)
    covariance = x.T @ x / 150
    diagonal, vectors = covariance.copy(), np.empty((15, 15))
    eigen_symmetric(diagonal, vectors)
    np.testing.assert_allclose(np.sort(np.diag(diagonal)), np.linalg.eigvalsh(covariance))
    np.testing.assert_allclose(vectors @ np.diag(np.diag(diagonal)) @ vectors.T, covariance)
    axes = np.empty((4, 15))
    principal_axes(x, axes)
    expected = np.linalg.eigh(covariance)[1][:, ::-1][:, :4].T
    for axis, reference in zip(axes, expected, strict=True):
        assert abs(axis @ reference) == pytest.approx(1.0, abs=1e-9)
        assert axis[np.argmax(np.abs(axis))] > 0


def test_a_constant_feature_is_ignored() -> None:
    x = np.full((50, 1), 0.1) * 3
    standardise(x, np.empty(1), np.empty(1))
    assert np.all(x == 0.0)


@pytest.mark.parametrize("q", [0.0, 0.1, 0.37, 0.5, 1.0])
def test_quantile_is_numpys(q: float) -> None:
    values = np.sort(np.random.default_rng(4).normal(size=23))
    assert quantile_of(values, q) == pytest.approx(np.quantile(values, q), abs=1e-15)


def test_leaves_hold_the_quantiles_of_the_samples_that_reach_them() -> None:
    rng = np.random.default_rng(5)
    z = rng.normal(size=(200, 3))
    y = z[:, 1] + rng.normal(0, 0.2, 200)
    order = np.argsort(y)
    z, y = z[order], y[order]
    depth, q = 4, 0.3
    tree = np.zeros((2 ** (depth + 1) - 1, 4))
    grow_tree(z, y, depth, q, np.array([7], dtype=np.uint64), tree)
    leaves: dict[int, list[float]] = {}
    for row, outcome in zip(z, y, strict=True):
        node = 0
        while tree[node, 0] >= 0:
            node = 2 * node + (1 if row[int(tree[node, 0])] <= tree[node, 1] else 2)
        leaves.setdefault(node, []).append(outcome)
    assert len(leaves) > 4
    for node, outcomes in leaves.items():
        assert len(outcomes) >= MIN_LEAF
        assert tree[node, 2] == pytest.approx(np.quantile(outcomes, q))
        assert tree[node, 3] == pytest.approx(np.quantile(outcomes, 1 - q))


def test_labels_end_before_the_fit() -> None:
    window, horizon = 6, 3
    price = np.arange(1.0, 40.0) ** 1.5
    size = window + horizon
    ring, closes = np.empty((size, 1)), np.empty(size)
    for bar in range(31):
        closes[bar % size], ring[bar % size, 0] = price[bar], bar
    x, y = np.empty((window, 1)), np.empty(window)
    gather(ring, closes, 30 % size, window, horizon, x, y)
    # The last sample is of bar 27, whose three-bar return ends at bar 30.
    assert x[:, 0].tolist() == [22, 23, 24, 25, 26, 27]
    np.testing.assert_allclose(y, price[25:31] / price[22:28] - 1)


@pytest.mark.parametrize(("bins", "share"), [(2, 1.0), (3, 2 / 3), (4, 0.5)])
def test_bins_keep_the_larger_moves(bins: int, share: float) -> None:
    y = np.random.default_rng(6).normal(size=120)
    keep = np.empty(120, dtype=np.bool_)
    assert decided(y, bins, keep) == keep.sum() == round(120 * share)
    assert np.abs(y[keep]).min() >= np.abs(y[~keep]).max(initial=0.0)


@pytest.mark.parametrize(("name", "params"), LEARNERS)
def test_the_future_never_changes_the_past(name: str, params: tuple[float, ...]) -> None:
    rows, price = random_walk(np.random.default_rng(7))
    before = fed(name, params, rows, price)
    assert np.flatnonzero(np.isfinite(before))[0] == OPS[name].lookback(params)
    for cut in (200, 1023, 1024, 2000):
        other, moved = rows.copy(), price.copy()
        other[:, cut:] = -other[:, cut:]
        moved[cut:] *= np.linspace(1.5, 0.5, BARS - cut)
        after = fed(name, params, other, moved)
        np.testing.assert_array_equal(before[:cut], after[:cut])
        assert not np.array_equal(before[cut:], after[cut:])


@pytest.mark.parametrize(("name", "params"), LEARNERS)
def test_invalid_bars_are_as_if_they_were_not_there(name: str, params: tuple[float, ...]) -> None:
    rng = np.random.default_rng(8)
    rows, price = random_walk(rng)
    dense = fed(name, params, rows, price)
    places = np.sort(rng.choice(BARS + 400, BARS, replace=False))
    wide_rows, wide_price = np.full((FEATURES, BARS + 400), np.nan), np.full(BARS + 400, np.nan)
    wide_rows[:, places], wide_price[places] = rows, price
    holes = np.setdiff1d(np.arange(BARS + 400), places)
    wide_price[holes[::2]] = 100.0  # a price alone is not a sample either
    sparse = fed(name, params, wide_rows, wide_price)
    np.testing.assert_array_equal(sparse[places], dense)
    assert np.all(np.isnan(sparse[holes]))


def correlation_with_next_move(signal: np.ndarray, price: np.ndarray, horizon: int) -> float:
    known = np.flatnonzero(np.isfinite(signal[:-horizon]))
    ahead = price[known + horizon] / price[known] - 1
    return float(np.corrcoef(np.sign(signal[known]), ahead)[0, 1])


@pytest.mark.parametrize(("name", "params"), LEARNERS)
def test_a_planted_edge_is_found_and_shuffled_labels_give_none(
    name: str, params: tuple[float, ...]
) -> None:
    horizon = 5
    rows, price = planted(np.random.default_rng(9))
    assert correlation_with_next_move(fed(name, params, rows, price), price, horizon) > 0.3
    found = []
    for trial in range(8):
        rng = np.random.default_rng(100 + trial)
        # The same returns in random order: features say nothing about them any more.
        returns = rng.permutation(np.diff(np.log(price)))
        shuffled = price[0] * np.exp(np.concatenate([[0.0], np.cumsum(returns)]))
        found.append(
            correlation_with_next_move(fed(name, params, rows, shuffled), shuffled, horizon)
        )
    # Overlapping labels leave about BARS / horizon independent ones: one trial's error is 0.04.
    assert abs(np.mean(found)) < 0.05, found


def test_the_seed_changes_the_forest_and_nothing_else_does() -> None:
    rows, price = random_walk(np.random.default_rng(10))
    first = fed("quantile_forest", FOREST, rows, price)
    np.testing.assert_array_equal(first, fed("quantile_forest", FOREST, rows, price))
    reseeded = (*FOREST[:7], 2, FOREST[8])
    assert not np.array_equal(first, fed("quantile_forest", reseeded, rows, price), equal_nan=True)


@pytest.mark.parametrize(("name", "params"), LEARNERS)
def test_the_declared_work_follows_the_refits(name: str, params: tuple[float, ...]) -> None:
    place = OPS[name].params.index("refit")
    rarer = (*params[:place], 512, *params[place + 1 :])
    assert OPS[name].cost(params) > 3 * OPS[name].cost(rarer) > 0


def test_bad_parameters_are_refused() -> None:
    operands = [series("close")] * (FEATURES + 1)
    good = dict(zip(OPS["svc"].params, SVC, strict=True))
    assert apply("svc", *operands, **good).boolean is False
    for name, value in (("features", 16), ("bins", 5), ("window", 20.5), ("c", 0), ("c", -1)):
        with pytest.raises(StrategyError, match=name):
            apply("svc", *operands, **{**good, name: value})


@pytest.mark.parametrize("family", ["linear_svc", "pca_tree"])
def test_a_learned_strategy_is_stored_and_explained_without_its_family(family: str) -> None:
    registry = SeedRegistry()
    strategy = registry.express(default_genome(registry.get(family)))
    again = load_strategy(dump_strategy(strategy))
    assert again.id == strategy.id
    assert "refitted every 256 bars" in sentence(strategy)
