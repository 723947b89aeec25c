"""Primitives that turn series into events, and remember conditions."""

from __future__ import annotations

from genesis.strategy.kernels import memory
from genesis.strategy.primitives.declare import declare, none, one, unwindowed, window, windowed

for _name, _sign, _words in (
    ("cross_up", 1.0, "{0} crosses above {1}"),
    ("cross_down", -1.0, "{0} crosses below {1}"),
):
    declare(
        _name,
        "nn",
        unwindowed(memory.crossing, _sign),
        _words,
        params=(),
        state=2,
        lookback=one,
        cost=4,
        boolean=True,
    )
declare(
    "persist",
    "b",
    windowed(memory.persistence),
    "{0} for {n} bars in a row",
    state=2,
    cost=5,
    boolean=True,
)
declare(
    "since",
    "b",
    windowed(memory.bars_since),
    "the number of bars since {0}, at most {n}",
    state=2,
    lookback=window,
    cost=4,
)
declare(
    "latch",
    "bb",
    unwindowed(memory.latched),
    "{0} came later than {1}",
    params=(),
    state=1,
    lookback=none,
    cost=4,
    boolean=True,
)
