"""How much of the in-sample performance a walk-forward keeps."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import InputError

Floats = npt.NDArray[np.float64]


def walk_forward_efficiency(in_sample: Floats, out_of_sample: Floats) -> float:
    """Mean annualised performance out of sample over that in sample (Pardo 2008).

    Parameters
    ----------
    in_sample, out_of_sample : float64, shape (windows,)
        Annualised returns or Sharpe ratios of the rule chosen in each window, on the bars it was
        chosen on and on those that follow.

    Returns
    -------
    float
        1 when nothing is lost, at least 0.5 is usually asked for. NaN when the mean in sample is
        not positive, since then there was nothing to keep: it passes no threshold.
    """
    if in_sample.shape != out_of_sample.shape or in_sample.size == 0:
        raise InputError("walk-forward efficiency needs both performances of every window")
    before = float(np.mean(in_sample))
    return float(np.mean(out_of_sample)) / before if before > 0.0 else math.nan
