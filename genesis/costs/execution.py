"""How well an order is executed: the paper model of slippage and latency, and a fill's quality.

The numbers are those of the platform's seeds. What was drawn there from an unseeded generator is
keyed here by what the order is, so that a run repeats to the last bit in any process; fees follow
`genesis.costs.model.CostModel`, maker where an order rested, instead of always taker.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from genesis.domain.errors import ConfigError, refuse_unknown_keys
from genesis.domain.instrument import base_asset
from genesis.domain.timeline import DAY_MS, HOUR_MS

BASE_BP: Mapping[str, float] = {"BTC": 0.5, "ETH": 1.0, "SOL": 2.0}
OTHER_BP = 3.0
SESSIONS: tuple[tuple[str, int, int, float], ...] = (
    ("asia_open", 0, 3, 1.2),
    ("london_open", 7, 10, 1.1),
    ("ny_open", 13, 16, 0.9),
)
"""Name, first hour, end hour (UTC, exclusive) and factor on the slippage of a working day."""
WEEKEND = 1.3
SELL = 1.1
MOST_SLIPPAGE = 0.1
"""Bound of the modelled slippage: beyond a tenth of the price the formula says nothing."""

LATENCY_MS: Mapping[str, float] = {
    "signal_to_order": 50.0,
    "order_to_exchange": 100.0,
    "processing": 25.0,
    "notify": 75.0,
}
_AT_EXCHANGE = ("processing", "notify")
KIND_FACTOR: Mapping[str, float] = {"market": 0.8, "stop": 0.8, "limit": 1.2, "target": 1.2}
NETWORK_FACTOR: Mapping[str, float] = {
    "excellent": 0.7,
    "good": 1.0,
    "fair": 1.3,
    "poor": 2.0,
    "timeout": 5.0,
}
MARKET_FACTOR: Mapping[str, float] = {
    "calm": 0.9,
    "normal": 1.0,
    "volatile": 1.4,
    "extreme": 2.2,
}
_MONDAY_MS = 4 * DAY_MS  # 1970-01-05, the first Monday of the epoch


def keyed_uniform(low: float, high: float, *key: object) -> float:
    """Number in ``[low, high)`` that is a pure function of the key."""
    text = "\x00".join(map(str, key)).encode()
    word = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 11
    return low + (high - low) * (word * (1.0 / 9007199254740992.0))


def session_factor(ts_ms: int) -> float:
    """Factor on the slippage by UTC hour; a weekend knows no sessions."""
    if (ts_ms - _MONDAY_MS) // DAY_MS % 7 >= 5:
        return WEEKEND
    hour = ts_ms // HOUR_MS % 24
    for _, first, end, factor in SESSIONS:
        if first <= hour < end:
            return factor
    return 1.0


@dataclass(frozen=True, slots=True)
class Conditions:
    """State of network and market, by name in `NETWORK_FACTOR` and `MARKET_FACTOR`."""

    network: str = "good"
    market: str = "normal"

    def __post_init__(self) -> None:
        for name, known in (("network", NETWORK_FACTOR), ("market", MARKET_FACTOR)):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"unknown {name} condition '{getattr(self, name)}'",
                    fix=f"use one of {', '.join(known)}",
                )

    @property
    def factor(self) -> float:
        """Factor on every latency."""
        return NETWORK_FACTOR[self.network] * MARKET_FACTOR[self.market]


@dataclass(frozen=True, slots=True)
class ExecutionModel:
    """Slippage and latency of paper orders.

    Attributes
    ----------
    seed : int
        Key of everything that looks random.
    capital : float
        Notional that counts as a size fraction of one, quote units.
    base_bp : mapping of str to float
        Slippage by base asset in basis points; `other_bp` elsewhere.
    other_bp : float
    conditions : Conditions
        Of an execution that is given none.
    """

    seed: int = 0
    capital: float = 100_000.0
    base_bp: Mapping[str, float] = field(default_factory=lambda: dict(BASE_BP))
    other_bp: float = OTHER_BP
    conditions: Conditions = Conditions()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.capital) and self.capital > 0.0):
            raise ConfigError(
                f"execution.capital = {self.capital} is not allowed",
                why="it is the notional that a size is compared with",
                fix="write the reference capital of one symbol, for example 100000",
            )
        for name, value in {**self.base_bp, "other_bp": self.other_bp}.items():
            if not (math.isfinite(value) and 0.0 <= value < 1000.0):
                raise ConfigError(
                    f"execution: {name} = {value} is no slippage in basis points",
                    fix="write a number of at least 0 and below 1000",
                )

    def slippage(
        self, symbol: str, size_fraction: float, volatility: float, ts_ms: int, side: float
    ) -> float:
        """Adverse move of a price as a fraction of it.

        Parameters
        ----------
        symbol : str
        size_fraction : float
            Notional of the order over `capital`.
        volatility : float
            Standard deviation of returns per bar, as a fraction.
        ts_ms : int
        side : float
            +1 buy, -1 sell.

        Returns
        -------
        float
            ``base * (1 + sqrt(100 size) / 2) * (1 + 10 volatility) * session * 1.1 if sell * u``
            with u uniform on [0.8, 1.2), at most `MOST_SLIPPAGE`.
        """
        base = self.base_bp.get(base_asset(symbol), self.other_bp) / 1e4
        rate = base * (1.0 + 0.5 * math.sqrt(100.0 * abs(size_fraction)))
        rate *= (1.0 + 10.0 * volatility) * session_factor(ts_ms)
        if side < 0.0:
            rate *= SELL
        rate *= keyed_uniform(0.8, 1.2, self.seed, "slippage", symbol, ts_ms, side > 0.0)
        return min(rate, MOST_SLIPPAGE)

    def latency_ms(
        self,
        kind: str,
        ts_ms: int,
        key: str,
        conditions: Conditions | None = None,
        *,
        resting: bool = False,
    ) -> int:
        """Time from the decision to the news of the fill, milliseconds.

        Parameters
        ----------
        kind : str
            ``market``, ``stop``, ``limit`` or ``target``.
        ts_ms : int
        key : str
            What is executed, usually the client order id.
        conditions : Conditions, optional
        resting : bool
            The order already waited at the exchange: only processing and notice count.
        """
        parts = _AT_EXCHANGE if resting else tuple(LATENCY_MS)
        total = sum(LATENCY_MS[name] for name in parts) * KIND_FACTOR[kind]
        total *= (conditions or self.conditions).factor
        return round(total * keyed_uniform(0.7, 1.3, self.seed, "latency", key, ts_ms, resting))

    def plain(self) -> dict[str, Any]:
        """Fields as a mapping that JSON can hold."""
        return asdict(self) | {"base_bp": dict(self.base_bp)}

    @classmethod
    def from_plain(cls, value: Mapping[str, Any]) -> ExecutionModel:
        """Read back what `plain` wrote.

        Raises
        ------
        ConfigError
            For an unknown key or a value out of range.
        """
        refuse_unknown_keys("execution", value, [f.name for f in fields(cls)])
        rest = dict(value)
        if "conditions" in rest and not isinstance(rest["conditions"], Conditions):
            refuse_unknown_keys("execution.conditions", rest["conditions"], ["network", "market"])
            rest["conditions"] = Conditions(**rest["conditions"])
        return cls(**rest)


class ExecutionQuality(StrEnum):
    """Grade of an execution, by slippage and latency."""

    EXCELLENT = "excellent"
    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"
    FAILED = "failed"


QUALITY_LIMITS: tuple[tuple[ExecutionQuality, float, float], ...] = (
    (ExecutionQuality.EXCELLENT, 0.001, 200.0),
    (ExecutionQuality.GOOD, 0.002, 500.0),
    (ExecutionQuality.FAIR, 0.005, 1000.0),
)
"""Grade, and what slippage (fraction) and latency (ms) must both stay below."""


def signed_slippage(side: float, reference: float, price: float) -> float:
    """Slippage of a fill as a fraction of the reference price: positive where it cost money.

    Parameters
    ----------
    side : float
        +1 buy, -1 sell.
    reference, price : float
        Price before slippage, and price of the fill.
    """
    return side * (price - reference) / reference


def execution_quality(
    slippage: float, latency_ms: float, *, rejected: bool = False
) -> ExecutionQuality:
    """Grade of an execution; a better price than the reference counts as no slippage.

    Parameters
    ----------
    slippage : float
        From `signed_slippage`.
    latency_ms : float
    rejected : bool
        The exchange refused the order.
    """
    if rejected:
        return ExecutionQuality.FAILED
    for grade, most, slowest in QUALITY_LIMITS:
        if slippage < most and latency_ms < slowest:
            return grade
    return ExecutionQuality.POOR
