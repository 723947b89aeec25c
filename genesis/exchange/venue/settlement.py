"""What a trade does to the two accounts."""

from __future__ import annotations

from typing import Any

from genesis.domain.timeline import DAY_MS
from genesis.exchange.venue import fees
from genesis.exchange.venue.accounts import FILLS_KEPT, Account, Fill, Position
from genesis.exchange.venue.market import Market
from genesis.exchange.venue.meta import Instrument
from genesis.exchange.venue.orders import Order
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.units import POW10, show, show_money


class Forced:
    """Marks the fills of a liquidation: whose, at which mark price, on the market or backstop."""

    __slots__ = ("free", "label", "mark", "method", "user")

    def __init__(self, user: str, mark: int, method: str, label: str, *, free: bool) -> None:
        self.user = user
        self.mark = mark
        self.method = method
        self.label = label
        self.free = free


class Settlement:
    """Moves size, money and fees; keeps fills and volumes."""

    def __init__(self, state: VenueState) -> None:
        self._state = state

    def side(
        self,
        order: Order,
        market: Market,
        px: int,
        sz: int,
        tid: int,
        *,
        crossed: bool,
        forced: Forced | None = None,
    ) -> None:
        """Settle one side of a trade."""
        account = self._state.accounts[order.user]
        if market.spec.spot:
            self._spot(account, order, market, px, sz, tid, crossed=crossed)
            return
        value = px * sz
        free = account.house or (forced is not None and forced.free)
        charge = 0 if free else fees.fee(self._state.profile, value, crossed=crossed)
        extra = fees.builder_fee(value, order.builder_rate) if order.builder_rate else 0
        start, profit = self.move(account, market, sz if order.buy else -sz, px)
        account.raw -= charge + extra
        if charge:
            self._state.fees[0] = self._state.fees.get(0, 0) + charge
        if extra:
            pool = self._state.builder_fees
            pool[order.builder] = pool.get(order.builder, 0) + extra
        if account.house:
            return
        self._count(account, value, crossed=crossed)
        direction = _direction(start, sz if order.buy else -sz)
        if forced is not None and forced.user == order.user:
            direction = forced.label
        fill = Fill(
            tid=tid,
            oid=order.oid,
            asset=order.asset,
            buy=order.buy,
            px=px,
            sz=sz,
            ts_ms=self._state.now_ms,
            start=start,
            direction=direction,
            profit=profit,
            fee=charge + extra,
            fee_token="USDC",  # noqa: S106 - a currency
            crossed=crossed,
            hash=self._state.hash(),
            cloid=order.cloid,
            builder_fee=extra,
            liquidated=forced.user if forced is not None else "",
            mark=forced.mark if forced is not None else 0,
            method=forced.method if forced is not None else "",
            twap=order.twap,
        )
        self.keep(account, fill, market)

    def move(self, account: Account, market: Market, delta: int, px: int) -> tuple[int, int]:
        """Change a position at a price without any fee; return its old size and the profit."""
        asset = market.spec.asset
        position = account.positions.get(asset)
        if position is None:
            position = account.positions[asset] = Position()
        start = position.size
        cross, leverage = account.lever(market.spec)
        if cross:
            account.raw -= delta * px
        else:
            self._isolated(account, position, delta, px, leverage)
        profit = position.apply(delta, px)
        holders = self._state.holders[asset]
        if position.size:
            holders[account.address] = None
        else:
            holders.pop(account.address, None)
        # Every contract has a long and a short: the longs are the open interest.
        market.open_interest += max(position.size, 0) - max(start, 0)
        return start, profit

    def _isolated(
        self, account: Account, position: Position, delta: int, px: int, leverage: int
    ) -> None:
        size = position.size
        opening = delta
        if size and (size > 0) != (delta > 0):
            closing = min(abs(delta), abs(size))
            signed = closing if delta > 0 else -closing
            opening = delta - signed
            worth = position.margin + size * px
            position.margin -= signed * px
            if closing == abs(size):
                # Losses beyond the margin are nobody's: the cross account is out of reach.
                freed = max(position.margin, 0)
                self._state.insurance += position.margin - freed
                position.margin = 0
            else:
                freed = max(0, worth * closing // abs(size))
                position.margin -= freed
            account.raw += freed
        if opening:
            put = -(-abs(opening) * px // leverage)
            account.raw -= put
            position.margin += put - opening * px

    def _spot(
        self,
        account: Account,
        order: Order,
        market: Market,
        px: int,
        sz: int,
        tid: int,
        *,
        crossed: bool,
    ) -> None:
        spec = market.spec
        value, amount = px * sz, sz * POW10[spec.px_decimals]
        start = account.spot.get(spec.base, 0)
        got, paid = (spec.base, spec.quote) if order.buy else (spec.quote, spec.base)
        received, given = (amount, value) if order.buy else (value, amount)
        charge = 0
        if not account.house:
            charge = fees.spot_fee(self._state.profile, received, crossed=crossed)
        account.spot[got] = account.spot.get(got, 0) + received - charge
        account.spot[paid] = account.spot.get(paid, 0) - given
        self._state.fees[got] = self._state.fees.get(got, 0) + charge
        cost = account.spot_cost.get(spec.base, 0)
        if order.buy:
            account.spot_cost[spec.base] = cost + value
            profit = 0
        else:
            share = cost * amount // start if start else 0
            account.spot_cost[spec.base] = cost - share
            profit = value - share
        if account.house:
            return
        self._count(account, value, crossed=crossed)
        fill = Fill(
            tid=tid,
            oid=order.oid,
            asset=order.asset,
            buy=order.buy,
            px=px,
            sz=sz,
            ts_ms=self._state.now_ms,
            start=start,
            direction="Buy" if order.buy else "Sell",
            profit=profit,
            fee=charge,
            fee_token=self._state.meta.tokens[got].name,
            crossed=crossed,
            hash=self._state.hash(),
            cloid=order.cloid,
            twap=order.twap,
        )
        self.keep(account, fill, market)

    def _count(self, account: Account, value: int, *, crossed: bool) -> None:
        account.volume += value
        day = self._state.now_ms // DAY_MS
        cross, add = account.daily.get(day, (0, 0))
        account.daily[day] = (cross + value, add) if crossed else (cross, add + value)

    def keep(self, account: Account, fill: Fill, market: Market) -> None:
        """Remember and tell a fill."""
        account.fills.append(fill)
        if len(account.fills) > FILLS_KEPT + 1000:
            del account.fills[:-FILLS_KEPT]
        events = self._state.events
        if events.watched(account.address):
            data = shown_fill(fill, market.spec)
            events.user("fill", account.address, data, market.spec.coin)
            if fill.twap:
                slice_fill = {"fill": data, "twapId": fill.twap}
                events.user("twapFill", account.address, slice_fill, market.spec.coin)


def _direction(start: int, delta: int) -> str:
    if start == 0 or (start > 0) == (delta > 0):
        return "Open Long" if delta > 0 else "Open Short"
    if abs(delta) <= abs(start):
        return "Close Long" if start > 0 else "Close Short"
    return "Long > Short" if start > 0 else "Short > Long"


def shown_fill(fill: Fill, spec: Instrument) -> dict[str, Any]:
    """Return a fill as on the wire."""
    spot = spec.spot
    out: dict[str, Any] = {
        "coin": spec.coin,
        "px": show(fill.px, spec.px_decimals),
        "sz": show(fill.sz, spec.sz_decimals),
        "side": "B" if fill.buy else "A",
        "time": fill.ts_ms,
        "startPosition": show(fill.start, 8 if spot else spec.sz_decimals),
        "dir": fill.direction,
        "closedPnl": show_money(fill.profit),
        "hash": fill.hash,
        "oid": fill.oid,
        "crossed": fill.crossed,
        "fee": show(fill.fee, 8) if spot else show_money(fill.fee),
        "tid": fill.tid,
    }
    if fill.cloid is not None:
        out["cloid"] = fill.cloid
    if fill.builder_fee:
        out["builderFee"] = show_money(fill.builder_fee)
    if fill.liquidated:
        out["liquidation"] = {
            "liquidatedUser": fill.liquidated,
            "markPx": show(fill.mark, spec.px_decimals),
            "method": fill.method,
        }
    out["feeToken"] = fill.fee_token
    out["twapId"] = fill.twap or None
    return out
