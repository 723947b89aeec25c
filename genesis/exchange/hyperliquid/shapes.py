"""From the exchange's JSON to our words: fills, orders, positions, funding."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from genesis.trading.gateway import OrderKind, Side, VenueFill, VenueFunding, VenuePosition

Json = Mapping[str, Any]
UNREADABLE = (KeyError, TypeError, ValueError, ArithmeticError, AttributeError)
"""What reading a malformed answer raises."""


def side(word: str) -> Side:
    """Side of ``B`` or ``A``."""
    if word not in ("A", "B"):
        raise ValueError(f"{word!r} is no side")
    return Side.BUY if word == "B" else Side.SELL


def cloid(row: Json) -> str:
    """Client id of an order or fill, empty where it has none."""
    return str(row.get("cloid") or "")


def oid(row: Json) -> str:
    """Number of an order as text."""
    return str(int(row["oid"]))


def number(text: Any) -> Decimal:
    """A finite number.

    Raises
    ------
    ValueError
        For anything else, ``NaN`` included.
    """
    value = Decimal(text if isinstance(text, str | int) else str(text))
    if not value.is_finite():
        raise ValueError(f"{text!r} is no number")
    return value


def fill(row: Json, account: str, address: str, client_id: str) -> VenueFill:
    """A fill; ``liquidation`` only where it was this account that was liquidated."""
    price = number(row["px"])
    liquidated = (row.get("liquidation") or {}).get("liquidatedUser", "")
    forced = str(liquidated).lower() == address or row.get("dir") == "Auto-Deleveraging"
    size = number(row["sz"])
    if size <= 0 or price < 0:
        raise ValueError(f"a fill of {size} at {price}")
    return VenueFill(
        fill_id=str(int(row["tid"])),
        client_id=client_id,
        venue_id=oid(row),
        account=account,
        symbol=str(row["coin"]),
        side=side(row["side"]),
        size=size,
        price=price,
        fee=number(row["fee"]),
        maker=not row["crossed"],
        ts_ms=int(row["time"]),
        reference=price,
        cause="liquidation" if forced else "order",
    )


def end_position(row: Json) -> Decimal:
    """Position after a fill, signed."""
    size = number(row["sz"])
    return number(row["startPosition"]) + (size if row["side"] == "B" else -size)


def positions(state: Json, account: str) -> tuple[VenuePosition, ...]:
    """Positions of a clearinghouse state."""
    found = []
    for row in state["assetPositions"]:
        held = row["position"]
        size = number(held["szi"])
        if size:
            entry = number(held.get("entryPx") or 0)
            found.append(VenuePosition(account, str(held["coin"]), size, entry))
    return tuple(found)


def funding(row: Json, account: str) -> VenueFunding:
    """Funding payment, of a history (``delta``) or of the stream (flat)."""
    delta = row.get("delta", row)
    usdc, rate, size = number(delta["usdc"]), float(delta["fundingRate"]), number(delta["szi"])
    base = abs(float(size) * rate)
    return VenueFunding(
        account=account,
        symbol=str(delta["coin"]),
        amount=-usdc,
        rate=rate,
        position=size,
        mark=abs(float(usdc)) / base if base else 0.0,
        ts_ms=int(row["time"]),
    )


def candle(row: Json) -> tuple[float, float, float, float, float]:
    """Open, high, low, close and volume of a candle."""
    opened, high, low, close, volume = (float(row[name]) for name in "ohlcv")
    return opened, high, low, close, volume


def kind_of(row: Json) -> OrderKind:
    """Kind of an open order as the front end names it."""
    if row.get("isTrigger"):
        profit = str(row.get("orderType", "")).startswith("Take Profit")
        return OrderKind.TARGET if profit else OrderKind.STOP
    return OrderKind.LIMIT


def level(row: Json) -> Decimal:
    """Trigger price of a trigger, limit price of any other order."""
    return number(row["triggerPx"] if row.get("isTrigger") else row["limitPx"])
