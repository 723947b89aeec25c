"""Probability of backtest overfitting against purgedcv, brute force and published rates."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from genesis.domain.errors import InputError
from genesis.validation.cscv import pbo


@pytest.mark.parametrize(("seed", "columns"), [(0, 12), (1, 7)])
def test_every_split_equals_purgedcv(seed: int, columns: int) -> None:
    import purgedcv

    rng = np.random.default_rng(seed)
    returns = 0.01 * rng.standard_t(4, (400, columns))
    returns[:, 0] += 0.0008
    ours = pbo(returns, 8)
    # It takes out of sample what we take in sample: the same halves in another order.
    theirs = purgedcv.probability_of_backtest_overfitting(returns.T, 8)
    mine = sorted(zip(ours.in_sample, ours.out_of_sample, ours.logits, strict=True))
    other = sorted(
        zip(*theirs.is_oos_performance.T, theirs.logits, strict=True),
    )
    assert np.array(mine) == pytest.approx(np.array(other), abs=1e-9)
    assert ours.slope == pytest.approx(theirs.slope, rel=1e-6)
    # A logit of 0 counts as overfit here, as in the paper, and not there.
    middle = float(np.mean(np.abs(ours.logits) < 1e-12))
    assert ours.pbo == pytest.approx(theirs.pbo + middle)
    assert (middle > 0) == (columns == 7)


def test_leading_rows_that_fill_no_block_are_dropped() -> None:
    returns = np.random.default_rng(3).standard_normal((163, 5))
    changed = returns.copy()
    changed[:3] += 50.0
    a, b, c = pbo(returns, 8), pbo(changed, 8), pbo(returns[3:], 8)
    assert a.logits.tolist() == b.logits.tolist() == c.logits.tolist()


def test_sixteen_blocks_make_12870_splits_in_about_a_second() -> None:
    returns = np.random.default_rng(4).standard_normal((1504, 300))
    started = time.process_time()
    result = pbo(returns)
    assert time.process_time() - started < 4.0  # 0.2 s here, on one core
    assert result.logits.size == math.comb(16, 8) == 12_870


def test_noise_and_a_planted_edge_have_their_published_rates() -> None:
    """1,000 days of 200 columns: 0.476 +- 0.137 on noise, 0.001 with 20 at annual ratio 2.38."""
    noise, planted = [], []
    for seed in range(5):
        returns = np.random.default_rng(seed).standard_normal((1000, 200))
        noise.append(pbo(returns).pbo)
        if seed < 2:
            returns[:, :20] += 2.38 / math.sqrt(252.0)
            planted.append(pbo(returns).pbo)
    assert abs(np.mean(noise) - 0.476) < 2.5 * 0.137 / math.sqrt(5)
    assert 0.05 < np.std(noise) < 0.25
    assert np.mean(planted) < 0.005


def test_a_column_that_never_varies_has_ratio_zero() -> None:
    rng = np.random.default_rng(5)
    losing = rng.standard_normal((320, 3)) - 0.5
    result = pbo(np.column_stack([losing, np.zeros(320)]), 8)
    assert (result.winners == 3).all()
    assert result.in_sample.tolist() == result.out_of_sample.tolist() == [0.0] * 70
    assert (result.pbo, result.loss, result.slope) == (0.0, 0.0, 0.0)


def test_equal_columns_share_their_rank() -> None:
    returns = np.repeat(np.random.default_rng(6).standard_normal((160, 1)), 4, axis=1)
    result = pbo(returns, 4)
    assert result.logits == pytest.approx(np.zeros(6), abs=1e-12)
    assert result.pbo == 1.0


def test_what_cannot_be_compared_is_refused() -> None:
    returns = np.zeros((40, 3))
    for blocks, columns in ((7, 3), (0, 3), (16, 1), (40, 3)):
        with pytest.raises(InputError):
            pbo(returns[:, :columns], blocks)
