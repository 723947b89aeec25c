"""A still venue and short words for what tests do with it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from genesis.exchange.venue.core import VenueCore, VenueMeta, VenueProfile
from genesis.exchange.venue.profile import STILL

T0 = 1_700_000_000_000 - 1_700_000_000_000 % 3_600_000
ALICE = "0x" + "a" * 40
BOB = "0x" + "b" * 40
CAROL = "0x" + "c" * 40
META = VenueMeta.default()
ASSETS = {spec.coin: spec.asset for spec in META.instruments()}
CLOID = "0x" + "0" * 30 + "{:02d}"


def limit(coin, side, px, sz, tif="Gtc", *, reduce=False, cloid=None) -> dict[str, Any]:
    wire = {
        "a": ASSETS[coin],
        "b": side == "B",
        "p": str(px),
        "s": str(sz),
        "r": reduce,
        "t": {"limit": {"tif": tif}},
    }
    return wire | ({"c": cloid} if cloid else {})


def trigger(coin, side, level, sz, kind, *, px=None, market=True, reduce=True, cloid=None):
    wire = {
        "a": ASSETS[coin],
        "b": side == "B",
        "p": str(level if px is None else px),
        "s": str(sz),
        "r": reduce,
        "t": {"trigger": {"isMarket": market, "triggerPx": str(level), "tpsl": kind}},
    }
    return wire | ({"c": cloid} if cloid else {})


class Rig:
    """A venue on which nothing happens by itself, three funded users, a clock by hand."""

    def __init__(self, profile: VenueProfile = STILL, usd: str = "100000", core=None) -> None:
        self.core = core or VenueCore(META, seed=7, profile=profile, now_ms=T0)
        self.now = self.core.now_ms
        for user in (ALICE, BOB, CAROL):
            self.core.fund(user, usd)
        self.core.drain()

    def act(self, user, action, **more):
        return self.core.submit(user, action, self.now, **more)

    def orders(self, user, *wires, grouping="na", **more):
        action = {"type": "order", "orders": list(wires), "grouping": grouping, **more}
        answer = self.act(user, action)
        assert answer["status"] == "ok", answer
        assert answer["response"]["type"] == "order"
        return answer["response"]["data"]["statuses"]

    def order(self, user, *args, **kwargs):
        return self.orders(user, limit(*args, **kwargs))[0]

    def resting(self, user, *args, **kwargs) -> int:
        return self.order(user, *args, **kwargs)["resting"]["oid"]

    def cancel(self, user, coin, oid):
        action = {"type": "cancel", "cancels": [{"a": ASSETS[coin], "o": oid}]}
        return self.act(user, action)["response"]["data"]["statuses"][0]

    def wait(self, ms):
        self.now += ms
        self.core.advance(self.now)

    def status(self, user, key):
        found = self.core.user_info.order_status(user, key)
        return found["order"]["status"] if found["status"] == "order" else found["status"]

    def sizes(self, user):
        state = self.core.user_info.clearinghouse_state(user)
        return {
            row["position"]["coin"]: Decimal(row["position"]["szi"])
            for row in state["assetPositions"]
        }

    def position(self, user, coin):
        state = self.core.user_info.clearinghouse_state(user)
        for row in state["assetPositions"]:
            if row["position"]["coin"] == coin:
                return row["position"]
        return None

    def value(self, user) -> Decimal:
        state = self.core.user_info.clearinghouse_state(user)
        return Decimal(state["marginSummary"]["accountValue"])

    def deal(self, buyer, seller, coin, px, sz):
        """Let two users trade at a price."""
        self.resting(seller, coin, "A", px, sz)
        answer = self.order(buyer, coin, "B", px, sz, "Ioc")
        assert answer["filled"]["totalSz"], answer

    def book(self, coin):
        levels = self.core.market_info.book(coin)["levels"]
        return [[(row["px"], row["sz"]) for row in side] for side in levels]

    def events(self, kind=None, user=None):
        return [
            event
            for event in self.core.drain()
            if (kind is None or event.kind == kind) and (user is None or event.user == user)
        ]
