"""What happens to an account that no longer has its maintenance margin."""

from __future__ import annotations

from genesis.exchange.venue.accounts import Account, Fill
from genesis.exchange.venue.margin import (
    cross_margin,
    isolated_value,
    maintenance,
)
from genesis.exchange.venue.market import Market
from genesis.exchange.venue.matching import Matching
from genesis.exchange.venue.orders import CANCELED, FILLED, Order
from genesis.exchange.venue.schedule import Schedule
from genesis.exchange.venue.settlement import Forced
from genesis.exchange.venue.state import BACKSTOP, VenueState
from genesis.exchange.venue.units import MONEY, TOLERANCE, show, show_money, within_percent

# Positions above this value are sold by a fifth first.
_LARGE = 100_000 * MONEY
_COOLDOWN_MS = 30_000
_AGAIN_MS = 1_000


class Liquidation:
    """Closes positions on the market, or hands them to the backstop.

    A position above 100,000 dollars is closed by a fifth first; for the thirty seconds after
    that, orders are for whole positions. Below two thirds of the maintenance margin the backstop
    takes positions and money.
    """

    def __init__(self, state: VenueState, matching: Matching, schedule: Schedule) -> None:
        self._state = state
        self._matching = matching
        self._schedule = schedule

    def check(self, market: Market) -> None:
        """Look at everyone who holds a position in a market."""
        for user in tuple(self._state.holders[market.spec.asset]):
            account = self._state.accounts[user]
            if not account.house:
                self.check_account(account, market)

    def check_account(self, account: Account, market: Market) -> None:
        """Liquidate an account that is short of margin because of a market."""
        position = account.positions.get(market.spec.asset)
        # Once per instant: the prices of several markets may move together.
        if position is None or not position.size or account.liquidated_ms == self._state.now_ms:
            return
        cross, _ = account.lever(market.spec)
        if cross:
            state = cross_margin(account, self._state.markets)
            if state.value < state.maintenance:
                self._cross(account, state.value, state.maintenance)
            return
        value = isolated_value(position, market.mark)
        needed = maintenance(market.spec, abs(position.size) * market.mark)
        if value < needed:
            self._isolated(account, market, value, needed)

    def _cross(self, account: Account, value: int, needed: int) -> None:
        self._state.begin()
        account.liquidated_ms = self._state.now_ms
        positions = [
            (asset, position.size)
            for asset, position in account.positions.items()
            if position.size and account.lever(self._state.markets[asset].spec)[0]
        ]
        positions.sort(key=lambda row: -abs(row[1]) * self._state.markets[row[0]].mark)
        for order in list(account.orders.values()):
            if self._state.markets[order.asset].spec.spot or order.oid not in account.orders:
                continue
            if account.lever(self._state.markets[order.asset].spec)[0]:
                self._matching.end(order, "liquidatedCanceled")
        self._tell(account, positions, value, "Cross")
        if 3 * value < 2 * needed:
            for asset, size in positions:
                self._hand_over(account, self._state.markets[asset], size, "Cross")
            self._move_money(account, account.dollars)
            return
        for asset, size in positions:
            self._sell(account, self._state.markets[asset], size, "Cross")
            state = cross_margin(account, self._state.markets)
            if state.value >= state.maintenance and state.notional:
                return
        debt = account.dollars
        if debt < 0 and not cross_margin(account, self._state.markets).notional:
            # What the last sale left unpaid is nobody's debt.
            self._state.insurance += debt
            account.raw -= debt

    def _isolated(self, account: Account, market: Market, value: int, needed: int) -> None:
        self._state.begin()
        account.liquidated_ms = self._state.now_ms
        size = account.size(market.spec.asset)
        for order in list(account.orders.values()):
            if order.asset == market.spec.asset and order.oid in account.orders:
                self._matching.end(order, "liquidatedCanceled")
        self._tell(account, [(market.spec.asset, size)], value, "Isolated")
        if 3 * value < 2 * needed:
            before = account.raw
            self._hand_over(account, market, size, "Isolated")
            self._move_money(account, account.raw - before)
            return
        self._sell(account, market, size, "Isolated")

    def _sell(self, account: Account, market: Market, size: int, mode: str) -> None:
        """Send a liquidation order to the book."""
        state = self._state
        amount = abs(size)
        if amount * market.mark > _LARGE and state.now_ms >= account.cooldown_until:
            amount = max(1, amount // 5)
            account.cooldown_until = state.now_ms + _COOLDOWN_MS
        buy = size < 0
        limit = within_percent(market.mark, TOLERANCE, market.spec.coarsest, buy=buy)
        order = Order(
            oid=state.number("oid"),
            user=account.address,
            asset=market.spec.asset,
            buy=buy,
            px=limit,
            sz=amount,
            orig=amount,
            tif="Ioc",
            ts_ms=state.now_ms,
            status_ms=state.now_ms,
        )
        label = f"Liquidated {mode} {'Short' if buy else 'Long'}"
        free = not state.profile.liquidation_pays_fee
        forced = Forced(account.address, market.mark, "market", label, free=free)
        self._matching.take(order, limit, forced)
        if order.status != FILLED:
            self._matching.end(order, CANCELED)
        if account.size(market.spec.asset):
            # A still price must not spare what is left.
            self._schedule.add(state.now_ms + _AGAIN_MS, "margin", account.address)

    def _hand_over(self, account: Account, market: Market, size: int, mode: str) -> None:
        """Move a position to the backstop at the mark price."""
        label = f"Liquidated {mode} {'Long' if size > 0 else 'Short'}"
        self.transfer(account, market, -size, label, "backstop")
        self._matching.fit_guards(account, market.spec.asset)

    def transfer(
        self, account: Account, market: Market, delta: int, label: str, method: str
    ) -> None:
        """Change a position at the mark price against the backstop, without fee or order."""
        state = self._state
        start, profit = self._matching.settlement.move(account, market, delta, market.mark)
        other = state.account(BACKSTOP)
        self._matching.settlement.move(other, market, -delta, market.mark)
        fill = Fill(
            tid=state.trade_id(),
            oid=state.number("oid"),
            asset=market.spec.asset,
            buy=delta > 0,
            px=market.mark,
            sz=abs(delta),
            ts_ms=state.now_ms,
            start=start,
            direction=label,
            profit=profit,
            fee=0,
            fee_token="USDC",  # noqa: S106 - a currency
            crossed=True,
            hash=state.hash(),
            liquidated=account.address if method == "backstop" else "",
            mark=market.mark,
            method=method,
        )
        self._matching.settlement.keep(account, fill, market)

    def _move_money(self, account: Account, amount: int) -> None:
        account.raw -= amount
        self._state.account(BACKSTOP).raw += amount

    def _tell(
        self, account: Account, positions: list[tuple[int, int]], value: int, mode: str
    ) -> None:
        state = self._state
        notional = sum(abs(size) * state.markets[asset].mark for asset, size in positions)
        event = {
            "lid": state.counters["tx"],
            "liquidator": BACKSTOP,
            "liquidated_user": account.address,
            "liquidated_ntl_pos": show_money(notional),
            "liquidated_account_value": show_money(value),
        }
        state.events.user("liquidation", account.address, event)
        delta = {
            "type": "liquidation",
            "liquidatedNtlPos": show_money(notional),
            "accountValue": show_money(value),
            "leverageType": mode,
            "liquidatedPositions": [
                {
                    "coin": state.markets[asset].spec.coin,
                    "szi": show(size, state.markets[asset].spec.sz_decimals),
                }
                for asset, size in positions
            ],
        }
        state.record(account.address, delta)
