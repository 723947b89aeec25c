"""An instrument and the only rounding of prices and sizes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instrument:
    """Trading rules of one symbol.

    Attributes
    ----------
    symbol, base : str
        The venue's name and the base asset (``BTCUSDT`` and ``BTC``).
    tick : float
        Price step in quote units; 0 means continuous.
    lot : float
        Size step in base units; 0 means continuous.
    min_notional : float
        Least order value in quote units; smaller orders are not sent.
    maintenance_margin : float
        Maintenance margin as a fraction of notional.
    """

    symbol: str
    base: str
    tick: float = 0.0
    lot: float = 0.0
    min_notional: float = 0.0
    maintenance_margin: float = 0.01

    @property
    def continuous(self) -> bool:
        """Whether the instrument was declared without steps (data without metadata)."""
        return self.tick == 0.0 and self.lot == 0.0


_QUOTES = ("USDT", "USDC", "USD", "BUSD")


def base_asset(symbol: str) -> str:
    """Base asset of a symbol: ``BTCUSDT``, ``BTC/USDC:USDC`` and ``BTC`` are all ``BTC``.

    A ``k`` prefix (``kPEPE``, a thousand PEPE) names the same asset.
    """
    head = symbol.split("/")[0].split("-")[0].split(":")[-1]
    for quote in _QUOTES:
        if head.endswith(quote) and len(head) > len(quote):
            head = head[: -len(quote)]
            break
    if len(head) > 1 and head[0] == "k" and head[1:].isupper():
        head = head[1:]
    return head
