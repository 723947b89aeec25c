"""Many genomes on the searched panel, through an executor: their daily equity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from genesis.backtest.result import NO_TRADES, TOO_SHORT, VALID
from genesis.evidence.progress import Progress, untold
from genesis.evolution.evaluation import BLOCK
from genesis.evolution.work import Executor, WorkUnit

Floats = npt.NDArray[np.float64]


def portfolio_marks(
    executor: Executor,
    genomes: Sequence[str],
    symbols: int,
    progress: Progress = untold,
) -> Floats:
    """Daily equity of candidates on the panel of a started executor.

    Symbol by symbol, so that the sums have one order whatever order the units end in, and memory
    holds one row a genome.

    Parameters
    ----------
    executor : Executor
        Started with the job of the study.
    genomes : sequence of str
        Genomes as text.
    symbols : int
        Symbols of the panel.
    progress : callable
        Told (``trials``, units done, units in all).

    Returns
    -------
    float64, shape (n, days)
        Equity minus capital, over capital. NaN where a genome cannot be judged on a symbol.
    """
    spans = [(a, min(a + BLOCK, len(genomes))) for a in range(0, len(genomes), BLOCK)]
    total: Floats | None = None
    done = 0
    for symbol in range(symbols):
        units = [WorkUnit(i, symbol, tuple(genomes[a:b])) for i, (a, b) in enumerate(spans)]
        for result in executor.run(units):
            a, b = spans[result.unit]
            block = result.block
            if total is None:
                total = np.zeros((len(genomes), block.marks.shape[1]))
            flat = np.isin(block.status, (NO_TRADES, TOO_SHORT))
            rows = np.where(flat[:, None], 0.0, block.marks)
            rows[(block.status != VALID) & ~flat] = np.nan
            total[a:b] += rows
            done += 1
            progress("trials", done, len(spans) * symbols)
    if total is None:
        return np.empty((len(genomes), 0))
    return total / symbols
