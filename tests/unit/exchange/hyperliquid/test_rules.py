"""Prices and sizes on the exchange's grids, against an independent reading of its rules."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hyperliquid.utils.signing import float_to_wire, order_request_to_order_wire
from hyperliquid.utils.types import Cloid

from genesis.domain.errors import InfrastructureError
from genesis.exchange.hyperliquid import sdk
from genesis.exchange.hyperliquid.rules import (
    MarketRule,
    changes,
    fit,
    rules_from_meta,
    wire,
)
from genesis.trading.gateway import OrderKind, OrderRequest, Side

D = Decimal


def rule(decimals: int = 2) -> MarketRule:
    return MarketRule("SOL", 5, decimals, 20)


def order(
    price: str | None, size: str = "1", side: Side = Side.BUY, kind: OrderKind = OrderKind.LIMIT
) -> OrderRequest:
    exits = kind in (OrderKind.STOP, OrderKind.TARGET)
    level = None if price is None else D(price)
    return OrderRequest("ORD", "0x1", "a", "SOL", side, kind, D(size), level, reduce_only=exits)


def fitted(request: OrderRequest, decimals: int = 2, mid: str = "0", least: str = "10"):  # type: ignore[no-untyped-def]
    return fit(request, rule(decimals), D(mid), slippage=D("0.05"), min_notional=D(least))


def legal(price: D, decimals: int) -> bool:
    """The rule as the documentation words it, on the digits of the text."""
    text = format(price, "f")
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if not fraction:
        return True
    figures = (
        (whole.lstrip("0") + fraction).lstrip("0")
        if whole.strip("0") == ""
        else (whole.lstrip("0") + fraction)
    )
    return len(fraction) <= 6 - decimals and len(figures) <= 5


def test_every_price_is_legal_near_what_was_asked_and_never_worse() -> None:
    rng = random.Random(1)
    for _ in range(5_000):
        decimals = rng.randrange(6)
        price = D(repr(10 ** rng.uniform(-2, 5.5)))
        for side in Side:
            for kind in (OrderKind.STOP, OrderKind.TARGET):
                got = fitted(order(str(price), side=side, kind=kind), decimals)
                if got.reason:
                    assert price < D("0.1")
                    continue
                assert legal(got.price, decimals), (price, got.price, decimals)
                down = (side is Side.BUY) != (kind is OrderKind.STOP)
                assert got.price <= price if down else got.price >= price
                assert abs(got.price - price) <= max(price * D("1e-4"), D(10) ** (decimals - 6))


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("0.30000000000000004", "0.3"),
        ("94.99999999999999", "95"),
        ("65432.1", "65432"),  # six figures: a buy is rounded down
        ("123456", "123456"),  # whole prices are always legal
        ("99999.99999999999", "100000"),
        ("1.23456", None),  # more decimals than the market has
        ("95.00001", None),
        ("0", None),
        ("-5", None),
        ("NaN", None),
        (None, None),
    ],
)
def test_limits_are_put_on_the_grid_or_refused(asked: str | None, sent: str | None) -> None:
    got = fitted(order(asked, "1000"))
    assert (wire(got.price) if not got.reason else None) == sent
    assert got.reason in ("", "invalid_price")


def test_stops_move_away_from_the_market_and_targets_to_the_better_price() -> None:
    stop, target = OrderKind.STOP, OrderKind.TARGET
    assert wire(fitted(order("94.98765", side=Side.SELL, kind=stop)).price) == "94.987"
    assert wire(fitted(order("94.98765", side=Side.BUY, kind=stop)).price) == "94.988"
    assert wire(fitted(order("94.98765", side=Side.SELL, kind=target)).price) == "94.988"
    assert wire(fitted(order("94.98765", side=Side.BUY, kind=target)).price) == "94.987"


def test_market_orders_are_capped_by_the_slippage() -> None:
    market = OrderKind.MARKET
    assert wire(fitted(order(None, kind=market), mid="100.003").price) == "105"
    assert wire(fitted(order(None, side=Side.SELL, kind=market), mid="100.003").price) == "95.003"
    assert fitted(order(None, kind=market)).reason == "no_price"


def test_sizes_are_cut_to_the_lot_and_small_orders_are_refused() -> None:
    assert fitted(order("100", "0.509")).size == D("0.5")
    assert fitted(order("100", "0.50999999999999999")).size == D("0.51")
    assert fitted(order("100", "0.009")).reason == "invalid_size"
    assert fitted(order("100", "NaN")).reason == "invalid_size"
    assert fitted(order("100", "0.09")).reason == "min_notional"
    assert fitted(order("100", "0.1")).reason == ""
    assert fitted(order("105", "0.1"), mid="99").reason == "min_notional"  # at the lower of both
    assert fitted(order("95", "0.09", Side.SELL, OrderKind.STOP)).reason == ""


def test_delisted_markets_take_exits_only() -> None:
    gone = MarketRule("SOL", 5, 2, 20, delisted=True)
    exit_ = order("95", "1", Side.SELL, OrderKind.STOP)
    for request, reason in ((order("95"), "delisted"), (exit_, "")):
        got = fit(request, gone, D(0), slippage=D("0.05"), min_notional=D(10))
        assert got.reason == reason


def test_numbers_are_spelled_as_the_sdk_spells_them() -> None:
    rng = random.Random(2)
    for _ in range(2_000):
        # Beyond this the SDK's floats show their own noise: 77931025.9 becomes 77931025.90000001.
        number = D(rng.randrange(1, 10**6)).scaleb(-rng.randrange(7))
        assert wire(number) == float_to_wire(float(number))
    assert wire(D("-0")) == "0"
    assert wire(D("1E+3")) == "1000"


def test_an_order_is_what_the_sdk_would_sign() -> None:
    cloid = "0x" + "0" * 31 + "7"
    request = {
        "coin": "SOL",
        "is_buy": False,
        "sz": 0.5,
        "limit_px": 85.5,
        "order_type": {"trigger": {"isMarket": True, "triggerPx": 95.0, "tpsl": "sl"}},
        "reduce_only": True,
        "cloid": Cloid.from_str(cloid),
    }
    ours = sdk.order_wire(
        5,
        buy=False,
        price=D("85.5"),
        size=D("0.50"),
        reduce_only=True,
        kind=sdk.trigger_wire(D("95.0"), "sl", market=True),
        client_id=cloid,
    )
    theirs = order_request_to_order_wire(request, 5)
    assert ours == theirs
    assert [*ours, *ours["t"]["trigger"]] == [*theirs, *theirs["t"]["trigger"]]  # and in its order


def test_rules_are_read_from_metadata_and_their_changes_told() -> None:
    row = {"name": "SOL", "szDecimals": 2, "maxLeverage": 20}
    before = rules_from_meta({"universe": [row, row | {"name": "BTC", "szDecimals": 5}]})
    assert (before["BTC"].asset, before["BTC"].lot) == (1, D("0.00001"))
    after = rules_from_meta({"universe": [row | {"isDelisted": True}, row | {"name": "BTC"}]})
    lines = changes(before, after)
    assert lines[0] == "SOL is no longer listed"
    assert lines[1].startswith("BTC: ")
    for nonsense in (None, [], {"universe": [{"name": "X"}]}, {"universe": 5}):
        with pytest.raises(InfrastructureError):
            rules_from_meta(nonsense)
