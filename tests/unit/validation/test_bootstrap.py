"""The stationary bootstrap against arch and against its own theory."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from genesis.domain.errors import InputError
from genesis.validation import bootstrap as b
from genesis.validation.snooping import long_run_sd


@pytest.mark.parametrize("n", [12, 30, 75, 200, 501, 2000])
@pytest.mark.parametrize("memory", [0.0, 0.5, -0.4, 0.95])
def test_block_length_equals_arch(n: int, memory: float) -> None:
    from arch.bootstrap import optimal_block_length

    x = lfilter([1.0], [1.0, -memory], np.random.default_rng(n).standard_normal(n)) + 3.0
    assert b.politis_white_length(x) == pytest.approx(
        float(optimal_block_length(x)["stationary"].iloc[0]), rel=1e-9
    )


def test_block_length_of_an_ar_half_series_is_its_theoretical_one() -> None:
    """``(G^2 / lr^2 n)^(1/3)`` with ``G = sum |k| g_k = 4 g_0`` and ``lr = 3 g_0``: 15.3."""
    lengths = [
        b.politis_white_length(
            lfilter([1.0], [1.0, -0.5], np.random.default_rng(seed).standard_normal(2000))
        )
        for seed in range(60)
    ]
    assert np.median(lengths) == pytest.approx((16.0 / 9.0 * 2000) ** (1 / 3), rel=0.12)


@pytest.mark.parametrize("x", [[], [1.0], [1.0, 2.0], [0.3] * 50])
def test_block_length_without_anything_to_measure_is_one(x: list[float]) -> None:
    assert b.politis_white_length(np.array(x)) == 1.0


@pytest.mark.parametrize("n", range(3, 12))
def test_block_length_of_few_values_is_within_its_bound(n: int) -> None:
    for seed in range(20):
        length = b.politis_white_length(np.random.default_rng(seed).standard_normal(n))
        assert 0.0 <= length <= math.ceil(n / 3.0)


def test_median_length_is_at_least_one() -> None:
    rng = np.random.default_rng(0)
    slow = lfilter([1.0], [1.0, -0.9], rng.standard_normal((800, 3)), axis=0)
    lengths = [b.politis_white_length(x) for x in slow.T]
    assert b.median_length(slow) == sorted(lengths)[1]
    assert b.median_length(np.ones((50, 2))) == 1.0


def test_blocks_have_the_asked_mean_length_and_wrap() -> None:
    rng = np.random.default_rng(1)
    rows = np.array([b.stationary_indices(500, 8.0, rng) for _ in range(400)])
    follows = rows[:, 1:] == (rows[:, :-1] + 1) % 500
    # A block goes on with chance 1 - 1/8, and a new one follows by chance once in 500.
    expected = 1.0 - 1.0 / 8.0 + 1.0 / 8.0 / 500.0
    assert follows.mean() == pytest.approx(expected, abs=0.004)
    assert (rows[:, :-1][follows] == 499).any()
    occurrences = np.bincount(rows.ravel(), minlength=500)
    # Each place is equally likely, the first of a row included.
    assert occurrences.std() / occurrences.mean() < 0.25
    assert np.abs(rows[:, 0].mean() - 249.5) < 4.0 * 144.3 / 20.0


def test_length_one_is_the_ordinary_bootstrap() -> None:
    rows = b.stationary_indices(20_000, 1.0, np.random.default_rng(2))
    assert (rows[1:] == rows[:-1] + 1).mean() < 0.001
    assert np.unique(rows).size / 20_000 == pytest.approx(1.0 - math.exp(-1.0), abs=0.01)


def test_counts_count_the_same_resamples_as_the_indices() -> None:
    counts = b.resample_counts(37, 5, 4.0, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    rows = [np.bincount(b.stationary_indices(37, 4.0, rng), minlength=37) for _ in range(5)]
    assert counts.tolist() == np.array(rows).tolist()
    assert counts.sum(axis=1).tolist() == [37.0] * 5


def test_portions_do_not_change_the_means(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = np.random.default_rng(4).standard_normal((60, 3))
    whole = b.resampled_means(columns, 50, 5.0, np.random.default_rng(5))
    monkeypatch.setattr(b, "PORTION", 7 * 60)
    parts = b.resampled_means(columns, 50, 5.0, np.random.default_rng(5))
    assert parts == pytest.approx(whole, abs=1e-14)
    assert parts.shape == (50, 3)


@pytest.mark.parametrize("length", [1.0, 3.0, 20.0])
def test_resampled_means_have_the_exact_sd(length: float) -> None:
    """Closed form of the stationary bootstrap's variance against its own resamples."""
    rng = np.random.default_rng(6)
    columns = lfilter([1.0], [1.0, -0.6], rng.standard_normal((300, 2)), axis=0)
    means = b.resampled_means(columns, 20_000, length, rng)
    assert means.mean(axis=0) == pytest.approx(columns.mean(axis=0), abs=0.01)
    assert means.std(axis=0) * math.sqrt(300) == pytest.approx(
        long_run_sd(columns, length), rel=0.025
    )


def test_impossible_resamples_are_refused() -> None:
    rng = np.random.default_rng(0)
    for n, length in ((0, 2.0), (5, 0.5), (5, math.nan)):
        with pytest.raises(InputError):
            b.stationary_indices(n, length, rng)
