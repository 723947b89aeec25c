"""How many independent trials a set of correlated strategies is worth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import InputError

Floats = npt.NDArray[np.float64]


def principal_components(returns: Floats, share: float = 0.95) -> int:
    """Number of principal components that carry a share of the standardised variance.

    Parameters
    ----------
    returns : float64, shape (T, N)
        One column per strategy. Columns without variation are dropped.
    share : float
        Share of the variance, over 0 and at most 1.

    Returns
    -------
    int
        Between 1 and ``min(T - 1, N)``; 0 when no column varies.

    Notes
    -----
    The spectrum is that of the correlation matrix. The T x T matrix of inner products has the same
    one but for zeros, so the smaller of the two is decomposed. The participation ratio is the other
    usual count; it comes out near 2 on a converged search and lets noise through.
    """
    if not 0.0 < share <= 1.0:
        raise InputError(f"a share lies between 0 and 1, got {share!r}")
    centred = returns - np.mean(returns, axis=0)
    norms = np.sqrt(np.sum(centred * centred, axis=0))
    # A constant column leaves only rounding behind.
    scale = np.max(np.abs(returns), axis=0, initial=0.0) * np.sqrt(returns.shape[0])
    varies = norms > 1e-13 * scale
    unit = centred[:, varies] / norms[varies]
    rows, columns = unit.shape
    if columns == 0:
        return 0
    gram = unit.T @ unit if columns <= rows else unit @ unit.T
    spectrum = np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0)
    carried = np.cumsum(spectrum) / np.sum(spectrum)
    return int(np.searchsorted(carried, share - 1e-12)) + 1
