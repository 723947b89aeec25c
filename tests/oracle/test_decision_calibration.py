"""Calibration against statsmodels (interval) and scikit-learn (isotonic regression)."""

from __future__ import annotations

import numpy as np
import pytest

from genesis.decision.calibration import isotonic, wilson


@pytest.mark.parametrize(("held", "count"), [(0, 10), (1, 7), (180, 200), (200, 200), (3, 1000)])
def test_wilson(held: int, count: int) -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    expected = proportion.proportion_confint(held, count, alpha=0.05, method="wilson")
    assert wilson(held, count) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_isotonic(seed: int) -> None:
    isotonic_module = pytest.importorskip("sklearn.isotonic")
    rng = np.random.default_rng(seed)
    values = rng.random(12).round(int(rng.integers(1, 8)))
    weights = rng.integers(1, 50, 12)
    expected = isotonic_module.IsotonicRegression().fit_transform(
        np.arange(12), values, sample_weight=weights
    )
    assert isotonic(values.tolist(), weights.tolist()) == pytest.approx(expected, abs=1e-12)
