"""Answers about one account: what it has, what is open, who may act for it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from genesis.domain.timeline import DAY_MS
from genesis.exchange.venue.accounts import COST, Account, Position
from genesis.exchange.venue.admission import held
from genesis.exchange.venue.candles import format_day
from genesis.exchange.venue.margin import (
    cross_margin,
    initial,
    isolated_value,
    liquidation_price,
)
from genesis.exchange.venue.market import Market
from genesis.exchange.venue.orders import Order, basic, detailed
from genesis.exchange.venue.state import VenueState, usd
from genesis.exchange.venue.units import POW10, ratio, show, show_money

Json = dict[str, Any]
_RATIO_DECIMALS = 10
_VIP_TIERS = (
    # Volume in two weeks, then taker, maker, spot taker and spot maker rate.
    ("5000000.0", "0.0004", "0.00012", "0.0006", "0.0003"),
    ("25000000.0", "0.00035", "0.00008", "0.0005", "0.0002"),
    ("100000000.0", "0.0003", "0.00004", "0.0004", "0.0001"),
    ("500000000.0", "0.00028", "0.0", "0.00035", "0.0"),
    ("2000000000.0", "0.00026", "0.0", "0.0003", "0.0"),
    ("7000000000.0", "0.00024", "0.0", "0.00025", "0.0"),
)


class UserInfo:
    """Readers of accounts; an unknown user has an empty account."""

    def __init__(self, state: VenueState) -> None:
        self._state = state

    def _account(self, user: str) -> Account:
        return self._state.accounts.get(user) or Account(address=user)

    def _market(self, order: Order) -> Market:
        return self._state.markets[order.asset]

    # Balances and positions

    def clearinghouse_state(self, user: str) -> Json:
        """Return ``clearinghouseState``."""
        account = self._account(user)
        state = cross_margin(account, self._state.markets)
        rows, value, used, notional, raw = [], state.value, state.initial, state.notional, 0
        for asset in sorted(account.positions):
            position = account.positions[asset]
            if not position.size:
                continue
            market = self._state.markets[asset]
            rows.append({"type": "oneWay", "position": self._position(account, position, market)})
            if not account.lever(market.spec)[0]:
                worth = isolated_value(position, market.mark)
                value, used = value + worth, used + worth
                notional += abs(position.size) * market.mark
                raw += position.margin
        cash, withdrawable = account.raw, state.withdrawable
        if account.unified:
            # The money of such an account is told with its spot balances, and only there.
            value, raw, cash, withdrawable = 0, 0, 0, 0
        cross_value = 0 if account.unified else state.value
        return {
            "marginSummary": _summary(value, notional, cash + raw, used),
            "crossMarginSummary": _summary(cross_value, state.notional, cash, state.initial),
            "crossMaintenanceMarginUsed": show_money(state.maintenance),
            "withdrawable": show_money(withdrawable),
            "assetPositions": rows,
            "time": self._state.now_ms,
        }

    def _position(self, account: Account, position: Position, market: Market) -> Json:
        spec = market.spec
        cross, leverage = account.lever(spec)
        size = abs(position.size)
        notional = size * market.mark
        profit = position.unrealised(market.mark)
        lever: Json = {"type": "cross" if cross else "isolated", "value": leverage}
        used = initial(spec, notional, leverage)
        if not cross:
            lever["rawUsd"] = show_money(position.margin)
            used = isolated_value(position, market.mark)
        # Entry prices have the decimals of the market, however many figures they need.
        entry = ratio(position.cost, position.size * COST) if position.size > 0 else 0
        if position.size < 0:
            entry = ratio(-position.cost, size * COST)
        entry = ratio(entry, spec.coarsest)
        staked = ratio(abs(position.cost), COST * leverage)
        return {
            "coin": spec.coin,
            "szi": show(position.size, spec.sz_decimals),
            "leverage": lever,
            "entryPx": show(entry, spec.px_decimals - 2),
            "positionValue": show_money(notional),
            "unrealizedPnl": show_money(profit),
            "returnOnEquity": show(
                ratio(profit * POW10[_RATIO_DECIMALS], staked) if staked else 0, _RATIO_DECIMALS
            ),
            "liquidationPx": self._liquidation(account, market),
            "marginUsed": show_money(used),
            "maxLeverage": spec.max_leverage,
            "cumFunding": {
                "allTime": show_money(position.funding_ever),
                "sinceOpen": show_money(position.funding_open),
                "sinceChange": show_money(position.funding_change),
            },
        }

    def _liquidation(self, account: Account, market: Market) -> str | None:
        price: Fraction = liquidation_price(account, market, self._state.markets)
        if price <= 0:
            return None
        scaled = price * POW10[_RATIO_DECIMALS] / POW10[market.spec.px_decimals]
        return show(ratio(scaled.numerator, scaled.denominator), _RATIO_DECIMALS)

    def spot_state(self, user: str) -> Json:
        """Return ``spotClearinghouseState``."""
        account = self._account(user)
        rows = []
        for token in self._state.meta.tokens:
            total = account.spot.get(token.index, 0)
            hold = held(account, token.index, self._state)
            if token.index == 0 and account.unified:
                cash, margin = self._unified(account)
                total, hold = cash, hold + margin
            if total:
                cost = usd(account.spot_cost.get(token.index, 0))
                row: Json = {"coin": token.name, "token": token.index, "total": usd(total)}
                rows.append(row | {"hold": usd(hold), "entryNtl": cost})
        return {"balances": rows}

    def _unified(self, account: Account) -> tuple[int, int]:
        """Dollars of a unified account without unrealised profit, and what margin holds of them."""
        cash = account.dollars
        margin = cross_margin(account, self._state.markets).initial
        for asset, position in account.positions.items():
            entry = ratio(position.cost, COST)
            cash += entry + position.margin
            if not account.lever(self._state.markets[asset].spec)[0]:
                margin += entry + position.margin
        return cash, margin

    def active_asset_data(self, user: str, coin: str) -> Json:
        """Return ``activeAssetData``: how much more of a coin could be traded."""
        account = self._account(user)
        market = self._state.by_coin[coin]
        spec = market.spec
        cross, leverage = account.lever(spec)
        free = max(0, cross_margin(account, self._state.markets).available)
        size = account.size(spec.asset)
        # Against the position its own margin is freed, then used again.
        freed = 2 * initial(spec, abs(size) * market.mark, leverage)
        buy, sell = free + (freed if size < 0 else 0), free + (freed if size > 0 else 0)
        lever: Json = {"type": "cross" if cross else "isolated", "value": leverage}
        position = account.positions.get(spec.asset)
        if not cross:
            lever["rawUsd"] = show_money(position.margin if position is not None else 0)
        return {
            "user": user,
            "coin": coin,
            "leverage": lever,
            "maxTradeSzs": [
                show(side * leverage // market.mark, spec.sz_decimals) for side in (buy, sell)
            ],
            "availableToTrade": [show_money(buy), show_money(sell)],
            "markPx": show(market.mark, spec.px_decimals),
        }

    # Orders

    def open_orders(self, user: str) -> list[Json]:
        """Return ``openOrders``, newest first."""
        orders = reversed(self._account(user).orders.values())
        return [basic(order, self._market(order).spec) for order in orders]

    def frontend_open_orders(self, user: str) -> list[Json]:
        """Return ``frontendOpenOrders``, newest first."""
        account = self._account(user)
        return [self._detailed(account, order) for order in reversed(account.orders.values())]

    def _detailed(self, account: Account, order: Order) -> Json:
        children = [
            self._detailed(account, account.orders[oid])
            for oid in order.children
            if oid in account.orders
        ]
        return detailed(order, self._market(order).spec, children)

    def order_status(self, user: str, key: int | str) -> Json:
        """Return ``orderStatus`` by order number or client id."""
        account = self._account(user)
        order = self._state.find_order(user, key.lower() if isinstance(key, str) else key)
        if order is None:
            return {"status": "unknownOid"}
        return {"status": "order", "order": self._record(account, order)}

    def _record(self, account: Account, order: Order) -> Json:
        return {
            "order": self._detailed(account, order),
            "status": order.status,
            "statusTimestamp": order.status_ms,
        }

    def historical_orders(self, user: str) -> list[Json]:
        """Return ``historicalOrders``: at most 2000, newest first, open ones included."""
        account = self._account(user)
        orders = [*account.past.values(), *account.orders.values()]
        orders.sort(key=lambda order: (order.status_ms, order.oid), reverse=True)
        return [self._record(account, order) for order in orders[:2000]]

    # Who it is, and what it pays

    def role(self, user: str) -> Json:
        """Return ``userRole``."""
        owner = self._state.wallet_owner.get(user)
        if owner is not None:
            return {"role": "agent", "data": {"user": owner}}
        account = self._state.accounts.get(user)
        if account is None:
            return {"role": "missing"}
        if account.master:
            return {"role": "subAccount", "data": {"master": account.master}}
        return {"role": "user"}

    def extra_agents(self, user: str) -> list[Json]:
        """Return ``extraAgents``: the named API wallets."""
        return [
            {"name": w.name, "address": w.address, "validUntil": w.valid_until}
            for w in self._account(user).wallets
            if w.name and w.valid_until > self._state.now_ms
        ]

    def abstraction(self, user: str) -> str:
        """Return ``userAbstraction``."""
        return self._account(user).abstraction

    def max_builder_fee(self, user: str, builder: str) -> int:
        """Return ``maxBuilderFee`` in tenths of a basis point."""
        return self._account(user).builders.get(builder, 0)

    def sub_accounts(self, user: str) -> list[Json] | None:
        """Return ``subAccounts``, None where there are none."""
        children = [a for a in self._state.accounts.values() if a.master == user]
        return [
            {
                "name": child.label,
                "subAccountUser": child.address,
                "master": user,
                "clearinghouseState": self.clearinghouse_state(child.address),
                "spotState": self.spot_state(child.address),
            }
            for child in children
        ] or None

    def referral(self, user: str) -> Json:
        """Return ``referral``."""
        account = self._account(user)
        code = account.referrer
        return {
            "referredBy": {"referrer": "0x" + "0" * 40, "code": code} if code else None,
            "cumVlm": show_money(account.volume),
            "unclaimedRewards": show_money(self._state.builder_fees.get(user, 0)),
            "claimedRewards": "0.0",
            "builderRewards": show_money(self._state.builder_fees.get(user, 0)),
            "referrerState": {"stage": "needToTrade", "data": {"required": "10000.0"}},
            "rewardHistory": [],
        }

    def fees(self, user: str) -> Json:
        """Return ``userFees``: everybody pays the base tier."""
        profile = self._state.profile
        cross, add = show(profile.taker_rate, 5), show(profile.maker_rate, 5)
        spot_cross, spot_add = show(profile.spot_taker_rate, 5), show(profile.spot_maker_rate, 5)
        return {
            "dailyUserVlm": self._daily(self._account(user)),
            "feeSchedule": {
                "cross": cross,
                "add": add,
                "spotCross": spot_cross,
                "spotAdd": spot_add,
                "tiers": {
                    "vip": [
                        {
                            "ntlCutoff": cutoff,
                            "cross": vip_cross,
                            "add": vip_add,
                            "spotCross": vip_spot_cross,
                            "spotAdd": vip_spot_add,
                        }
                        for cutoff, vip_cross, vip_add, vip_spot_cross, vip_spot_add in _VIP_TIERS
                    ],
                    "mm": [],
                },
                "referralDiscount": "0.04",
                "stakingDiscountTiers": [{"bpsOfMaxSupply": "0.0", "discount": "0.0"}],
            },
            "userCrossRate": cross,
            "userAddRate": add,
            "userSpotCrossRate": spot_cross,
            "userSpotAddRate": spot_add,
            "activeReferralDiscount": "0.0",
            "trial": None,
            "feeTrialReward": "0.0",
            "nextTrialAvailableTimestamp": None,
            "stakingLink": None,
            "activeStakingDiscount": {"bpsOfMaxSupply": "0.0", "discount": "0.0"},
        }

    def _daily(self, account: Account) -> list[Json]:
        today = self._state.now_ms // DAY_MS
        rows = []
        for day in range(today - 14, today + 1):
            cross, add = account.daily.get(day, (0, 0))
            exchange = sum(a.daily[day][0] for a in self._state.accounts.values() if day in a.daily)
            rows.append(
                {
                    "date": format_day(day),
                    "userCross": show_money(cross),
                    "userAdd": show_money(add),
                    "exchange": show_money(exchange),
                }
            )
        return rows


def _summary(value: int, notional: int, raw: int, used: int) -> Json:
    return {
        "accountValue": show_money(value),
        "totalNtlPos": show_money(notional),
        "totalRawUsd": show_money(raw),
        "totalMarginUsed": show_money(used),
    }
