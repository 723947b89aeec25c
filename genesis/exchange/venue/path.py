"""The reference price of each market: fixed or synthetic; for recorded bars see ``BarPath``."""

from __future__ import annotations

import math
from typing import Protocol

from genesis.exchange.venue.meta import VenueMeta
from genesis.exchange.venue.units import parse

_MASK = 2**64 - 1


class PricePath(Protocol):
    """Source of reference prices.

    The price is a function of coin and time alone: asked twice it is the same, whatever was asked
    in between.
    """

    def price(self, coin: str, ts_ms: int) -> int | None:
        """Return the price on the market's grid, None where there is none."""
        ...


def mixed(*values: int) -> int:
    """Hash integers to 64 bits (splitmix64): chance that needs no state."""
    out = 0x9E3779B97F4A7C15
    for value in values:
        out = (out ^ (value & _MASK)) * 0xBF58476D1CE4E5B9 & _MASK
        out ^= out >> 27
        out = out * 0x94D049BB133111EB & _MASK
        out ^= out >> 31
    return out


def chance(*values: int) -> float:
    """Hash integers to a number in [0, 1)."""
    return (mixed(*values) >> 11) / 2.0**53


class FixedPath:
    """Every market stays at its start price."""

    def __init__(self, meta: VenueMeta) -> None:
        self._prices = {
            spec.coin: parse(spec.start_price, spec.px_decimals) for spec in meta.instruments()
        }

    def price(self, coin: str, ts_ms: int) -> int | None:  # noqa: ARG002 - the port's signature
        """Return the start price."""
        return self._prices.get(coin)


class SyntheticPath:
    """A seeded random walk that can be asked for any instant.

    It is a sum of smooth noises whose periods double from two seconds to half a year and whose
    amplitudes grow with the root of the period: at each scale the price looks like a random walk,
    and nothing need be stored.

    Parameters
    ----------
    meta : VenueMeta
    seed : int
    volatility : float
        Standard deviation of an hour's return, about.
    """

    _PERIODS = tuple(2_000 * 2**k for k in range(23))

    def __init__(self, meta: VenueMeta, seed: int, volatility: float = 0.006) -> None:
        # Four octaves around an hour contribute most of an hour's move.
        self._amplitudes = tuple(
            volatility * 0.7 * math.sqrt(period / 3_600_000) for period in self._PERIODS
        )
        self._keys = {
            spec.coin: tuple(mixed(seed, spec.asset, k) for k in range(len(self._PERIODS)))
            for spec in meta.instruments()
        }
        self._starts = {
            spec.coin: parse(spec.start_price, spec.px_decimals) for spec in meta.instruments()
        }
        # The ends of the cell each octave was last asked in: consecutive instants share them.
        self._cells: dict[int, tuple[int, float, float]] = {}

    def price(self, coin: str, ts_ms: int) -> int | None:
        """Return the price on the market's grid."""
        keys = self._keys.get(coin)
        if keys is None:
            return None
        log = 0.0
        for key, period, amplitude in zip(keys, self._PERIODS, self._amplitudes, strict=True):
            cell, inside = divmod(ts_ms, period)
            known = self._cells.get(key)
            if known is None or known[0] != cell:
                known = (cell, _noise(key + cell), _noise(key + cell + 1))
                self._cells[key] = known
            share = inside / period
            smooth = share * share * (3.0 - 2.0 * share)
            log += amplitude * (known[1] + (known[2] - known[1]) * smooth)
        return max(1, round(self._starts[coin] * math.exp(log)))


def _noise(key: int) -> float:
    return chance(key) - 0.5
