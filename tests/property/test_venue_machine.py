"""Whatever three users do in whatever order, the venue's books agree with each other."""

from __future__ import annotations

import json
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from genesis.exchange.venue.core import VenueCore
from genesis.exchange.venue.orders import STATUSES
from genesis.exchange.venue.profile import STILL
from genesis.exchange.venue.state import BACKSTOP
from tests.unit.exchange.venue.venue_rig import ALICE, ASSETS, BOB, CAROL, META, T0, limit, trigger

USERS = st.sampled_from((ALICE, BOB, CAROL))
COINS = st.sampled_from(("ETH", "CANTO"))
PRICES = {"ETH": [str(p) for p in range(2900, 3101, 10)], "CANTO": ["0.19", "0.2", "0.21", "0.205"]}
SIZES = {"ETH": ["0.1", "1", "5", "20"], "CANTO": ["100", "1000", "20000"]}
SIDES = st.sampled_from("BA")


class Venue(RuleBasedStateMachine):
    """Random clients of a still venue."""

    def __init__(self) -> None:
        super().__init__()
        self.core = VenueCore(META, seed=1, profile=STILL, now_ms=T0)
        self.now = T0
        self.tids: set[tuple[str, int]] = set()
        for user in (ALICE, BOB, CAROL):
            self.core.fund(user, "20000")

    def act(self, user, action):
        answer = self.core.submit(user, action, self.now)
        assert answer["status"] in ("ok", "err")
        return answer

    @rule(
        user=USERS,
        coin=COINS,
        side=SIDES,
        tif=st.sampled_from(("Gtc", "Gtc", "Ioc", "Alo")),
        reduce=st.booleans(),
        data=st.data(),
    )
    def order(self, user, coin, side, tif, reduce, data):
        px = data.draw(st.sampled_from(PRICES[coin]))
        sz = data.draw(st.sampled_from(SIZES[coin]))
        wire = limit(coin, side, px, sz, tif, reduce=reduce)
        self.act(user, {"type": "order", "orders": [wire], "grouping": "na"})

    @rule(
        user=USERS,
        coin=COINS,
        side=SIDES,
        grouping=st.sampled_from(("na", "normalTpsl", "positionTpsl")),
        data=st.data(),
    )
    def triggers(self, user, coin, side, grouping, data):
        prices, other = PRICES[coin], "A" if side == "B" else "B"
        pick = st.sampled_from(prices)
        sz = data.draw(st.sampled_from(SIZES[coin]))
        wires = [
            trigger(coin, other, data.draw(pick), sz, kind, market=data.draw(st.booleans()))
            for kind in ("tp", "sl")
        ]
        if grouping == "normalTpsl":
            wires.insert(0, limit(coin, side, data.draw(pick), sz))
        self.act(user, {"type": "order", "orders": wires, "grouping": grouping})

    @rule(user=USERS, place=st.integers(0, 5), data=st.data())
    def change(self, user, place, data):
        orders = self.core.user_info.frontend_open_orders(user)
        if not orders:
            return
        order = orders[place % len(orders)]
        coin = order["coin"]
        if data.draw(st.booleans()):
            row = {"a": ASSETS[coin], "o": order["oid"]}
            self.act(user, {"type": "cancel", "cancels": [row]})
            return
        px = data.draw(st.sampled_from(PRICES.get(coin, ["0.15"])))
        sz = data.draw(st.sampled_from(SIZES.get(coin, ["100"])))
        wire = limit(coin, order["side"], px, sz, reduce=order["reduceOnly"])
        self.act(user, {"type": "modify", "oid": order["oid"], "order": wire})

    @rule(user=USERS, data=st.data())
    def batch(self, user, data):
        """Several orders of an action, which may meet each other."""
        wires = []
        for _ in range(data.draw(st.integers(2, 4))):
            coin = data.draw(st.sampled_from(("ETH", "PURR/USDC")))
            side, tif = data.draw(SIDES), data.draw(st.sampled_from(("Gtc", "Ioc", "Alo")))
            px = data.draw(st.sampled_from(PRICES.get(coin, ["0.14", "0.15", "0.16"])))
            sz = data.draw(st.sampled_from(SIZES.get(coin, ["100", "2000"])))
            wires.append(limit(coin, side, px, sz, tif, reduce=data.draw(st.booleans())))
        answer = self.act(user, {"type": "order", "orders": wires, "grouping": "na"})
        assert len(answer["response"]["data"]["statuses"]) == len(wires)

    @rule(user=USERS, data=st.data())
    def batch_modify(self, user, data):
        orders = self.core.user_info.open_orders(user)[:3]
        if not orders:
            return
        modifies = [
            {
                "oid": order["oid"],
                "order": limit(
                    order["coin"],
                    data.draw(SIDES),
                    data.draw(st.sampled_from(PRICES.get(order["coin"], ["0.15"]))),
                    data.draw(st.sampled_from(SIZES.get(order["coin"], ["100"]))),
                ),
            }
            for order in orders
        ]
        answer = self.act(user, {"type": "batchModify", "modifies": modifies})
        assert len(answer["response"]["data"]["statuses"]) == len(modifies)

    @rule(user=USERS, side=SIDES, random=st.booleans(), reduce=st.booleans())
    def twap(self, user, side, random, reduce):
        body = {"a": 1, "b": side == "B", "s": "3", "r": reduce, "m": 5, "t": random}
        self.act(user, {"type": "twapOrder", "twap": body})

    @rule(user=USERS, token=st.sampled_from(("USDC", "PURR")))
    def fund_spot(self, user, token):
        self.core.fund_spot(user, token, "5000")

    @rule(user=USERS, mode=st.sampled_from(("i", "u")))
    def abstraction(self, user, mode):
        self.act(user, {"type": "userSetAbstraction", "abstraction": mode})

    @rule(user=USERS, amount=st.sampled_from(("1000", "20000")), into=st.booleans())
    def class_transfer(self, user, amount, into):
        self.act(user, {"type": "usdClassTransfer", "amount": amount, "toPerp": into})

    @rule(user=USERS, ms=st.sampled_from((5000, 60_000)))
    def schedule_cancel(self, user, ms):
        self.core.knobs.set_volume(user, 2_000_000)
        self.act(user, {"type": "scheduleCancel", "time": self.now + ms})

    @rule(size=st.sampled_from(("0", "5", "30")))
    def cap(self, size):
        self.core.knobs.set_interest_cap("ETH", size)

    @rule(user=USERS)
    def deleverage(self, user):
        if self.core._state.accounts[user].size(1):
            self.core.knobs.deleverage(user, "ETH")

    @rule(coin=COINS, data=st.data())
    def price(self, coin, data):
        self.core.knobs.set_price(coin, data.draw(st.sampled_from(PRICES[coin])))

    @rule(coin=st.just("ETH"), px=st.sampled_from(("2000", "2500", "3600", "4500")))
    def crash(self, coin, px):
        self.core.knobs.set_price(coin, px)

    @rule(user=USERS, cross=st.booleans(), leverage=st.integers(1, 25))
    def leverage(self, user, cross, leverage):
        action = {"type": "updateLeverage", "asset": 1, "isCross": cross, "leverage": leverage}
        self.act(user, action)

    @rule(user=USERS, amount=st.sampled_from((10**8, 10**9, -(10**8))))
    def margin(self, user, amount):
        action = {"type": "updateIsolatedMargin", "asset": 1, "isBuy": True, "ntli": amount}
        self.act(user, action)

    @rule(user=USERS, other=USERS, amount=st.sampled_from(("100", "5000", "0.123456")))
    def send(self, user, other, amount):
        self.act(user, {"type": "usdSend", "destination": other, "amount": amount})

    @rule(ms=st.sampled_from((1, 1000, 60_000, 3_600_000)))
    def wait(self, ms):
        self.now += ms
        self.core.advance(self.now)

    @rule()
    def restart(self):
        plain = json.loads(json.dumps(self.core.plain()))
        again = VenueCore(META, seed=1, profile=STILL, now_ms=T0)
        again.restore(plain)
        assert again.state_hash() == self.core.state_hash()
        for coin in PRICES:
            assert again.market_info.book(coin) == self.core.market_info.book(coin)
        self.core = again

    @invariant()
    def money_and_contracts_balance(self):
        assert self.core.balance() == 0
        for coin in PRICES:
            asset = ASSETS[coin]
            state = self.core._state
            sizes = [account.size(asset) for account in state.accounts.values()]
            assert sum(sizes) == 0
            assert state.markets[asset].open_interest == sum(s for s in sizes if s > 0)
            holders = {a.address for a in state.accounts.values() if a.size(asset)}
            assert set(state.holders[asset]) == holders

    @invariant()
    def books_do_not_cross_and_hold_the_open_orders(self):
        for coin in (*PRICES, "PURR/USDC"):
            bids, asks = self.core.market_info.book(coin)["levels"]
            if bids and asks:
                assert Decimal(bids[0]["px"]) < Decimal(asks[0]["px"])
            market = self.core._state.by_coin[coin]
            resting = {}
            for user in (ALICE, BOB, CAROL):
                for order in self.core._state.accounts[user].orders.values():
                    assert order.sz > 0
                    if order.rank and order.asset == market.spec.asset:
                        key = (order.buy, order.px)
                        resting[key] = resting.get(key, 0) + order.sz
            levels = {
                (side is market.book.bids, px): level.size
                for side in (market.book.bids, market.book.asks)
                for px, level in side.levels.items()
            }
            assert levels == resting

    @invariant()
    def reduce_only_orders_fit_their_position(self):
        for user in (ALICE, BOB, CAROL):
            account = self.core._state.accounts[user]
            for asset in set(account.positions) | set(account.guards):
                size = account.size(asset)
                resting = [
                    o
                    for o in account.orders.values()
                    if o.asset == asset and o.reduce_only and o.rank
                ]
                assert sum(o.sz for o in resting) <= abs(size)
                assert all(o.buy == (size < 0) for o in resting)
                listed = set(account.guards.get(asset, []))
                assert listed == {
                    o.oid for o in account.orders.values() if o.asset == asset and o.reduce_only
                }

    @invariant()
    def past_orders_are_past_and_triggers_alive(self):
        for user in (ALICE, BOB, CAROL):
            account = self.core._state.accounts[user]
            for order in (*account.orders.values(), *account.past.values()):
                assert order.status in STATUSES
            for order in account.past.values():
                assert not order.rank
                assert not order.armed
        for market in self.core._state.markets.values():
            for order in market.triggers.values():
                assert order.oid in self.core._state.accounts[order.user].orders

    @invariant()
    def startPositions_form_a_chain(self):
        for user in (ALICE, BOB, CAROL):
            last: dict[int, int] = {}
            for fill in self.core._state.accounts[user].fills:
                if fill.asset >= 10_000:
                    continue
                assert fill.start == last.get(fill.asset, 0)
                last[fill.asset] = fill.start + (fill.sz if fill.buy else -fill.sz)
            for asset, size in last.items():
                assert self.core._state.accounts[user].size(asset) == size

    @invariant()
    def every_view_can_be_read(self):
        for user in (ALICE, BOB, CAROL):
            info, history = self.core.user_info, self.core.user_history
            info.clearinghouse_state(user)
            info.spot_state(user)
            info.frontend_open_orders(user)
            info.active_asset_data(user, "ETH")
            info.fees(user)
            history.twaps(user)
            history.fills(user, aggregate=True)

    @invariant()
    def tokens_balance(self):
        state = self.core._state
        for token in (1, 2):
            there = sum(account.spot.get(token, 0) for account in state.accounts.values())
            assert there + state.fees.get(token, 0) == state.deposits.get(token, 0)
            assert all(account.spot.get(token, 0) >= 0 for account in state.accounts.values())

    @invariant()
    def the_backstop_is_the_only_one_on_credit(self):
        assert self.core._state.accounts[BACKSTOP].house


Venue.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestVenue = Venue.TestCase
