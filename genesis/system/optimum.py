"""The best that can be done in a synthetic market with a switching trend: a filter that knows it.

The trend's sign is a two-state Markov chain and returns are its noisy observations, so the belief
in "up" that Bayes' rule gives is all there is to know (Hamilton 1989, with the GARCH volatility
tracked beside it). Without costs the Sharpe ratio is greatest when the position is the expected
return over the variance (Merton 1969); with proportional costs it is kept within a zone around
that and moved to the zone's edge only (Davis and Norman 1990). A strategy that has to learn the
law from prices cannot be expected to do better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from genesis.domain.jit import kernel
from genesis.domain.timeline import bars_per_year, interval_ms

if TYPE_CHECKING:
    from genesis.market.sources.synthetic import SynthSpec

Floats = npt.NDArray[np.float64]

ZONES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
"""Half widths of the zone, in units of belief (the expected sign, in [-1, 1])."""


@kernel
def beliefs(
    returns: Floats,
    drift: float,
    switch: float,
    sigma: float,
    alpha: float,
    beta: float,
    dof: float,
    belief: Floats,
    sd: Floats,
) -> None:
    """Run the filter over log returns.

    Parameters
    ----------
    returns : float64, shape (T,)
    drift, switch : float
        Size of the trend a bar, and its chance to turn.
    sigma, alpha, beta, dof : float
        GARCH(1,1) with Student-t shocks.
    belief, sd : float64, shape (T,)
        Filled with the expected sign of the next bar's trend and its volatility, given the bars
        up to and including t.
    """
    base = sigma * sigma * (1.0 - alpha - beta)
    variance = sigma * sigma
    scale = dof / (dof - 2.0)
    up = 0.5
    for t in range(returns.size):
        surprise = returns[t] + 0.5 * variance
        above = (surprise - drift) ** 2 / variance * scale
        below = (surprise + drift) ** 2 / variance * scale
        ratio = ((dof + above) / (dof + below)) ** (-0.5 * (dof + 1.0))
        seen = up * ratio / (up * ratio + 1.0 - up)
        shock = surprise - (2.0 * seen - 1.0) * drift
        variance = base + alpha * shock * shock + beta * variance
        up = seen * (1.0 - switch) + (1.0 - seen) * switch
        belief[t] = 2.0 * up - 1.0
        sd[t] = np.sqrt(variance)


@kernel
def zone_returns(
    moves: Floats, belief: Floats, sd: Floats, zone: float, cost: float, out: Floats
) -> None:
    """Net return of each bar when the belief is traded within a zone, in units of 1 / variance.

    Parameters
    ----------
    moves : float64, shape (T,)
        Simple return of each bar.
    belief, sd : float64, shape (T,)
        Of `beliefs`; a position decided at bar t earns bar t + 1.
    zone : float
        Half width of the zone in which nothing is traded.
    cost : float
        Fee and slippage per unit of turnover.
    out : float64, shape (T,)
    """
    position = 0.0
    for t in range(moves.size):
        unit = 1.0 / (sd[t] * sd[t])
        wanted = min(max(position, (belief[t] - zone) * unit), (belief[t] + zone) * unit)
        out[t] = position * moves[t] - cost * abs(wanted - position)
        position = wanted


def best_sharpe(spec: SynthSpec, cost: float) -> float:
    """Sharpe ratio of the filter in a market with a planted trend, mean over its assets.

    Parameters
    ----------
    spec : SynthSpec
        With a ``trend`` plant. The zone is chosen on these very bars, in the optimum's favour.
    cost : float
        Fee and slippage per unit of turnover.

    Returns
    -------
    float
        0 where it never pays to trade.
    """
    from genesis.market.sources.synthetic import synthesize

    tracked = [_tracked(spec, one.bars.open, one.bars.close) for one in synthesize(spec)]
    year = np.sqrt(bars_per_year(interval_ms(spec.interval)))
    best = 0.0
    for zone in ZONES:
        ratios = []
        for moves, belief, sd in tracked:
            net = np.empty_like(moves)
            zone_returns(moves, belief, sd, zone, cost, net)
            spread = float(net.std(ddof=1))
            ratios.append(float(net.mean()) / spread * year if spread > 0.0 else 0.0)
        best = max(best, float(np.mean(ratios)))
    return best


def _tracked(spec: SynthSpec, open_: Floats, close: Floats) -> tuple[Floats, Floats, Floats]:
    from genesis.market.sources.planted import SWITCH_PROBABILITY

    belief, sd = np.empty_like(close), np.empty_like(close)
    beliefs(
        np.log(close / open_),
        spec.strength("trend"),
        SWITCH_PROBABILITY,
        spec.sigma,
        spec.alpha,
        spec.beta,
        spec.dof,
        belief,
        sd,
    )
    return np.asarray(close / open_ - 1.0), belief, sd
