"""Walk-forward and combinatorial splits against skfolio, purgedcv and worked examples."""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest

from genesis.domain.errors import InputError
from genesis.validation import splits as sp
from genesis.validation.sharpe import annual_sharpe
from genesis.validation.walkforward import walk_forward_efficiency


@pytest.mark.parametrize(
    ("groups", "tested", "splits", "paths"), [(6, 2, 15, 5), (10, 2, 45, 9), (10, 8, 45, 36)]
)
def test_counts_are_those_of_the_method(groups: int, tested: int, splits: int, paths: int) -> None:
    cv = sp.combinatorial_purged(200, groups, tested)
    assert len(cv.splits) == comb(groups, tested) == splits
    assert cv.paths.shape == (paths, groups)


@pytest.mark.parametrize(("groups", "tested"), [(6, 2), (10, 2), (10, 8)])
@pytest.mark.parametrize(("purge", "embargo"), [(0, 0), (3, 0), (0, 4), (5, 7)])
def test_splits_equal_skfolio(groups: int, tested: int, purge: int, embargo: int) -> None:
    from skfolio.model_selection import CombinatorialPurgedCV

    n = 300
    theirs = CombinatorialPurgedCV(groups, tested, purged_size=purge, embargo_size=embargo)
    ours = sp.combinatorial_purged(n, groups, tested, purge, embargo)
    expected = list(theirs.split(np.zeros((n, 1))))
    assert len(expected) == len(ours.splits)
    for split, (train, tests) in zip(ours.splits, expected, strict=True):
        assert split.train_bars.tolist() == train.tolist()
        assert split.test_bars.tolist() == np.concatenate(tests).tolist()
    # skfolio numbers the path of each split's test sets; ours numbers the split of each path's.
    ids = theirs.get_path_ids()
    for s, chosen in enumerate(ours.tests):
        assert [int(np.flatnonzero(ours.paths[:, g] == s)[0]) for g in chosen] == ids[s].tolist()


@pytest.mark.parametrize("n", [60, 67])
def test_groups_purge_and_embargo_equal_purgedcv(n: int) -> None:
    import purgedcv

    hours = pd.date_range("2024-01-01", periods=n + 1, freq="h")
    for purge, embargo in ((4, 0), (0, 3)):
        theirs = purgedcv.CombinatorialPurgedCV(
            6,
            2,
            prediction_times=pd.Series(hours[:-1]),
            evaluation_times=pd.Series(hours[1:]),
            purge_horizon=pd.Timedelta(hours=purge),
            embargo_observations=embargo,
        )
        ours = sp.combinatorial_purged(n, 6, 2, purge, embargo)
        for split, (train, test) in zip(ours.splits, theirs.split(np.zeros((n, 1))), strict=True):
            assert split.train_bars.tolist() == train.tolist()
            assert split.test_bars.tolist() == test.tolist()


def test_paths_equal_purgedcv() -> None:
    import purgedcv

    cv = sp.combinatorial_purged(67, 6, 3)
    returns = np.random.default_rng(0).standard_normal((len(cv.splits), 67))
    tests = [s.test_bars for s in cv.splits]
    values = [row[bars] for row, bars in zip(returns, tests, strict=True)]
    expected = purgedcv.reconstruct_paths(values, tests, 6, 3, 67)
    assert sp.path_returns(returns, cv).tolist() == expected.tolist()
    ratios = [annual_sharpe(path, 365.0) for path in expected]
    assert sp.path_sharpes(returns, cv, 365.0).tolist() == ratios
    assert len(set(ratios)) == 10


def test_paths_of_a_fixed_rule_coincide() -> None:
    cv = sp.combinatorial_purged(120, 6, 2)
    rule = np.random.default_rng(1).standard_normal(120)
    same = sp.path_sharpes(np.tile(rule, (15, 1)), cv, 365.0)
    assert same.tolist() == [annual_sharpe(rule, 365.0)] * 5


def test_only_test_bars_of_a_split_are_read() -> None:
    cv = sp.combinatorial_purged(60, 6, 2)
    returns = np.full((15, 60), np.nan)
    for row, split in zip(returns, cv.splits, strict=True):
        row[split.test_bars] = 1.0
    assert (sp.path_returns(returns, cv) == 1.0).all()


def test_returns_of_the_wrong_shape_are_refused() -> None:
    cv = sp.combinatorial_purged(60, 6, 2)
    with pytest.raises(InputError):
        sp.path_returns(np.zeros((15, 59)), cv)


def test_impossible_combinations_are_refused() -> None:
    for n, groups, tested in ((60, 6, 0), (60, 6, 6), (5, 6, 2)):
        with pytest.raises(InputError):
            sp.combinatorial_purged(n, groups, tested)
    with pytest.raises(InputError):
        sp.combinatorial_purged(60, 6, 2, purge=-1)
    with pytest.raises(InputError, match="without training"):
        sp.combinatorial_purged(60, 6, 4, purge=20)


@pytest.mark.parametrize(("anchored", "purge"), [(False, 0), (False, 6), (True, 0), (True, 6)])
def test_walk_forward_equals_skfolio(anchored: bool, purge: int) -> None:
    from skfolio.model_selection import WalkForward

    # skfolio leaves out what fills no window at the end, we at the start: a length without rest.
    n = 50 + purge + 7 * 15
    theirs = WalkForward(15, 50, expand_train=anchored, purged_size=purge)
    ours = sp.walk_forward(n, train=50, test=15, anchored=anchored, purge=purge)
    for split, (train, test) in zip(ours, theirs.split(np.zeros((n, 1))), strict=True):
        assert split.train_bars.tolist() == train.tolist()
        assert split.test_bars.tolist() == test.tolist()


def test_walk_forward_ends_with_the_last_bar() -> None:
    walk = sp.walk_forward(103, train=40, test=20, purge=2, embargo=3)
    assert [s.test for s in walk] == [((63, 83),), ((83, 103),)]
    assert [s.train for s in walk] == [((18, 58),), ((38, 78),)]
    anchored = sp.walk_forward(103, train=40, test=20, anchored=True, purge=2, embargo=3)
    assert [s.train for s in anchored] == [((0, 58),), ((0, 78),)]
    with pytest.raises(InputError):
        sp.walk_forward(64, train=40, test=20, purge=5)
    with pytest.raises(InputError):
        sp.walk_forward(64, train=0, test=20)


def test_no_ranges_are_no_bars() -> None:
    assert sp.bars_of(()).tolist() == []


def test_walk_forward_efficiency() -> None:
    before, after = np.array([2.0, 1.0, 3.0]), np.array([1.0, 2.0, 0.0])
    assert walk_forward_efficiency(before, after) == 0.5
    assert walk_forward_efficiency(before, -after) == -0.5
    assert np.isnan(walk_forward_efficiency(-before, -after))
    assert np.isnan(walk_forward_efficiency(np.array([np.nan]), np.array([1.0])))
    for a, b in ((before, after[:2]), (before[:0], after[:0])):
        with pytest.raises(InputError):
            walk_forward_efficiency(a, b)
