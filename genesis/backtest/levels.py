"""Where the stop of each past trade stood, replayed with the policy's own functions.

The policy pass keeps no levels: a search needs none. A report asks for them afterwards.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from genesis.backtest.passes import O_PRICE, O_SIZE, O_SLIPPAGE, T_BAR
from genesis.costs.model import fill_price
from genesis.domain.jit import kernel
from genesis.strategy.policy import PolicyNumbers, PolicyState, decide, on_fill

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@kernel
def _replay(
    close: Floats,
    valid: Bools,
    atr: Floats,
    params: PolicyNumbers,
    book: Floats,
    tags: Ints,
    levels: Floats,
) -> None:
    for trade in range(levels.shape[0]):
        size = book[2 * trade, O_SIZE]
        side = 1.0 if size > 0.0 else -1.0
        entry = fill_price(book[2 * trade, O_PRICE], side, book[2 * trade, O_SLIPPAGE])
        bar = tags[2 * trade, T_BAR]
        decided = bar - 1
        while not valid[decided]:
            decided -= 1
        held = PolicyState(0.0, atr[decided], 0.0, 0.0, 0.0, 0.0, 0.0)
        held = on_fill(held, params, bar, 0.0, size, entry)
        levels[trade, 0] = held.stop
        for t in range(bar, tags[2 * trade + 1, T_BAR]):
            if valid[t]:
                held, _, _ = decide(
                    held, params, size, entry, t, close[t], math.nan, math.nan, 0, 0, 0, 0
                )
        levels[trade, 1] = held.stop


def stop_levels(
    close: Floats, valid: Bools, atr: Floats, params: PolicyNumbers, book: Floats, tags: Ints
) -> Floats:
    """Initial stop of each closed trade, and the one that rested in the bar of its exit.

    Parameters
    ----------
    close, atr : float64, shape (T,); valid : bool, shape (T,)
        As the policy pass read them.
    params : PolicyNumbers
    book, tags : float64, shape (n, 4); int64, shape (n, 3)
        As filled by `genesis.backtest.passes.orders_of`.

    Returns
    -------
    float64, shape (n // 2, 2)
        Infinite where there was none.
    """
    levels = np.empty((len(book) // 2, 2))
    _replay(close, valid, atr, params, book, tags, levels)
    return levels
