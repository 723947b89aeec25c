"""What can trip, by name; what each means is in `genesis.risk.breakers`."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Breaker(StrEnum):
    """What can trip."""

    DAILY_DRAWDOWN = "daily_drawdown"
    WEEKLY_DRAWDOWN = "weekly_drawdown"
    TOTAL_DRAWDOWN = "total_drawdown"
    RAPID_LOSS = "rapid_loss"
    CONSECUTIVE_LOSSES = "consecutive_losses"
    CORRELATION_SPIKE = "correlation_spike"
    VOLATILITY_SPIKE = "volatility_spike"
    SENTIMENT_EXTREME = "sentiment_extreme"
    CONCENTRATION = "concentration"
    STALE_DATA = "stale_data"
    UNKNOWN_ORDERS = "unknown_orders"


OF_THE_MARKET: Final = frozenset(
    (
        Breaker.CORRELATION_SPIKE,
        Breaker.VOLATILITY_SPIKE,
        Breaker.CONCENTRATION,
        Breaker.SENTIMENT_EXTREME,
    )
)
"""Breakers whose condition is looked at once a bar; they hold to the next look at least."""
