"""Number of principal components against scikit-learn and constructed spectra."""

from __future__ import annotations

import numpy as np
import pytest

from genesis.domain.errors import InputError
from genesis.validation.effective import principal_components


@pytest.mark.parametrize(("rows", "columns"), [(400, 30), (40, 90)])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_components_equal_scikit_learn(rows: int, columns: int, share: float) -> None:
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(rows)
    factors = rng.standard_normal((rows, 4)) @ rng.standard_normal((4, columns))
    returns = (factors + rng.standard_normal((rows, columns))) * rng.uniform(0.01, 9.0, columns)
    carried = PCA().fit(StandardScaler().fit_transform(returns)).explained_variance_ratio_.cumsum()
    assert principal_components(returns, share) == int(np.argmax(carried >= share)) + 1


def test_copies_count_once_whatever_their_scale_and_sign() -> None:
    base = np.random.default_rng(1).standard_normal((200, 3))
    copies = np.column_stack([base, 5.0 * base, -base, np.full(200, 0.1), np.zeros(200)])
    assert principal_components(copies, 0.999) == 3
    assert principal_components(copies, 1.0) == 3


def test_orthogonal_columns_need_their_share() -> None:
    # Columns of a Hadamard-like design are exactly uncorrelated: 19 of 20 carry 95 %.
    q, _ = np.linalg.qr(
        np.column_stack([np.ones(64), np.random.default_rng(2).normal(size=(64, 20))])
    )
    assert principal_components(q[:, 1:], 0.95) == 19
    assert principal_components(q[:, 1:], 1.0) == 20


def test_constant_columns_alone_are_no_trials() -> None:
    assert principal_components(np.full((50, 3), 0.1)) == 0
    assert principal_components(np.empty((50, 0))) == 0
    with pytest.raises(InputError):
        principal_components(np.zeros((5, 2)), 0.0)
