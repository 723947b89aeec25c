"""Wilder's family: true range, average true range, relative strength, directional movement.

Definitions and starts are those of Wilder (1978), *New Concepts in Technical Trading Systems*,
as TA-Lib computes them.
"""

from __future__ import annotations

import numpy as np

from genesis.domain.jit import kernel
from genesis.strategy.node import Floats


@kernel
def true_range(
    high: Floats, low: Floats, close: Floats, n: int, state: Floats, out: Floats
) -> None:
    """True range (n = 0) or its Wilder average over n bars; it needs the previous close.

    State: bars, previous close, average.
    """
    bars = state[0]
    previous = state[1]
    value = state[2]
    share = 1.0 / max(n, 1)
    for i in range(out.size):
        if not (high[i] == high[i] and low[i] == low[i] and close[i] == close[i]):
            out[i] = np.nan
            continue
        if bars == 0.0:
            bars = 1.0
            previous = close[i]
            out[i] = np.nan
            continue
        span = max(high[i], previous) - min(low[i], previous)
        if not span < np.inf:
            out[i] = np.nan
            continue
        previous = close[i]
        if n == 0:
            out[i] = span
        elif bars <= n:
            value += (span - value) / bars
            bars += 1.0
            out[i] = value if bars > n else np.nan
        else:
            value += (span - value) * share
            out[i] = value
    state[0] = bars
    state[1] = previous
    state[2] = value


@kernel
def relative_strength(x: Floats, n: int, state: Floats, out: Floats) -> None:
    """Wilder's RSI, 0 to 100; 50 where the averages of gains and losses are both zero.

    State: values, previous value, average gain, average loss.
    """
    seen = state[0]
    previous = state[1]
    gain = state[2]
    loss = state[3]
    share = 1.0 / n
    for i in range(x.size):
        fresh = x[i]
        if fresh != fresh:
            out[i] = np.nan
            continue
        change = fresh - previous
        if not abs(change) < np.inf:
            out[i] = np.nan
            continue
        previous = fresh
        if seen == 0.0:
            seen = 1.0
            out[i] = np.nan
            continue
        up = change if change > 0.0 else 0.0
        down = -change if change < 0.0 else 0.0
        if seen <= n:
            gain += (up - gain) / seen
            loss += (down - loss) / seen
            seen += 1.0
        else:
            gain += (up - gain) * share
            loss += (down - loss) * share
        both = gain + loss
        if seen <= n:
            out[i] = np.nan
        else:
            out[i] = 100.0 * (gain / both) if both > 0.0 else 50.0
    state[0] = seen
    state[1] = previous
    state[2] = gain
    state[3] = loss


@kernel
def directional_index(
    high: Floats, low: Floats, close: Floats, n: int, state: Floats, out: Floats
) -> None:
    """Wilder's ADX, 0 to 100: the average of ``100 |DI+ - DI-| / (DI+ + DI-)``.

    The averages of movement and range start from n - 1 bars, as in TA-Lib. State: bars, previous
    high, low, close, averages of DM+, DM-, range, the index itself.
    """
    bars = state[0]
    ph, pl, pc = state[1], state[2], state[3]
    plus, minus, span, value = state[4], state[5], state[6], state[7]
    share = 1.0 / n
    for i in range(out.size):
        h, l, c = high[i], low[i], close[i]  # noqa: E741
        if not (h == h and l == l and c == c):
            out[i] = np.nan
            continue
        up = h - ph
        down = pl - l
        reach = max(h, pc) - min(l, pc)
        if not (reach < np.inf and abs(up) < np.inf and abs(down) < np.inf):
            out[i] = np.nan
            continue
        ph, pl, pc = h, l, c
        bars = min(bars + 1.0, 2.0 * n)
        if bars == 1.0:
            out[i] = np.nan
            continue
        up_move = up if up > down and up > 0.0 else 0.0
        down_move = down if down > up and down > 0.0 else 0.0
        fade = share if bars > n else 0.0
        plus += share * up_move - fade * plus
        minus += share * down_move - fade * minus
        span += share * reach - fade * span
        if bars <= n:
            out[i] = np.nan
            continue
        both = plus + minus
        index = 100.0 * (abs(plus - minus) / both) if both > 0.0 else 0.0
        value += (index - value) * (share if bars >= 2.0 * n else 1.0 / (bars - n))
        out[i] = value if bars >= 2.0 * n else np.nan
    state[0] = bars
    state[1], state[2], state[3] = ph, pl, pc
    state[4], state[5], state[6], state[7] = plus, minus, span, value
