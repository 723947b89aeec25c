"""Walk-forward and combinatorial purged splits of a time axis.

Bars are numbered 0 to n - 1 and ranges are half open. *Purged* bars lie next to a test block on
either side and share a holding period or an indicator window with it; *embargoed* ones follow it
beyond that. Neither trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import InputError
from genesis.validation.sharpe import annual_sharpe

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Split:
    """Bars that train and bars that test.

    Attributes
    ----------
    train, test : tuple of (start, stop)
        Ranges in order of time that do not overlap.
    """

    train: tuple[Range, ...]
    test: tuple[Range, ...]

    @property
    def train_bars(self) -> Ints:
        """Numbers of the training bars, in order."""
        return bars_of(self.train)

    @property
    def test_bars(self) -> Ints:
        """Numbers of the test bars, in order."""
        return bars_of(self.test)


@dataclass(frozen=True, slots=True, eq=False)
class CombinatorialSplits:
    """Splits that test every combination of groups, and the paths that they make up.

    Attributes
    ----------
    groups : tuple of (start, stop)
        The groups of bars, which cover the time axis.
    tests : int64, shape (splits, test_groups)
        Groups that each split tests.
    splits : tuple of Split
        One test range per group.
    paths : int64, shape (phi, groups)
        Split that supplies each group of each path: every split's every test group is used once.
    """

    groups: tuple[Range, ...]
    tests: Ints
    splits: tuple[Split, ...]
    paths: Ints


def bars_of(ranges: Sequence[Range]) -> Ints:
    """Numbers of the bars in ranges."""
    parts = [np.arange(start, stop, dtype=np.int64) for start, stop in ranges]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def walk_forward(
    n: int, *, train: int, test: int, anchored: bool = False, purge: int = 0, embargo: int = 0
) -> tuple[Split, ...]:
    """Test windows one after the other, each after the bars that train for it.

    Parameters
    ----------
    n : int
        Bars.
    train, test : int
        Bars that train (the fewest, when anchored) and bars that test, at least 1.
    anchored : bool
        Train from the first bar on, instead of on the last ``train`` bars.
    purge, embargo : int
        Bars between training and testing: their sum, since training never follows a test.

    Returns
    -------
    tuple of Split
        Test windows are all full and do not overlap; the last one ends at n, and bars that fill no
        window are left out at the start.
    """
    gap = purge + embargo
    if min(train, test) < 1 or min(purge, embargo) < 0 or train + gap + test > n:
        raise InputError(
            f"{n} bars hold no walk of {train} to train, {gap} between and {test} to test"
        )
    first = train + gap + (n - train - gap) % test
    return tuple(
        Split(((0 if anchored else start - gap - train, start - gap),), ((start, start + test),))
        for start in range(first, n, test)
    )


def combinatorial_purged(
    n: int, groups: int = 10, test_groups: int = 2, purge: int = 0, embargo: int = 0
) -> CombinatorialSplits:
    """Combinatorial purged cross-validation (López de Prado 2018, chapter 12).

    ``C(groups, test_groups)`` splits that make up ``phi = test_groups C / groups`` paths: 15 and 5
    for (6, 2), 45 and 9 for (10, 2), 45 and 36 for (10, 8).

    Parameters
    ----------
    n : int
        Bars; the first ``n mod groups`` groups hold one more than the others.
    groups, test_groups : int
        ``1 <= test_groups < groups <= n``.
    purge : int
        Bars next to each test block, on both sides, that do not train.
    embargo : int
        Further bars after each test block that do not train.

    Raises
    ------
    InputError
        The numbers do not fit, or a split is left without a training bar.
    """
    if not 1 <= test_groups < groups <= n or min(purge, embargo) < 0:
        raise InputError(f"{n} bars cannot test {test_groups} of {groups} groups")
    size, more = divmod(n, groups)
    edges = [g * size + min(g, more) for g in range(groups + 1)]
    ranges = tuple(pairwise(edges))
    tests = np.array(list(combinations(range(groups), test_groups)), dtype=np.int64)
    splits = []
    for chosen in tests.tolist():
        test = tuple(ranges[g] for g in chosen)
        split = Split(_around(n, test, purge, embargo), test)
        if not split.train:
            raise InputError(
                f"purging {purge} and an embargo of {embargo} bars leave a split without training",
                fix="use fewer groups or test groups, or a longer sample",
            )
        splits.append(split)
    # The k-th split that tests a group supplies it to the k-th path.
    phi = comb(groups - 1, test_groups - 1)
    paths = np.empty((phi, groups), dtype=np.int64)
    for g in range(groups):
        paths[:, g] = np.flatnonzero((tests == g).any(axis=1))
    return CombinatorialSplits(ranges, tests, tuple(splits), paths)


def _around(n: int, test: Sequence[Range], purge: int, embargo: int) -> tuple[Range, ...]:
    """Ranges that are neither tested nor purged nor embargoed."""
    kept = []
    free = 0
    for start, stop in test:
        if start - purge > free:
            kept.append((free, start - purge))
        free = stop + purge + embargo
    if free < n:
        kept.append((free, n))
    return tuple(kept)


def path_returns(returns: Floats, cv: CombinatorialSplits) -> Floats:
    """Returns along each path, group by group from the split that supplies it.

    Parameters
    ----------
    returns : float64, shape (splits, n)
        Row s: returns of the rule that was chosen on the training bars of split s. Only its test
        bars are read.

    Returns
    -------
    float64, shape (phi, n)
    """
    if returns.shape != (len(cv.splits), cv.groups[-1][1]):
        raise InputError(
            f"the splits need returns of shape {(len(cv.splits), cv.groups[-1][1])}, "
            f"got {returns.shape}"
        )
    result = np.empty((cv.paths.shape[0], returns.shape[1]))
    for g, (start, stop) in enumerate(cv.groups):
        result[:, start:stop] = returns[cv.paths[:, g], start:stop]
    return result


def path_sharpes(returns: Floats, cv: CombinatorialSplits, periods: float) -> Floats:
    """Annualised Sharpe ratio of each path (shape (phi,)); parameters as in `path_returns`.

    The rule has to be chosen anew in each split. For one fixed rule all paths are the same series
    and all ratios equal.
    """
    return np.array([annual_sharpe(path, periods) for path in path_returns(returns, cv)])
