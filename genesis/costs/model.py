"""What an execution costs: fees and slippage, the same for backtest, paper, replay and reports."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import ConfigError, refuse_unknown_keys
from genesis.domain.jit import kernel

COST_MULTIPLES = (1.0, 1.5, 2.0)
"""Multiples of fees and slippage under which a Sharpe ratio is reported, from the same orders."""

TAKER, MAKER, SLIPPAGE, NOISE = range(4)
"""Places in `CostModel.vector`."""


@dataclass(frozen=True, slots=True)
class CostModel:
    """Fees and slippage as fractions of the traded notional.

    Attributes
    ----------
    taker, maker : float
        Fee of an order that takes liquidity (market, stop) and of one that rests (target).
    slippage : float
        Adverse move of the price of a market or stop order; a resting limit has none.
    slippage_noise : float
        Half-width of a uniform factor ``1 ± noise`` on the slippage, keyed by
        hash(seed, symbol, time, side). Zero (no noise) in fitness and parity.
    seed : int
        Key of the noise.
    """

    taker: float = 4.5e-4
    maker: float = 1.5e-4
    slippage: float = 2e-4
    slippage_noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("taker", "maker", "slippage", "slippage_noise"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ConfigError(
                    f"costs.{name} must be a number of at least 0, not {value}",
                    why="fees and slippage are fractions of the traded notional",
                    fix=f"write for example {name}: {fields(self)[0].default}",
                )
        for name in ("taker", "maker", "slippage"):
            if getattr(self, name) >= 0.1:
                raise ConfigError(
                    f"costs.{name} = {getattr(self, name)} is 10 % or more of the notional",
                    fix="write fractions: 4.5 basis points are 0.00045",
                )
        if self.slippage_noise > 1.0:
            raise ConfigError(
                f"costs.slippage_noise must be within [0, 1], not {self.slippage_noise}"
            )

    def vector(self) -> npt.NDArray[np.float64]:
        """Rates for a kernel, in the order `TAKER`, `MAKER`, `SLIPPAGE`, `NOISE`."""
        return np.array([self.taker, self.maker, self.slippage, self.slippage_noise])

    def noise_key(self, symbol: str) -> int:
        """Key of the slippage noise of one symbol, 63 bits."""
        digest = hashlib.blake2b(f"{self.seed}:{symbol}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") >> 1

    def plain(self) -> dict[str, float | int]:
        """Fields as a mapping that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_plain(cls, value: Mapping[str, Any]) -> CostModel:
        """Read back what `plain` wrote.

        Raises
        ------
        ConfigError
            For an unknown key or a value out of range.
        """
        refuse_unknown_keys("costs", value, [f.name for f in fields(cls)])
        return cls(**value)


@kernel
def fill_price(reference: float, side: float, slippage: float) -> float:
    """Price of a fill: the reference price moved against the order (``side`` +1 buy, -1 sell)."""
    if side > 0.0:
        return reference * (1.0 + slippage)
    return reference * (1.0 - slippage)


@kernel
def slippage_rate(base: float, noise: float, key: int, ts_ms: int, side: float) -> float:
    """Slippage of an order at ``ts_ms``: ``base * (1 + noise * u)``, u uniform on [-1, 1).

    u comes from the 53 high bits of a splitmix64 step over (key, time, side), so the same order
    meets the same slippage in any process and any order of evaluation.
    """
    if noise == 0.0:
        return base
    word = np.uint64(key) ^ (np.uint64(ts_ms) * np.uint64(2) + np.uint64(1 if side > 0.0 else 0))
    word += np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    word ^= word >> np.uint64(31)
    uniform = (word >> np.uint64(11)) * (1.0 / 9007199254740992.0)
    return base * (1.0 + noise * (2.0 * uniform - 1.0))
