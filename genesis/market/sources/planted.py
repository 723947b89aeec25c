"""Edges of known size that a synthetic market can carry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.domain.jit import kernel

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# kind -> what its strength means
PLANTS: dict[str, str] = {
    "trend": "drift of +-strength a bar, switching sign with probability 1/120",
    "mean_reversion": "strength is the shock sd of an OU part of the price, half-life 12 bars",
    "carry": "strength is the stationary sd of the funding rate per 8 hours, AR(1) with phi 0.97",
    "vol_breakout": "drift of strength a bar for 6 bars, along a shock beyond 2 sd",
    "lead_lag": "drift of strength times the leader's last standardised shock, on every 2nd asset",
    "trend_low_vol": "trend of +-strength a bar, only while volatility is below its median",
    "conjunction": "20-bar moves go on in calm bars with negative funding, else turn by a third",
    "decoy": "volume tells the direction of its own bar: worth nothing without the next bar",
    "drift": "constant drift of strength a bar: what buying and holding earns, and nothing else",
}

SWITCH_PROBABILITY = 1.0 / 120.0
HALF_LIFE_BARS = 12.0
REVERSION_PHI: float = 0.5 ** (1.0 / HALF_LIFE_BARS)
BREAKOUT_SDS = 2.0
BREAKOUT_BARS = 6
MOMENTUM_BARS = 20
_LEADER_CAP = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Hidden:
    """Draws and states of one asset that the plants build on; arrays have shape (N,).

    Attributes
    ----------
    shocks : float64
        Standardised shocks of the base market.
    moves : float64
        Log returns of the base market.
    quiet : bool
        Whether the bar's conditional sd is below its trailing median.
    cheap : bool
        Whether the last rate settled before the bar is negative.
    leader : float64 or None
        Shocks of the asset that leads this one.
    first_state : float
        Trend state before the first bar, 1 or -1.
    switches : float64
        Uniform draws; the trend state flips where they fall below the switch probability.
    reversion : float64
        Normal draws of the OU component.
    """

    shocks: Floats
    moves: Floats
    quiet: Bools
    cheap: Bools
    leader: Floats | None
    first_state: float
    switches: Floats
    reversion: Floats

    @property
    def trend_state(self) -> Floats:
        """Sign of the drift at each bar."""
        flips = np.where(self.switches < SWITCH_PROBABILITY, -1.0, 1.0)
        return np.asarray(self.first_state * np.cumprod(flips), dtype=np.float64)


def drift_of(kind: str, strength: float, hidden: Hidden) -> tuple[Floats, Floats, float]:
    """Expected return, further shock, and the variance of that shock, for one plant.

    Returns
    -------
    drift : float64, shape (N,)
        Expected return of each bar given everything before it.
    surprise : float64, shape (N,)
        Unexpected return that the plant itself adds.
    variance : float
        Variance of `surprise` a bar.
    """
    none = np.zeros(hidden.shocks.size)
    if kind == "trend":
        return strength * hidden.trend_state, none, 0.0
    if kind == "drift":
        return none + strength, none, 0.0
    if kind == "trend_low_vol":
        return np.where(hidden.quiet, strength, 0.0) * hidden.trend_state, none, 0.0
    if kind == "conjunction":
        # Both conditions hold a quarter of the time, and tell nothing of the move's sign: with a
        # third against it in the other bars, the move alone says nothing of the next bar. A trend
        # with a hidden state would not do: its reverse is a trend too, and feeds a plain follower.
        size = np.where(hidden.quiet & hidden.cheap, strength, -strength / 3.0)
        return onward(hidden.moves, size, MOMENTUM_BARS), none, 0.0
    if kind == "mean_reversion":
        level = follow(hidden.reversion, REVERSION_PHI, strength, stationary=False)
        before = np.concatenate([[0.0], level[:-1]])
        return (REVERSION_PHI - 1.0) * before, strength * hidden.reversion, strength * strength
    if kind == "vol_breakout":
        return strength * burst(hidden.shocks, BREAKOUT_SDS, BREAKOUT_BARS), none, 0.0
    if kind == "lead_lag" and hidden.leader is not None:
        signal = np.clip(hidden.leader, -_LEADER_CAP, _LEADER_CAP)
        return strength * np.concatenate([[0.0], signal[:-1]]), none, 0.0
    return none, none, 0.0  # carry and decoy move no price; the leader of a pair has no edge


def reversion_variance(strength: float) -> float:
    """Variance of one bar's change of the stationary OU part, ``2 d^2 / (1 + phi)``."""
    return 2.0 * strength * strength / (1.0 + REVERSION_PHI)


def garch(shocks: Floats, sigma: float, alpha: float, beta: float) -> Floats:
    """Conditional sd of each bar under GARCH(1,1) with unconditional sd `sigma`.

    ``h_t = sigma^2 (1 - alpha - beta) + alpha h_{t-1} z_{t-1}^2 + beta h_{t-1}``.
    """
    out = np.empty(shocks.size)
    _garch(shocks, sigma * sigma, alpha, beta, out)
    return out


def follow(draws: Floats, phi: float, scale: float, *, stationary: bool = True) -> Floats:
    """AR(1) path ``x_t = phi x_{t-1} + scale draws_t``, from zero or its stationary law."""
    out = np.empty(draws.size)
    first = scale / np.sqrt(1.0 - phi * phi) if stationary else scale
    _follow(draws, phi, scale, first, out)
    return out


def burst(shocks: Floats, threshold: float, length: int) -> Floats:
    """Sign of the last shock beyond the threshold, for `length` bars after it, else 0."""
    out = np.zeros(shocks.size)
    _burst(shocks, threshold, length, out)
    return out


def onward(moves: Floats, size: Floats, length: int) -> Floats:
    """Drift of `size` along the move of the `length` bars before each, drift included."""
    out = np.zeros(moves.size)
    _onward(moves, size, length, out)
    return out


def share_below(values: Floats, window: int) -> Floats:
    """Share of the `window` values before each that are below it; 0.5 while there are fewer."""
    out = np.full(values.size, 0.5)
    _share_below(values, window, out)
    return out


@kernel
def _garch(shocks: Floats, variance: float, alpha: float, beta: float, out: Floats) -> None:
    level = variance
    for t in range(shocks.size):
        out[t] = np.sqrt(level)
        moved = alpha * level * shocks[t] * shocks[t] + beta * level
        level = variance * (1.0 - alpha - beta) + moved


@kernel
def _follow(draws: Floats, phi: float, scale: float, first: float, out: Floats) -> None:
    level = 0.0
    for t in range(draws.size):
        level = first * draws[t] if t == 0 else phi * level + scale * draws[t]
        out[t] = level


@kernel
def _burst(shocks: Floats, threshold: float, length: int, out: Floats) -> None:
    sign, left = 0.0, 0
    for t in range(shocks.size):
        if left > 0:
            out[t] = sign
            left -= 1
        if abs(shocks[t]) > threshold:
            sign = 1.0 if shocks[t] > 0.0 else -1.0
            left = length


@kernel
def _onward(moves: Floats, size: Floats, length: int, out: Floats) -> None:
    path = 0.0
    for t in range(moves.size):
        if path != 0.0:
            out[t] = size[t] if path > 0.0 else -size[t]
        path += moves[t] + out[t]
        if t >= length:
            path -= moves[t - length] + out[t - length]


@kernel
def _share_below(values: Floats, window: int, out: Floats) -> None:
    for t in range(window, values.size):
        count = 0
        for k in range(t - window, t):
            if values[k] < values[t]:
                count += 1
        out[t] = count / window
