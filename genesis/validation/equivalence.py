"""Whether two series are the same but for a margin: paired tests of equivalence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import InputError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Outcome of two one-sided tests.

    Attributes
    ----------
    p : float
        The greater of both p values: equivalent at 5 % where it is at most 0.05.
    mean : float
        Mean difference, in the unit of the differences.
    margin : float
        Greatest mean difference that counts as none, in the same unit.
    n : int
        Number of pairs.
    """

    p: float
    mean: float
    margin: float
    n: int


def tost(differences: Floats, margin: float) -> Equivalence:
    """Two one-sided t tests of paired differences (Schuirmann 1987).

    The null says that the mean difference is at least ``margin`` away from zero; both one-sided
    nulls must be rejected, and the greater p value is that of the test.

    Parameters
    ----------
    differences : float64, shape (n,)
        Of the pairs.
    margin : float
        In the same unit, positive.

    Returns
    -------
    Equivalence
        ``p`` is 1 for fewer than two pairs. Differences without variation have p 0 inside of the
        margin and 1 at it or beyond.

    Raises
    ------
    InputError
        If the margin is no positive number.
    """
    if not (math.isfinite(margin) and margin > 0.0):
        raise InputError(f"a margin of equivalence is positive, not {margin!r}")
    n = int(differences.size)
    if n < 2:
        return Equivalence(1.0, math.nan if n == 0 else float(differences[0]), margin, n)
    mean = float(np.mean(differences))
    error = float(np.std(differences, ddof=1)) / math.sqrt(n)
    if not error > 0.0:
        return Equivalence(0.0 if abs(mean) < margin else 1.0, mean, margin, n)
    from scipy.special import stdtr

    # P(T > t) = stdtr(df, -t) keeps the digits of small probabilities.
    lower = float(stdtr(n - 1, -(mean + margin) / error))
    upper = float(stdtr(n - 1, (mean - margin) / error))
    return Equivalence(max(lower, upper), mean, margin, n)
